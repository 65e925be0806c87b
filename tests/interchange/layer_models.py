"""Networks of layers to be written, each with rows, and with statistics that are not the first ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import portable_nn as pnn

CODES = {1: 4, 3: 3}  # columns of codes among four, with their numbers of categories


@dataclass(frozen=True)
class Centred(pnn.Layer):
    """A user-defined layer: k (z - the mean over the units)."""

    k: float

    def forward(self, xp: Any, theta: Any, A: Any) -> Any:
        return self.k * (A - xp.sum(A, axis=-2, keepdims=True) / A.shape[-2]), None

    def backward(self, xp: Any, theta: Any, kept: Any, dA: Any) -> Any:
        return self.k * (dA - xp.sum(dA, axis=-2, keepdims=True) / dA.shape[-2]), ()


LAYERS = {
    "embedding": (pnn.Embedding(CODES, dim=3), 3, "tanh"),
    "embedding_alone": (pnn.Embedding({0: 5}, dim=2),),
    "periodic": (pnn.Periodic(3, 2, 1.0, columns=[0, 2]), 3, "relu"),
    "piecewise": (pnn.PiecewiseLinear([(-1, 0, 2), (0, 0.5)], columns=[0, 2]), 3),
    "scale": (pnn.Scale(), "tanh", 3, pnn.Scale(shift=False)),
    "layer_norm": (5, pnn.LayerNorm(epsilon=0.01), "relu", 3),
    "batch_norm": (
        pnn.BatchNorm(),
        pnn.Dense(5, bias=False),
        pnn.BatchNorm(momentum=0.5, epsilon=0.02),
        "relu",
        3,
    ),
    "trained": (5, pnn.ParametricActivation("mish"), 3, pnn.ParametricActivation(pnn.leaky_relu(0.2))),
    "shared": (pnn.SharedDense(4), "tanh", pnn.SharedDense(3)),
    "user_defined": (5, Centred(2.0), "tanh", 3),
    "all": (
        *(pnn.Embedding(CODES, 2), pnn.Periodic(3, 2), pnn.PiecewiseLinear([(0, 1, 2)] * 10)),
        *(pnn.Scale(), 6, pnn.BatchNorm(), pnn.ParametricActivation("gelu"), 5, pnn.LayerNorm()),
        *("silu", pnn.SharedDense(3), "softmax"),
    ),
}


def rows(n: int, dtype: str, random: np.random.Generator) -> Any:
    """Rows of four columns, with codes in those of `CODES` and in the first one of every fifth row."""
    X = random.normal(size=(n, 4))
    for column, levels in CODES.items():
        X[:, column] = random.integers(0, levels, size=n)
    return X.astype(dtype)


def moved(net: Any, params: Any, random: np.random.Generator) -> Any:
    """The parameters, with biases, scales and statistics that are not 0 and 1."""
    given, dtype = iter(net.arrays), params[0][0].dtype

    def other(array: Any) -> Any:
        name = next(given)
        if name.kind in ("weights", "embeddings", "constants"):
            return array
        if name.kind == "statistics" and name.name.startswith("variance"):
            return random.uniform(0.2, 2.0, size=array.shape).astype(dtype)
        return (array + random.normal(size=array.shape) / 2).astype(dtype)

    return [tuple(map(other, layer)) for layer in params]


def models(dtype: str) -> dict[str, Any]:
    """(net, params) and rows, by name."""
    found = {}
    for i, (name, layers) in enumerate(LAYERS.items()):
        random = np.random.default_rng(i)
        net = pnn.Network((4, *layers), loss="squared_error")
        X = rows(60, dtype, random)
        if name == "embedding_alone":
            X[:, 0] = random.integers(0, 5, size=len(X))
        found[f"{name}_{dtype}"] = (net, moved(net, net.initialize(i, dtype=dtype), random)), X
    return found
