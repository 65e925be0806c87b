"""``python tests/files/write_golden_files.py FOLDER``: the golden files of a release, once and for all.

They are committed in a folder named after the release, loaded by the tests of every later one, and never
written again: a change that would need that is a new format.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import portable_nn as pnn


def double(xp: Any, Z: Any) -> Any:
    """A user-defined activation."""
    return 2.0 * Z


def double_prime(xp: Any, Z: Any) -> Any:
    """Its derivative."""
    return 2.0 * xp.ones_like(Z)


CUSTOM = {"double": pnn.Activation("double", double, double_prime)}


def trained(net: Any, stack: Any = (), dtype: str = "float64") -> Any:
    """A network with statistics that a batch has moved."""
    X = rows_for(net, np.random.default_rng(4).normal(size=(20, 4)))
    params, model = net.initialize(seed=5, dtype=dtype, stack=stack), net.described.model
    passed = model.forward(np, params, X.astype(dtype).T, training=True)
    return net, model.moved(np, params, passed)


def rows_for(net: Any, X: Any) -> Any:
    """The rows X, with codes in place of the numbers in the columns of codes."""
    X = X.copy()
    for column, n in net.described.levels:
        X[:, column] = np.floor(np.abs(10 * X[:, column])) % n
    return X


FEATURES = np.array(["length, cm", "width", "größe", "x3"], object)


def things() -> dict[str, Any]:
    """What is saved, by name; all take four features."""
    leaky = pnn.Network((4, 5, 2), (pnn.leaky_relu(0.2), "identity"), pnn.huber(2.0))
    stacked = pnn.Network((4, 5, 3), ("relu", "softmax"), "categorical_cross_entropy")
    names = ("elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh", "identity", "exp")
    all_of_them = pnn.Network((4, *[3] * 8, 1), names, "poisson")
    embedded = pnn.Network(
        (
            *(
                4,
                pnn.Embedding({1: 4, 3: 3}, dim=2),
                pnn.Periodic(3, frequencies=2, sigma=1.0, columns=[0]),
            ),
            *(
                pnn.PiecewiseLinear([(-1, 0, 0.5), (0, 1)], columns=[0, 2]),
                6,
                pnn.BatchNorm(momentum=0.5, epsilon=0.01),
            ),
            *(
                pnn.ParametricActivation(pnn.leaky_relu(0.2)),
                5,
                pnn.LayerNorm(epsilon=0.1),
                "mish",
                pnn.Scale(),
            ),
            *(pnn.Scale(shift=False), pnn.Dense(1, bias=False), "sigmoid"),
        ),
        loss="binary_cross_entropy",
    )
    own_share = pnn.ParametricActivation(CUSTOM["double"])
    shared = pnn.Network(
        (4, pnn.SharedDense(5), pnn.BatchNorm(), own_share, pnn.SharedDense(3), "softmax"),
        loss="categorical_cross_entropy",
    )
    own = pnn.Network((4, 3, 1), (CUSTOM["double"], "sigmoid"), "binary_cross_entropy")
    random = np.random.default_rng(0)
    X = random.normal(size=(40, 4))
    words = np.array(["no", "yes", "perhaps, é"])[random.integers(0, 3, size=40)]
    small = {"hidden_layer_sizes": (5,), "max_iter": 3, "batch_size": 16, "random_state": 0}
    words_clf = pnn.MLPClassifier(**small, early_stopping=True, class_weight={"no": 2.0})
    words_clf.fit(X.astype("f4"), words)
    words_clf.feature_names_in_ = FEATURES  # as a data frame would set them
    flags = pnn.MLPClassifier(**small | {"random_state": np.random.RandomState(3)}, solver="sgd")
    schedule = pnn.schedules.one_cycle(0.01, steps=50)
    values = pnn.MLPRegressor(**small, schedule=schedule, dropout=0.1, clip_norm=1.0, activation="gelu")
    lbfgs = pnn.MLPClassifier(**small, solver="lbfgs")
    return {
        "leaky_relu-huber": (leaky, leaky.initialize(seed=1)),
        "stack-float64": (stacked, stacked.initialize(seed=[1, 2, 3], stack=(3,), dtype="float64")),
        "activations": (all_of_them, all_of_them.initialize(seed=2, dtype="float64")),
        "layers-float64": trained(embedded),
        "layers-stack": trained(shared, stack=(3,), dtype="float32"),
        "user-defined": (own, own.initialize(seed=3)),
        "classifier-words": words_clf,
        "classifier-booleans": flags.fit(X, X[:, 0] > 0),
        "classifier-many-labels": pnn.MLPClassifier(**small).fit(X, (X[:, :3] > 0).astype(int)),
        "classifier-lbfgs": lbfgs.fit(X, random.integers(4, 7, size=40)),
        "regressor": values.fit(X, np.exp(X[:, :2])),
        "transformer": pnn.MLPTransformer(pnn.MLPRegressor(**small), layer=0).fit(X, X[:, 0]),
    }


def outputs(thing: Any, X: Any) -> Any:
    """The predictions of a network, or what an estimator gives."""
    if isinstance(thing, tuple):
        return thing[0].predict(thing[1], rows_for(thing[0], X).astype(thing[1][0][0].dtype))
    for method in ("predict_proba", "transform", "predict"):
        if hasattr(thing, method):
            return getattr(thing, method)(X)
    raise TypeError(f"{thing!r} predicts nothing")


def main() -> None:
    """Write the files that are not there yet, and what they predict."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    record = folder / "outputs.json"
    found: dict[str, Any] = {"X": np.random.default_rng(1).normal(size=(5, 4)).tolist()}
    if record.exists():
        found = json.loads(record.read_text(encoding="utf-8"))
    for name, thing in things().items():
        path = folder / f"{name}.safetensors"
        if not path.exists():
            pnn.save(path, thing, custom=CUSTOM)
            found[name] = np.asarray(outputs(thing, np.asarray(found["X"]))).tolist()
    record.write_text(json.dumps(found, indent=0), encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
