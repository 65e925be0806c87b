"""Estimators of tables as ONNX graphs: onnxruntime predicts from tables what they predict."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("pandas", reason="pandas is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import onnx
import onnxruntime
import pandas as pd
from source_helpers import difference

import portable_nn as pnn
from portable_nn.interchange import (
    from_onnx,
    to_c,
    to_javascript,
    to_keras,
    to_onnx,
    to_sklearn,
    to_torch,
)
from portable_nn.tabular import classifier, regressor

pytestmark = pytest.mark.usefixtures("host_only")

TOLERANCE = 2e-6  # of the largest: the networks compute in float32 there, and in float64 here
SHORT = {"max_iter": 6, "n_estimators": 3, "random_state": 0}
MANY = [f"town {k}" for k in range(14)]


def table(random, n=160, unseen=False):
    """Columns of every kind, with gaps; `unseen`: of other levels too, and far away."""
    found = pd.DataFrame(
        {
            "height": random.normal(size=n) * 1e3 + 2e4,
            "tail": random.standard_cauchy(n),
            "count": random.integers(0, 5, n),
            "same": np.full(n, 7.0),
            "town": random.choice(MANY, n).astype(object),
            "size": pd.Categorical(random.choice(["small", "mid", "large"], n)),
            "pair": random.choice(["là", "ici"], n).astype(object),
            "is_new": random.random(n) < 0.5,
            "code": random.choice([1.0, 2.0, 2.5, 30.0], n),
        }
    )
    for name in ("height", "town", "pair", "code"):
        found.loc[random.random(n) < 0.15, name] = np.nan if name in ("height", "code") else None
    if unseen:
        found["town"] = found["town"].where(random.random(n) < 0.7, "elsewhere")
        found["pair"] = found["pair"].where(random.random(n) < 0.7, "nowhere")
        found["size"] = found["size"].astype(object).where(random.random(n) < 0.7, None)
        found["code"] = found["code"].where(random.random(n) < 0.7, 99.0)
        found["is_new"] = found["is_new"].astype(object).where(random.random(n) < 0.7, None)
        found["count"] = found["count"].astype(float).where(random.random(n) < 0.7, np.nan)
        found.loc[:3, "tail"] = [1e300, -1e300, 1e12, np.nan]
        found["same"] = random.normal(size=n)
    return found


def values_of(X, random):
    """Numbers that depend on the columns of `table`."""
    known = X["town"].map({name: k % 3 for k, name in enumerate(MANY)}).fillna(1.5).astype(float)
    above = np.nan_to_num((X["height"] - 2e4) / 1e3)
    found = above + known + 2.0 * X["is_new"] + 0.1 * random.normal(size=len(X))
    return np.asarray(found, dtype=float)


def as_text(value):
    """A category as the docstring of `to_onnx` says."""
    if pd.isna(value):
        return ""
    is_whole = isinstance(value, (float, bool, np.bool_)) and value == int(value)
    return str(int(value)) if is_whole else str(value)


def fed(session, X):
    """The inputs of a session for the columns of X, in their order."""
    columns = [X.iloc[:, j] for j in range(X.shape[1])] if hasattr(X, "iloc") else list(X.T)
    found = {}
    for given, column in zip(session.get_inputs(), columns, strict=True):
        if given.type == "tensor(double)":
            found[given.name] = np.asarray(column, dtype=np.float64)[:, None]
        else:
            texts = [as_text(value) for value in column.tolist()]
            found[given.name] = np.asarray(texts, dtype=object)[:, None]
    return found


def run(model, X):
    """The outputs in onnxruntime by their names, once the checker has passed the model."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, fed(session, X)), strict=True))


def check_classes(est, *tables, margin=None):
    model = to_onnx(est)
    for X in tables:
        found, expected = run(model, X), est.predict_proba(X)
        assert list(found) == ["label", "probabilities"]
        assert found["probabilities"].dtype == np.float64
        worst = difference(found["probabilities"], expected) * min(1.0, est.temperature_)
        assert worst <= TOLERANCE, worst
        if margin is not None:
            margin("probabilities of a table in onnxruntime", "float32", worst)
        assert found["label"].tolist() == est.predict(X).tolist()
    return model


