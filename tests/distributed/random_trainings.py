"""Trainings drawn at random, and what it means that a group has trained as one process does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import portable_nn as pnn

ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu")
OPTIMIZERS = (
    *(pnn.SGD(0.05), pnn.SGD(0.05, 0.9), pnn.SGD(0.05, 0.9, True), pnn.RMSprop(0.01)),
    *(pnn.Adam(0.01), pnn.AdamW(0.01)),
)
SOFTMAX = ("softmax", "categorical_cross_entropy")


class Training(NamedTuple):
    """The arguments of `fit`, and of how many processes a group is."""

    given: tuple[Any, ...]
    options: dict[str, Any]
    size: int

    def fit(self, communicator: Any = None) -> Any:
        return pnn.fit(*self.given, communicator=communicator, **self.options)


def distance(one: Any, other: Any) -> float:
    a, b = (np.concatenate([x.ravel() for layer in p for x in layer]) for p in (one, other))
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def problem(random: Any, n: int, sizes: tuple[int, ...], activations: Any, loss: str) -> Any:
    net = pnn.Network(sizes, activations, loss)
    X = random.normal(size=(n, sizes[0]))
    if loss == "categorical_cross_entropy":
        Y = np.eye(sizes[-1])[random.integers(0, sizes[-1], n)]
    else:
        Y = random.normal(size=(n, sizes[-1]))
    return net, net.initialize(int(random.integers(1000)), dtype="float64"), X, Y


def training(seed: int) -> Training:
    """That of this seed."""
    random = np.random.default_rng(seed)
    n, depth = int(random.integers(1, 60)), int(random.integers(0, 3))
    sizes = tuple(int(random.integers(1, 8)) for _ in range(depth + 1))
    hidden = [str(random.choice(ACTIVATIONS)) for _ in range(depth)]
    last, loss = SOFTMAX if random.random() < 0.5 else ("identity", "squared_error")
    net, params, X, Y = problem(random, n, (*sizes, 3), [*hidden, last], loss)
    options: dict[str, Any] = {
        "optimizer": OPTIMIZERS[int(random.integers(len(OPTIMIZERS)))],
        "epochs": int(random.integers(1, 5)),
        "batch_size": None if random.random() < 0.1 else int(random.integers(1, 30)),
        "l2": float(random.choice([0.0, 0.3])),
        "clip_norm": [None, 0.5][int(random.integers(2))],
        "dropout": float(random.choice([0.0, 0.3])) if depth else 0.0,
        "stream": bool(random.random() < 0.3),
        "seed": seed,
    }
    if random.random() < 0.5:
        options["sample_weight"] = random.uniform(0, 2, n)
    if random.random() < 0.5:
        k = int(random.integers(1, n + 1))
        options["validation"] = (X[:k], Y[:k])
        options["early_stopping"] = pnn.EarlyStopping(1)
        options["metrics"] = ["r2", "mean_absolute_error"]
    return Training((net, params, X, Y), options, int(random.integers(1, 6)))


def check_equal(one: Any, many: Any) -> None:
    """Raise AssertionError unless both results of `fit` are the same, to rounding."""
    (params, alone), (found, history) = one, many
    assert distance(found, params) <= 1e-12
    assert history.epochs == alone.epochs
    assert history.best_epoch == alone.best_epoch
    assert history.stopped_by == alone.stopped_by
    for name, curve in alone.curves.items():
        np.testing.assert_allclose(history.curves[name], curve, rtol=1e-9, atol=1e-11)
