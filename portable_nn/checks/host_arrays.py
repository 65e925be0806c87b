"""Arrays that stay on the host, memory maps and stores: looked at part by part, in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from portable_nn.backends import Backend, get, owner, streaming
from portable_nn.checks.arrays import Named, check_owner, check_values
from portable_nn.checks.data import Given, equal_part
from portable_nn.equations import Loss
from portable_nn.stores import StoredRows, is_store


def check_on_host(arrays: Named) -> Backend:
    """The backend of NumPy's arrays; ValueError unless all `arrays` are NumPy's, or rows of stores."""
    host = get("numpy")
    for name, array in arrays.items():
        if isinstance(array, StoredRows):
            continue
        host = theirs = check_owner(name, array)
        if not theirs.host:
            raise ValueError(
                f"`{name}` is on {theirs!r}; accepted with `stream=True`: arrays of NumPy, np.memmap "
                "included, and stores of rows; without it: arrays on the device of `params`"
            )
    return host


def is_on_host(name: str, array: Any) -> bool:
    """Whether it is NumPy's, or a store; TypeError naming it if it is an array of no known library."""
    return is_foreign_store(array) or check_owner(name, array).host


def is_foreign_store(array: Any) -> bool:
    """Whether it is a store, and no array of a known library."""
    return owner(array) is None and is_store(array)


def with_stored_rows(given: Given) -> Given:
    """The same with the rows of stores in their place; TypeError or ValueError for one without any."""
    x, y, w = given.names
    named = {"X": (x, given.X), "Y": (y, given.Y), "sample_weight": (w, given.sample_weight)}
    stores: dict[str, Any] = {
        field: StoredRows(name, cast(Any, array))
        for field, (name, array) in named.items()
        if is_foreign_store(array)
    }
    return replace(given, **stores)


def in_memory(array: Any) -> Any:
    """The array, which is read where it is that of a store."""
    return array.whole(streaming.CHUNK) if isinstance(array, StoredRows) else array


def rows_of(array: Any, rows: slice) -> Any:
    """Some rows of an array (..., n, k) of NumPy, or of a store."""
    if isinstance(array, StoredRows):
        return array.read(rows.start, rows.stop)
    return array[..., rows, :]


def check_host_values(host: Backend, given: Given, loss: Loss, n_classes: int) -> None:
    """`check_values` of data on the host, a chunk of rows at a time."""
    arrays: dict[str, Any] = dict(given.arrays)
    _, y, w = given.names
    weight = arrays.pop(w, None)
    for rows in host_parts(given.part, *arrays.values()):
        part = {name: rows_of(array, rows) for name, array in arrays.items()}
        check_values(host, part, loss, y, n_classes=n_classes)
    if weight is not None:
        check_values(host, {w: weight}, weight=w)


def host_parts(part: tuple[int, int], *arrays: Any) -> Iterator[slice]:
    """Rows of arrays (..., n, k) on the host, those of an `equal_part`, at most a chunk at a time."""
    n = arrays[0].shape[-2]
    size = max(1, streaming.CHUNK // max(1, *(array.nbytes // n for array in arrays)))
    own = equal_part(n, *part)
    for start in range(own.start, own.stop, size):
        yield slice(start, min(start + size, own.stop))
