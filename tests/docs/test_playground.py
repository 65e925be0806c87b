"""The playground: it is small, and trains as the library does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import node, run

import portable_nn as pnn
from portable_nn.network.objective import Batch
from portable_nn.training.description import Training
from portable_nn.training.hyperparameters import StepNumbers
from portable_nn.training.steps import StepParts

pytestmark = pytest.mark.usefixtures("host_only")
DOCS = Path(__file__).parents[2] / "docs"
LARGEST = 200_000  # bytes, of the page and of all that is loaded for it alone
UPDATES, ACCURACY = 1500, 0.95  # of the spiral, with the settings that the page begins with
TOLERANCE = 1e-12
XP: Any = pnn.backends.get("numpy").xp
OPTIMIZERS = {
    "sgd": pnn.SGD(0.03),
    "momentum": pnn.SGD(0.03, momentum=0.9),
    "rmsprop": pnn.RMSprop(0.03),
    "adam": pnn.Adam(0.03),
}


# ---- the files ---------------------------------------------------------------------------------------


def test_the_page_and_its_files_are_small(playground):
    files = [
        playground / "playground" / "index.html",
        *(playground / "_static" / "playground").iterdir(),
    ]
    assert len(files) > 10
    assert sum(path.stat().st_size for path in files) < LARGEST


def test_the_scripts_are_loaded_on_this_page_alone(playground):
    assert "playground/main.js" in (playground / "playground" / "index.html").read_text()
    assert "playground/main.js" not in (playground / "index.html").read_text()


def test_scripts_are_short_and_evaluate_no_text():
    for path in (DOCS / "_static" / "playground").glob("*.js"):
        text = path.read_text()
        assert text.count("\n") < 250, path.name
        assert "eval(" not in text, path.name
        assert "Function(" not in text, path.name


# ---- the training, under node -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def javascript(playground, tmp_path_factory):
    """A function that runs code after the scripts that train, and gives what it returns."""
    names = ("steps.js", "random.js", "data.js", "training.js")
    scripts = [(playground / "_static" / "playground" / name).read_text() for name in names]

    def ran(code: str) -> Any:
        path = tmp_path_factory.mktemp("node") / "main.js"
        main = f"console.log(JSON.stringify((() => {{\n{code}\n}})()));"
        path.write_text("\n".join([*scripts, main]))
        return json.loads(run(*node(), path))

    return ran


def test_every_choice_of_the_page_has_its_steps(javascript):
    page = (DOCS / "playground" / "application.html").read_text()
    names = set(javascript("return Object.keys(STEPS);"))
    options = {
        line.split('"')[1]
        for line in page.replace("<option ", "\n<option ").splitlines()
        if "<option " in line
    }
    activations = {"tanh", "relu", "leaky_relu", "sigmoid"}
    assert {*OPTIMIZERS, *activations} <= options
    for kind in ("gradients", "predictions"):
        networks = {f"{kind}_{g}_{depth}" for g in activations for depth in (1, 2, 3, 4)}
        assert networks | {f"{kind}_0"} <= names
    assert {f"{half}_{name}" for half in ("update", "numbers") for name in OPTIMIZERS} <= names


SPIRAL = """
const train = (seed) => {
  const data = drawData(DEFAULTS.dataSet, DEFAULTS.noise, seed);
  const training = createTraining({ ...DEFAULTS }, data, seed);
  for (let i = 0; i < %d; i++) training.update();
  return [training.judgeLearned().accuracy, training.judgeHeldOut().accuracy, ...training.parameters.W1];
};
return [1, 2, 3, 4, 5, 6, 1].map(train);
"""


def test_the_spiral_is_learned_with_the_settings_that_the_page_begins_with(javascript):
    found = javascript(SPIRAL % UPDATES)
    assert min(learned for learned, *_ in found) >= ACCURACY
    assert min(held_out for _, held_out, *_ in found) >= ACCURACY
    assert found[0] == found[-1]  # the same seed
    assert found[0] != found[1]


@pytest.mark.parametrize("name", ["spiral", "moons", "flower", "circles", "xor"])
def test_data_sets_have_both_classes_in_the_plane(javascript, name):
    learned, held_out = javascript(
        f"const d = drawData('{name}', 0.1, 3);"
        "return [d.learned, d.heldOut].map(({ X, Y }) => [[...X], [...Y]]);"
    )
    for (X, Y), n in ((learned, 400), (held_out, 200)):
        assert len(X) == 2 * n
        assert sum(Y) == n / 2
        assert np.mean(np.abs(X) <= 2.5) > 0.98
    assert learned[0][:2] != held_out[0][:2]


def test_random_numbers_are_uniform_and_normal(javascript):
    uniform, normal = javascript(
        "const r = randomStream(5, 'a test'); const n = { length: 20000 };"
        "return [Array.from(n, r.uniform), Array.from(n, r.normal)];"
    )
    quantiles = np.linspace(0.1, 0.9, 9)
    assert np.allclose(np.quantile(uniform, quantiles), quantiles, atol=0.015)
    assert abs(np.mean(normal)) < 0.03
    assert abs(np.std(normal) - 1) < 0.02


@pytest.mark.parametrize(("activation", "variance"), [("tanh", 2 / (16 + 10)), ("relu", 2 / 16)])
def test_weights_begin_as_those_of_initialize(javascript, activation, variance):
    code = "return [1, 2, 3].map((seed) => [...initialParameters([2, 16, 10, 1], '{}', seed).W2]);"
    W = javascript(code.format(activation))
    theirs = [network((2, 16, 10, 1), activation).initialize(seed=seed)[1][0] for seed in range(3)]
    assert np.var(W) == pytest.approx(variance, rel=0.2)
    assert np.var(theirs) == pytest.approx(variance, rel=0.2)
    assert W[0] != W[1]


TRAINED = """
const settings = { ...DEFAULTS, ...%s };
const data = drawData(settings.dataSet, settings.noise, 7);
const training = createTraining(settings, data, 7);
const L = training.L;
const copied = () =>
  Object.fromEntries(Object.entries(training.parameters).map(([name, x]) => [name, [...x]]));
