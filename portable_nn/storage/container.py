"""A safetensors file, written and read without its library: arrays by name, and metadata."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from portable_nn.storage.atomic import replacing, write_all
from portable_nn.storage.checksums import Checksums, digits
from portable_nn.storage.header import (
    LENGTH,
    Entry,
    entries_of,
    read_header,
    read_length,
    write_header,
)
from portable_nn.storage.refusal import Unreadable

Arrays = dict[str, np.ndarray[Any, Any]]
AT_ONCE = 1 << 23  # bytes that are read or written before their checksum is computed


def write_file(path: str, arrays: Arrays, metadata: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Write the arrays, and the metadata, which are a function of the arrays' checksums.

    The header is written last, into the place left for it: the checksums are computed while the arrays
    are being written.
    """
    entries = entries_of(arrays)
    start = len(write_header(metadata(dict.fromkeys(entries, digits(0))), entries))
    n_bytes = sum(array.nbytes for array in arrays.values())
    with replacing(path) as file:
        file.seek(start)
        with Checksums(n_bytes) as checksums:
            for name, entry in entries.items():
                checksums.add(name, entry.label)
                for chunk in chunks(np.ascontiguousarray(arrays[name], entry.dtype)):
                    checksums.add(name, chunk)
                    write_all(file, chunk)
        found = {name: digits(checksum) for name, checksum in checksums.found.items()}
        file.seek(0)
        write_all(file, memoryview(write_header(metadata(found), entries)))


def read_metadata(file: io.FileIO, size: int) -> tuple[dict[str, str], dict[str, Entry], int]:
    """The metadata, the entries in the order of the data, and where in the file the data begin."""
    length = read_length(_read(file, LENGTH), size)
    metadata, entries = read_header(_read(file, length), size)
    return metadata, entries, LENGTH + length


def read_arrays(file: io.FileIO, entries: dict[str, Entry]) -> tuple[Arrays, dict[str, str]]:
    """The arrays, from where the file stands, each in memory of its own; and their checksums."""
    arrays = {}
    with Checksums(sum(entry.end - entry.start for entry in entries.values())) as checksums:
        for name, entry in entries.items():
            checksums.add(name, entry.label)
            array = _empty(name, entry)
            for chunk in chunks(array):
                _read_into(file, chunk)
                checksums.add(name, chunk)
            arrays[name] = array
    for name, entry in entries.items():
        if entry.code == "BOOL" and arrays[name].size and arrays[name].view(np.uint8).max() > 1:
            raise Unreadable(f"the array {name!r} of booleans has bytes that are neither 0 nor 1")
        if not entry.dtype.isnative:
            arrays[name] = arrays[name].astype(entry.dtype.newbyteorder("="))
    return arrays, {name: digits(checksum) for name, checksum in checksums.found.items()}


def map_arrays(file: io.FileIO, entries: dict[str, Entry], start: int) -> Arrays:
    """The arrays as read-only views of the file, which is mapped into memory and not read yet."""
    n_bytes = max((entry.end for entry in entries.values()), default=0)
    data: Any = np.empty(0, np.uint8)
    if n_bytes:
        data = np.memmap(file, np.uint8, "r", start, (n_bytes,)).view(np.ndarray)
    data.flags.writeable = False
    return {
        name: data[entry.start : entry.end].view(entry.dtype).reshape(entry.shape)
        for name, entry in entries.items()
    }


def chunks(array: np.ndarray[Any, Any]) -> Iterator[memoryview]:
    """The bytes of a contiguous array, a few millions at once."""
    if array.size:
        content = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        for start in range(0, len(content), AT_ONCE):
            yield content[start : start + AT_ONCE]


def _empty(name: str, entry: Entry) -> np.ndarray[Any, Any]:
    try:
        return np.empty(entry.shape, entry.dtype)
    except ValueError:  # no elements, but dimensions whose product is too large for NumPy
        raise Unreadable(f"the array {name!r} has the shape {entry.shape}") from None


def _read(file: io.FileIO, n: int) -> bytes:
    content = file.read(n)
    while len(content) < n and (more := file.read(n - len(content))):
        content += more
    return content


def _read_into(file: io.FileIO, content: memoryview) -> None:
    while content:
        n = file.readinto(content)
        if not n:
            raise Unreadable("it became shorter while it was being read")
        content = content[n:]
