"""What several tests need: problems to train on, moving parameters, comparing, finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.backends import Backend
from portable_nn.equations import ACTIVATIONS, LOSSES

Params = list[tuple[Any, Any]]
PAIRS = [(g, loss) for g in ACTIVATIONS for loss in LOSSES]

# where z makes a = g(z) a probability that has not saturated: there, every loss has a meaning
CENTRE = {
    "sigmoid": 0.0,
    "softmax": 0.0,
    "softplus": -1.0,
    "exp": -1.0,
    "selu": 0.4,
    "silu": 0.8,
    "gelu": 0.6,
    "mish": 0.6,
    "hard_swish": 0.8,
}


def network(
    hidden: str = "tanh", output: str = "softmax", loss: str = "categorical_cross_entropy"
) -> Any:
    return pnn.Network((4, 5, 3), activations=(hidden, output), loss=loss)


def problem(
    net: pnn.Network, random: np.random.Generator, n: int = 7, dtype: str = "float64"
) -> tuple[Params, Any, Any]:
    """Parameters whose predictions lie within (0, 1), a batch, and targets that suit every loss."""
    params = net.initialize(seed=3, dtype=dtype)
    *first, (W, b) = params
    W = (0.1 * W).astype(dtype)
    b = b + np.asarray(CENTRE.get(net.g[-1].name, 0.5), dtype=dtype)
    first = [(V, c + random.normal(size=c.shape).astype(dtype) / 4) for V, c in first]
    X = random.normal(size=(n, net.sizes[0])).astype(dtype)
    Y = random.dirichlet(np.ones(net.sizes[-1]), size=n).astype(dtype)
    return [*first, (W, b)], X, Y


def to(backend: Backend, params: Params) -> Params:
    return [(backend.asarray(W), backend.asarray(b)) for W, b in params]


def host(backend: Backend, params: Params) -> list[Any]:
    return [backend.to_numpy(array) for layer in params for array in layer]


def flat(params: Params) -> list[Any]:
    return [array for layer in params for array in layer]


def relative(actual: Any, expected: Any) -> float:
    """max |a - b| / max |b|."""
    actual, expected = np.asarray(actual, dtype="float64"), np.asarray(expected, dtype="float64")
    assert actual.shape == expected.shape
    scale = float(np.max(np.abs(expected)))
    worst = float(np.max(np.abs(actual - expected)))
    assert np.isfinite(worst)
    return worst / scale if scale else worst


def worst(actual: list[Any], expected: list[Any]) -> float:
    assert len(actual) == len(expected)
    return max(relative(a, b) for a, b in zip(actual, expected, strict=True))


def assert_place(array: Any, backend: Backend, dtype: str, shape: tuple[int, ...]) -> None:
    """The library, the device, the dtype and the shape of an array are those promised."""
    assert pnn.backends.of(array) is backend
    assert pnn.backends.of(array).device == backend.device
    assert array.dtype == getattr(backend.xp, dtype)
    assert tuple(array.shape) == shape


def numeric_gradients(J: Callable[[Params], Any], params: Params, epsilon: float = 1e-5) -> list[Any]:
    """Two-sided differences, entry by entry, on NumPy parameters."""
    found = []
    for l, layer in enumerate(params):
        for k, theta in enumerate(layer):
            numeric = np.empty_like(theta)
            for index in np.ndindex(theta.shape):
                sides = []
                for sign in (1, -1):
                    moved = theta.copy()
                    moved[index] += sign * epsilon
                    pair = (moved, layer[1]) if k == 0 else (layer[0], moved)
                    sides.append(J([*params[:l], pair, *params[l + 1 :]]))
                numeric[index] = (sides[0] - sides[1]) / (2 * epsilon)
            found.append(numeric)
    return found


# what programs of steps are tried on
HIDDEN = ["relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "softplus", "silu", "gelu", "identity"]
HIDDEN += ["mish", "hard_swish"]
OUTPUTS = [
    ("softmax", "categorical_cross_entropy"),
    ("sigmoid", "binary_cross_entropy"),
    ("identity", "squared_error"),
    ("softmax", "squared_error"),
    ("exp", "poisson"),
    ("softplus", "poisson"),
    ("identity", "huber"),
    ("identity", "pinball"),
    ("sigmoid", "absolute_error"),
]


OPTIMIZERS = [
    pnn.Adam(0.01),
    pnn.AdamW(0.01),
    pnn.RMSprop(0.001),
    pnn.SGD(0.01),
    pnn.SGD(0.01, momentum=0.9),
    pnn.SGD(0.01, momentum=0.9, nesterov=True),
]


@dataclass(frozen=True)
class Own(pnn.Optimizer):
    """What it does with its two arrays: shift, swap, keep, or keep one of them twice."""

    way: str = "shift"

    @property
    def slots(self) -> int:
        return 2

    def rule(self, xp: Any, theta: Any, g: Any, *rest: Any) -> tuple[Any, ...]:
        a, b, alpha = rest
        moved = theta - alpha * (g + 0.5 * a + 0.25 * b)
        m = 0.9 * a + g
        return {
            "shift": (moved, g, a),
            "swap": (moved, b + 0.0, a),
            "turn": (moved, b, a),
            "keep": (moved, a, b),
            "twice": (theta - alpha * (m - 0.5 * b), m, m),
        }[self.way]


def samples(random: np.random.Generator, n: int, n_in: int, n_out: int, dtype: str) -> tuple[Any, Any]:
    """X, and targets between 0 and 1 that sum to 1, in rows."""
    X = random.normal(size=(n, n_in)).astype(dtype)
    Y = random.uniform(0.1, 1.0, size=(n, n_out)).astype(dtype)
    return X, Y / Y.sum(axis=1, keepdims=True)


def training_difference(found: Any, expected: Any) -> float:
    """The largest relative difference of the costs and the parameters of two trainings."""
    (params, history), (theirs, their_history) = found, expected
    pairs = [(np.asarray(history.cost), np.asarray(their_history.cost))]
    pairs += list(zip(flat(params), flat(theirs), strict=True))
    for a, b in pairs:
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    return float(np.max([np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-30) for a, b in pairs]))


# hyperparameters that are swept, in groups that one compiled step is enough for
VALUES = np.linspace(0.05, 0.95, 50)
ALL = {"optimizer": pnn.AdamW(1e-3), "l2": 0.1, "clip_norm": 0.1, "dropout": 0.1}
SWEEPS = {
    "adamw and the rest": [
        lambda x: ALL | {"optimizer": pnn.AdamW(x / 100)},
        lambda x: ALL | {"optimizer": pnn.AdamW(1e-3, beta_1=x)},
        lambda x: ALL | {"optimizer": pnn.AdamW(1e-3, beta_2=x)},
        lambda x: ALL | {"optimizer": pnn.AdamW(1e-3, epsilon=x)},
        lambda x: ALL | {"optimizer": pnn.AdamW(1e-3, weight_decay=x)},
        lambda x: ALL | {"l2": x},
        lambda x: ALL | {"clip_norm": x / 100},
        lambda x: ALL | {"dropout": x},
        lambda x: ALL | {"schedule": pnn.schedules.cosine(x / 100, steps=9)},
    ],
    "momentum": [lambda x: {"optimizer": pnn.SGD(1e-3, momentum=x)}],
    "nesterov": [lambda x: {"optimizer": pnn.SGD(1e-3, momentum=x, nesterov=True)}],
    "rho": [lambda x: {"optimizer": pnn.RMSprop(1e-3, rho=x)}],
}


class Begun(pnn.Callback):
    """Whether a training has begun."""

    def __init__(self) -> None:
        self.states: list[Any] = []

    def on_train_begin(self, state: Any) -> None:
        self.states.append(state)


def assert_refused_before_training(
    given: tuple[Any, ...], options: Any, error: Any, message: str
) -> None:
    """`fit` raises this error before the training begins."""
    begun = Begun()
    with pytest.raises(error, match=message):
        pnn.fit(*given, callbacks=[begun], **options)
    assert not begun.states


def torch_outputs(torch: Any, module: Any, X: Any) -> Any:
    """What a module makes of rows on the host."""
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()
