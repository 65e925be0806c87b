"""Networks of layers that several tests use, and the same written anew in torch and in JAX, for rows."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

import portable_nn as pnn
from portable_nn import trees

EDGES = ((-1.0, 0.0, 0.5), (-0.5, 1.0), (-2.0, -1.0, 0.0, 1.0, 2.0))
CODES = {1: 3, 4: 5}  # columns of codes among five, with their numbers of categories
INNER = {
    "scale": (pnn.Scale(), 4, "tanh"),
    "scale-only": (4, pnn.Scale(shift=False), "tanh"),
    "layer-norm": (4, pnn.LayerNorm(), "tanh"),
    "batch-norm": (pnn.Dense(4, bias=False), pnn.BatchNorm(), "tanh"),
    "parametric": (4, pnn.ParametricActivation("mish")),
    "shared": (pnn.SharedDense(4), "tanh"),
    "periodic": (pnn.Periodic(dim=3, frequencies=4, sigma=0.5), 4, "tanh"),
    "periodic-some": (pnn.Scale(), pnn.Periodic(2, 3, 0.5, columns=(1, 3)), 4, "tanh"),
    "piecewise": (pnn.Scale(), pnn.PiecewiseLinear(EDGES, columns=(0, 2, 3)), 4, "tanh"),
    "embedding": (pnn.Embedding(CODES, dim=2), 4, "tanh"),
}
# all of them in two networks, where each of them alone would cost too much
EMBEDDED = (
    pnn.Embedding(CODES, dim=3),
    pnn.Periodic(dim=3, frequencies=4, columns=(0, 2)),
    pnn.Scale(),
    6,
    pnn.LayerNorm(),
    pnn.ParametricActivation("mish"),
    pnn.SharedDense(4),
    "tanh",
)
NORMALIZED = (
    pnn.PiecewiseLinear(EDGES, columns=(0, 2, 3)),
    pnn.Dense(6, bias=False),
    pnn.BatchNorm(),
    "silu",
    pnn.Scale(shift=False),
    4,
    "tanh",
)


def network_of(*inner: Any) -> pnn.Network:
    """Five inputs, these layers, two outputs."""
    return pnn.Network((5, *inner, 2), loss="squared_error")


def rows(random: np.random.Generator, n: int = 9, dtype: str = "float64") -> tuple[Any, Any]:
    """X with codes in the columns of `CODES`, and Y."""
    X, Y = random.normal(size=(n, 5)), random.normal(size=(n, 2))
    for column, levels in CODES.items():
        X[:, column] = random.integers(0, levels, n)
    return X.astype(dtype), Y.astype(dtype)


def moved(net: pnn.Network, params: Any, random: np.random.Generator) -> Any:
    """The parameters away from zeros and ones, so that no gradient is trivial; constants stay."""
    arrays, form = trees.flatten(params)
    pairs = zip(arrays, net.arrays, strict=True)
    found = [a + (kind != "constants") * random.uniform(0.1, 0.5, a.shape) for a, (_, kind, _) in pairs]
    return trees.unflatten(form, [f.astype(a.dtype) for f, a in zip(found, arrays, strict=True)])


def trained(grads: Any) -> list[Any]:
    """The gradients there are."""
    return [g for layer in grads for g in layer if g is not None]


# what a layer makes of rows x; `ops` is torch, or JAX's NumPy with its nn


def dense(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    return x @ theta[0].T + (theta[1].T if layer.bias else 0.0)


def scale(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    return x * theta[0].T + (theta[1].T if layer.shift else 0.0)


def layer_norm(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    return ops.layer_norm(x, theta[0][:, 0], theta[1][:, 0], layer.epsilon)


def batch_norm(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    return ops.batch_norm(x, theta[0][:, 0], theta[1][:, 0], layer.epsilon)


def parametric(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    return (1 - theta[0].T) * x + theta[0].T * ops.known[layer.g.name](x)


def shared(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    W, r, s, b = theta
    return ((x * r.T) @ W.T) * s.T + b.T


def embedding(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    starts = np.cumsum([0, *layer.counts])
    vectors = [
        ops.embedding(x[:, c], theta[0].T[start : start + n])
        for (c, n), start in zip(layer.levels, starts, strict=False)
    ]
    rest = [i for i in range(x.shape[1]) if i not in layer.columns]
    return ops.cat([x[:, rest], *(v[:, i : i + 1] for i in range(layer.dim) for v in vectors)])


def chosen_and_rest(layer: Any, x: Any) -> tuple[list[int], list[int]]:
    chosen = [*(range(x.shape[1]) if layer.columns is None else layer.columns)]
    return chosen, [i for i in range(x.shape[1]) if i not in chosen]


def periodic(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    chosen, rest = chosen_and_rest(layer, x)
    w, c, V, e = (t.reshape(len(chosen), -1, t.shape[1]) for t in theta)
    found = []
    for f, column in enumerate(chosen):
        h = ops.cos(2 * math.pi * x[:, column : column + 1] @ w[f].T + c[f].T)
        found.append(h @ V[f].T + e[f].T)
    return ops.cat([x[:, rest], x[:, chosen], *found])


def piecewise(ops: Any, layer: Any, theta: Any, x: Any) -> Any:
    chosen, rest = chosen_and_rest(layer, x)
    found = []
    for column, edges in zip(chosen, layer.edges, strict=True):
        for t, (low, high) in enumerate(pairwise(edges)):
            floor = -math.inf if t == 0 else 0.0
            ceiling = math.inf if t == len(edges) - 2 else 1.0
            found.append(ops.clip((x[:, column : column + 1] - low) / (high - low), floor, ceiling))
    return ops.cat([x[:, rest], *found])


IN_ROWS = {
    pnn.Dense: dense,
    pnn.Scale: scale,
    pnn.LayerNorm: layer_norm,
    pnn.BatchNorm: batch_norm,
    pnn.ParametricActivation: parametric,
    pnn.SharedDense: shared,
    pnn.Embedding: embedding,
    pnn.Periodic: periodic,
    pnn.PiecewiseLinear: piecewise,
}


def cost_in_rows(ops: Any, net: pnn.Network, params: Any, x: Any, y: Any) -> Any:
    """The squared error of the network."""
    given = iter(params)
    for layer in net.layers:
        if isinstance(layer, pnn.Activation):
            x = ops.known[layer.name](x)
        else:
            x = IN_ROWS[type(layer)](ops, layer, next(given), x)
    return (0.5 * (x - y) ** 2).sum(1).mean()


class TorchRows:
    """torch's own functions."""

    def __init__(self, torch: Any) -> None:
        F = torch.nn.functional
        self.cos, self.clip = torch.cos, torch.clip
        self.known = {"mish": F.mish, "silu": F.silu, "tanh": torch.tanh, "identity": lambda x: x}
        self.cat = lambda parts: torch.cat(parts, 1)
        self.layer_norm = lambda x, *theta: F.layer_norm(x, x.shape[1:], *theta)
        self.batch_norm = lambda x, gamma, beta, epsilon: F.batch_norm(
            x, None, None, gamma, beta, training=True, eps=epsilon
        )
        self.embedding = lambda codes, table: F.embedding(codes.long(), table)


class JaxRows:
    """JAX's own functions."""

    def __init__(self, jax: Any) -> None:
        jnp, nn = jax.numpy, jax.nn
        self.cos, self.clip = jnp.cos, jnp.clip
        self.known = {"mish": nn.mish, "silu": nn.silu, "tanh": jnp.tanh, "identity": lambda x: x}
        self.cat = lambda parts: jnp.concatenate(parts, 1)
        self.layer_norm = lambda x, *theta: self.normalized(x, 1, *theta)
        self.batch_norm = lambda x, *theta: self.normalized(x, 0, *theta)
        self.embedding = lambda codes, table: table[codes.astype(int)]
        self.standardize = nn.standardize

    def normalized(self, x: Any, axis: int, gamma: Any, beta: Any, epsilon: float) -> Any:
        return gamma * self.standardize(x, axis=axis, epsilon=epsilon) + beta
