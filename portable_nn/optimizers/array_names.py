"""What the arrays of the parameters are, and the keys that choose some of them: kinds, layers, names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from portable_nn import trees
from portable_nn.checks import check_whole
from portable_nn.equations import Parameters, symbol
from portable_nn.errors import unknown_name

KINDS = ("weights", "biases", "scales", "embeddings")
UNTRAINED = ("statistics", "constants")
Key = str | int


class ArrayName(NamedTuple):
    """What an array of the parameters is: its name, such as "W[1]", its kind and its layer, 1, 2, ...

    Those of the kinds "statistics" and "constants" are not trained, and belong to no group.
    """

    name: str
    kind: str
    layer: int


def dense_arrays(layers: int) -> tuple[ArrayName, ...]:
    """The descriptions of [(W[1], b[1]), ..., (W[L], b[L])], in the order of the arrays."""
    return tuple(
        ArrayName(symbol((l - 1, k)), kind, l)
        for l in range(1, layers + 1)
        for k, kind in ((0, "weights"), (1, "biases"))
    )


def check_arrays(params: Parameters, arrays: Any) -> tuple[ArrayName, ...]:
    """The descriptions of the arrays of `params`, one for each; None: those of a dense network.

    Raises TypeError or ValueError where they are none, or others than there are arrays.
    """
    count = len(trees.leaves(params))
    if arrays is None:
        if are_dense(params):
            return dense_arrays(len(params))
        raise ValueError(
            "`params` has not the form [(W, b), ...], so that `groups` cannot tell its arrays apart; "
            "accepted: with `arrays`, an ArrayName(name, kind, layer) for each, such as `net.arrays`"
        )
    if not isinstance(arrays, (list, tuple)) or not all(isinstance(a, ArrayName) for a in arrays):
        raise TypeError(f"`arrays` is {arrays!r}; accepted: a list of portable_nn.optimizers.ArrayName")
    if len(arrays) != count:
        raise ValueError(
            f"`arrays` describes {len(arrays)} arrays and `params` has {count}; accepted: as many, in "
            "the order of the arrays"
        )
    return tuple(arrays)


def are_dense(params: Any) -> bool:
    """Whether layers can only be dense ones: each takes what the one below gives, more than one unit.

    A scale and a shift of each unit have the shapes of W and b with one unit below.
    """
    widths = [tuple(layer[0].shape[-2:]) for layer in params] if all(map(is_pair, params)) else []
    fits = all(m == below[0] for (_, m), below in zip(widths[1:], widths, strict=False))
    return bool(widths) and fits and all(m > 1 for _, m in widths)


def is_pair(layer: Any) -> bool:
    """Whether it is a pair of arrays (..., m, n) and (..., m, 1)."""
    if not isinstance(layer, (list, tuple)) or len(layer) != 2:
        return False
    W, b = (tuple(getattr(array, "shape", ())) for array in layer)
    return len(W) == len(b) >= 2 and b == (*W[:-1], 1)


def check_key(what: str, key: Any) -> Key:
    """A kind, the number of a layer, or the name of an array; TypeError or ValueError else."""
    if isinstance(key, str):
        if key in UNTRAINED:
            raise ValueError(
                f"`{what}` has the key {key!r}, of arrays that are never trained; accepted: "
                f"{', '.join(KINDS)}, the number of a layer, or the name of an array such as 'W[1]'"
            )
        if key not in KINDS and "[" not in key:
            raise ValueError(
                f"`{what}` has a key that is no kind of array, number of a layer or name such as "
                f"'W[1]': {unknown_name('kind', key, KINDS)}"
            )
        return key
    try:
        return check_whole("key", key, 1)
    except (TypeError, ValueError):
        error = ValueError if isinstance(key, int) and not isinstance(key, bool) else TypeError
        raise error(
            f"`{what}` has the key {key!r}; accepted: a kind ({', '.join(KINDS)}), the number of a "
            "layer, 1 for the first, or the name of an array such as 'W[1]'"
        ) from None


def rank(key: Key) -> tuple[int, Key]:
    """How special a key is: a kind, a layer, an array. Keys are sorted by it."""
    return (1 if isinstance(key, int) else 0 if key in KINDS else 2), key


def suits(key: Key, array: ArrayName) -> bool:
    """Whether the array belongs to the group of this key."""
    return array.kind not in UNTRAINED and key in (array.kind, array.layer, array.name)


def check_keys_match(what: str, keys: Sequence[Key], arrays: Sequence[ArrayName]) -> None:
    """Raise ValueError for a key that no array has."""
    for key in keys:
        if not any(suits(key, array) for array in arrays):
            trained = [array for array in arrays if array.kind not in UNTRAINED]
            kinds, names = dict.fromkeys(a.kind for a in trained), [a.name for a in trained]
            layers = sorted({a.layer for a in trained})
            raise ValueError(
                f"`{what}` has the key {key!r}, which no array here has; accepted: the kinds "
                f"{', '.join(kinds)}, the layers {', '.join(map(str, layers))}, and the names "
                f"{', '.join(names)}"
            )
