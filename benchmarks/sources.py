"""One row at a time from exported models: how large they are and how long a row takes.

A script of its own: python benchmarks/sources.py [--rounds 5] [--out results.jsonl]
It needs gcc, node, scikit-learn, onnxruntime and emlearn; what is missing is left out and said.
"""

# ruff: noqa: PLC0415  (a library is imported where its contender is set up)
from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configurations import Configuration
from record import Record
from tables import table

import portable_nn as pnn

NETS = (Configuration((20, 32, 3), 32, 10), Configuration((784, 64, 10), 128, 10))
ROWS, SECONDS = 64, 0.2  # the rows that take turns; how long a contender runs in a round
C = """
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "{source}"
static float X[{rows}][{n}];
int main(int count, char **arguments)
{{
  const long turns = count > 1 ? atol(arguments[1]) : 1;
  float out[{outputs}];
  double sum = 0;
  struct timespec start, end;
  FILE *in = fopen("rows.bin", "rb");
  if (!in || fread(X, sizeof X, 1, in) != 1) return 1;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < turns; i++) {{
    {call};
    sum += out[0];
  }}
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.17g %g\\n", (end.tv_sec - start.tv_sec + 1e-9 * (end.tv_nsec - start.tv_nsec)) / turns, sum);
  return 0;
}}
"""
JAVASCRIPT = """
import fs from "node:fs";
import { predict, inputs } from "./net.mjs";
const turns = Number(process.argv[2]), bytes = fs.readFileSync("rows.bin");
const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const rows = Array.from({ length: 64 }, (_, i) => all.slice(i * inputs, (i + 1) * inputs));
let sum = 0;
function run(n) { for (let i = 0; i < n; i++) sum += predict(rows[i % 64])[0]; }
run(Math.min(turns, 20000));
const start = process.hrtime.bigint();
run(turns);
console.log(Number(process.hrtime.bigint() - start) / 1e9 / turns, sum);
"""


@dataclass
class Exported:
    """A contender: ``seconds(turns)`` a row, and sizes in bytes of what is shipped."""

    label: str
    seconds: Callable[[int], float]
    source: int | None = None
    code: int | None = None


def compiled(folder: Path, source: str, call: str, c: Configuration) -> Callable[[int], float]:
    """A program of C that times its own loop."""
    n, outputs = c.sizes[0], c.sizes[-1]
    text = C.format(source=source, rows=ROWS, n=n, outputs=outputs, call=call)
    (folder / "main.c").write_text(text)
    program = folder / f"{Path(source).stem}.out"
    import_path = emlearn_folder()
    include = ["-I", import_path] if import_path else []
    command = ["gcc", "-std=c99", "-O2", *include, "main.c", "-o", str(program), "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return lambda turns: timed([str(program), str(turns)], folder)


def timed(command: list[str], folder: Path) -> float:
    """The first number that a program prints."""
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[0])


def code_size(folder: Path, source: str) -> int:
    """The bytes of code and constants that gcc -O2 makes of a file."""
    subprocess.run(["gcc", "-std=c99", "-O2", "-c", source, "-o", "size.o"], cwd=folder, check=True)
    sizes = subprocess.run(["size", "size.o"], cwd=folder, check=True, capture_output=True, text=True)
    text, data, bss = map(int, sizes.stdout.splitlines()[1].split()[:3])
    return text + data + bss


def emlearn_folder() -> str | None:
    """Where the headers of emlearn are."""
    try:
        import emlearn
    except ImportError:
        return None
    return str(emlearn.includedir)


def python(call: Callable[[Any], Any], X: Any) -> Callable[[int], float]:
    """A call of Python, one row at a time."""
    rows = [X[i : i + 1] for i in range(ROWS)]

    def seconds(turns: int) -> float:
        start = time.perf_counter()
        for i in range(turns):
            call(rows[i % ROWS])
        return (time.perf_counter() - start) / turns

    return seconds


