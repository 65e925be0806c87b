"""Text that goes into source code: labels and names as literals."""

from __future__ import annotations

import json
import re
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
