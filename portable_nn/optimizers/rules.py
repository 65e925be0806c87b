"""The rule of an optimizer as a value, and its numbers as arrays to compute with."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Any

from portable_nn.checks import PerNetwork, along_stack, as_array, check_stack, is_schedule
from portable_nn.equations import Array, Namespace
from portable_nn.optimizers.groups import check_groups_of_stack
from portable_nn.optimizers.update import Rule


def check_values_of_stack(optimizer: Any, stack: tuple[int, ...]) -> None:
    """Raise ValueError where a parameter holds numbers for another stack."""
    for each in fields(optimizer):
        value = getattr(optimizer, each.name)
        if isinstance(value, PerNetwork):
            check_stack(each.name, value, stack)
    check_groups_of_stack(optimizer.groups, stack)


def with_arrays(optimizer: Any) -> Any:
    """The optimizer for computing coefficients: its numbers of a stack are NumPy arrays."""
    twin = copy.copy(optimizer)
    for each in fields(optimizer):
        value = getattr(optimizer, each.name)
        object.__setattr__(twin, each.name, value if is_schedule(value) else as_array(value))
    return twin


@dataclass(frozen=True, eq=False)
class UserRule:
    """The `rule` of an optimizer, which may read any of its parameters: equal where all of them are."""

    optimizer: Any
    values: tuple[Any, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserRule) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return type(self.optimizer), self.values

    def __call__(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        twin = self.optimizer
        for each, value in zip(fields(twin), self.values, strict=True):
            if isinstance(value, PerNetwork):  # read as an array that goes with theta
                twin = twin if twin is not self.optimizer else copy.copy(twin)
                where = {"dtype": theta.dtype, "device": getattr(theta, "device", None)}
                numbers_of_stack = xp.asarray(along_stack(value), **where)
                object.__setattr__(twin, each.name, numbers_of_stack)
        result: tuple[Array, ...] = twin.rule(xp, theta, g, *rest)
        return result


def rule_of(optimizer: Any) -> Rule:
    """The rule, hashable and equal by value: steps with equal rules are one compiled step."""
    rule: Rule = optimizer.rule
    bound_to: Any = getattr(rule, "__self__", None)
    if bound_to is not optimizer:
        return rule
    values = tuple(getattr(optimizer, each.name) for each in fields(optimizer))
    try:
        hash(values)
    except TypeError as error:
        raise TypeError(
            f"`optimizer` is {optimizer!r}, whose `rule` may read a parameter that cannot be hashed "
            f"({error}); accepted: numbers, strings, tuples; or a static method as its `rule`"
        ) from None
    return UserRule(optimizer, values)
