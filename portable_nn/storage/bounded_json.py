"""JSON of strangers: read with bounds, and strictly."""

from __future__ import annotations

import json
import math
from typing import Any

from portable_nn.storage.refusal import Unreadable


def count_values(text: str) -> int:
    """How many values a JSON text has at most: each follows one of these, or opens with one."""
    return 1 + sum(text.count(mark) for mark in ",:[{")


def write_json(values: Any) -> str:
    """The shortest text, of ASCII characters alone."""
    return json.dumps(values, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def read_json(what: str, text: str, most: int) -> Any:
    """The values of a JSON text with at most `most` of them; Unreadable for all that is none."""
    if count_values(text) > most:
        raise Unreadable(f"{what} has more than {most} values")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)
    except RecursionError:
        raise Unreadable(f"{what} is nested too deeply") from None
    except ValueError as error:  # no JSON, or an integer of thousands of digits
        raise Unreadable(f"{what} cannot be read as JSON: {shortened(str(error))}") from None


def shortened(text: str) -> str:
    """The beginning of a text from a file, for a message."""
    return text if len(text) <= 100 else text[:97] + "..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{shortened(text)} is too large for a float64")
    return number
