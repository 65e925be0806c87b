"""Train, save, load elsewhere; then the same model as ONNX, C and JavaScript, each compared with ours.

    python examples/ship_it.py

It trains on scikit-learn's bundled digits, writes the model in every form into a folder of its own, lets
each be computed by what reads it, and prints how large it is and how far its probabilities are from ours
on 360 test images. What is not installed is named. It needs:

    pip install scikit-learn    and any of onnx onnxruntime, torch, jax, a C compiler, node
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import portable_nn as pnn

try:
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install scikit-learn"
    )

MAIN_C = """#include <stdio.h>
#include "digits.c"
int main(void) {{
    float x[{n_in}], p[{n_out}];
    while (fread(x, sizeof(float), {n_in}, stdin) == {n_in}) {{
        digits_predict(x, p);
        fwrite(p, sizeof(float), {n_out}, stdout);
    }}
    return 0;
}}
"""
MAIN_JS = """import {{ readFileSync }} from "node:fs";
import {{ predict }} from "./digits.mjs";
const rows = JSON.parse(readFileSync(0));
console.log(JSON.stringify(rows.map((row) => Array.from(predict(row)))));
"""


class NotHereError(Exception):
    """Something is not installed."""


def need(*packages: str) -> None:
    """Raise NotHereError unless the packages are installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise NotHereError(f"needs the package {package}")


def tool(*names: str) -> str:
    """The first of these programs that is here."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise NotHereError(f"needs one of the programs {', '.join(names)}")


def on_backend(name: str, path: Path, X: Any) -> Any:
    """Loaded on another backend: the probabilities, on the host."""
    try:
        clf = pnn.load(path, backend=name)
    except pnn.BackendUnavailableError as error:
        raise NotHereError(str(error)) from error
    backend = pnn.backends.of(clf.coefs_[0])
    return backend.to_numpy(clf.predict_proba(backend.asarray(X)))


def as_network(path: Path, X: Any) -> Any:
    """Without scikit-learn: a network, its parameters and the labels."""
    net, params, _ = pnn.load(path, as_network=True)
    return net.predict(params, X)


def in_onnxruntime(path: Path, X: Any) -> Any:
    """ONNX, computed by onnxruntime."""
    need("onnxruntime")
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(path)
    return session.run(["probabilities"], {session.get_inputs()[0].name: X})[0]


def in_c(path: Path, X: Any) -> Any:
    """C, compiled and run."""
    compiler = tool("gcc", "clang", "cc")
    program, n_out = path.with_suffix(""), 10
    (path.parent / "main.c").write_text(MAIN_C.format(n_in=X.shape[1], n_out=n_out))
    flags = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, "main.c", "-o", program, "-lm"], cwd=path.parent, check=True)
    done = subprocess.run([program], input=X.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(len(X), n_out)


def in_javascript(path: Path, X: Any) -> Any:
    """JavaScript, run by node."""
    node, main = tool("node"), path.parent / "main.mjs"
    main.write_text(MAIN_JS.format())
    given = json.dumps(X.tolist()).encode()
    done = subprocess.run([node, main], input=given, capture_output=True, check=True)
    return np.asarray(json.loads(done.stdout), np.float32)


def forms(clf: Any, folder: Path, X: Any) -> Iterator[tuple[str, Path, Callable[[], Any]]]:
    """Every form of the model: what it is, its file, and what computes its probabilities."""
    path = folder / "digits.pnn"
    pnn.save(path, clf)
    yield "saved and loaded", path, lambda: pnn.load(path).predict_proba(X)
    yield "loaded on torch", path, lambda: on_backend("torch", path, X)
    yield "loaded on JAX", path, lambda: on_backend("jax", path, X)
    smaller = folder / "digits-for-prediction.pnn"
    pnn.save(smaller, clf, for_prediction=True)
    yield "for prediction, as a network", smaller, lambda: as_network(smaller, X)
    for name, write, run in (
        ("digits.onnx", pnn.interchange.to_onnx, in_onnxruntime),
        ("digits.c", pnn.to_c, in_c),
        ("digits.mjs", pnn.to_javascript, in_javascript),
    ):
        written = folder / name

        def compute(write: Any = write, written: Path = written, run: Any = run) -> Any:
            write(clf, written)
            return run(written, X)

        yield run.__doc__.rstrip("."), written, compute


def main() -> None:
    """Train, write every form, and print the table."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    pixels, digits = load_digits(return_X_y=True)
    images = np.asarray(pixels / 16, dtype="float32")
    X, X_test, y, y_test = train_test_split(images, digits, test_size=0.2, random_state=0)
    clf = pnn.MLPClassifier((32,), max_iter=60, random_state=0).fit(X, y)
    expected = clf.predict_proba(X_test)
    print(f"accuracy on {len(y_test)} test images: {clf.score(X_test, y_test):.3f}\n")
    print(f"{'form':32}  {'bytes':>8}  largest difference of a probability")
    with tempfile.TemporaryDirectory() as folder:
        for what, path, compute in forms(clf, Path(folder), X_test):
            try:
                found = compute()
            except (NotHereError, ImportError) as reason:
                print(f"{what:32}  {'':>8}  not run: {reason}")
                continue
            difference = float(np.max(np.abs(found - expected)))
            print(f"{what:32}  {path.stat().st_size:8}  {difference:.1e}")


if __name__ == "__main__":
    main()
