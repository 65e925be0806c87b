"""Numbers that follow a schedule: a function of the number of updates made."""

from __future__ import annotations

from typing import Any

from portable_nn.checks.numbers import Interval, PerNetwork, Value, check_stack, check_value


def is_schedule(value: Any) -> bool:
    """Whether it is a function of the number of updates made."""
    return callable(value) and not isinstance(value, type)


def check_scheduled(
    name: str, schedule: Any, step: Any, interval: Interval, stack: tuple[int, ...] | None = None
) -> Value:
    """The value of a schedule at a step; TypeError or ValueError unless it is in the interval.

    With `stack`, a value that differs from network to network has to be of that shape.
    """
    value = check_value(f"{name}({step})", schedule(step), interval)
    if stack is not None and isinstance(value, PerNetwork):
        check_stack(f"{name}({step})", value, stack)
    return value
