"""Seeds and schedules, one for each network of a stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portable_nn.backends import to_host
from portable_nn.checks import NONNEGATIVE, check_value, check_whole, is_schedule
from portable_nn.checks.numbers import scalar, shown
from portable_nn.schedules import Schedule

Stack = tuple[int, ...]
LONGEST = 80  # characters of a value in a message


@dataclass(frozen=True)
class OneForEach:
    """A schedule for each network of a stack, in the order of a flat one; what they give is checked.

    It gives one number where all are the same.
    """

    schedules: tuple[Schedule, ...]
    stack: Stack
    # what was given last, and what that came to: rates seldom change from step to step
    last: list[Any] = field(default_factory=list, init=False, compare=False, repr=False)
    result: list[Any] = field(default_factory=list, init=False, compare=False, repr=False)

    def __call__(self, step: Any) -> Any:
        values = [schedule(step) for schedule in self.schedules]
        if values != self.last:
            self.last[:] = values
            each = [check_value(f"schedule[{k}]({step})", v, NONNEGATIVE) for k, v in enumerate(values)]
            same = each.count(each[0]) == len(each)
            checked = np.asarray(each).reshape(self.stack).tolist()
            self.result[:] = [each[0] if same else check_value("schedule", checked, NONNEGATIVE)]
        return self.result[0]


def check_seed(seed: Any) -> np.random.Generator:
    """The generator on the host that orders and dropout masks are drawn from."""
    seed = scalar(seed)
    if not isinstance(seed, (int, np.integer, np.random.Generator)):
        raise TypeError(
            f"`seed` is {seed!r}; accepted: a whole number >= 0, or a numpy.random.Generator"
        )
    if not isinstance(seed, np.random.Generator):
        check_whole("seed", seed, 0, high=None)
    return np.random.default_rng(seed)


def seeds_of_stack(seed: Any, stack: Stack) -> list[np.random.Generator] | None:
    """A generator for each network, in the order of a flat stack; None where there is one seed for all.

    Raises TypeError or ValueError for what is no seed, and for other than one seed for each network.
    """
    is_array = hasattr(seed, "shape") and tuple(seed.shape) != ()
    if not is_array and not isinstance(seed, (list, tuple, range)):
        return None
    each = flat_list("seed", to_host(seed) if is_array else seed, stack)
    found = [check_seed(one) for one in each]
    if len({id(random) for random in found}) < len(found):
        raise ValueError("`seed` holds one generator twice; accepted: one of its own for each network")
    return found


def one_for_each(schedules: Any, stack: Stack) -> Schedule:
    """One schedule that gives each network the learning rate of its own."""
    each = flat_list("schedule", schedules, stack)
    for k, schedule in enumerate(each):
        if not is_schedule(schedule):
            raise TypeError(
                f"`schedule[{k}]` is {schedule!r}; accepted: a function of the number of updates made"
            )
    return OneForEach(tuple(each), stack)


def in_short(given: Any) -> str:
    """What was given, in a message: no more of it than tells what it is."""
    whole = shown(given)
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}..."


def flat_list(name: str, given: Any, stack: Stack) -> list[Any]:
    """The entries of nested sequences of the shape of a stack; ValueError for another shape."""
    found = [given]
    for k in stack or (None,):
        if not all(isinstance(one, (list, tuple, range, np.ndarray)) and len(one) == k for one in found):
            nested = "" if len(stack) < 2 else ", in nested lists of this shape"
            accepted = f"one for each network of the stack {stack}{nested}, or one" if stack else "one"
            raise ValueError(f"`{name}` is {in_short(given)}; accepted: {accepted}")
        found = [one for several in found for one in several]
    return found
