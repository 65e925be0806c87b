"""Numbers that a user hands in: one, a whole one, or one for each network of a stack."""

from __future__ import annotations

import math
import numbers
import os
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from portable_nn.backends import to_host

Value: TypeAlias = Any  # a float, or PerNetwork
LARGEST = 2**63 - 1  # more is no count of anything, and too large for the libraries


class PerNetwork(tuple[Any, ...]):
    """Numbers, one for each network of a stack; nested where the stack has several axes."""


class Interval(NamedTuple):
    """The real numbers from `low` to `high`; each end belongs to it or not."""

    low: float
    high: float = math.inf
    closed_low: bool = True
    closed_high: bool = False

    def __contains__(self, x: object) -> bool:
        try:
            float(x)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):  # no number, or an integer too large for one
            return False
        is_end = (x == self.low and self.closed_low) or (x == self.high and self.closed_high)
        return bool(self.low < float(x) < self.high or is_end)  # type: ignore[arg-type]

    def __str__(self) -> str:
        left, right = "[" if self.closed_low else "(", "]" if self.closed_high else ")"
        return f"{left}{self.low}, {self.high}{right}"


NONNEGATIVE = Interval(0.0)
POSITIVE = Interval(0.0, closed_low=False)
REAL = Interval(-math.inf, closed_low=False)
BELOW_ONE = Interval(0.0, 1.0)
UP_TO_ONE = Interval(0.0, 1.0, closed_high=True)


def scalar(value: Any) -> Any:
    """The number in an array of no axis, of any library; anything else as it is."""
    is_array = getattr(value, "shape", None) == () and not np.isscalar(value)
    if not is_array or getattr(value, "requires_grad", False):
        return value
    try:
        return to_host(value).item()
    except (TypeError, ValueError):  # JAX, say, is tracing it
        return value


def shown(value: Any) -> str:
    """`value` in a message; Python refuses to write integers of more than a few thousand digits."""
    try:
        return repr(value)
    except ValueError:
        return f"a {type(value).__name__} too large to be written"


def check_number(name: str, value: Any, interval: Interval) -> float:
    """`value` as a float; TypeError or ValueError unless it is a real number in the interval.

    Here and below an array of no axis is the number in it.
    """
    value = scalar(value)
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"`{name}` is {shown(value)}; accepted: a number in {interval}")
    if value not in interval:
        raise ValueError(f"`{name}` is {shown(value)}; accepted: a number in {interval}")
    return float(value)


def check_value(name: str, value: Any, interval: Interval) -> Value:
    """`value` as a float or, where it is an array or a list of numbers, as `PerNetwork`."""
    if type(value) is float and interval.low < value < interval.high:  # once for every update
        return value
    if isinstance(value, (list, tuple)) or (hasattr(value, "shape") and not np.isscalar(value)):
        if getattr(value, "requires_grad", False):
            raise TypeError(f"`{name}` asks for a gradient, and has none; accepted: its detached values")
        try:
            host = to_host(value)
        except (TypeError, ValueError):  # a ragged list, say
            host = np.asarray(None)
        if host.dtype.kind not in "iuf":
            accepted = f"a number in {interval}, or an array of such numbers"
            raise TypeError(f"`{name}` is {value!r}; accepted: {accepted}")
        return _check_each(name, host.tolist(), interval)
    return check_number(name, value, interval)


def _check_each(name: str, value: Any, interval: Interval) -> Value:
    if isinstance(value, list):
        if not value:
            raise ValueError(f"`{name}` is an empty list; accepted: a number, or one for each network")
        return PerNetwork(_check_each(f"{name}[{k}]", one, interval) for k, one in enumerate(value))
    return check_number(name, value, interval)


def as_array(value: Any) -> Any:
    """Numbers of a stack as a float64 array to compute with; anything else as it is."""
    return np.asarray(value, dtype=np.float64) if isinstance(value, PerNetwork) else value


def along_stack(value: Any) -> Any:
    """Numbers of a stack as an array (*stack, 1, 1), to go with (*stack, n, m); a number as a float."""
    return as_array(value)[..., None, None] if np.ndim(value) else float(value)


def are_unchecked(value: Any) -> bool:
    """Whether it is a list or an array on the host, which `check_value` makes comparable."""
    return isinstance(value, (list, np.ndarray))


def differ(value: Any) -> bool:
    """Whether it is an array of numbers that may differ from network to network."""
    return isinstance(value, np.ndarray) and value.ndim > 0


def is_zero(value: Value) -> bool:
    """Whether it is 0, for every network of a stack."""
    return not np.any(value)


def check_stack(name: str, value: Value, stack: tuple[int, ...]) -> None:
    """Raise ValueError unless `value` is one number, or one for each network of the stack."""
    shape = np.shape(value)
    if shape not in ((), stack):
        accepted = f"one number, or numbers of the stack's shape {stack}" if stack else "one number"
        raise ValueError(f"`{name}` holds numbers of shape {shape}; accepted: {accepted}")


def store_values(frozen: Any, **intervals: Interval) -> None:
    """Store attributes of a frozen dataclass as `check_value` gives them."""
    for name, interval in intervals.items():
        object.__setattr__(frozen, name, check_value(name, getattr(frozen, name), interval))


def store_numbers(frozen: Any, **intervals: Interval) -> None:
    """Store attributes of a frozen dataclass as `check_number` gives them."""
    for name, interval in intervals.items():
        object.__setattr__(frozen, name, check_number(name, getattr(frozen, name), interval))


def store_whole(frozen: Any, **lows: int) -> None:
    """Store attributes of a frozen dataclass as `check_whole` gives them."""
    for name, low in lows.items():
        object.__setattr__(frozen, name, check_whole(name, getattr(frozen, name), low))


def check_whole(name: str, value: Any, low: int, high: int | None = LARGEST) -> int:
    """`value` as an int; TypeError or ValueError unless it is a whole number from `low` to `high`."""
    value = scalar(value)
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"`{name}` is {shown(value)}; accepted: a whole number >= {low}")
    whole = int(value)
    if whole < low:
        raise ValueError(f"`{name}` is {shown(value)}; accepted: a whole number >= {low}")
    if high is not None and whole > high:
        raise ValueError(f"`{name}` is {shown(value)}; accepted: a whole number from {low} to {high}")
    return whole


def check_fits(name: str, value: Any, count: int) -> None:
    """Raise MemoryError where `value` asks for more float64 numbers than this machine has memory for.

    A system may promise any amount of memory, and end the process when it is used.
    """
    memory = memory_of_machine()
    if 8 * count > memory:
        raise MemoryError(
            f"`{name}` is {shown(value)}, which asks for parameters of {shown(8 * count // 2**30)} GiB; "
            f"accepted: what fits into the memory of this machine, {memory / 2**30:.0f} GiB"
        )


def memory_of_machine() -> int:
    """Bytes of memory; where the system does not tell, what can be addressed."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 2**47


def check_flag(name: str, value: Any) -> bool:
    """`value`; TypeError unless it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` is {value!r}; accepted: True or False")
    return value
