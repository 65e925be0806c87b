"""``damage.py N SEED``: damage a cached loop, use it, see that it is whole again; N times."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path

from small_loops import LOOPS, outcome, source, start, use, use_all

from portable_nn.compiler.numpy import loop_cache


def truncated(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(1, path.stat().st_size))


def emptied(path: Path, _: random.Random) -> None:
    os.truncate(path, 0)


def zeroed(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    first = chance.randrange(len(content) - 64)
    content[first : first + 64] = bytes(64)
    content[0] ^= 1  # they may have been zeros before
    path.write_bytes(content)


def bytes_flipped(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for at in chance.sample(range(len(content)), chance.choice([1, 2, 50])):
        content[at] ^= chance.randrange(1, 256)
    path.write_bytes(content)


def exchanged(path: Path, chance: random.Random) -> None:
    others = sorted(set(path.parent.glob("*.loop")) - {path})
    shutil.copyfile(chance.choice(others), path)


def continued(path: Path, chance: random.Random) -> None:
    with path.open("ab") as file:
        file.write(chance.randbytes(30))


def made_a_folder(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "a file").write_text("")


def made_a_link(path: Path, _: random.Random) -> None:
    path.replace(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def made_a_pipe(path: Path, _: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def writable_by_all(path: Path, _: random.Random) -> None:
    path.chmod(0o666)


def unreadable(path: Path, _: random.Random) -> None:
    path.chmod(0)


KINDS = [
    *(truncated, emptied, zeroed, bytes_flipped, exchanged, continued),
    *(made_a_folder, made_a_link, made_a_pipe, writable_by_all, unreadable),
]


def is_whole(path: Path, expected: bytes) -> bool:
    """Whether the file is there, the user's own, and holds something under the right key."""
    if path.is_symlink() or not path.is_file() or path.stat().st_mode & 0o777 not in (0o600, 0):
        return False
    content = path.read_bytes()
    return content[:64] == hashlib.sha256(content[32:]).digest() + expected[32:64]


def main() -> None:
    times, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    use_all()
    folder = loop_cache.cache_folder()
    path_of = {k: next(folder.glob(f"{loop_cache.module_name(source(k))}.*")) for k in range(LOOPS)}
    good = {path: path.read_bytes() for path in path_of.values()}
    counts: collections.Counter[str] = collections.Counter()
    for turn in range(times):
        kind, k = KINDS[turn % len(KINDS)], chance.randrange(LOOPS)
        kind(path_of[k], chance)
        found = outcome(start(use, k))
        if found == "right" and not is_whole(path_of[k], good[path_of[k]]):
            found = "not repaired"
        counts[f"{kind.__name__}: {found}"] += 1
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        for path, content in good.items():
            path.touch(mode=0o600)
            path.write_bytes(content)
    print(json.dumps(counts))


main()
