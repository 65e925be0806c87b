"""Models to be written, rows to try them on, and programs that run what was written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from programs import gcc, node, run

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
STRICT = ("-Wall", "-Wextra", "-Werror", "-std=c99", "-pedantic")
SANITIZED = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def soft_sign(xp: Any, Z: Any) -> Any:
    return Z / (1 + xp.abs(Z))


def soft_sign_prime(xp: Any, Z: Any) -> Any:
    return 1 / (1 + xp.abs(Z)) ** 2


def hard_swish(xp: Any, Z: Any) -> Any:
    return xp.where(Z > 3.0, Z, xp.where(Z < -3.0, xp.zeros_like(Z), Z * (Z + 3.0) / 6.0))


def hard_swish_prime(xp: Any, Z: Any) -> Any:
    ones = xp.ones_like(Z)
    return xp.where(Z > 3.0, ones, xp.where(Z < -3.0, 0.0 * ones, (2.0 * Z + 3.0) / 6.0))


def sum_to_one(xp: Any, Z: Any) -> Any:
    A = xp.exp(xp.minimum(Z, 5.0))
    return A / xp.sum(A, axis=-2, keepdims=True)


def sum_to_one_delta(xp: Any, Z: Any, dA: Any) -> Any:
    A = sum_to_one(xp, Z)
    return A * (dA - xp.sum(A * dA, axis=-2, keepdims=True)) * xp.astype(Z < 5.0, Z.dtype)


def turned(xp: Any, Z: Any) -> Any:
    return (2.0 * Z.mT).mT


def turned_prime(xp: Any, Z: Any) -> Any:
    return 2.0 * xp.ones_like(Z)


def saturating(xp: Any, Z: Any) -> Any:
    return Z * Z / (1.0 + Z * Z)  # NaN where the square overflows, there and here


def saturating_prime(xp: Any, Z: Any) -> Any:
    return 2.0 * Z / (1.0 + Z * Z) ** 2


OWN = {
    "soft_sign": pnn.Activation("soft_sign */ ??/", soft_sign, soft_sign_prime),
    "hard_swish": pnn.Activation("hard_swish", hard_swish, hard_swish_prime),
    "sum_to_one": pnn.Activation("sum_to_one", sum_to_one, None, sum_to_one_delta),
    "turned": pnn.Activation("turned", turned, turned_prime),
    "saturating": pnn.Activation("saturating", saturating, saturating_prime),
    "leaky_relu_02": pnn.leaky_relu(0.2),
}
EVERY = [*ACTIVATIONS, *OWN]


def networks(dtype: str, bias: float = 0.0) -> dict[str, tuple[Any, Any]]:
    """A network and its parameters for every activation, as that of a hidden and of the output layer."""
    found = {}
    for name in EVERY:
        g = ACTIVATIONS.get(name) or OWN[name]
        for place, activations in (("hidden", (g, "identity")), ("output", ("tanh", g))):
            net = pnn.Network((5, 7, 4), activations, "squared_error")
            params = net.initialize(seed=len(found), dtype=dtype)
            found[f"{name}_{place}_{dtype}"] = net, [(W, b + b.dtype.type(bias)) for W, b in params]
    return found


def rows_of(n: int, dtype: str, random: np.random.Generator) -> dict[str, Any]:
    """1,000 rows, most of them random, some extreme; by their kind."""
    small = float(np.finfo(dtype).smallest_subnormal)
    scales = {"random": 1.0, "huge": 1e30, "tiny": 1e-30, "denormal": 100 * small}
    counts = {"random": 900, "huge": 40, "tiny": 20, "denormal": 20}
    rows = {kind: scales[kind] * random.normal(size=(counts[kind], n)) for kind in scales}
    zeros = np.zeros((20, n))
    zeros[::2] = -0.0
    return {kind: X.astype(dtype) for kind, X in (rows | {"zero": zeros}).items()}


def difference(found: Any, expected: Any) -> float:
    """max |a - b| / max |b|; infinite where other numbers are finite.

    Numbers near the smallest normal one count as eight times that: those below have fewer digits.
    """
    smallest = 8 * float(np.finfo(np.asarray(expected).dtype).smallest_normal)
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    assert found.shape == expected.shape
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite], equal_nan=True):
        return math.inf
    if not finite.any():
        return 0.0
    scale = max(smallest, float(np.max(np.abs(expected[finite]))))
    return float(np.max(np.abs(found[finite] - expected[finite]))) / scale


def worst_difference(found: Any, expected: Any, rows: dict[str, Any]) -> float:
    """The largest difference of the kinds of rows, each by itself: huge ones would hide the others."""
    ends = np.cumsum([len(X) for X in rows.values()])[:-1]
    pairs = zip(np.split(found, ends), np.split(expected, ends), strict=True)
    return float(np.max([difference(a, b) for a, b in pairs]))


MAIN = """
#include <stdio.h>
#include <stdlib.h>
{declarations}
static FILE *opened(const char *name, const char *ending, const char *mode)
{{
  char path[200];
  snprintf(path, sizeof path, "%s%s", name, ending);
  FILE *file = fopen(path, mode);
  if (!file) exit(1);
  return file;
}}
int main(void)
{{
{calls}
  return 0;
}}
"""
CALL = """
  {{
    FILE *in = opened("{name}", ".in", "rb"), *out = opened("{name}", ".out", "wb");
    {kind} x[{NAME}_INPUTS], y[{NAME}_OUTPUTS];
    while (fread(x, sizeof x, 1, in) == 1) {{
      {name}_predict(x, y);
      fwrite(y, sizeof y, 1, out);
    }}
    fclose(in);
    fclose(out);
  }}