def contenders(c: Configuration, folder: Path) -> list[Exported]:
    """All that can be set up here: the same network of scikit-learn's training everywhere."""
    from sklearn.neural_network import MLPClassifier

    hidden = tuple(c.sizes[1:-1])
    X, labels = c.data(2 * c.batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they have not converged
        theirs = MLPClassifier(hidden, max_iter=2, random_state=0).fit(X, labels)
        ours = pnn.MLPClassifier(hidden, max_iter=2, random_state=0).fit(X, labels)
    X, _ = c.data(ROWS)
    X.tofile(folder / "rows.bin")
    net, params = ours._net, ours._params()
    found = [
        Exported("pnn, MLPClassifier.predict_proba", python(ours.predict_proba, X)),
        Exported("pnn, net.predict", python(lambda row: net.predict(params, row), X)),
        Exported("scikit-learn predict_proba", python(theirs.predict_proba, X)),
    ]
    if shutil.which("gcc"):
        pnn.to_c(ours, folder / "net.c")
        seconds = compiled(folder, "net.c", f"net_predict(X[i % {ROWS}], out)", c)
        size = (folder / "net.c").stat().st_size
        found.insert(0, Exported("pnn.to_c, gcc -O2", seconds, size, code_size(folder, "net.c")))
        if emlearn_folder():
            found.insert(1, of_emlearn(theirs, c, folder))
    if shutil.which("node"):
        pnn.to_javascript(ours, folder / "net.mjs")
        (folder / "main.mjs").write_text(JAVASCRIPT)
        size = (folder / "net.mjs").stat().st_size
        command = ["node", "main.mjs"]
        found.append(
            Exported("pnn.to_javascript, node", lambda n: timed([*command, str(n)], folder), size)
        )
    found += of_onnxruntime(ours, X, folder)
    return found


def of_emlearn(estimator: Any, c: Configuration, folder: Path) -> Exported:
    """emlearn's C for scikit-learn's estimator, in float."""
    import emlearn

    with contextlib.chdir(folder):  # it compiles something where it is
        emlearn.convert(estimator, method="inline").save(file="em.h", name="em")
    n, outputs = c.sizes[0], c.sizes[-1]
    call = f"eml_net_predict_proba(&em, X[i % {ROWS}], {n}, out, {outputs})"
    seconds = compiled(folder, "em.h", call, c)
    wrapper = f'#include "em.h"\nint f(const float *x, float *out) {{ return {call}; }}\n'
    (folder / "em.c").write_text(wrapper.replace(f"X[i % {ROWS}]", "x"))
    subprocess.run(
        ["gcc", "-std=c99", "-O2", "-c", "-I", emlearn_folder() or ".", "em.c"], cwd=folder, check=True
    )
    sizes = subprocess.run(["size", "em.o"], cwd=folder, check=True, capture_output=True, text=True)
    code = sum(map(int, sizes.stdout.splitlines()[1].split()[:3]))
    return Exported("emlearn (C), gcc -O2", seconds, (folder / "em.h").stat().st_size, code)


def of_onnxruntime(ours: Any, X: Any, folder: Path) -> list[Exported]:
    """The exported graph in a session with one thread."""
    try:
        import onnxruntime
    except ImportError:
        return []
    pnn.interchange.to_onnx(ours, folder / "net.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "net.onnx"), options)
    seconds = python(lambda row: session.run(["probabilities"], {"X": row}), X)
    return [
        Exported("pnn.interchange.to_onnx, onnxruntime", seconds, (folder / "net.onnx").stat().st_size)
    ]


def measure(c: Configuration, rounds: int, record: Record) -> None:
    """Rounds that take turns; the median and the best of each contender."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        everyone = contenders(c, folder)
        turns = {one.label: max(1, int(SECONDS / one.seconds(200))) for one in everyone}
        taken: dict[str, list[float]] = {one.label: [] for one in everyone}
        for _ in range(rounds):
            for one in everyone:
                taken[one.label].append(one.seconds(turns[one.label]))
    rows = []
    for one in everyone:
        seconds = taken[one.label]
        middle, best = statistics.median(seconds), min(seconds)
        rows.append((one.label, middle * 1e6, best * 1e6, one.source, one.code))
        record.write(
            "sources",
            sizes=c.sizes,
            parameters=c.parameters,
            contender=one.label,
            seconds=seconds,
            source_bytes=one.source,
            code_bytes=one.code,
        )
    head = ["one row", "us, median", "us, best", "file, bytes", "code and constants, bytes"]
    title = f"{'-'.join(map(str, c.sizes))}, float32, {c.parameters:,} parameters"
    table(title, head, rows)


def main() -> None:
    """Every net."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out")
    given = parser.parse_args()
    record = Record(given.out)
    for c in NETS:
        measure(c, given.rounds, record)
    record.close()


if __name__ == "__main__":
    main()
