"""Random trainings: networks, data and options drawn from a seed, user-defined functions among them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from helpers import HIDDEN, OPTIMIZERS, OUTPUTS, Own

import portable_nn as pnn
from portable_nn.equations import Bound

ALSO_OUTPUTS = [
    ("tanh", "huber"),
    ("gelu", "squared_error"),
    ("selu", "absolute_error"),
    ("elu", "huber"),
]
PRODUCT = np.asarray([[0.5, -0.25], [1.0, 0.125]])


class Settings:
    """What some of the user-defined functions read, and a callback changes after each epoch."""

    def __init__(self) -> None:
        self.factor, self.table, self.array = 1.0, {"factor": [1.0]}, np.ones(1)

    def __call__(self, xp: Any, Z: Any) -> Any:
        return Z * self.factor

    def on_epoch_end(self, state: Any) -> None:
        self.factor = self.table["factor"][0] = self.array[0] = 0.9**state.epoch


def closure(settings: Settings) -> Callable[..., Any]:
    return lambda xp, Z: Z * settings.factor + settings.table["factor"][0]


def array(settings: Settings) -> Callable[..., Any]:
    values = settings.array
    return lambda xp, Z: Z * float(values[0])


def wrapped(settings: Settings) -> Callable[..., Any]:
    return functools.wraps(pnn.equations.activations.relu)(closure(settings))


def normed(xp: Any, Z: Any) -> Any:
    return Z / (1 + xp.sqrt(xp.sum(Z * Z, axis=-2, keepdims=True)))


def squared_in_float64(xp: Any, Z: Any) -> Any:
    return xp.astype(0.1 * xp.astype(Z, xp.float64) ** 2, Z.dtype)


def caught(xp: Any, Z: Any) -> Any:
    try:
        return Z * (0.5 if float(xp.sum(Z)) > 0 else 1.0)
    except TypeError:
        return Z


def product(xp: Any, dtype: Any) -> Any:
    return xp.asarray(PRODUCT, dtype=dtype) @ xp.asarray(PRODUCT, dtype=dtype).T


# what a function does, by its name; the result has the shape and the dtype of Z
PURE = {
    "unique": lambda xp, Z: Z / (1 + xp.unique_values(xp.round(Z)).shape[0]),
    "nonzero": lambda xp, Z: Z / (1 + xp.nonzero(xp.any(Z > 0, axis=-1))[0].shape[0]),
    "value": lambda xp, Z: Z if float(xp.max(Z)) > 1 else 0.5 * Z,
    "flip": lambda xp, Z: xp.flip(Z, axis=-2),
    "flip and sum": lambda xp, Z: xp.flip(Z) - 0.1 * xp.sum(xp.flip(Z), axis=-1, keepdims=True),
    "reversed": lambda xp, Z: 0.5 * Z[..., ::-1, :],
    "roll": lambda xp, Z: xp.roll(Z, 1, axis=-2),
    "where": lambda xp, Z: xp.where(Z > 0, Z, 0.1 * Z),
    "where zeros": lambda xp, Z: xp.where(Z > 0.1, xp.zeros_like(Z), xp.full_like(Z, 0.5)),
    "cumulative": lambda xp, Z: 0.1 * xp.cumulative_sum(Z, axis=-2),
    "sort": lambda xp, Z: xp.sort(Z, axis=-2),
    "sort columns": lambda xp, Z: xp.sort(Z.mT, axis=-1, descending=True).mT,
    "argsort": lambda xp, Z: 0.1 * xp.astype(xp.argsort(Z, axis=-2), Z.dtype),
    "argmax": lambda xp, Z: Z * xp.astype(xp.argmax(Z, axis=-2, keepdims=True) > 0, Z.dtype),
    "clip": lambda xp, Z: xp.clip(Z, -1.0, 1.0),
    "clip by two": lambda xp, Z: xp.minimum(xp.maximum(Z, -1.0), 1.0),
    "take": lambda xp, Z: Z + xp.take(Z, xp.asarray([0] * Z.shape[-2]), axis=-2),
    "take along": lambda xp, Z: xp.take_along_axis(Z, xp.argsort(Z, axis=-2), axis=-2),
    "mean": lambda xp, Z: Z - xp.mean(Z, axis=-2, keepdims=True),
    "column-major mean": lambda xp, Z: Z - xp.mean(xp.tanh(Z.mT), axis=-2, keepdims=True).mT,
    "column-major sum": lambda xp, Z: Z - 0.1 * xp.sum(Z.mT * 0.5, axis=-2, keepdims=True).mT,
    "deviation": lambda xp, Z: Z / (1 + xp.std(Z, axis=-2, keepdims=True)),
    "norm": normed,
    "max": lambda xp, Z: Z / (1 + xp.max(xp.abs(Z), axis=-1, keepdims=True)),
    "concat": lambda xp, Z: xp.concat([0.5 * Z[..., :1, :], Z[..., 1:, :]], axis=-2),
    "stacked": lambda xp, Z: xp.sum(xp.stack([Z, 0.5 * Z], axis=0), axis=0),
    "reshape": lambda xp, Z: xp.reshape(xp.reshape(Z.mT, (-1,)) * 0.5, Z.mT.shape).mT,
    "moveaxis": lambda xp, Z: xp.moveaxis(xp.moveaxis(Z, -1, 0) * 0.5, 0, -1),
    "squeeze": lambda xp, Z: xp.squeeze(xp.expand_dims(Z, axis=0) + 0.1, axis=0),
    "broadcast": lambda xp, Z: Z * 0.5 + xp.broadcast_to(Z[..., :1, :], Z.shape),
    "product": lambda xp, Z: xp.tanh(Z + (Z @ Z.mT) @ Z),
    "product of a view": lambda xp, Z: xp.tanh(Z + 0.1 * (xp.flip(Z, axis=-1) @ Z.mT) @ Z),
    "product of a copy": lambda xp, Z: xp.tanh(Z + 0.1 * (Z.mT * 0.5).mT @ (Z.mT * 0.5) @ Z),
    "powers": lambda xp, Z: 0.1 * (Z**3 + xp.abs(Z) ** 1.5 + xp.pow(xp.abs(Z), xp.full_like(Z, 0.5))),
    "power of a number": lambda xp, Z: Z / (1 + xp.sum(Z * Z) ** 0.5),
    "cast": squared_in_float64,
    "functions": lambda xp, Z: xp.sin(Z) + xp.log1p(xp.abs(Z)) - xp.expm1(-xp.abs(Z)),
    "rounded": lambda xp, Z: Z - 0.1 * xp.floor(Z) + 0.1 * xp.sign(Z),
    "bits": lambda xp, Z: Z * xp.astype((Z > 0) ^ (Z > 0.5), Z.dtype),
    "logical": lambda xp, Z: Z * xp.astype(xp.logical_not((Z < 0) | (Z > 1)), Z.dtype),
    "constant": lambda xp, Z: Z * xp.asarray(0.5, dtype=Z.dtype),
    "matrix": lambda xp, Z: Z + xp.sum(product(xp, Z.dtype)),
    "counted": lambda xp, Z: Z * (xp.sum(xp.astype(Z > 0, Z.dtype)) * 0.01),
    "remainder": lambda xp, Z: xp.remainder(Z, xp.full_like(Z, 0.75)),
    "caught": caught,
}
CHANGING = {"closure": closure, "array": array, "wrapped": wrapped, "object": lambda settings: settings}


def own_activation(random: np.random.Generator, settings: Settings) -> tuple[str, pnn.Activation]:
    """A user-defined activation: one of the functions above, another one as its derivative."""
    name, other = (str(n) for n in random.choice([*PURE, *CHANGING], size=2))
    g, g_prime = (CHANGING[n](settings) if n in CHANGING else PURE[n] for n in (name, other))
    if random.random() < 0.2:
        g = Bound(lambda xp, Z, c, g=g: g(xp, Z) * c, 0.5)
    if random.random() < 0.3:
        return name, pnn.Activation(name, g, None, lambda xp, Z, dA: g_prime(xp, dA))
    return name, pnn.Activation(name, g, lambda xp, Z: 0.5 + 0.1 * g_prime(xp, Z))


@dataclass(frozen=True)
class Signed(pnn.Optimizer):
    def rule(self, xp: Any, theta: Any, g: Any, alpha: Any) -> tuple[Any, ...]:
        return (theta - alpha * xp.sign(g) * xp.sqrt(xp.abs(g)),)


LOSSES = {
    "logcosh": (lambda xp, A, Y: xp.log(xp.cosh(A - Y)), lambda xp, A, Y: xp.tanh(A - Y)),
    "summed": (
        lambda xp, A, Y: xp.sum((A - Y) ** 2, axis=-2, keepdims=True),
        lambda xp, A, Y: 2 * (A - Y),
    ),
    "turned": (lambda xp, A, Y: xp.abs(A.mT - Y.mT).mT, lambda xp, A, Y: xp.sign(A.mT - Y.mT).mT),
    "flipped": (lambda xp, A, Y: xp.flip(A - Y) ** 2, lambda xp, A, Y: xp.flip(xp.flip(A - Y))),
}


class Problem(NamedTuple):
    """The arguments of a training, and what kinds of functions are in it."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]
    kinds: tuple[str, ...]


