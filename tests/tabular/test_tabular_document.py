"""What docs/guides/tabular.md shows runs; SHAP explains the estimators."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tables import SHORT, table

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
DOCUMENT = Path(__file__).parents[2] / "docs" / "guides" / "tabular.md"


def test_the_code_of_the_document_runs(capsys):
    pytest.importorskip("pandas")
    names = {}
    text = DOCUMENT.read_text("utf-8")
    for example in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(example, names)
    said = "".join(re.findall(r"```text\n(.*?)```", text, flags=re.DOTALL))
    shown = capsys.readouterr().out
    number = re.compile(r"\d[\d.]*")  # those of float32 differ from machine to machine
    assert number.sub("n", shown) == number.sub("n", said)
    first, second = shown.splitlines()
    score, inside = re.findall(r"[\d.]+", first.replace("R2", ""))
    assert float(score) > 0.9
    assert 80 <= int(inside) <= 100
    assert second.startswith("T = ")


@pytest.mark.filterwarnings("default")
def test_shap_explains_them():
    shap = pytest.importorskip("shap")
    X, y = table(200)
    numbers = X[["x", "gaps"]].fillna(0)
    fitted = pnn.TabularRegressor(**SHORT).fit(numbers, y)
    found = shap.Explainer(fitted.predict, numbers)(numbers[:5])
    predicted = fitted.predict(numbers[:5])
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base_values, predicted, rtol=1e-6)
    whole = pnn.TabularRegressor(**SHORT).fit(X, y)
    explainer = shap.KernelExplainer(whole.predict, X[:20], silent=True)
    values = explainer.shap_values(X[:3], silent=True)
    np.testing.assert_allclose(
        values.sum(axis=1) + explainer.expected_value, whole.predict(X[:3]), rtol=1e-6
    )
