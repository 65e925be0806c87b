"""Where an expression that takes the place of a name needs parentheses, and where it reads well without.

None is left out that would change the order of the operations, and with it how results are rounded.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping


class Binding(enum.IntEnum):
    """How firmly the parts of an expression hold together."""

    LOOSE = 0  # comparisons, choices, signs
    SUM = 1
    PRODUCT = 2
    ATOM = 3  # a name, a number, an element, a call


OPERATORS = {"+": Binding.SUM, "-": Binding.SUM, "*": Binding.PRODUCT, "/": Binding.PRODUCT}


def binding(text: str) -> Binding:
    """How firmly an expression holds together, by its operators outside of parentheses and brackets."""
    if text.startswith(("-", "!")):
        return Binding.LOOSE
    outside = ""
    depth = 0
    for letter in text:
        depth -= letter in ")]"
        outside += letter if depth == 0 else ""
        depth += letter in "(["
    found = re.findall(r" (\S+) ", outside)
    return min((OPERATORS.get(sign, Binding.LOOSE) for sign in found), default=Binding.ATOM)


def least_binding(before: str, after: str) -> Binding:
    """How firmly what stands between these parts of an expression has to hold together."""
    if before.endswith(("(", ", ")) and after.startswith((")", ",")):
        return Binding.LOOSE  # an argument of a function
    if before.endswith((" + ", " - ")):
        return Binding.PRODUCT
    if before == "" or before.endswith("("):
        return OPERATORS.get(after[1:2], Binding.ATOM) if after else Binding.LOOSE
    return Binding.ATOM


def operand(texts: Mapping[str, str], found: re.Match[str]) -> str:
    """The name that was found in an expression, or its text, in parentheses where they are needed."""
    text = texts.get(found[0], found[0])
    before, after = found.string[: found.start()], found.string[found.end() :]
    return text if binding(text) >= least_binding(before, after) else f"({text})"
