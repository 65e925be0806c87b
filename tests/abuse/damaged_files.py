"""Ways to damage a file, and to forge one: each takes content and chance, and gives other content."""

from __future__ import annotations

import contextlib
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage_files import put_together, take_apart, with_right_checksums

Damage = Callable[[bytes, random.Random], bytes]
NASTY: list[Any] = [
    *(None, True, False, 0, -1, 1, 7, 10**6, 2**48, 10**30, 1.5, -0.0, "", "x", "F32", "U8", [], {}),
    *([0], [0, 0], [[]], {"": 0}, {"$tuple": []}, {"$tuple": [1]}, {"$array": "params.1.W"}),
    *({"$array": ""}, {"$float": "nan"}, {"$dict": [[1, 2]]}, {"$custom": "x"}, {"$labels": {}}),
    *({"$activation": {"name": "exp"}}, {"$loss": {"name": "poisson"}}, {"$per_network": [1, 2]}),
    *({"$network": {}}, {"$schedule": {"name": "cosine"}}, {"$": 1}, {"$tuple": [[]] * 50}),
    {"$labels": {"dtype": "O", "shape": [1], "values": ["x"]}},
]


def bits_flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for at in chance.sample(range(len(content)), chance.choice([1, 1, 1, 2, 50])):
        changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def bits_of_the_header_flipped(content: bytes, chance: random.Random) -> bytes:
    n = 8 + int.from_bytes(content[:8], "little")
    return bits_flipped(content[:n], chance) + content[n:]


def truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def cut_out(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.sample(range(len(content) + 1), 2))
    return content[:first] + content[last:]


def spliced(content: bytes, chance: random.Random) -> bytes:
    """A piece of the file is in another place."""
    first, last, to = sorted(chance.sample(range(len(content) + 1), 3))
    return content[:first] + content[last:to] + content[first:last] + content[to:]


def inserted(content: bytes, chance: random.Random) -> bytes:
    at, n = chance.randrange(len(content) + 1), chance.choice([1, 8, 100])
    return content[:at] + chance.randbytes(n) + content[at:]


def zeroed(content: bytes, chance: random.Random) -> bytes:
    at, n = chance.randrange(len(content)), chance.choice([1, 64, 4096])
    return content[:at] + bytes(len(content[at : at + n])) + content[at + n :]


def of_another_length(content: bytes, chance: random.Random) -> bytes:
    n = chance.choice([0, 1, 8, len(content), 2**24, 2**32, 2**63, 2**64 - 1, chance.randrange(9999)])
    return struct.pack("<Q", n) + content[8:]


def in_place_of(other: bytes) -> Damage:
    """The header of another file, before the data of this one."""

    def headers_swapped(content: bytes, chance: random.Random) -> bytes:
        n, m = (8 + int.from_bytes(c[:8], "little") for c in (content, other))
        return other[:m] + content[n:]

    return headers_swapped


def edited(node: Any, chance: random.Random) -> Any:
    """A JSON value with one thing in it changed."""
    if not isinstance(node, dict | list) or not node or chance.random() < 0.1:
        return chance.choice(NASTY)
    at = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
    if isinstance(node[at], dict | list) and chance.random() < 0.8:
        changed = edited(node[at], chance)
        return (
            {**node, at: changed} if isinstance(node, dict) else [*node[:at], changed, *node[at + 1 :]]
        )
    kind = chance.choice(["replace", "replace", "remove", "rename", "exchange", "twice"])
    return (edited_object if isinstance(node, dict) else edited_list)(node, at, kind, chance)


def edited_list(node: list[Any], at: int, kind: str, chance: random.Random) -> list[Any]:
    middle = {"remove": [], "twice": [node[at]] * 2}.get(kind, [chance.choice(NASTY)])
    return [*node[:at], *middle, *node[at + 1 :]]


def edited_object(node: dict[str, Any], at: str, kind: str, chance: random.Random) -> dict[str, Any]:
    others = {key: value for key, value in node.items() if key != at}
    if kind in ("rename", "twice"):
        new = chance.choice([*node, "x", "$tuple", "$array", "", "__metadata__", at + "~2"])
        return (others if kind == "rename" else node) | {new: node[at]}
    if kind == "exchange":
        other = chance.choice(list(node))
        return node | {at: node[other], other: node[at]}
    return others if kind == "remove" else node | {at: chance.choice(NASTY)}


class Edits:
    """Edits of the header, or of the values, with checksums as they were or made right."""

    def __init__(self, folder: Path, part: str, forged: bool) -> None:
        self.path, self.part, self.forged = folder / "edited", part, forged
        self.__name__ = f"{part}_edited{'_and_forged' if forged else ''}"

    def __call__(self, content: bytes, chance: random.Random) -> bytes:
        self.path.write_bytes(content)
        header, data = take_apart(self.path)
        metadata = header["__metadata__"]
        for _ in range(chance.choice([1, 1, 3])):
            if self.part == "header" and isinstance(header, dict):
                header = edited(header, chance)
            elif self.part == "values":
                values = json.loads(metadata["values"])
                metadata["values"] = json.dumps(
                    edited(values, chance) if values else chance.choice(NASTY)
                )
        if self.forged:  # but for what could have no checksums
            with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
                with_right_checksums(header, data)
        return put_together(self.path, header, data).read_bytes()