"""


def run_in_c(folder: Path, models: dict[str, tuple[str, Any]], *flags: str) -> dict[str, Any]:
    """The predictions of ``folder/NAME.c`` for the rows X (dtype, X) of each, in one program."""
    kinds = {"float32": "float", "float64": "double"}
    names = [{"name": name, "NAME": name.upper()} for name in models]
    text = '#define {NAME}_DECLARATIONS\n#include "{name}.c"\n'
    for name, (dtype, X) in models.items():
        (folder / f"{name}.in").write_bytes(X.astype(dtype).tobytes())
    calls = [CALL.format(kind=kinds[models[n["name"]][0]], **n) for n in names]
    declarations = "".join(text.format(**n) for n in names)
    (folder / "main.c").write_text(MAIN.format(declarations=declarations, calls="".join(calls)))
    files = [f"{name}.c" for name in models]
    run(gcc(), *STRICT, *flags, "main.c", *files, "-o", "main", "-lm", cwd=folder)
    run("./main", cwd=folder)
    return {
        name: np.fromfile(folder / f"{name}.out", dtype).reshape(len(X), -1)
        for name, (dtype, X) in models.items()
    }


SCRIPT = """
import fs from "node:fs";
const models = {names};
for (const [name, type] of Object.entries(models)) {{
  const model = await import(`./${{name}}.mjs`);
  const bytes = fs.readFileSync(`${{name}}.in`);
  const kind = {{ float32: Float32Array, float64: Float64Array }}[type];
  const all = new kind(bytes.buffer, bytes.byteOffset, bytes.byteLength / kind.BYTES_PER_ELEMENT);
  const found = [];
  for (let i = 0; i < all.length; i += model.inputs) {{
    found.push(...model.predict(all.subarray(i, i + model.inputs)));
  }}
  fs.writeFileSync(`${{name}}.out`, new Uint8Array(kind.from(found).buffer));
}}
"""


def run_in_node(folder: Path, models: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """The predictions of ``folder/NAME.mjs`` for the rows X (dtype, X) of each, in one process."""
    for name, (dtype, X) in models.items():
        (folder / f"{name}.in").write_bytes(X.astype(dtype).tobytes())
    names = repr({name: dtype for name, (dtype, _) in models.items()})
    (folder / "main.mjs").write_text(SCRIPT.format(names=names))
    run(*node(), "main.mjs", cwd=folder)
    return {
        name: np.fromfile(folder / f"{name}.out", dtype).reshape(len(X), -1)
        for name, (dtype, X) in models.items()
    }
