"""The iris data set, small estimators for it, and how they are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers import relative
from sklearn.datasets import load_iris

import portable_nn as pnn
from portable_nn.backends import Backend

X, y = load_iris(return_X_y=True)

X = (X - X.mean(axis=0)) / X.std(axis=0)

NAMES = np.array(["setosa", "versicolor", "virginica"])
t = X[:, 3] + 0.5 * X[:, 0] ** 2

TRAIN, VAL = np.arange(150) % 3 > 0, np.arange(150) % 3 == 0

FULL = {"batch_size": 150, "shuffle": False, "alpha": 0.0, "random_state": 0}

SMALL = {"hidden_layer_sizes": (6, 5), "random_state": 0}


def classifier(**options: Any) -> Any:
    return pnn.MLPClassifier(**{**SMALL, "max_iter": 20, **options})


def regressor(**options: Any) -> Any:
    return pnn.MLPRegressor(**{**SMALL, "max_iter": 20, **options})


def differs(a: Any, b: Any) -> bool:
    return relative(a.coefs_[0], b.coefs_[0]) > 1e-6


def same(a: Any, b: Any) -> bool:
    return max(relative(p, q) for p, q in zip(a.coefs_, b.coefs_, strict=True)) < 1e-12


def outputs(est: Any, rows: Any, hidden: Any) -> Any:
    """The forward pass, written out; `hidden` are the functions of the hidden layers."""
    A = rows
    for l, (W, b) in enumerate(zip(est.coefs_, est.intercepts_, strict=True)):
        Z = A @ W + b
        A = hidden[l](Z) if l < len(hidden) else Z
    return A


def first_weights(kind: Any, **options: Any) -> Any:
    """An estimator as it is before the first update (learning rate zero)."""
    return kind(**options, solver="sgd", schedule=lambda step: 0.0, max_iter=1)


def assert_beside(found: Any, backend: Backend, X: Any) -> None:
    """What was found is on the backend and has the dtype of X."""
    assert pnn.backends.of(found) is backend
    assert pnn.backends.of(found).device == backend.device
    assert found.dtype == X.dtype
