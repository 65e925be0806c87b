"""How C99 writes it. Numbers are exact, and every operation has the dtype that NumPy gives it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.languages.language import called, wrapped
from portable_nn.compiler.signatures import HostArray

TYPES = {"float32": "float", "float64": "double", "bool": "bool", "int32": "long"}  # 32 bits at least
# Four sums, which do not wait for one another; their rounding errors are smaller than those of one.
HELPERS = """
static {type} dot{f}(const {type} *w, const {type} *a, size_t n)
{{
  {type} s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  size_t i = 0;
  for (; i < n % 4; i++) s0 += w[i] * a[i];
  for (; i < n; i += 4) {{
    s0 += w[i] * a[i];
    s1 += w[i + 1] * a[i + 1];
    s2 += w[i + 2] * a[i + 2];
    s3 += w[i + 3] * a[i + 3];
  }}
  return (s0 + s1) + (s2 + s3);
}}

static {type} larger{f}({type} x, {type} y) {{ return x > y || x != x ? x : y; }}

static {type} smaller{f}({type} x, {type} y) {{ return x < y || x != x ? x : y; }}

static {type} sign{f}({type} x) {{ return x != x ? x : ({type})((x > 0) - (x < 0)); }}

static {type} log_add_exp{f}({type} x, {type} y)
{{
  const {type} d = x - y;
  if (x == y) return x + log{f}(2);
  return d > 0 ? x + log1p{f}(exp{f}(-d)) : d <= 0 ? y + log1p{f}(exp{f}(d)) : d;
}}
"""


class C99:
    """Numbers, loops and arrays of C99."""

    def type_of(self, dtype: np.dtype[Any]) -> str:
        """The type of C; raises UntraceableError for a dtype that has none here."""
        if dtype.name not in TYPES:
            raise UntraceableError(f"no code for the dtype {dtype}")
        return TYPES[dtype.name]

    def cast(self, text: str, dtype: np.dtype[Any]) -> str:
        return f"({self.type_of(dtype)}){text}"

    def literal(self, x: float, dtype: np.dtype[Any]) -> str:
        if dtype.kind == "b":
            return "true" if x else "false"
        self.type_of(dtype)
        with np.errstate(over="ignore"):  # it becomes infinite
            number = dtype.type(x)
        if not math.isfinite(number):
            return "NAN" if math.isnan(number) else "-INFINITY" if number < 0 else "INFINITY"
        return f"{number!s}{self.suffix(dtype)}"

    def suffix(self, dtype: np.dtype[Any]) -> str:
        return "f" if dtype == np.float32 else ""

    def rounded(self, text: str, dtype: np.dtype[Any]) -> str:
        return text

    def value(self, name: str, dtype: np.dtype[Any], text: str, changes: bool = False) -> str:
        return f"{'' if changes else 'const '}{self.type_of(dtype)} {name} = {text};"

    def loop(self, index: str, n: str) -> str:
        return f"for (size_t {index} = 0; {index} < {n}; {index}++) {{"

    def product(self, row: str, column: str, n: str, dtype: np.dtype[Any]) -> str:
        return f"dot{self.suffix(dtype)}({row}, {column}, {n})"

    def buffer(self, name: str, dtype: np.dtype[Any], n: str) -> str:
        return f"{self.type_of(dtype)} {name}[{n}];"

    def table(self, name: str, array: HostArray) -> list[str]:
        kind, suffix = self.type_of(array.dtype), self.suffix(array.dtype)
        if array.dtype.kind == "f" and np.isfinite(array).all():
            numbers = [f"{x!s}{suffix}" for x in array.ravel()]
        else:
            numbers = [self.literal(x, array.dtype) for x in array.ravel()]
        return [f"static const {kind} {name}[{len(numbers)}] = {{", *wrapped(numbers), "};"]

    def helpers(self, lines: Iterable[str]) -> list[str]:
        found, text = [], list(lines)
        for kind, f in (("float", "f"), ("double", "")):
            for definition in HELPERS.format(type=kind, f=f).split("\n\n"):
                name = definition.split("(")[0].split()[-1]
                if called([name], text):
                    found += [*definition.strip().splitlines(), ""]
        return found
