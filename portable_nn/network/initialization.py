"""Initial parameters, drawn once on the host in float64: the same on every backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn.checks import check_whole
from portable_nn.checks.numbers import check_fits, scalar
from portable_nn.layers.base import Parameter
from portable_nn.layers.described import Described, LayerArrays

Host = list[tuple[Any, ...]]  # parameters as NumPy arrays
SCHEMES = ("auto", "glorot", "he", "normal")
RELU_FAMILY = ("relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "mish", "hard_swish")


def count_parameters(layers: Sequence[LayerArrays]) -> int:
    """How many numbers the arrays of all layers have."""
    return sum(math.prod(array.shape) for layer in layers for array in layer.arrays)


def draw(net: Described, asked: Any, seed: Any, scheme: str, stack: tuple[int, ...]) -> Host:
    """The parameters as NumPy arrays, each network of the stack from its own seed.

    `asked` is what the user gave as sizes, for the error where memory would not do.
    """
    name, given = ("stack", stack) if stack else ("sizes", asked)
    check_fits(name, given, count_parameters(net.layers) * math.prod(stack))
    networks = [_arrays(net.layers, s, scheme) for s in seeds(seed, stack)]
    return [
        tuple(
            each[0] if array.is_shared else np.reshape(np.stack(each), (*stack, *array.shape))
            for array, *each in zip(layer.arrays, *of_networks, strict=True)
        )
        for layer, *of_networks in zip(net.layers, *networks, strict=True)
    ]


def _arrays(layers: Sequence[LayerArrays], seed: int, scheme: str) -> list[list[Any]]:
    """The arrays of one network, layer by layer."""
    random = np.random.default_rng(seed)
    return [[_drawn(random, layer, array, scheme) for array in layer.arrays] for layer in layers]


def _drawn(random: np.random.Generator, layer: LayerArrays, array: Parameter, scheme: str) -> Any:
    """The first values of an array, in float64."""
    initial, shape = array.initial, array.shape
    if isinstance(initial, str):  # by the scheme
        deviation = spread(scheme, shape[1], shape[0], layer.activation)
        return deviation * random.standard_normal(shape)
    values = np.asarray(initial(random, shape) if callable(initial) else initial, dtype="float64")
    if values.shape not in ((), shape) or not np.isfinite(values).all():
        raise ValueError(
            f"`initial` of {array.symbol!r} gave an array of shape {values.shape}; accepted: finite "
            f"numbers of the shape {shape}"
        )
    return np.broadcast_to(values, shape).copy()


def check_held(layer: LayerArrays, arrays: Sequence[Any], dtype: str) -> None:
    """Raise ValueError where a first value is too large for the dtype, or a width of a bin too small."""
    for name, description, array in zip(layer.names, layer.arrays, arrays, strict=True):
        with np.errstate(over="ignore", under="ignore"):
            held = array.astype(dtype)
        is_lost = description.kind == "constants" and np.any((held == 0) != (array == 0))
        if is_lost or not np.isfinite(held).all():
            raise ValueError(
                f"`{name}` begins with values that {dtype} cannot hold; accepted: such as it can; "
                "rescale the columns that they are about"
            )


def spread(scheme: str, n_in: int, n_out: int, activation: str) -> float:
    """The standard deviation of the entries of W[l]."""
    if scheme == "normal":
        return 0.01
    if scheme == "he" or (scheme == "auto" and activation in RELU_FAMILY):
        return math.sqrt(2 / n_in)
    return math.sqrt(2 / (n_in + n_out))


def seeds(seed: Any, stack: tuple[int, ...]) -> list[int]:
    """One seed per network of the stack."""
    count = math.prod(stack)
    seed = scalar(seed)
    if isinstance(seed, (tuple, list, range, np.ndarray)):
        given = list(np.ravel(np.asarray(seed, dtype=object)))
        if len(given) != count or not stack:
            raise ValueError(
                f"`seed` holds {len(given)} seeds; accepted: an int, or {count} for `stack`"
            )
        return [check_whole("seed", s, 0, high=None) for s in given]
    first = check_whole("seed", seed, 0, high=None)
    return [first + k for k in range(count)]
