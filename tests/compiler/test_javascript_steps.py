"""A training step in JavaScript does what `fit` does, for networks of any widths and batches."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from helpers import CENTRE, PAIRS
from javascript_helpers import (
    BATCH,
    EPOCHS,
    ROWS,
    Case,
    by_name,
    recorded_fit,
    run_cases,
    sets,
    sizes_of,
    slots_by_name,
    worst,
)

import portable_nn as pnn
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.known_functions import FOLLOWS_VIEWS
from portable_nn.equations import ACTIVATIONS, forward
from portable_nn.interchange.javascript_steps import (
    gradients,
    javascript,
    numbers,
    predictions,
    update,
    whole_step,
)
from portable_nn.network.objective import Batch
from portable_nn.training.description import Training

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore:the output activation"),  # every pair is tried
]
TOLERANCE = 1e-12
XP: Any = pnn.backends.get("numpy").xp
OPTIMIZERS = {
    "sgd": pnn.SGD(0.02),
    "momentum": pnn.SGD(0.02, momentum=0.9),
    "nesterov": pnn.SGD(0.02, momentum=0.8, nesterov=True),
    "rmsprop": pnn.RMSprop(0.005),
    "adam": pnn.Adam(0.01),
    "adamw": pnn.AdamW(0.01, weight_decay=0.1),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "l2": {"l2": 0.3},
    "dropout": {"dropout": 0.3},
    "clip_norm": {"clip_norm": 0.1},
    "clip_norm of groups": {"clip_norm": {"weights": 0.1, "biases": 0.01}},
    "weights": {"sample_weight": np.linspace(0, 2, ROWS)},
    "all": {
        "l2": 0.3,
        "dropout": [0.2, 0.4],
        "clip_norm": 0.2,
        "sample_weight": np.linspace(0.5, 2, ROWS),
    },
}
SIZES = (3, 5, 4, 2)  # of `fit`
OTHERS = (11, 7, 6, 13, 5, 8)  # of the network that is traced


def create(step: Any) -> str:
    """The text with this step alone."""
    return javascript({"create": step})


def problem(sizes: tuple[int, ...], g: tuple[str, ...], loss: str) -> tuple[Any, ...]:
    """A network, parameters whose predictions suit every loss, and data."""
    random = np.random.default_rng(len(sizes))
    net = pnn.Network(sizes, g, loss)
    params = net.initialize(seed=2, dtype="float64")
    params = [(W, b + random.normal(size=b.shape) / 4) for W, b in params]
    W, b = params[-1]
    params[-1] = (0.1 * W, CENTRE.get(g[-1], 0.5) + 0 * b)
    X = random.normal(size=(ROWS, sizes[0]))
    return net, params, X, random.dirichlet(np.ones(sizes[-1]), size=ROWS)


def repeated(
    monkeypatch: Any, sizes: tuple[int, ...], g: Any, loss: str, optimizer: Any, **options: Any
) -> Case:
    """A training by `fit`, and the step in JavaScript, traced for a network of other widths."""
    given = problem(sizes, g, loss)
    net, params, X, Y = given
    new, history, updates = recorded_fit(
        monkeypatch, *given, optimizer, epochs=EPOCHS, batch_size=BATCH, **options
    )
    weight = options.pop("sample_weight", None)
    training = Training(pnn.Network(OTHERS[: len(sizes)], g, loss), optimizer, **options)
    text = create(whole_step(training, has_weights=weight is not None))
    pool = {"X": X, "Y": Y} | by_name(params)
    pool |= {} if weight is None else {"weight": weight, "mean_weight": weight.mean()}
    expected = by_name(new) | slots_by_name(history.optimizer_state.slots)
    expected["total"] = ROWS * np.sum(history.cost)
    each = [(len(rows), sets(rows, masks, numbers=given)) for _, rows, masks, given in updates]
    assert len(each) >= 50
    return Case([(text, sizes_of(net, N=ROWS, B=BATCH), {})], pool, each, expected)


def problems() -> dict[str, tuple[Any, ...]]:
    """The arguments of `repeated` by name."""
    adam, regression = pnn.Adam(0.003), ("squared_error", pnn.Adam(0.01))
    found: dict[str, tuple[Any, ...]] = {
        f"hidden {g}": (SIZES, (g, g, "identity"), *regression, {}) for g in ACTIVATIONS
    }
    found |= {f"{g}, {loss}": (SIZES[1:], ("tanh", g), loss, adam, {}) for g, loss in PAIRS}
    for name, optimizer in OPTIMIZERS.items():
        found[name] = (SIZES, ("tanh", "relu", "sigmoid"), "binary_cross_entropy", optimizer, {})
        found[f"{name}, all"] = (*found[name][:-1], OPTIONS["all"])
    for name, options in OPTIONS.items():
        found[name] = (SIZES, ("silu", "tanh", "softmax"), "categorical_cross_entropy", adam, options)
    for depth in range(5):
        sizes, g = (4, *(6,) * depth, 1), (*("tanh",) * depth, "sigmoid")
        found[f"{depth} hidden layers"] = (sizes, g, "binary_cross_entropy", adam, {"l2": 0.1})
    groups = pnn.Adam(0.01, groups={"biases": {"learning_rate": 0.1}, 1: {"factor": 0.5}})
    found["groups"] = (SIZES, ("tanh", "relu", "identity"), "squared_error", groups, {})
    return found


PROBLEMS = problems()


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What node finds for every problem, and what `fit` found."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        cases = {
            name: repeated(monkeypatch, *given, **options)
            for name, (*given, options) in PROBLEMS.items()
        }
    found = run_cases(tmp_path_factory.mktemp("steps"), cases)
    return {name: (found[name], case.expected) for name, case in cases.items()}


@pytest.mark.parametrize("name", PROBLEMS)
def test_51_updates_are_those_of_fit(steps, name, margin):
    assert margin("JavaScript steps", "float64", worst(*steps[name])) <= TOLERANCE


# ---- parts of a step, and what it shows ---------------------------------------------------------------


def halves(monkeypatch: Any) -> Case:
    """The numbers, the gradients and the update of each array, one after the other, as `fit` does it."""
    g, optimizer = ("tanh", "relu", "sigmoid"), pnn.AdamW(0.01, weight_decay=0.1)
    given = problem(SIZES, g, "binary_cross_entropy")
    net, params, X, Y = given
    options = {"l2": 0.3, "dropout": 0.3}
    new, history, updates = recorded_fit(
        monkeypatch, *given, optimizer, epochs=EPOCHS, batch_size=BATCH, **options
    )
    training = Training(pnn.Network(OTHERS[:4], g, net.loss), optimizer, **options)
    texts = [(create(numbers(training)), {}, {})]
    texts.append((create(gradients(training)), sizes_of(net, N=ROWS, B=BATCH), {}))
    texts += updates_of_layers(create(update(training)), params, ("", "d", "m_", "v_"))
    pool = {"X": X, "Y": Y, "learning_rate": [0.01], "l2": [0.3], "examples": [0], **by_name(params)}
    pool |= slots_by_name([[(0 * W, 0 * b) for W, b in params]] * 2)
    each = []
    for t, (_, rows, masks, _) in enumerate(updates, 1):
        each.append((len(rows), sets(rows, masks, t=[t], examples=[len(rows)])))
    return Case(texts, pool, each, by_name(new) | slots_by_name(history.optimizer_state.slots))


def updates_of_layers(text: str, params: Any, prefixes: tuple[str, ...]) -> list[Any]:
    """The text of an update for each layer, with its sizes and the names of its arrays."""
    own = [f"{prefix}{letter}" for prefix in prefixes for letter in "Wb"]
    shapes = enumerate((W.shape for W, _ in params), 1)
    return [
        (text, {"units": units, "inputs": inputs}, {name: f"{name}{l}" for name in own})
        for l, (units, inputs) in shapes
    ]


def shown(step: Any, dtype: str = "float64", l2: float | None = None, updates: bool = False) -> Case:
    """J, the gradients, Z and A of a batch of 5 of at most 8 rows, with masks and weights."""
    g = ("gelu", "softmax", "softmax")
    net, params, X, Y = problem(SIZES, g, "categorical_cross_entropy")
    params = [(W.astype(dtype), b.astype(dtype)) for W, b in params]
    random, rows = np.random.default_rng(3), np.array([3, 20, 0, 7, 3])
    X, Y, weight = X.astype(dtype), Y.astype(dtype), random.uniform(0.5, 2, ROWS).astype(dtype)
    masks = [(random.random((n, 5)) > 0.3).astype(dtype) / 0.7 for n in SIZES[1:3]]
    mean = weight.mean()
    batch = Batch(X[rows], Y[rows], weight[rows], mean)
    J, grads = net.objective.gradients(XP, params, batch, l2, masks)
    Z, A = forward(XP, params, X[rows].T, net.g, masks)
    expected = {"J": J} | by_name(grads, "d")
    expected |= {f"Z{l}": Z[l] for l in (1, 2, 3)} | {f"A{l}": A[l] for l in (1, 2, 3)}
    training = Training(pnn.Network(OTHERS[:4], g, net.loss), pnn.SGD(0.1), l2=0.1, dropout=0.3)
    text = create(step(training, shows=True, has_weights=True, dtype=dtype))
    texts = [(text, sizes_of(net, N=ROWS, B=BATCH), {})]
    if updates:
        texts += updates_of_layers(create(update(training, True, dtype)), params, ("", "d"))
    pool = {"X": X, "Y": Y, "weight": weight, "mean_weight": mean, "examples": [5]}
    pool |= {"numbers": [0.3, 0.1]} | by_name(params)
    each = [(5, sets(rows, masks))]
    most = {f"{k}{l}": n * BATCH for k in "ZA" for l, n in enumerate(SIZES) if l}
    return Case(texts, pool, each, expected, dtype, most)


def predicted() -> Case:
    """A[1], ..., A[L] of 9 rows, of at most 21."""
    g = ("mish", "softmax", "sigmoid")
    net, params, X, _ = problem(SIZES, g, "binary_cross_entropy")
    text = create(predictions(pnn.Network(OTHERS[:4], g, net.loss)))
    _, A = forward(XP, params, X[:9].T, net.g)
    expected = {f"A{l}": A[l] for l in (1, 2, 3)}
    most = {f"A{l}": n * ROWS for l, n in enumerate(SIZES) if l}
    pool = {"X": X} | by_name(params)
    return Case([(text, sizes_of(net, N=ROWS), {})], pool, [(9, {})], expected, most=most)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """What node finds for the parts of a step, and what is expected."""
    if not FOLLOWS_VIEWS:
        pytest.skip("with NumPy before 2.2 what joins or reshapes arrays runs eagerly")
    with pytest.MonkeyPatch.context() as monkeypatch:
        cases = {
            "halves": halves(monkeypatch),
            "gradients": shown(gradients),
            "step": shown(whole_step, l2=0.3),
            "penalty": shown(gradients, l2=0.3, updates=True),
            "predictions": predicted(),
            "float32": shown(gradients, "float32"),
        }
    found = run_cases(tmp_path_factory.mktemp("parts"), cases)
    return {name: (found[name], case.expected) for name, case in cases.items()}


@pytest.mark.parametrize("name", ["halves", "gradients", "step", "penalty", "predictions"])
def test_parts_of_a_step_are_those_of_numpy(parts, name, margin):
    assert margin("JavaScript steps", "float64", worst(*parts[name])) <= TOLERANCE


def test_gradients_in_float32_are_those_of_numpy_to_rounding(parts, margin):
    assert margin("JavaScript steps", "float32", worst(*parts["float32"])) <= 2e-6


def test_texts_are_the_same_whatever_the_widths_are_and_hold_none():
    texts = []
    for sizes in (SIZES, OTHERS[:4]):
        net = pnn.Network(sizes, ("tanh", "relu", "sigmoid"), "binary_cross_entropy")
        training = Training(net, pnn.Adam(), l2=0.1, dropout=0.1, clip_norm=1.0)
        texts.append(create(whole_step(training, shows=True)))
    assert texts[0] == texts[1]
    assert not re.search(r"\b[12]0\d\d\b", texts[0])  # the primes that stood for the sizes


def test_a_step_allocates_nothing():
    net = pnn.Network(SIZES, ("tanh", "relu", "sigmoid"), "binary_cross_entropy")
    text = create(whole_step(Training(net, pnn.Adam(), l2=0.1, dropout=0.1, clip_norm=1.0)))
    body = text[text.index("function step(B)") :]
    assert not re.search(r"\bnew\b|[{\[]\s*\w+,|=>", body[: body.index("return {")])


def test_other_layers_than_dense_ones_and_groups_without_a_whole_step_are_refused():
    net = pnn.Network((4, 3, pnn.LayerNorm(), "relu", 1), loss="squared_error")
    with pytest.raises(UntraceableError, match="layers that are not dense; accepted"):
        whole_step(Training(net, pnn.SGD()))
    dense = pnn.Network((4, 3, 1), ("relu", "identity"), "squared_error")
    with pytest.raises(UntraceableError, match=r"one by one .* accepted: `whole_step`"):
        update(Training(dense, pnn.SGD(), clip_norm=1.0))
    groups = pnn.SGD(groups={"biases": {"factor": 2.0}})
    with pytest.raises(UntraceableError, match=r"schedules or groups, .* accepted: `numbers`"):
        numbers(Training(dense, groups))
