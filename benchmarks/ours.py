"""Our contenders in training: each function sets up, and returns what a round runs."""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np
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


def data_on(library: pnn.backends.Backend, c: Configuration) -> tuple[Any, Any]:
    """The rows and the one-hot labels, where this backend computes."""
    X, labels = c.data()
    return library.asarray(X), library.asarray(one_hot(labels, c.sizes[-1]))


def training(
    c: Configuration,
    backend: str,
    device: str | None = None,
    stack: Sequence[int] = (),
    times: int = 1,
) -> Callable[[], dict[str, Any]]:
    """`pnn.fit` on a backend, each round from the same parameters with permutations of its own.

    Of a stack of networks, or so many `times` in a round.
    """
    library = pnn.backends.get(backend, device)
    net = network(c)
    params = net.initialize(seed=0, backend=library, dtype="float32", stack=tuple(stack))
    X, Y = data_on(library, c)
    return fits(c, library, net, params, X, Y, times=times)


def fits(
    c: Configuration,
    library: pnn.backends.Backend,
    net: pnn.Network,
    params: Any,
    X: Any,
    Y: Any,
    optimizer: pnn.Optimizer | None = None,
    times: int = 1,
) -> Callable[[], dict[str, Any]]:
    """Rounds of `pnn.fit` from these parameters, by Adam unless another optimizer is given."""
    seeds = count()

    def run() -> dict[str, Any]:
        for _ in range(times):
            trained, history = pnn.fit(
                net,
                params,
                X,
                Y,
                optimizer,
                epochs=c.epochs,
                batch_size=c.batch,
                seed=next(seeds),
            )
            library.ready(*(array for layer in trained for array in layer))
        return {"cost": float(np.mean(history.cost[-1]))}

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
