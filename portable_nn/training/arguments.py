"""The arguments of a training as plain values: two trainings that differ have different ones."""

from __future__ import annotations

import dataclasses
import functools
import math
import zlib
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import owner, to_host
from portable_nn.training.description import Training, schedule_of

MOST_BYTES = 1 << 26  # of an array that are looked at: more would take seconds
FREE = ("epochs", "callbacks", "seed", "stack", "draws", "keep_states", "can_look_ahead")


def described(value: Any) -> Any:
    """Numbers, strings and lists that tell `value` from others; functions by their names."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) or owner(value) is not None:
        return to_host(value).tolist()
    if isinstance(value, (FunctionType, BuiltinFunctionType, MethodType, type)):
        return f"{value.__module__}.{value.__qualname__}"
    parts = parts_of(value)
    name = [] if isinstance(value, (list, tuple)) else [described(type(value))]
    return name + [described(part) for part in parts]


def parts_of(value: Any) -> list[Any]:
    """What an object is made of, as far as that is known."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if dataclasses.is_dataclass(value):
        return [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    return list(value) if isinstance(value, (list, tuple)) else []


def arguments_of(training: Training) -> dict[str, Any]:
    """How the network is trained, but for what may differ when a training is resumed.

    More epochs may be asked for, and other callbacks, which change no result.
    """
    fields = [each.name for each in dataclasses.fields(training) if each.name not in FREE]
    seed: Any = training.seed
    seed = type(seed.bit_generator) if isinstance(seed, np.random.Generator) else int(seed)
    found = {name: described(getattr(training, name)) for name in fields} | {"seed": described(seed)}
    if training.schedule == schedule_of(training.optimizer):  # there is none of its own
        found["schedule"] = None
    return found


def fingerprint(tree: trees.Tree) -> Any:
    """Shape, dtype and checksum of every array; of a large one, of evenly spaced rows.

    Rows are along the last axis but one or, where there is one axis, along that.
    """
    return [fingerprint_of(array) for array in trees.leaves(tree)]


def fingerprint_of(array: Any) -> Any:
    """See `fingerprint`."""
    shape = tuple(int(n) for n in array.shape)
    step = -(-math.prod(shape) * int(getattr(array, "itemsize", 8)) // MOST_BYTES)
    part = array if step <= 1 else array[..., ::step, :] if len(shape) > 1 else array[::step]
    values = np.ascontiguousarray(to_host(part))
    return [list(shape), values.dtype.name, zlib.crc32(values.tobytes())]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, in words, by the names of the arguments; "" if nothing does."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        was, is_now = before.get(name), now.get(name)
        if was != is_now:
            is_long = isinstance(was, list) or isinstance(is_now, list)
            words = "is another one" if is_long else f"was {was!r} and is {is_now!r}"
            found.append(f"`{name}` {words}")
    return ", ".join(found)