def check_values(est, *tables, margin=None):
    model = to_onnx(est)
    for X in tables:
        found, expected = run(model, X), est.predict(X)
        assert list(found) == ["variable"]
        assert found["variable"].dtype == np.float64
        assert found["variable"].shape == (len(X), est.n_outputs_)
        columns = zip(found["variable"].T, expected.reshape(len(X), -1).T, strict=True)
        worst = np.max([difference(*each) for each in columns])
        assert worst <= TOLERANCE, worst
        if margin is not None:
            margin("values of a table in onnxruntime", "float32", worst)
    return model


# ---- classifiers --------------------------------------------------------------------------------------


LABELS = {
    "strings": np.asarray(["low", "mid", "high"], dtype=object),
    "whole numbers": np.asarray([-3, 0, 70]),
    "whole floats": np.asarray([1.0, 2.0, 5.0]),
    "two strings": np.asarray(["no", "yes", "yes"]),
    "booleans": np.asarray([False, True, True]),
}


@pytest.mark.parametrize("kind", list(LABELS))
def test_a_classifier_with_all_that_precedes_its_networks(kind, random, margin):
    X = table(random)
    y = LABELS[kind][np.digitize(values_of(X, random), [1.0, 3.0])]
    est = pnn.TabularClassifier(**SHORT, categorical_features=["code"]).fit(X, y)
    assert est.temperature_ != 1
    model = check_classes(est, X, table(random, unseen=True), margin=margin)
    notes = {each.key: each.value for each in model.metadata_props}
    assert json.loads(notes["classes"]) == est.classes_.tolist()
    assert json.loads(notes["feature_names"]) == list(X.columns)
    assert notes["task"] == ("multiclass" if len(est.classes_) > 2 else "binary")


def test_what_the_test_table_covers(random):
    X = table(random)
    est = pnn.TabularRegressor(**SHORT, categorical_features=["code"]).fit(X, values_of(X, random))
    code = est.encoding_
    names = list(X.columns)
    assert [names[each.column] for each in code.numbers] == ["height", "tail", "count"]
    assert [each.has_gaps for each in code.numbers] == [True, False, False]
    assert [names[each.column] for each in code.embedded] == ["town"]
    assert {names[each.column]: (each.units, each.has_gaps) for each in code.categories} == {
        "town": (1, True),
        "size": (3, False),
        "pair": (3, True),
        "is_new": (1, False),
        "code": (5, True),
    }
    other = table(random, unseen=True)
    for name in ("town", "pair", "code"):
        assert other[name].isna().any()
        assert not set(other[name].dropna()) <= set(X[name])


def test_without_calibration_probabilities_are_those_of_the_networks(random):
    X = table(random)
    y = np.digitize(values_of(X, random), [1.0, 3.0])
    est = pnn.TabularClassifier(**SHORT, calibration=None).fit(X, y)
    check_classes(est, X)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 20.0])
def test_a_temperature_is_applied_in_float64(temperature, random, margin):
    X = table(random)
    est = pnn.TabularClassifier(**SHORT).fit(X, np.digitize(values_of(X, random), [1.0, 3.0]))
    est.temperature_ = temperature
    check_classes(est, X, table(random, unseen=True), margin=margin)


def test_a_probability_of_0_counts_as_one_that_float32_could_not_hold(random):
    X = table(random)
    est = pnn.TabularClassifier(**SHORT).fit(X, np.digitize(values_of(X, random), [1.0, 3.0]))
    est.params_[-1] = tuple(100 * array for array in est.params_[-1])
    est.temperature_ = 20.0
    found, expected = run(to_onnx(est), X)["probabilities"], est.predict_proba(X)
    assert np.any(expected.min(axis=1) < 0.031)  # 1e-30^(1/20) is 0.032
    assert expected.min() > 0.01
    assert difference(found, expected) <= 1e-5


# ---- regressors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_with_all_that_surrounds_its_networks(outputs, random, margin):
    X = table(random)
    y = values_of(X, random)
    Y = y if outputs == 1 else np.stack([1e5 + y, y**2], axis=1)
    est = pnn.TabularRegressor(**SHORT, categorical_features=["code"]).fit(X, Y)
    check_values(est, X, table(random, unseen=True), margin=margin)