const [first, updates] = [copied(), []];
for (let i = 0; i < 50; i++) {
  training.update();
  const masks = [];
  for (let l = 1; l < L; l++) {
    masks.push([...training.arrays[`mask${l}`].subarray(0, training.units[l] * training.B)]);
  }
  updates.push({ rows: [...training.arrays.rows.subarray(0, training.B)], masks });
}
return { X: [...data.learned.X], Y: [...data.learned.Y], first, last: copied(), updates };
"""


def reshaped(numbers: list[float], *shape: int) -> np.ndarray[Any, Any]:
    return np.array(numbers, "float64").reshape(shape)


def trained(javascript: Any, sizes: tuple[int, ...], **settings: Any) -> Any:
    """What 50 updates of the page do: the data, the parameters before and after, rows and masks."""
    found = javascript(TRAINED % json.dumps({"widths": sizes[1:-1], **settings}))
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))

    def params(named: dict[str, Any]) -> Any:
        return [
            (reshaped(named[f"W{l}"], *shape), reshaped(named[f"b{l}"], -1, 1))
            for l, shape in enumerate(shapes, 1)
        ]

    X, Y = reshaped(found["X"], -1, 2), reshaped(found["Y"], -1, 1)
    return X, Y, params(found["first"]), params(found["last"]), found["updates"]


def difference(found: Any, expected: Any) -> float:
    """max |a - b| / max |b| over the arrays."""
    pairs = [pair for layers in zip(found, expected, strict=True) for pair in zip(*layers, strict=True)]
    return float(np.max([np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in pairs]))


def network(sizes: tuple[int, ...], activation: str) -> pnn.Network:
    g = (*(activation,) * (len(sizes) - 2), "sigmoid")
    return pnn.Network(sizes, g, "binary_cross_entropy")


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("sizes", "activation"), [((2, 1), "tanh"), ((2, 5, 4, 1), "relu")])
def test_the_page_trains_as_fit_does(javascript, margin, name, sizes, activation):
    settings = {"optimizer": name, "activation": activation, "batchSize": 0, "l2": 0.3}
    X, Y, first, last, _ = trained(javascript, sizes, **settings)
    options = {"epochs": 50, "batch_size": None, "l2": 0.3}
    expected, _ = pnn.fit(network(sizes, activation), first, X, Y, OPTIMIZERS[name], **options)
    assert difference(first, last) > 0.01
    assert margin("the playground", "float64", difference(last, expected)) <= TOLERANCE


def test_batches_and_masks_of_the_page_give_the_updates_of_numpy(javascript, margin):
    sizes, rate, l2 = (2, 6, 5, 1), 0.3, 0.1
    settings = {"dropout": rate, "l2": l2, "batchSize": 32, "learningRate": 0.03}
    X, Y, params, last, updates = trained(javascript, sizes, **settings)
    training = Training(network(sizes, "tanh"), pnn.Adam(0.03), l2=l2, dropout=rate)
    numbers = StepNumbers(training)
    parts = StepParts(numbers.kind_of_step(training))
    zeros = [(0 * W, 0 * b) for W, b in params]
    carry = (params, (zeros, zeros), np.zeros(()))
    for i, update in enumerate(updates):
        rows = np.array(update["rows"])
        masks = [np.reshape(mask, (-1, len(rows))) for mask in update["masks"]]
        assert {*np.concatenate(masks).ravel()} <= {0.0, 1 / (1 - rate)}
        given = np.array(numbers.row(i, 0.03))
        carry = parts.step(XP, carry, Batch(X, Y), (rows, masks, given))
    assert [len(update["rows"]) for update in updates[:13]] == [32] * 12 + [16]
    epoch = [row for update in updates[:13] for row in update["rows"]]
    assert sorted(epoch) == list(range(400))
    assert margin("the playground", "float64", difference(last, carry[0])) <= TOLERANCE
