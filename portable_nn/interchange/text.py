"""Text that goes into source code: labels and names as literals, and files written as a whole."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
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
    part = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # there is no file yet
            os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
