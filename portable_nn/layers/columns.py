"""Rows of A, the columns of the user's X: some of them taken out, and put back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from portable_nn.checks import check_whole
from portable_nn.equations import Array, Namespace

Columns = tuple[int, ...]


def check_columns(given: Iterable[int] | None) -> Columns | None:
    """Column numbers in increasing order, each once; None stands for all."""
    if given is None:
        return None
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"`columns` is {given!r}; accepted: numbers of columns, such as (0, 1), or None")
    found = tuple(check_whole("columns", column, 0) for column in given)
    if not found or list(found) != sorted(set(found)):
        raise ValueError(
            f"`columns` is {found}; accepted: numbers of columns in increasing order, each once"
        )
    return found


def check_within(columns: Sequence[int], n: int) -> None:
    """Raise ValueError where there are not so many columns."""
    if max(columns) >= n:
        raise ValueError(f"`columns` has {max(columns)}; accepted: 0 to {n - 1}, for {n} columns below")


def others(columns: Sequence[int], n: int) -> Columns:
    """Those of 0..n-1 that are not among the columns."""
    taken = set(columns)
    return tuple(i for i in range(n) if i not in taken)


def rows_of(A: Array, rows: Sequence[int]) -> list[Array]:
    """These rows of A, numbers in increasing order, as slices: each a view."""
    chosen = set(rows)
    starts = [i for i in rows if i - 1 not in chosen]
    stops = [i + 1 for i in rows if i + 1 not in chosen]
    return [A[..., start:stop, :] for start, stop in zip(starts, stops, strict=True)]


def in_rows(xp: Namespace, A: Array) -> Array:
    """A, which may be a view, row after row in memory: what is computed from it then is so too.

    A product takes the view as it is; of other results NumPy makes the memory order follow the view's.
    """
    return xp.reshape(xp.reshape(A, (-1,)), A.shape)


def joined(xp: Namespace, parts: Sequence[Array]) -> Array:
    """Rows below one another; those without a stack are repeated for each of its networks."""
    if len(parts) == 1:
        return parts[0]
    lead = max((tuple(p.shape[:-2]) for p in parts), key=len)
    return xp.concat([xp.broadcast_to(p, (*lead, *p.shape[-2:])) for p in parts], axis=-2)


def put_back(xp: Namespace, columns: Columns, those: Array, rest: Array | None, n: int) -> Array:
    """Rows 0..n-1: `those` at the columns, `rest` at the others."""
    if rest is None:
        return those
    places = {c: (those, i) for i, c in enumerate(columns)}
    places |= {c: (rest, i) for i, c in enumerate(others(columns, n))}
    each = (places[c] for c in range(n))
    return joined(xp, [rows[..., i : i + 1, :] for rows, i in each])
