"""The arrays of the parameters in parts, each of which one optimizer updates: what groups come to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from portable_nn.checks import NONNEGATIVE, Value, as_array, check_scheduled, is_schedule
from portable_nn.optimizers.array_names import ArrayName, check_keys_match, suits
from portable_nn.optimizers.groups import FACTOR, NO_GROUPS
from portable_nn.optimizers.rules import rule_of, with_arrays
from portable_nn.optimizers.update import Rule

Stack = tuple[int, ...]


class Part:
    """Arrays that are updated alike, by an optimizer without groups.

    `factor` multiplies the learning rate; `has_own_rate` says that the optimizer's own is in force,
    whatever the schedule of the training is.
    """

    def __init__(self, optimizer: Any, factor: Value | None = None, has_own_rate: bool = False) -> None:
        self.rule: Rule = rule_of(optimizer)
        self.has_own_rate, self.factor = has_own_rate, as_array(factor)
        self.optimizer = with_arrays(optimizer)
        self.schedules = [
            (name, interval)
            for name, interval in optimizer.scheduled.items()
            if is_schedule(getattr(optimizer, name))
        ]

    @property
    def plain(self) -> Callable[[Any, Any], tuple[Any, ...]] | None:
        """The optimizer's ``coefficients(t, alpha)``, where they are those of the part."""
        is_plain = not self.schedules and not self.has_own_rate and self.factor is None
        return self.optimizer.coefficients if is_plain else None

    def coefficients(self, step: Any, alpha: Any, stack: Stack) -> tuple[Any, ...]:
        """What the rule takes in update step + 1, if alpha is the learning rate of the training.

        Raises TypeError or ValueError for what a schedule gives that is out of its range.
        """
        optimizer = self.optimizer
        if self.schedules:
            optimizer = copy.copy(optimizer)
            for name, interval in self.schedules:
                now = check_scheduled(name, getattr(optimizer, name), step, interval, stack)
                object.__setattr__(optimizer, name, as_array(now))
        if self.has_own_rate:
            alpha = optimizer.learning_rate
            if is_schedule(alpha):
                alpha = as_array(check_scheduled("learning_rate", alpha, step, NONNEGATIVE, stack))
        alpha = alpha if self.factor is None else alpha * self.factor
        return numbers_of(optimizer.coefficients(step + 1, alpha))


def numbers_of(found: Any) -> tuple[Any, ...]:
    """What `coefficients` of an optimizer has returned, if it is a tuple."""
    if not isinstance(found, (tuple, list)):
        raise TypeError(
            f"`coefficients` of the optimizer returned {type(found).__name__}; accepted: a tuple of "
            "numbers, (alpha,) for one"
        )
    return tuple(found)


class Parts(NamedTuple):
    """All parts, and to which of them each array belongs."""

    members: tuple[Part, ...]
    places: tuple[int, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rule of each part."""
        return tuple(part.rule for part in self.members)

    def coefficients(self, step: Any, alpha: Any, stack: Stack) -> list[tuple[Any, ...]]:
        """What the rule of each part takes, equally many numbers."""
        found = [part.coefficients(step, alpha, stack) for part in self.members]
        if len(found) > 1 and len({len(each) for each in found}) > 1:
            raise ValueError(
                f"`coefficients` of the optimizer gives {', '.join(str(len(each)) for each in found)} "
                "numbers for its groups; accepted: equally many"
            )
        return found


def parts_of(optimizer: Any, arrays: Sequence[ArrayName]) -> Parts:
    """The parts into which the groups of an optimizer divide these arrays.

    Which arrays are in which part depends on the keys of the groups alone. Raises ValueError for a key
    that no array has.
    """
    groups = optimizer.groups
    check_keys_match("groups", list(groups), arrays)
    chosen = [tuple(key for key in groups if suits(key, array)) for array in arrays]
    kinds = list(dict.fromkeys(chosen))
    members = tuple(part_of(optimizer, [groups[key] for key in keys]) for keys in kinds)
    return Parts(members, tuple(kinds.index(keys) for keys in chosen))


def part_of(optimizer: Any, settings: Sequence[Any]) -> Part:
    """The part with these settings, of which a later one wins over an earlier one."""
    if not optimizer.groups:
        return Part(optimizer)
    merged = {name: value for each in settings for name, value in each.items()}
    factor = merged.pop(FACTOR, None)
    return Part(replace(optimizer, groups=NO_GROUPS, **merged), factor, "learning_rate" in merged)
