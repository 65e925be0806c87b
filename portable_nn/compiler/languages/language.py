"""What the statements of both languages are written with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from portable_nn.compiler.expressions import Syntax
from portable_nn.compiler.signatures import HostArray


class Language(Syntax, Protocol):
    """How a language writes values, loops, products and arrays."""

    def rounded(self, text: str, dtype: np.dtype[Any]) -> str:
        """The value of an operation, rounded to this dtype where the language computes with more."""

    def value(self, name: str, dtype: np.dtype[Any], text: str, changes: bool = False) -> str:
        """A line that gives a name to a value; `changes` says whether it gets others later."""

    def loop(self, index: str, n: str) -> str:
        """The beginning of a loop: `index` counts from 0 to n - 1."""

    def product(self, row: str, column: str, n: str, dtype: np.dtype[Any]) -> str:
        """The scalar product of n elements of two arrays, each written as ``array + offset``."""

    def buffer(self, name: str, dtype: np.dtype[Any], n: str) -> str:
        """A line that declares an array to be written to."""

    def table(self, name: str, array: HostArray) -> list[str]:
        """The lines of an array of constants, in row-major order."""

    def helpers(self, lines: Iterable[str]) -> list[str]:
        """The definitions of the functions that these lines call and the language lacks."""


def called(names: Iterable[str], lines: Iterable[str]) -> list[str]:
    """Those of the names that the lines use, in their order."""
    words = set(re.findall(r"\w+", "\n".join(lines)))
    return [name for name in names if name in words]


def listed(before: str, parts: Sequence[str], after: str, width: int = 101) -> list[str]:
    """Parts and what stands around them, in one line if they fit, else in lines of their own."""
    line = f"{before} {', '.join(parts)} {after}"
    return [line] if len(line) <= width else [before, *wrapped(parts, width), after]


def wrapped(numbers: Sequence[str], width: int = 105) -> list[str]:
    """Numbers and commas in lines, indented."""
    lines, line = [], " "
    for number in numbers:
        if len(line) + len(number) + 2 > width:
            lines.append(line)
            line = " "
        line += f" {number},"
    return [*lines, line]
