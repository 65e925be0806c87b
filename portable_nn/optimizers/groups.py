"""Groups of parameters: settings of an optimizer for some kinds of arrays, layers, or single arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from portable_nn.checks import NONNEGATIVE, PerNetwork, check_stack, check_value, is_schedule
from portable_nn.errors import unknown_name
from portable_nn.optimizers.array_names import Key, check_key, rank

FACTOR = "factor"  # multiplies the learning rate in force


class FrozenMapping(Mapping[Any, Any]):
    """A mapping that cannot be changed, and can be hashed where its values can."""

    __slots__ = ("_items",)

    def __init__(self, items: Any = ()) -> None:
        self._items = tuple(dict(items).items())

    def __getitem__(self, key: Any) -> Any:
        return dict(self._items)[key]

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    def __repr__(self) -> str:
        return repr(dict(self._items))


NO_GROUPS = FrozenMapping()


def check_groups(optimizer: Any, given: Any) -> FrozenMapping:
    """The groups of an optimizer, whose settings are checked as its own; TypeError or ValueError.

    They are sorted: kinds, layers, arrays.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f'`groups` is {given!r}; accepted: a mapping such as {{"biases": {{"weight_decay": 0.0}}}}'
        )
    if not given:
        return NO_GROUPS
    alone = replace(optimizer, groups=NO_GROUPS)
    found = [(check_key("groups", key), key) for key in given]
    return FrozenMapping(
        (key, check_settings(alone, key, given[original]))
        for key, original in sorted(found, key=lambda pair: rank(pair[0]))
    )


def check_settings(alone: Any, key: Key, given: Any) -> FrozenMapping:
    """The settings of one group of an optimizer, which is `alone` without them."""
    what, kind = f"groups[{key!r}]", type(alone).__name__
    if not isinstance(given, Mapping):
        raise TypeError(
            f'`{what}` is {given!r}; accepted: a mapping of settings such as {{"learning_rate": 1e-3}}'
        )
    names = [each.name for each in fields(alone) if each.name != "groups"]
    numeric = [name for name in names if is_setting(alone, name)]
    checked: dict[str, Any] = {}
    for name, value in given.items():
        if name in names and name not in numeric:
            raise ValueError(
                f"`{what}` sets {name!r}, which {kind} has for all arrays together; accepted: "
                f"{', '.join((*numeric, FACTOR))}"
            )
        if name not in (*numeric, FACTOR):
            raise ValueError(
                f"`{what}` holds an {unknown_name(f'setting of {kind}', name, (*numeric, FACTOR))}"
            )
        checked[name] = check_setting(alone, name, value, f"{what}[{name!r}]")
    together = replace(alone, **{name: v for name, v in checked.items() if name != FACTOR})
    if together.slots != alone.slots or formula(together) is not formula(alone):
        raise ValueError(
            f"`{what}` is {dict(given)!r}, which changes the formula of {kind} or the number of arrays "
            "that it keeps; accepted: settings that leave both as they are, such as a momentum > 0 "
            "where that of the optimizer is"
        )
    return FrozenMapping(sorted(checked.items()))


def check_setting(alone: Any, name: str, value: Any, label: str) -> Any:
    """One setting as the optimizer stores it; the errors are the optimizer's, under the label."""
    if name == FACTOR:
        return check_value(label, value, NONNEGATIVE)
    try:
        return getattr(replace(alone, **{name: value}), name)
    except (TypeError, ValueError) as error:
        said = re.sub(rf"`{re.escape(name)}(?=[`\[])", lambda _: f"`{label}", str(error))
        raise type(error)(said) from None


def is_setting(optimizer: Any, name: str) -> bool:
    """Whether a field is a number, or one for each network, or may be a schedule."""
    value = getattr(optimizer, name)
    is_number = isinstance(value, (int, float, PerNetwork)) and not isinstance(value, bool)
    return is_number or name == "learning_rate" or (name in optimizer.scheduled and is_schedule(value))


def formula(optimizer: Any) -> Any:
    """The function behind the rule of an optimizer."""
    return getattr(optimizer.rule, "__func__", optimizer.rule)


def check_groups_of_stack(groups: FrozenMapping, stack: tuple[int, ...]) -> None:
    """Raise ValueError where a setting holds numbers for another stack."""
    for key, settings in groups.items():
        for name, value in settings.items():
            if isinstance(value, PerNetwork):
                check_stack(f"groups[{key!r}][{name!r}]", value, stack)
