"""How JavaScript writes it. Its numbers are doubles: with float32 every operation is rounded.

The double result of +, -, *, / and sqrt of two floats, rounded to float, is the float result. Sums of
products are rounded once, at their end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.languages.language import called, wrapped
from portable_nn.compiler.signatures import HostArray

ARRAYS = {
    **{"float32": "Float32Array", "float64": "Float64Array"},
    **{"bool": "Uint8Array", "int32": "Int32Array"},
}
CASTS = {"f": "Number", "b": "Boolean", "i": "Math.trunc"}
OF_MATH = (
    *("fround", "sqrt", "pow", "exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
    *("atan", "sinh", "cosh", "tanh", "sign", "floor", "ceil"),
)
HELPERS = {
    "fabs": "const fabs = Math.abs;",
    "exp2": "const exp2 = (x) => 2 ** x;",
    "isnan": "const isnan = Number.isNaN;",
    "isfinite": "const isfinite = Number.isFinite;",
    "isinf": "const isinf = (x) => x === Infinity || x === -Infinity;",
    "INFINITY": "const INFINITY = Infinity;",
    "larger": "const larger = (x, y) => (x > y || x !== x ? x : y);",
    "smaller": "const smaller = (x, y) => (x < y || x !== x ? x : y);",
    "log_add_exp": (
        "const log_add_exp = (x, y) => x === y ? x + Math.LN2\n"
        "  : x > y ? x + Math.log1p(Math.exp(y - x)) : y + Math.log1p(Math.exp(x - y));"
    ),
    "dot": """function dot(w, from, a, start, n) {
  let s0 = 0, s1 = 0, i = 0;
  for (; i + 2 <= n; i += 2) {
    s0 += w[from + i] * a[start + i];
    s1 += w[from + i + 1] * a[start + i + 1];
  }
  return i < n ? s0 + s1 + w[from + i] * a[start + i] : s0 + s1;
}""",
    # along the rows of B where their elements follow one another: memory is read in its order
    "multiply": """function multiply(C, A, B, n, m, p, a0, a1, b0, b1) { // C (n, m) = A (n, p) B (p, m)
  for (let i = 0; i < n; i++) {
    const start = i * m;
    if (b1 === 1) {
      for (let j = 0; j < m; j++) C[start + j] = 0;
      for (let k = 0; k < p; k++) {
        const a = A[i * a0 + k * a1];
        for (let j = 0; j < m; j++) C[start + j] += a * B[k * b0 + j];
      }
    } else {
      for (let j = 0; j < m; j++) {
        let sum = 0;
        for (let k = 0; k < p; k++) sum += A[i * a0 + k * a1] * B[k * b0 + j * b1];
        C[start + j] = sum;
      }
    }
  }
}""",
    "add_rows": """function add_rows(C, A, n, m) { // C (n) = the sums of the rows of A (n, m)
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < m; j++) sum += A[i * m + j];
    C[i] = sum;
  }
}""",
    "arraysOf": """function arraysOf(given, lengths) { // those given, and new ones
  const arrays = {};
  for (const [name, what] of Object.entries(lengths)) {
    const [length, Kind = Float64Array] = [what].flat();
    const found = given[name] ?? new Kind(length);
    if (!(found instanceof Kind) || found.length !== length) {
      throw new RangeError(`${name} is no ${Kind.name} of ${length} numbers`);
    }
    arrays[name] = found;
  }
  return arrays;
}""",
}
FUNCTIONS = frozenset((*OF_MATH, *HELPERS))  # that lines may call


class JavaScript:
    """Numbers, loops and typed arrays of JavaScript."""

    def cast(self, text: str, dtype: np.dtype[Any]) -> str:
        self.array_of(dtype)
        return f"{CASTS[dtype.kind]}({text})"

    def literal(self, x: float, dtype: np.dtype[Any]) -> str:
        if dtype.kind == "b":
            return "true" if x else "false"
        self.array_of(dtype)
        with np.errstate(over="ignore"):  # it becomes infinite
            number = float(dtype.type(x))
        if not math.isfinite(number):
            return "NaN" if math.isnan(number) else "-Infinity" if number < 0 else "Infinity"
        return repr(number)

    def suffix(self, dtype: np.dtype[Any]) -> str:
        return ""

    def array_of(self, dtype: np.dtype[Any]) -> str:
        """The typed array; raises UntraceableError for a dtype that has none here."""
        if dtype.name not in ARRAYS:
            raise UntraceableError(f"no code for the dtype {dtype}")
        return ARRAYS[dtype.name]

    def rounded(self, text: str, dtype: np.dtype[Any]) -> str:
        return f"fround({text})" if dtype == np.float32 else text

    def value(self, name: str, dtype: np.dtype[Any], text: str, changes: bool = False) -> str:
        self.array_of(dtype)
        return f"{'let' if changes else 'const'} {name} = {text};"

    def loop(self, index: str, n: str) -> str:
        return f"for (let {index} = 0; {index} < {n}; {index}++) {{"

    def product(self, row: str, column: str, n: str, dtype: np.dtype[Any]) -> str:
        parts = [
            (text if " + " in text else f"{text} + 0").replace(" + ", ", ", 1) for text in (row, column)
        ]
        return f"dot({', '.join(parts)}, {n})"

    def buffer(self, name: str, dtype: np.dtype[Any], n: str) -> str:
        return f"const {name} = new {self.array_of(dtype)}({n});"

    def table(self, name: str, array: HostArray) -> list[str]:
        numbers = [short(x) if np.isfinite(x) else self.literal(x, array.dtype) for x in array.ravel()]
        kind = self.array_of(array.dtype)
        return [f"const {name} = new {kind}([", *wrapped(numbers), "]);"]

    def helpers(self, lines: Iterable[str]) -> list[str]:
        text = list(lines)
        own = [HELPERS[name] for name in called(HELPERS, text)]
        of_math = called(OF_MATH, text)
        if not of_math:
            return own
        return [f"const {{ {', '.join(of_math)} }} = Math;", *own]


def short(x: Any) -> str:
    """The shortest text that is read as this number, by way of a double."""
    if x.dtype.kind == "b":
        return repr(int(x))
    text = str(x)
    return text if type(x)(float(text)) == x else repr(float(x))
