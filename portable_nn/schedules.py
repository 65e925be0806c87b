"""Schedules: the learning rate as a function of the step, which counts updates from 0.

Each is a frozen object called as ``schedule(step)``; so is any function that returns a number >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from portable_nn import checks

__all__ = ["Schedule", "constant", "cosine", "inverse_time", "one_cycle", "step_decay"]

Schedule: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class constant:  # noqa: N801  (used like a function)
    """alpha(step) = learning_rate."""

    learning_rate: float

    def __post_init__(self) -> None:
        checks.number("learning_rate", self.learning_rate, 0.0)

    def __call__(self, step: int) -> float:
        return self.learning_rate


@dataclass(frozen=True)
class step_decay:  # noqa: N801
    """alpha(step) = learning_rate * factor^floor(step / every)."""

    learning_rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        checks.number("learning_rate", self.learning_rate, 0.0)
        checks.whole("every", self.every, 1)
        checks.number("factor", self.factor, 0.0, open_low=True)

    def __call__(self, step: int) -> float:
        try:
            return self.learning_rate * self.factor ** (step // self.every)
        except OverflowError:
            return math.inf


@dataclass(frozen=True)
class inverse_time:  # noqa: N801
    """alpha(step) = learning_rate / (1 + rate * step / every), each `every` updates an epoch."""

    learning_rate: float
    rate: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        checks.number("learning_rate", self.learning_rate, 0.0)
        checks.number("rate", self.rate, 0.0)
        checks.whole("every", self.every, 1)

    def __call__(self, step: int) -> float:
        return self.learning_rate / (1 + self.rate * step / self.every)


@dataclass(frozen=True)
class cosine:  # noqa: N801
    """From learning_rate to `final` along half a cosine over `steps` (Loshchilov and Hutter, 2017)."""

    learning_rate: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        checks.number("learning_rate", self.learning_rate, 0.0)
        checks.whole("steps", self.steps, 1)
        checks.number("final", self.final, 0.0)

    def __call__(self, step: int) -> float:
        return _cosine(self.learning_rate, self.final, step / self.steps)


@dataclass(frozen=True)
class one_cycle:  # noqa: N801
    """Up from learning_rate / start to learning_rate, then down to learning_rate / end (Smith, 2018).

    Both ways along half a cosine; the way up takes the share `rise` of `steps`.
    """

    learning_rate: float
    steps: int
    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        checks.number("learning_rate", self.learning_rate, 0.0)
        checks.whole("steps", self.steps, 1)
        checks.number("rise", self.rise, 0.0, 1.0, open_low=True)
        checks.number("start", self.start, 0.0, open_low=True)
        checks.number("end", self.end, 0.0, open_low=True)

    def __call__(self, step: int) -> float:
        peak, up = self.learning_rate, self.rise * self.steps
        if step < up:
            return _cosine(peak / self.start, peak, step / up)
        return _cosine(peak, peak / self.end, (step - up) / (self.steps - up))


def learning_rate(schedule: Schedule, step: int) -> float:
    """The schedule's learning rate as a Python float, if it is a finite number >= 0."""
    if not callable(schedule) or isinstance(schedule, type):
        raise TypeError(f"`schedule` is {schedule!r}; accepted: a function of the step")
    return checks.number(f"schedule({step})", schedule(step), 0.0)


def _cosine(first: float, last: float, share: float) -> float:
    """From `first` at share 0 to `last` at share 1 and beyond."""
    return last + 0.5 * (first - last) * (1 + math.cos(math.pi * min(share, 1.0)))
