"""Our contenders in training: each function sets up, and returns what a round runs."""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import count
from typing import Any

from configurations import Configuration, one_hot

import portable_nn as pnn

CONSTANT = {  # what makes scikit-learn's estimator, and ours, do the configuration's work and no more
    "activation": "relu",
    "solver": "adam",
    "alpha": 0.0,
    "learning_rate_init": 1e-3,
    "shuffle": True,
    "tol": 0.0,
    "n_iter_no_change": 10**9,  # never stopped early
    "random_state": 0,
}


def network(c: Configuration) -> pnn.Network:
    """The configuration's network."""
    hidden = ["relu"] * (len(c.sizes) - 2)
    return pnn.Network(c.sizes, [*hidden, "softmax"], "categorical_cross_entropy")


def training(c: Configuration, backend: str, device: str | None = None) -> Callable[[], dict[str, Any]]:
    """`pnn.fit` on a backend, each round from the same parameters with permutations of its own."""
    library = pnn.backends.get(backend, device)
    net = network(c)
    params = net.initialize(seed=0, backend=library, dtype="float32")
    X, labels = c.data()
    X, Y = library.asarray(X), library.asarray(one_hot(labels, c.sizes[-1]))
    seeds = count()

    def run() -> dict[str, Any]:
        trained, history = pnn.fit(
            net,
            params,
            X,
            Y,
            pnn.Adam(),
            epochs=c.epochs,
            batch_size=c.batch,
            seed=next(seeds),
        )
        library.ready(*(array for layer in trained for array in layer))
        return {"cost": float(history.cost[-1])}

    return run


def estimator_settings(c: Configuration) -> dict[str, Any]:
    """The arguments of MLPClassifier, theirs and ours.

    With warm_start the initial weights are drawn before the clock starts, as they are for everybody.
    """
    hidden = tuple(c.sizes[1:-1])
    return CONSTANT | {
        "hidden_layer_sizes": hidden,
        "batch_size": c.batch,
        "max_iter": c.epochs,
        "warm_start": True,
    }


def fitting(estimator: Any, c: Configuration) -> Callable[[], None]:
    """Rounds of `estimator.fit` on NumPy's float32."""
    from sklearn.exceptions import ConvergenceWarning

    X, labels = c.data()

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, labels)

    return run


def estimator(c: Configuration) -> Callable[[], None]:
    """`pnn.MLPClassifier.fit`: labels and checks included."""
    return fitting(pnn.MLPClassifier(**estimator_settings(c)), c)
