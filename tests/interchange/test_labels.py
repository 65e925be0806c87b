"""Classifiers written as sources give the labels that they predict, whatever the labels are."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from source_helpers import STRICT, difference, gcc, node, run

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")

NASTY = [
    '"quoted"',
    "line\nbreak\r\t\0",
    "*/ /* // \\",
    "</script>",
    "??/ ??)",
    "π 猫 \U0001f600",
    "\u2028",
]
LABELS = {
    "strings": np.array(NASTY, dtype=object),
    "two strings": np.array(["no", "yes"]),
    "numbers": np.array([-3, 0, 2**53 + 1]),
    "two numbers": np.array([1, 2]),
    "floats": np.array([-1.0, 0.0, 2.0]),
    "booleans": np.array([False, True]),
}


def fitted(kind, labels=None, dtype="float64"):
    """An estimator, and rows to try it on."""
    random = np.random.default_rng(11)
    X = random.normal(size=(300, 4)).astype(dtype)
    codes = np.argmax(X @ random.normal(size=(4, 7 if labels is None else len(labels))), axis=1)
    y = {
        "classifier": None if labels is None else labels[codes],
        "multilabel": (X[:, :3] > 0.3).astype(int),
        "regressor": (X[:, :2] ** 2).astype(dtype),
    }[kind]
    make = pnn.MLPRegressor if kind == "regressor" else pnn.MLPClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        est = make(hidden_layer_sizes=(6,), max_iter=5, random_state=0, learning_rate_init=0.02)
        return est.fit(X, y), X


def run_c(tmp_path, model, X, result, kind="double"):
    """What a program prints that passes each row to `result`, statements of C."""
    pnn.to_c(model, tmp_path / "model.c")
    rows = ",\n".join("{" + ",".join(map(repr, row)) + "}" for row in X.tolist())
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "model.c"\nstatic const {kind} X[{len(X)}][4] = {{ {rows} }};\n'
        f"int main(void) {{ (void)X; for (int i = 0; i < {len(X)}; i++) {{ {result} }} return 0; }}\n"
    )
    run(gcc(), *STRICT, "main.c", "-o", "main", "-lm", cwd=tmp_path)
    return run("./main", cwd=tmp_path)


def run_js(tmp_path, model, X, result):
    """What is printed for each row, as JSON, by `result`, an expression of JavaScript."""
    pnn.to_javascript(model, tmp_path / "model.mjs")
    (tmp_path / "main.mjs").write_text(
        'import * as model from "./model.mjs";\n'
        f"for (const x of {json.dumps(X.tolist())}) console.log(JSON.stringify({result},\n"
        '  (_, value) => typeof value === "bigint" ? String(value) : value));\n'
    )
    return [json.loads(line) for line in run(*node(), "main.mjs", cwd=tmp_path).splitlines()]


@pytest.mark.parametrize("kind", list(LABELS))
def test_labels_come_back_as_they_were(kind, tmp_path):
    est, X = fitted("classifier", LABELS[kind])
    expected = est.predict(X)
    printed = run_c(tmp_path, est, X, 'printf("%d\\n", model_class(X[i]));')
    assert np.array_equal(est.classes_[[int(k) for k in printed.split()]], expected)
    names = run_c(
        tmp_path,
        est,
        X[:1],
        "for (int k = 0; k < MODEL_CLASSES; k++) for (const char *c = model_classes[k]; ; c++) "
        '{ printf("%d ", (unsigned char)*c); if (!*c) break; }',
    )
    written = "\0".join(str(label) for label in est.classes_.tolist()) + "\0"
    ends_early = "\0" in "".join(map(str, est.classes_.tolist()))
    assert ends_early or bytes(map(int, names.split())) == written.encode()
    found = run_js(tmp_path, est, X, "model.classify(x)")
    assert "</" not in (tmp_path / "model.mjs").read_text()  # it may stand in a page
    assert found == [str(y) if kind == "numbers" and y > 2**53 else y for y in expected.tolist()]


def test_probabilities_are_those_of_predict_proba(tmp_path):
    for labels in (LABELS["two strings"], LABELS["numbers"]):
        est, X = fitted("classifier", labels)
        n = len(labels)
        printed = run_c(
            tmp_path,
            est,
            X,
            f"double out[{n}]; model_predict(X[i], out); for (int k = 0; k < {n}; k++) "
            'printf("%.17g ", out[k]);',
        )
        expected = est.predict_proba(X)
        assert difference(np.reshape([float(p) for p in printed.split()], (-1, n)), expected) < 1e-14
        assert difference(run_js(tmp_path, est, X, "[...model.predict(x)]"), expected) < 1e-14


def test_many_labels_a_row(tmp_path):
    est, X = fitted("multilabel")
    expected = est.predict(X)
    printed = run_c(
        tmp_path,
        est,
        X,
        'unsigned char on[3]; model_labels(X[i], on); printf("%d %d %d ", on[0], on[1], on[2]);',
    )
    assert np.array_equal(np.reshape([int(k) for k in printed.split()], (-1, 3)), expected)
    assert np.array_equal(run_js(tmp_path, est, X, "model.classify(x)"), expected)


def test_values_of_a_regressor_in_floats(tmp_path):
    est, X = fitted("regressor", dtype="float32")
    printed = run_c(
        tmp_path,
        est,
        X,
        'float out[2]; model_predict(X[i], out); printf("%.9g %.9g ", out[0], out[1]);',
        kind="float",
    )
    expected = est.predict(X)
    assert difference(np.reshape([float(p) for p in printed.split()], (-1, 2)), expected) < 1e-6
    assert difference(run_js(tmp_path, est, X, "[...model.predict(x)]"), expected) < 1e-6


def test_names_of_the_inputs_are_written_too(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    _, X = fitted("regressor")
    frame = pandas.DataFrame(X, columns=NASTY[2:6])
    est = pnn.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        est.fit(frame, X[:, 0])
    pnn.to_c(est, tmp_path / "model.c")
    names = run_c(tmp_path, est, X[:1], "for (int k = 0; k < 4; k++) puts(model_features[k]);")
    assert names.splitlines() == NASTY[2:6]
    assert run_js(tmp_path, est, X[:1], "model.features") == [NASTY[2:6]]