def test_values_stay_within_the_range_of_those_learned_from(random):
    X = table(random)
    est = pnn.TabularRegressor(**SHORT).fit(X, values_of(X, random))
    est.target_range_ = np.quantile(est.predict(X), [0.3, 0.6])[:, None]
    found = run(to_onnx(est), X)["variable"]
    assert (found.min(), found.max()) == tuple(est.target_range_[:, 0])
    assert difference(found[:, 0], est.predict(X)) <= TOLERANCE


PRESETS = {
    "plain": {"bins": 0, "activation": "gelu"},
    "piecewise": {"bins": 8, "activation": "selu"},
}


@pytest.mark.parametrize("kind", list(PRESETS))
def test_networks_of_every_preset(kind, random, monkeypatch, margin):
    def preset(make):
        return lambda *given: dataclasses.replace(make(*given), widths=(24, 16), **PRESETS[kind])

    monkeypatch.setattr(regressor, "preset_of_values", preset(regressor.preset_of_values))
    monkeypatch.setattr(classifier, "preset_of_classes", preset(classifier.preset_of_classes))
    X = table(random)
    y, other = values_of(X, random), table(random, unseen=True)
    check_values(pnn.TabularRegressor(**SHORT).fit(X, y), X, other, margin=margin)
    classes = np.digitize(y, [1.0, 3.0])
    check_classes(pnn.TabularClassifier(**SHORT).fit(X, classes), X, other, margin=margin)


def test_what_networks_share_is_computed_once(random, monkeypatch):
    given = regressor.preset_of_values
    monkeypatch.setattr(
        regressor,
        "preset_of_values",
        lambda *a: dataclasses.replace(given(*a), bins=8, widths=(8,)),
    )
    X = random.normal(size=(80, 5))
    counts = []
    for networks in (1, 2, 3):
        est = pnn.TabularRegressor(**SHORT | {"n_estimators": networks}).fit(X, X[:, 0])
        counts.append(len(check_values(est, X).graph.node))
    assert counts[2] - counts[1] < 10 < counts[0]


# ---- tables -------------------------------------------------------------------------------------------


def test_columns_of_arrays_have_numbers_for_names(random):
    X = random.normal(size=(100, 3)).astype("float32")
    X[::7, 1] = np.nan
    model = check_values(pnn.TabularRegressor(**SHORT).fit(X, X[:, 0]), X)
    assert [one.name for one in model.graph.input] == ["x0", "x1", "x2"]
    assert "feature_names" not in {each.key for each in model.metadata_props}
    X[:, 2] = random.integers(0, 4, 100)
    check_values(pnn.TabularRegressor(**SHORT, categorical_features=[2]).fit(X, X[:, 0]), X)
    mixed = np.asarray([[1.5, "a"], [2.5, "b"], [None, None], [4.0, "b"]] * 10, dtype=object)
    check_values(pnn.TabularRegressor(**SHORT).fit(mixed, np.arange(40.0)), mixed)


def test_any_number_of_rows_goes_in(random):
    X = table(random)
    est = pnn.TabularClassifier(**SHORT).fit(X, np.digitize(values_of(X, random), [1.0, 3.0]))
    check_classes(est, table(random, n=1), table(random, n=2), table(random, n=3000, unseen=True))


def test_one_network_alone(random):
    X = table(random)
    est = pnn.TabularRegressor(**SHORT | {"n_estimators": 1}).fit(X, values_of(X, random))
    check_values(est, X)


@pytest.mark.parametrize("values", [[3.0] * 40, ["a"] * 40])
def test_a_table_that_says_nothing(values):
    X = pd.DataFrame({"same": values})
    est = pnn.TabularRegressor(**SHORT).fit(X, np.arange(40.0))
    found = run(to_onnx(est), X)["variable"]
    assert difference(found[:, 0], est.predict(X)) <= TOLERANCE


def test_columns_that_are_missing_altogether(random):
    X = pd.DataFrame({"a": random.normal(size=40), "b": [None] * 40, "c": [np.nan] * 40})
    check_values(pnn.TabularRegressor(**SHORT).fit(X, X["a"]), X)


