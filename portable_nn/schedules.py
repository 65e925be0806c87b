"""Schedules: the learning rate as a function of the step, which counts updates from 0.

An epoch of n examples has ceil(n / batch_size) steps. Each schedule is a frozen object called as
``schedule(step)``; any function that returns a number >= 0, or for a
stack of networks an array of such numbers, is a schedule too. `learning_rate` may likewise be an array
or a list of the stack's shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from portable_nn.checks import (
    NONNEGATIVE,
    POSITIVE,
    Interval,
    Value,
    as_array,
    check_scheduled,
    is_schedule,
    store_values,
)
from portable_nn.checks.numbers import store_numbers, store_whole

__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "coslog4",
    "inverse_time",
    "one_cycle",
    "step_decay",
    "warm_up_cosine",
]

Schedule: TypeAlias = Callable[[int], Value]


@dataclass(frozen=True)
class constant:  # noqa: N801  (used like a function)
    """alpha(step) = learning_rate.

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        >= 0.

    Raises
    ------
    TypeError, ValueError
        If `learning_rate` is not a number >= 0.

    Examples
    --------
    >>> from portable_nn.schedules import constant
    >>> constant(0.1)(0), constant(0.1)(1000)
    (0.1, 0.1)
    """

    learning_rate: Value

    def __post_init__(self) -> None:
        store_values(self, learning_rate=NONNEGATIVE)

    def __call__(self, step: int) -> Value:
        return self.learning_rate


@dataclass(frozen=True)
class step_decay:  # noqa: N801
    """alpha(step) = learning_rate * factor^floor(step / every).

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        The first one, >= 0.
    every : int
        Updates between two changes, >= 1.
    factor : float
        > 0.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Examples
    --------
    >>> from portable_nn.schedules import step_decay
    >>> halved = step_decay(0.1, every=1000)
    >>> halved(999), halved(1000)
    (0.1, 0.05)
    """

    learning_rate: Value
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        store_values(self, learning_rate=NONNEGATIVE)
        store_whole(self, every=1)
        store_numbers(self, factor=POSITIVE)

    def __call__(self, step: int) -> Value:
        try:
            return as_array(self.learning_rate) * self.factor ** (step // self.every)
        except OverflowError:
            return math.inf


@dataclass(frozen=True)
class inverse_time:  # noqa: N801
    """alpha(step) = learning_rate / (1 + rate * step / every).

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        The first one, >= 0.
    rate : float
        >= 0.
    every : int
        >= 1: the updates of an epoch, so that `rate` is the course's decay rate per epoch.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Examples
    --------
    >>> from portable_nn.schedules import inverse_time
    >>> schedule = inverse_time(0.2, rate=1.0, every=100)
    >>> schedule(0), schedule(100), schedule(300)
    (0.2, 0.1, 0.05)
    """

    learning_rate: Value
    rate: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        store_values(self, learning_rate=NONNEGATIVE)
        store_numbers(self, rate=NONNEGATIVE)
        store_whole(self, every=1)

    def __call__(self, step: int) -> Value:
        return as_array(self.learning_rate) / (1 + self.rate * step / self.every)


@dataclass(frozen=True)
class cosine:  # noqa: N801
    """From learning_rate to `final` along half a cosine over `steps` (Loshchilov and Hutter, 2017).

    alpha(step) = final + (learning_rate - final) (1 + cos(pi step / steps)) / 2.

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        The first one, >= 0.
    steps : int
        Updates until `final` is reached, >= 1; it stays there.
    final : float
        >= 0.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Examples
    --------
    >>> from portable_nn.schedules import cosine
    >>> schedule = cosine(0.1, steps=1000)
    >>> [round(schedule(step), 3) for step in (0, 500, 1000, 2000)]
    [0.1, 0.05, 0.0, 0.0]
    """

    learning_rate: Value
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        store_values(self, learning_rate=NONNEGATIVE)
        store_whole(self, steps=1)
        store_numbers(self, final=NONNEGATIVE)

    def __call__(self, step: int) -> Value:
        return _cosine(as_array(self.learning_rate), self.final, step / self.steps)


@dataclass(frozen=True)
class warm_up_cosine:  # noqa: N801
    """From `start` to learning_rate along a line, then to `final` along half a cosine.

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        The one at the end of the warm-up, >= 0.
    steps : int
        Updates until `final` is reached, those of the warm-up included; it stays there.
    warm_up : int
        Updates until `learning_rate` is reached, in [0, steps); with 0 there is no `start`.
    start, final : float
        >= 0. A `start` of 0 means that the first update changes nothing.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Notes
    -----
    Early stopping, and the estimators' `tol`, take a rate near 0 for the end of progress: let
    `n_iter_no_change`, or the patience, be longer than the warm-up.

    Examples
    --------
    Ten epochs of 640 examples in batches of 64, the first of them to warm up:

    >>> from portable_nn.schedules import warm_up_cosine
    >>> schedule = warm_up_cosine(0.1, steps=10 * 10, warm_up=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 55, 100)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    learning_rate: Value
    steps: int
    warm_up: int
    start: float = 0.0
    final: float = 0.0

    def __post_init__(self) -> None:
        store_values(self, learning_rate=NONNEGATIVE)
        store_whole(self, steps=1)
        store_whole(self, warm_up=0)
        if self.warm_up >= self.steps:
            raise ValueError(f"`warm_up` is {self.warm_up}; accepted: less than `steps`, {self.steps}")
        store_numbers(self, start=NONNEGATIVE, final=NONNEGATIVE)

    def __call__(self, step: int) -> Value:
        peak, up = as_array(self.learning_rate), self.warm_up
        if step < up:
            return self.start + (peak - self.start) * (step / up)
        return _cosine(peak, self.final, (step - up) / (self.steps - up))


