"""A document: a kind, and nested plain values with arrays, in one file."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from portable_nn.storage.atomic import open_regular
from portable_nn.storage.bounded_json import count_values, read_json, shortened, write_json
from portable_nn.storage.checksums import checksum_of_texts
from portable_nn.storage.container import Arrays, map_arrays, read_arrays, read_metadata, write_file
from portable_nn.storage.header import GIVE_OURS
from portable_nn.storage.plain_values import Decoder, Encoder, OutlineDecoder, custom_names
from portable_nn.storage.refusal import Unreadable, most_values, reading
from portable_nn.version import __version__

FORMAT = 1
KIND = re.compile(r"[A-Za-z][A-Za-z0-9_. -]{0,79}")
FORMAT_KEY = "portable_nn_format"
# the metadata of a file, in the order of its checksum, which covers all before it
TEXTS = (FORMAT_KEY, "portable_nn_version", "kind", "values", "checksums")
NUMBER = re.compile(r"(?!0)[0-9]{1,9}")


class Document(NamedTuple):
    """What a file holds: its kind, its values, and the version of portable_nn that wrote it."""

    kind: str
    values: dict[str, Any]
    version: str


def write_document(
    path: str | os.PathLike[str],
    kind: str,
    values: dict[str, Any],
    custom: Mapping[str, Any] | None = None,
) -> None:
    """Write a file that is replaced as a whole: if anything goes wrong, the old one is as it was.

    `values` is a dict of plain values: None, bool, int, float, str, list, tuple, dict with plain keys,
    NumPy's numbers (which become Python's) and arrays, portable_nn's networks, layers, activations,
    losses, schedules and optimizers, numbers per network of a stack. Of anything else only a name is
    written: `custom` has it by its name. `kind` says what it is. When this returns, the file is on the
    disk.

    Raises TypeError, which names the place, for a value that is none of these; ValueError where there is
    more of them than `read_document` takes; OSError where the file cannot be written.
    """
    custom = check_custom(custom)
    if not isinstance(kind, str) or not KIND.fullmatch(kind):
        raise ValueError(f"`kind` is {kind!r}; accepted: a short name")
    if type(values) is not dict:
        raise TypeError(f"`values` is a {type(values).__name__}; accepted: a dict")
    encoder = Encoder(custom)
    text = write_json(encoder.encode(values))
    n_values = count_values(text) + 6 * len(encoder.arrays)
    most = most_values(len(text) + sum(array.nbytes for array in encoder.arrays.values()))
    if n_values > most:
        raise ValueError(
            f"there are about {n_values} values that are neither in numeric arrays nor in long lists of "
            f"floats alone or ints alone; accepted: {most}; make them NumPy arrays, or such lists"
        )

    def metadata(checksums: dict[str, str]) -> dict[str, str]:
        texts = (str(FORMAT), __version__, kind, text, write_json(checksums))
        found = dict(zip(TEXTS, texts, strict=True))
        return found | {"checksum": checksum_of_texts(*texts)}

    write_file(os.fsdecode(path), encoder.arrays, metadata)


def read_document(
    path: str | os.PathLike[str], custom: Mapping[str, Any] | None = None, mmap: bool = False
) -> Document:
    """Read a file that `write_document` has written; what it holds equals what was written.

    Memory: the arrays once (twice for a moment, for one whose columns are contiguous), and at most some
    tens of MB for the other values. Nothing in a file is executed, imported, or found by a name but in
    tables of this package and in `custom`.

    With `mmap` the arrays are read-only views of the file, which is read where they are used: it must
    not change meanwhile, their checksums are not checked, and all are contiguous by rows.

    Raises FileNotFoundError or another OSError where there is no file to read, ValueError where the file
    has names that `custom` lacks, and ModelFormatError for everything that is wrong with the file.
    """
    custom = check_custom(custom)
    path = os.fsdecode(path)
    with reading(path), open_regular(path) as file:
        content = _read(file, path, mmap, custom)
        decoder = Decoder(custom, content.arrays, keep_layout=not mmap)
        return Document(content.kind, _decoded(decoder, content), content.version)


class Outline(NamedTuple):
    """What a file holds, with `Described` in the place of our objects and of user-defined ones."""

    kind: str
    values: dict[str, Any]
    version: str
    format: int
    size: int


def read_outline(path: str | os.PathLike[str]) -> Outline:
    """All that a file says, without making anything of it; raises as `read_document` does."""
    path = os.fsdecode(path)
    with reading(path), open_regular(path) as file:
        content = _read(file, path)
        values = _decoded(OutlineDecoder(content.arrays), content)
        return Outline(content.kind, values, content.version, FORMAT, content.size)


class _Content(NamedTuple):
    """What has been read, and checked: the values as JSON has them, and the arrays by name."""

    kind: str
    version: str
    node: Any
    arrays: Arrays
    size: int


def _read(
    file: io.FileIO, path: str, mmap: bool = False, custom: Mapping[str, Any] | None = None
) -> _Content:
    size = os.fstat(file.fileno()).st_size
    metadata, entries, start = read_metadata(file, size)
    checksums = _checked(metadata, size)
    if checksums.keys() != entries.keys():
        raise Unreadable("its arrays and their checksums have different names")
    node = read_json("its list of values", metadata.pop("values"), most_values(size))
    if custom is not None:
        _check_names(path, node, custom)
    if mmap:
        arrays = map_arrays(file, entries, start)
    else:
        arrays, found = read_arrays(file, entries)
        for name in entries:
            if found[name] != checksums[name]:
                raise Unreadable(f"the checksum of the array {shortened(name)!r} is wrong")
    return _Content(metadata["kind"], metadata["portable_nn_version"], node, arrays, size)


def _decoded(decoder: Decoder, content: _Content) -> dict[str, Any]:
    values = decoder.decode(content.node)
    decoder.check_all_taken()
    if not isinstance(values, dict):
        raise Unreadable("its values are no dict")
    return values


def check_custom(custom: Any) -> Mapping[str, Any]:
    """`custom`, {} for None; TypeError unless it has objects by their names."""
    if custom is None:
        return {}
    if not isinstance(custom, Mapping) or not all(isinstance(name, str) and name for name in custom):
        raise TypeError(f'`custom` is {custom!r}; accepted: a dict such as {{"swish": my_activation}}')
    return custom


def _checked(metadata: dict[str, str], size: int) -> dict[str, Any]:
    """The checksums of the arrays, once the metadata are those of a file of ours, and undamaged."""
    if FORMAT_KEY not in metadata:
        raise Unreadable("it is a safetensors file of another program", GIVE_OURS)
    number = metadata[FORMAT_KEY]
    if not NUMBER.fullmatch(number):
        raise Unreadable(f"the number of its format is {shortened(repr(number))}")
    if int(number) > FORMAT:
        version = shortened(repr(metadata.get("portable_nn_version")))
        raise Unreadable(
            f"it has format {number}, written by portable_nn {version}; this version, {__version__}, "
            f"reads formats up to {FORMAT}",
            "update portable_nn",
        )
    missing = [name for name in (*TEXTS, "checksum") if name not in metadata]
    if missing:
        raise Unreadable(f"its metadata lack {', '.join(missing)}")
    if checksum_of_texts(*(metadata[name] for name in TEXTS)) != metadata["checksum"]:
        raise Unreadable("the checksum of its metadata is wrong")
    checksums = read_json("its list of checksums", metadata["checksums"], most_values(size))
    if not isinstance(checksums, dict):
        raise Unreadable("its checksums are not given by name")
    return checksums


def _check_names(path: str, node: Any, custom: Mapping[str, Any]) -> None:
    """Raise ValueError where the file has names of user-defined objects that were not given."""
    try:
        names = sorted(set(custom_names(node)) - set(custom))
    except RecursionError:
        raise Unreadable("its values are nested too deeply") from None
    if names:
        given = ", ".join(f"{name!r}: ..." for name in names)
        raise ValueError(
            f"{path}: the file names user-defined objects and holds none of their code; give them "
            f"again, custom={{{given}}}"
        )
