"""Nested lists and tuples of arrays: flattened, put together again, mapped.

Parameters, gradients, optimizer states and the arguments of a step are such trees. Their leaves are
arrays (what has a `shape` and a `dtype`); anything else, None or a number, belongs to the form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

Tree: TypeAlias = Any  # an array, or a list or tuple of trees
Form: TypeAlias = Any  # hashable, as long as what is no array in the tree is
LEAF = "array"
CONSTANT = "constant"
NONE: Form = (CONSTANT, type(None), None)  # of a None


def flatten(tree: Tree) -> tuple[list[Any], Form]:
    """The arrays of `tree` in order, and its form: what is left when they are taken out."""
    found: list[Any] = []
    return found, _take_out(tree, found)


def _take_out(tree: Tree, found: list[Any]) -> Form:
    if isinstance(tree, (list, tuple)):
        return (type(tree) is list, *[_take_out(part, found) for part in tree])
    if hasattr(tree, "shape") and hasattr(tree, "dtype"):
        found.append(tree)
        return LEAF
    return (CONSTANT, type(tree), tree)


def unflatten(form: Form, leaves: Iterable[Any]) -> Tree:
    """The tree of this form with these leaves, which need not be arrays."""
    return _put_back(form, iter(leaves))


def _put_back(form: Form, leaves: Iterator[Any]) -> Tree:
    if form is LEAF:
        return next(leaves)
    first, *rest = form
    if first is CONSTANT:
        return rest[-1]
    parts = [_put_back(part, leaves) for part in rest]
    return parts if first else tuple(parts)


def leaves(tree: Tree) -> list[Any]:
    """The arrays of `tree` in order."""
    found: list[Any] = []
    _collect(tree, found)
    return found


def _collect(tree: Tree, found: list[Any]) -> None:
    for part in tree if isinstance(tree, (list, tuple)) else (tree,):
        if isinstance(part, (list, tuple)):
            _collect(part, found)
        elif hasattr(part, "shape") and hasattr(part, "dtype"):
            found.append(part)


def places(tree: Tree) -> list[tuple[int, ...]]:
    """Where each array of `tree` is: (0, 1) for ``tree[0][1]``."""
    if not isinstance(tree, (list, tuple)):
        return [()] if flatten(tree)[0] else []
    return [(i, *place) for i, part in enumerate(tree) for place in places(part)]


def map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """The tree of the results of ``function(leaf, *leaves_of_others)``; all trees are of one form."""
    each, form = flatten(tree)
    return unflatten(
        form, [function(*one) for one in zip(each, *(leaves(o) for o in others), strict=True)]
    )


def aligned(form: Form, tree: Tree) -> list[Any]:
    """What `tree`, which has this form, holds in the places of the arrays: arrays, or None."""
    if form is LEAF:
        return [tree]
    if form[0] is CONSTANT:
        return []
    return [leaf for part in zip(form[1:], tree, strict=True) for leaf in aligned(*part)]


def alike(form: Form, other: Form, or_none: bool = False) -> bool:
    """Whether two forms have their arrays in the same places; a list counts as a tuple.

    With `or_none` the other one may have None in the place of an array.
    """
    if or_none and form is LEAF and other == NONE:
        return True
    if not isinstance(form, tuple) or not isinstance(other, tuple) or CONSTANT in (form[0], other[0]):
        return bool(form == other)
    return len(form) == len(other) and all(
        alike(*pair, or_none) for pair in zip(form[1:], other[1:], strict=True)
    )


def signature(form: Form, leaves: Sequence[Any]) -> Any:
    """What a compiled step depends on: the form, and the shape and dtype of each array."""
    return form, tuple((leaf.shape, leaf.dtype.str) for leaf in leaves)


def at(tree: Tree, i: int) -> Tree:
    """Element `i` of the first axis of every array."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(at(part, i) for part in tree)
    return None if tree is None else tree[i, ...]


def length(tree: Tree) -> int:
    """The length of the first axis of the arrays; 0 where there is none."""
    if isinstance(tree, (list, tuple)):
        return max((length(part) for part in tree), default=0)
    return 0 if tree is None else int(tree.shape[0])
