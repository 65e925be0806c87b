"""The header of a safetensors file: what is in it, and whether that can be."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from portable_nn.storage.bounded_json import read_json, shortened, write_json
from portable_nn.storage.refusal import LONGEST_HEADER, Unreadable, most_values

LENGTH = 8  # bytes of the number that a file begins with: how long its header is, little-endian
MOST_AXES = 64  # of a NumPy array
METADATA = "__metadata__"
NO_SAFETENSORS = "it is no safetensors file"
GIVE_OURS = "accepted: a file that portable_nn.save, or a Checkpoint, has written"

# the format's names of dtypes, and NumPy's of the bytes in a file
DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "C64": "<c8",
}
CODES = {np.dtype(name): code for code, name in DTYPES.items()}


class Entry(NamedTuple):
    """What the header says of an array: the code of its dtype, its shape, its place in the data."""

    code: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the bytes in the file."""
        return np.dtype(DTYPES[self.code])

    @property
    def label(self) -> bytes:
        """What an array's checksum begins with: its dtype and shape."""
        return f"{self.code}[{','.join(map(str, self.shape))}]".encode()


def code_of(dtype: np.dtype[Any]) -> str | None:
    """The format's name of a dtype, of either byte order; None if it has none."""
    return CODES.get(dtype.newbyteorder("<"))


def entries_of(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, Entry]:
    """Where each array goes: wide dtypes first, so that all are aligned as in memory."""
    entries, at = {}, 0
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize):
        code = code_of(array.dtype)
        if code is None:
            raise TypeError(f"the array {name!r} has dtype {array.dtype}; accepted: {list(DTYPES)}")
        entries[name] = Entry(code, array.shape, at, at + array.nbytes)
        at += array.nbytes
    return entries


def write_header(metadata: dict[str, str], entries: dict[str, Entry]) -> bytes:
    """The beginning of the file, a multiple of 8 bytes; ValueError if it is too long to be read."""
    header: dict[str, Any] = {METADATA: metadata}
    for name, entry in entries.items():
        offsets = [entry.start, entry.end]
        header[name] = {"dtype": entry.code, "shape": list(entry.shape), "data_offsets": offsets}
    text = write_json(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        raise ValueError(
            f"all values but numeric arrays take {len(text)} bytes as text; accepted: "
            f"{LONGEST_HEADER}; make long lists of numbers NumPy arrays"
        )
    return len(text).to_bytes(LENGTH, "little") + text


def read_header(content: bytes, size: int) -> tuple[dict[str, str], dict[str, Entry]]:
    """The metadata, and the entries in the order of the data, of a file of `size` bytes.

    `content` is the header without its length. Raises Unreadable unless the entries share out all the
    data, without gap or overlap, each as many bytes as its dtype and shape need.
    """
    if not content.startswith(b"{"):
        raise Unreadable(NO_SAFETENSORS, GIVE_OURS)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise Unreadable("its header has bytes that are no ASCII characters") from None
    header = read_json("its header", text, most_values(size))
    if not isinstance(header, dict):
        raise Unreadable("its header is no JSON object")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Unreadable("its metadata are no strings by name")
    entries = {name: _entry(name, given) for name, given in header.items()}
    entries = dict(sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)))
    at = 0
    for name, entry in entries.items():
        if entry.start != at:
            what = "overlaps another" if entry.start < at else "follows a gap"
            raise Unreadable(f"the array {shortened(name)!r} {what}")
        at = entry.end
    _check_size(size, LENGTH + len(content) + at)
    return metadata, entries


def read_length(content: bytes, size: int) -> int:
    """The length of the header, from the first bytes of a file of `size` bytes."""
    if size == 0:
        raise Unreadable("it is empty")
    length = int.from_bytes(content, "little")
    if len(content) < LENGTH or not 2 <= length <= size - LENGTH:
        raise Unreadable(f"{NO_SAFETENSORS}, or only the beginning of one", GIVE_OURS)
    if length > LONGEST_HEADER:
        raise Unreadable(f"its header has {length} bytes; at most {LONGEST_HEADER} are read", GIVE_OURS)
    return length


def _check_size(size: int, expected: int) -> None:
    if size < expected:
        raise Unreadable(f"it is truncated: {size} of {expected} bytes are there")
    if size > expected:
        raise Unreadable(f"it has {size - expected} bytes after its end")


def _entry(name: str, given: Any) -> Entry:
    """What the header says of an array, checked."""
    where = f"of the array {shortened(name)!r}"
    if not isinstance(given, dict) or given.keys() != {"dtype", "shape", "data_offsets"}:
        raise Unreadable(f"the description {where} is not its dtype, shape and place")
    code, shape, offsets = given["dtype"], given["shape"], given["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise Unreadable(f"the dtype {where} is {shortened(repr(code))}", GIVE_OURS)
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        raise Unreadable(f"the shape {where} is {shortened(repr(shape))}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise Unreadable(f"the place {where} is {shortened(repr(offsets))}")
    entry = Entry(code, tuple(shape), *offsets)
    if entry.end - entry.start != math.prod(shape) * entry.dtype.itemsize:
        raise Unreadable(f"the place {where} has not the size of its dtype and shape")
    return entry


def _are_sizes(given: Any) -> bool:
    """Whether it is a list of whole numbers that can be sizes of an array."""
    return isinstance(given, list) and all(type(n) is int and 0 <= n < 2**48 for n in given)
