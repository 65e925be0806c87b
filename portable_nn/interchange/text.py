"""Text that goes into source code: labels and names as literals, and files written as a whole."""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextlib import suppress
from typing import Any

PLAIN = re.compile(r"[ -~]")  # printable ASCII


def c_string(text: str) -> str:
    """A literal of C with the bytes of UTF-8; trigraphs, quotes and other bytes are escaped."""
    encoded = text.encode("utf-8", "surrogatepass")
    return '"' + "".join(chr(b) if is_plain(b) else f"\\{b:03o}" for b in encoded) + '"'


def is_plain(byte: int) -> bool:
    """Whether a byte stands for itself in a literal and in a comment."""
    return bool(PLAIN.fullmatch(chr(byte))) and chr(byte) not in '"\\?*'


def js_value(value: Any) -> str:
    """A literal of JavaScript; nothing in it ends a comment, a line or a script element."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return f"{value}n"  # a Number would be another one
    text = json.dumps(value)
    return text.replace("<", "\\u003c").replace("*", "\\u002a")


def replace_file(path: Any, content: bytes) -> None:
    """Write a file that others see whole or not at all; if that fails, what was there is unchanged.

    Raises OSError.
    """
    target = os.path.realpath(os.fspath(path))
    number, part = tempfile.mkstemp(prefix=".", suffix=".part", dir=os.path.dirname(target))
    try:
        with open(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, permissions(target))
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise


def permissions(target: str) -> int:
    """Those of the file that is there, or of a new one."""
    with suppress(OSError):
        return os.stat(target).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
