"""Files that are read only if they are whole, and hold what was asked for.

A file is the SHA-256 of all that follows, the SHA-256 of its key, and its content.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from portable_nn.compiler.numpy.cache_folder import UNFINISHED, is_writable_by_others

DIGEST = 32  # bytes of a SHA-256
# a symbolic link is not followed; a pipe is not waited for
CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def digest(content: bytes) -> bytes:
    """The SHA-256."""
    return hashlib.sha256(content).digest()


def read_verified(path: Path, key: bytes) -> bytes | None:
    """The content of a file that was written under this key; None if there is none.

    What else stands in its place is removed: it is damaged, exchanged, or not the user's own file.
    """
    try:
        found = read_own(path)
    except FileNotFoundError:
        return None
    except OSError:
        found = b""
    checksum, content = found[:DIGEST], found[DIGEST:]
    if checksum == digest(content) and content[:DIGEST] == digest(key):
        return content[DIGEST:]
    remove(path)
    return None


def read_own(path: Path) -> bytes:
    """The bytes of a file that belongs to the user and that the user alone can write; else nothing."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | CAREFULLY)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            return b""
        if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or is_writable_by_others(found)):
            return b""
        return file.read()


def write_verified(path: Path, key: bytes, content: bytes) -> None:
    """Write a file, which other processes see whole or not at all; if that fails, there is no file."""
    content = digest(key) + content
    part = None
    try:
        number, part = tempfile.mkstemp(UNFINISHED, dir=path.parent)  # process ids repeat in containers
        with open(number, "wb") as file:
            file.write(digest(content) + content)
        os.replace(part, path)
    except OSError:  # such as a full disk
        if part is not None:
            with suppress(OSError):
                os.unlink(part)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if that is possible."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
