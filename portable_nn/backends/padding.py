"""Few lengths for a library that compiles for each: arrays are padded, and checked, on the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from portable_nn.backends.base import Backend
from portable_nn.compiler.signatures import HostArray
from portable_nn.stores import StoredRows

FEWEST_STEPS = 64  # that there is room for
MOST_STEPS = 1 << 12  # beyond, the room is no power of 4
MOST_ROOM = 1 << 25  # bytes of an array with its room: what large batches take fills the memory as it is


def padded_length(n: int, least: int, bytes_of_one: int, most_bytes: int) -> int:
    """A length >= n, of which there are few: `least` times a power of 4.

    Where so much would take more than `most_bytes`, it is a power of 2.
    """
    length = least
    while length < n:
        length *= 4
    if length * bytes_of_one <= most_bytes:
        return length
    return 1 << (n - 1).bit_length()


def row_parts(n: int, most: int, least: int = 64) -> list[int]:
    """The lengths of parts that n rows are computed in, the last one padded: powers of 2, and 1.

    A part is padded where that is little work: a third of it, or up to `least` rows in all; else the
    largest power of 2 is taken off.
    """
    parts = [most] * (n // most)
    rest = n % most
    while rest:
        above = 1 << (rest - 1).bit_length()
        is_close = rest == 1 or rest * 4 >= above * 3 or above <= least
        parts.append(above if is_close else above // 2)
        rest = max(0, rest - parts[-1])
    return parts


def lengthened(host: HostArray, length: int, axis: int = 0) -> HostArray:
    """The array so much longer along the axis: its last entries come again."""
    missing = length - host.shape[axis]
    if missing == 0:
        return host
    last, shape = np.take(host, [-1], axis=axis), list(host.shape)
    shape[axis] = missing
    return np.concatenate([host, np.broadcast_to(last, shape)], axis=axis)


def on_host(backend: Backend, array: Any) -> HostArray | None:
    """The array on the host, if its shape is to be changed there: else None, also where it is traced.

    No library compiles for that there.
    """
    most = backend.padded_bytes
    is_small = most != 0 and backend.values_known(array) and array.nbytes <= most
    return backend.to_numpy(array) if is_small else None


class WithRoom:
    """What each of so many steps takes, in an array with room for more."""

    def __init__(self, array: Any, count: int) -> None:
        self.array, self.dtype = array, array.dtype
        self.shape = (count, *array.shape[1:])

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]


def of_steps(backend: Backend, host: HostArray, dtype: Any) -> Any:
    """What each of several steps takes, on the device: with room where each length is compiled for."""
    if not backend.padded_bytes:
        return backend.asarray(host, dtype=dtype)
    count = len(host)
    room = room_for(count, host.nbytes // count)
    return WithRoom(backend.asarray(lengthened(host, room), dtype=dtype), count)


def room_for(steps: int, bytes_of_one: int) -> int:
    """For how many steps there is room: for no more than these, where it would take much memory.

    One step is all rows at once.
    """
    room = steps if steps == 1 else padded_length(steps, FEWEST_STEPS, 1, MOST_STEPS)
    return room if room * bytes_of_one <= MOST_ROOM else steps


def as_column(backend: Backend, array: Any) -> Any:
    """Entries (..., n) as (..., n, 1)."""
    if isinstance(array, StoredRows):
        return array.as_column()
    host = on_host(backend, array)
    return array[..., None] if host is None else backend.from_host(host[..., None], array.dtype)


def taken(backend: Backend, array: Any, rows: HostArray) -> Any:
    """These rows, along the first axis."""
    host = on_host(backend, array)
    if host is not None:
        return backend.from_host(host[rows], array.dtype)
    index = backend.asarray(rows, dtype=backend.index_dtype())
    return backend.xp.take(array, index, axis=0)


def where_checked(backend: Backend, arrays: Mapping[str, Any]) -> tuple[Backend, dict[str, Any]]:
    """The backend and the arrays by which values are looked at.

    NumPy and copies on the host, where the library would compile each function for each shape.
    """
    most = backend.padded_bytes
    if most == 0 or sum(array.nbytes for array in arrays.values()) > most:
        return backend, dict(arrays)
    host = {name: backend.to_numpy(array) for name, array in arrays.items()}
    return backend.lookup.get("numpy", None), host
