"""Files taken apart and put together again, independently of the package: json and struct alone."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

TEXTS = ("portable_nn_format", "portable_nn_version", "kind", "values", "checksums")


def take_apart(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the data."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put_together(path: Path, header: Any, data: bytes = b"") -> Path:
    """A file with this header, a JSON value or bytes as they are."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def with_right_checksums(header: dict[str, Any], data: bytes) -> dict[str, Any]:
    """The header with the checksums that somebody who changes a file on purpose would give it."""
    metadata = header["__metadata__"]
    sums = {}
    for name, entry in header.items():
        if name != "__metadata__":
            label = f"{entry['dtype']}[{','.join(map(str, entry['shape']))}]"
            first, last = entry["data_offsets"]
            sums[name] = f"{zlib.crc32(label.encode() + data[first:last]):08x}"
    metadata["checksums"] = json.dumps(sums)
    total = 0
    for key in TEXTS:
        total = zlib.crc32(metadata[key].encode() + b"\n", total)
    metadata["checksum"] = f"{total:08x}"
    return header


def with_values(path: Path, change: Any) -> Path:
    """The file with its JSON values changed by a function, and all checksums right."""
    header, data = take_apart(path)
    metadata = header["__metadata__"]
    changed = change(json.loads(metadata["values"]))
    metadata["values"] = changed if isinstance(changed, str) else json.dumps(changed)
    return put_together(path, with_right_checksums(header, data), data)