def few_networks(random: np.random.Generator) -> tuple[tuple[int, ...], str]:
    """Sizes and a hidden activation, of which there are few: each costs numba seconds to compile."""
    return ((3, 5, 2), "relu") if random.random() < 0.5 else ((4, 6, 2), "tanh")


def make_problem(seed: int, few: bool = False) -> Problem:
    """A training drawn from the seed; with `few` from few networks, of built-in functions alone."""
    random = np.random.default_rng(seed)

    def pick(choices: Any) -> Any:
        return choices[int(random.integers(len(choices)))]

    settings, kinds = Settings(), []
    if few:
        sizes, name = few_networks(random)
        hidden: list[Any] = [name]
        output, loss = pick(OUTPUTS[1:3])
    else:
        sizes = tuple(int(n) for n in random.choice([1, 2, 3, 5, 8, 17, 33], size=random.integers(1, 4)))
        sizes = (*sizes, int(pick([2, 3, 5, 17])))
        hidden = [pick(HIDDEN) for _ in sizes[1:-1]]
        output, loss = pick(OUTPUTS + ALSO_OUTPUTS)
        if hidden and random.random() < 0.6:
            kind, hidden[int(random.integers(len(hidden)))] = own_activation(random, settings)
            kinds.append(kind)
        if random.random() < 0.2:
            kind = pick(list(LOSSES))
            output, loss = pick(["identity", "tanh"]), pnn.Loss(kind, *LOSSES[kind])
            kinds.append(kind)
    net = pnn.Network(sizes, (*hidden, output), loss)
    dtype, stack = pick(["float32", "float64"]), pick([(), (), (3,), (2, 2)])
    n = int(pick([5, 20, 33, 70]))
    X = random.normal(size=(n, sizes[0])).astype(dtype)
    Y = random.dirichlet(np.ones(sizes[-1]), size=n)
    options = draw_options(random, pick, n, len(hidden), settings)
    optimizer = pick([*OPTIMIZERS[: 1 if few else None], *([] if few else [Own(0.01), Signed(0.01)])])
    params = net.initialize(seed=seed, dtype=dtype, stack=stack)
    epochs, batch_size = int(pick([1, 2, 3])), pick([None, 1, 4, 16, n])
    given = (net, params, X, Y.astype(dtype), optimizer, epochs, batch_size)
    return Problem(given, options, tuple(kinds) or ("built-in",))


def draw_options(
    random: np.random.Generator, pick: Callable[[Any], Any], n: int, hidden: int, settings: Settings
) -> dict[str, Any]:
    """The other arguments of `fit`."""
    options: dict[str, Any] = {"seed": int(random.integers(1000)), "callbacks": [settings]}
    chances = random.random(6)
    if chances[0] < 0.3:
        options["l2"] = pick([1e-3, 0.1, 1.0])
    if chances[1] < 0.3:
        weight = random.uniform(size=n)
        weight[: n // 3] = 0
        options["sample_weight"] = weight
    if chances[2] < 0.3 and hidden:
        options["dropout"] = pick([0.1, 0.5])
    if chances[3] < 0.3:
        options["clip_norm"] = pick([1e-3, 1.0, 100.0])
    if chances[4] < 0.3:
        options["schedule"] = pick([pnn.schedules.cosine(0.01, 10), lambda step: 0.01 / (1 + step)])
    if chances[5] < 0.3:
        options["epoch_order"] = lambda epoch, n: np.random.default_rng(epoch).integers(0, n, n + 3)
    return options