def test_the_empty_string_is_a_level_where_nothing_was_missing(random):
    X = pd.DataFrame({"a": random.choice(["", "b", "c"], 60).astype(object)})
    est = pnn.TabularRegressor(**SHORT).fit(X, (X["a"] == "").astype(float))
    check_values(est, X)
    X.loc[:9, "a"] = None
    est = pnn.TabularRegressor(**SHORT).fit(X, (X["a"] == "").astype(float))
    with pytest.raises(ValueError, match=r"column 'a' of the table has the category ''.*accepted: one"):
        to_onnx(est)


def test_names_of_columns_are_those_of_inputs_unless_an_output_has_them(random):
    names = ["variable", "variable_2", "center", "weights_1", "", "sub", "x y/ü"]
    X = pd.DataFrame(random.normal(size=(60, 7)), columns=names)
    model = check_values(pnn.TabularRegressor(**SHORT).fit(X, X["sub"]), X)
    inputs = [one.name for one in model.graph.input]
    assert inputs == ["variable_3", "variable_2", "center", "weights_1", "x4", "sub", "x y/ü"]
    notes = {each.key: each.value for each in model.metadata_props}
    assert json.loads(notes["feature_names"]) == names


# ---- files, places, errors ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    """A fitted classifier, and its table."""
    random = np.random.default_rng(5)
    X = table(random)
    y = np.digitize(values_of(X, random), [1.0, 3.0])
    return pnn.TabularClassifier(**SHORT).fit(X, y), X


def test_the_file_is_the_model(fitted, tmp_path):
    est, X = fitted
    model = to_onnx(est, tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == model
    opsets = {each.domain: each.version for each in model.opset_import}
    assert (model.ir_version, opsets) == (9, {"": 20, "ai.onnx.ml": 3})
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    label, _ = session.run(None, fed(session, X))
    assert np.array_equal(label, est.predict(X))


def test_an_estimator_of_a_file_and_of_another_backend_gives_the_same_graph(fitted, tmp_path, strict):
    est, _ = fitted
    pnn.save(tmp_path / "model.safetensors", est)
    again = pnn.load(tmp_path / "model.safetensors")
    assert to_onnx(again.to("array_api_strict")) == to_onnx(est)


def test_what_is_not_fitted_or_predicts_in_its_own_way_is_refused(fitted):
    est, X = fitted
    with pytest.raises(ValueError, match=r"`model`, a portable_nn.*TabularClassifier, is not fitted"):
        to_onnx(pnn.TabularClassifier())

    class Plain(pnn.TabularClassifier):
        """Predicts as ours."""

    class Turned(pnn.TabularClassifier):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    for kind in (Plain, Turned):
        one = kind()
        one.__dict__.update(vars(est))
        if kind is Plain:
            check_classes(one, X)
        else:
            with pytest.raises(TypeError, match=r"`predict_proba` of Turned is defined by"):
                to_onnx(one)


def test_other_exports_name_what_they_take(fitted, tmp_path):
    est, _ = fitted
    exports = {
        "to_c": lambda: to_c(est, tmp_path / "model.c"),
        "to_javascript": lambda: to_javascript(est, tmp_path / "model.mjs"),
        "to_sklearn": lambda: to_sklearn(est),
    }
    for export in exports.values():
        with pytest.raises(TypeError, match=r"TabularClassifier; accepted: .*MLPClassifier"):
            export()
    with pytest.raises(TypeError, match=r"a builtins.list; accepted: .*by to_onnx a fitted Tabular"):
        to_onnx([])
    with pytest.raises(ValueError, match=r"the model has the inputs \['height'.*; accepted: one"):
        from_onnx(to_onnx(est))


def test_to_torch_names_what_it_takes(fitted, torch):
    with pytest.raises(TypeError, match=r"TabularClassifier; accepted: .*MLPClassifier"):
        to_torch(fitted[0])


def test_to_keras_names_what_it_takes(fitted, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("keras", reason="keras is not installed")
    with pytest.raises(TypeError, match=r"TabularClassifier; accepted: .*MLPClassifier"):
        to_keras(fitted[0])