@dataclass(frozen=True)
class coslog4:  # noqa: N801
    """Four waves: learning_rate (1 - cos(2 pi log2(1 + 15 t))) / 2 with t = step / steps.

    It starts at 0 and falls to 0 four times, the last time at the end, where it stays; each wave is
    twice as long as the one before (RealMLP: Holzmueller, Grinsztajn and Steinwart, 2024).

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        The largest one, >= 0.
    steps : int
        Updates until the end, >= 1.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Notes
    -----
    The first update changes nothing. Early stopping, and the estimators' `tol`, take the rates near 0
    between two waves for the end of progress: let `n_iter_no_change`, or the patience, be the number of
    epochs, and keep the best one (`EarlyStopping(restore_best=True)`).

    Examples
    --------
    >>> from portable_nn.schedules import coslog4
    >>> schedule = coslog4(0.1, steps=1500)  # 1500 = epochs * ceil(n / batch_size)
    >>> [round(float(schedule(step)), 3) for step in (0, 41, 100, 183, 300, 1500)]
    [0.0, 0.1, 0.0, 0.1, 0.0, 0.0]
    """

    learning_rate: Value
    steps: int

    def __post_init__(self) -> None:
        store_values(self, learning_rate=NONNEGATIVE)
        store_whole(self, steps=1)

    def __call__(self, step: int) -> Value:
        phase = 2 * math.pi * math.log2(1 + 15 * min(step / self.steps, 1.0))
        return as_array(self.learning_rate) * (0.5 * (1 - math.cos(phase)))


@dataclass(frozen=True)
class one_cycle:  # noqa: N801
    """Up from learning_rate / start to learning_rate, then down to learning_rate / end (Smith, 2018).

    Both ways along half a cosine.

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        The largest one, >= 0.
    steps : int
        Updates of the whole cycle, >= 1.
    rise : float
        The share of `steps` that goes up, in (0, 1).
    start, end : float
        > 0: by what the largest learning rate is divided at the beginning, and at the end.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Examples
    --------
    >>> from portable_nn.schedules import one_cycle
    >>> schedule = one_cycle(0.1, steps=100)
    >>> [round(schedule(step), 5) for step in (0, 30, 100)]
    [0.004, 0.1, 1e-05]
    """

    learning_rate: Value
    steps: int
    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        store_values(self, learning_rate=NONNEGATIVE)
        store_whole(self, steps=1)
        store_numbers(self, rise=Interval(0.0, 1.0, closed_low=False))
        store_numbers(self, start=POSITIVE)
        store_numbers(self, end=POSITIVE)

    def __call__(self, step: int) -> Value:
        peak, up = as_array(self.learning_rate), self.rise * self.steps
        if step < up:
            return _cosine(peak / self.start, peak, step / up)
        return _cosine(peak, peak / self.end, (step - up) / (self.steps - up))


def check_learning_rate(schedule: Schedule, step: int) -> Value:
    """The schedule's learning rate; TypeError or ValueError unless it is a finite number >= 0."""
    if not is_schedule(schedule):
        raise TypeError(f"`schedule` is {schedule!r}; accepted: a function of the step")
    return check_scheduled("schedule", schedule, step, NONNEGATIVE)


def _cosine(first: Value, last: Value, share: float) -> Value:
    """From `first` at share 0 to `last` at share 1 and beyond."""
    return last + 0.5 * (first - last) * (1 + math.cos(math.pi * min(share, 1.0)))
