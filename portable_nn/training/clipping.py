"""The limits of the gradients' norms: one for all arrays together, or one for each of some groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable_nn.checks import POSITIVE, Value, check_stack, check_value
from portable_nn.optimizers.array_names import ArrayName, check_key, check_keys_match, rank, suits
from portable_nn.optimizers.groups import FrozenMapping


def check_clip_norm(
    given: Any, arrays: Sequence[ArrayName], stack: tuple[int, ...]
) -> Value | FrozenMapping | None:
    """A limit > 0, or one for each of some groups of the arrays; None where nothing is limited.

    Raises TypeError or ValueError for what is none, for a key that no array has, and for two keys that
    one array has.
    """
    if not isinstance(given, Mapping):
        return given if given is None else check_limit("clip_norm", given, stack)
    found = {check_key("clip_norm", key): limit for key, limit in given.items()}
    keys = sorted(found, key=rank)
    check_keys_match("clip_norm", keys, arrays)
    for array in arrays:
        mine = [repr(key) for key in keys if suits(key, array)]
        if len(mine) > 1:
            raise ValueError(
                f"`clip_norm` limits {array.name} by {' and by '.join(mine)}; accepted: keys of which "
                "each array has one at most"
            )
    limits = {key: check_limit(f"clip_norm[{key!r}]", found[key], stack) for key in keys}
    return FrozenMapping(limits) if limits else None


def check_limit(name: str, given: Any, stack: tuple[int, ...]) -> Value:
    """A limit > 0, or one for each network of the stack."""
    limit = check_value(name, given, POSITIVE)
    check_stack(name, limit, stack)
    return limit


def limits_of(clip_norm: Any, arrays: Sequence[ArrayName]) -> tuple[tuple[Value, ...], tuple[int, ...]]:
    """The limits, and to which of them each array belongs, -1 for none; both empty without a limit."""
    if clip_norm is None:
        return (), ()
    if not isinstance(clip_norm, FrozenMapping):
        return (clip_norm,), (0,) * len(arrays)
    places = [[i for i, key in enumerate(clip_norm) if suits(key, array)] for array in arrays]
    return tuple(clip_norm.values()), tuple(place[0] if place else -1 for place in places)
