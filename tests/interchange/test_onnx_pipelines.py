"""Pipelines with our estimators go through skl2onnx."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")

import onnxruntime
import skl2onnx
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from source_helpers import TOLERANCE, difference

import portable_nn as pnn
from portable_nn.interchange import register_with_skl2onnx

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.fixture(autouse=True)
def registered():
    register_with_skl2onnx()


def pipeline(make, y, X, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        net = make(
            hidden_layer_sizes=(6,), max_iter=5, random_state=0, learning_rate_init=0.02, **options
        )
        return make_pipeline(StandardScaler(), net).fit(X, y)


def run(model, X, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of skl2onnx
        proto = skl2onnx.to_onnx(model, X[:1], **options)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"X": X})


TARGETS = {
    "binary": lambda X: np.where(X[:, 0] > 3, "yes", "no"),
    "multiclass": lambda X: np.digitize(X[:, 0] + X[:, 1], [4.0, 6.0]),
    "booleans": lambda X: X[:, 1] > 3,
    "multilabel": lambda X: (X[:, :3] > 3).astype(int),
}


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("task", list(TARGETS))
def test_a_classifier_in_a_pipeline(task, dtype, random):
    X = (2 * random.normal(size=(200, 4)) + 3).astype(dtype)
    model = pipeline(pnn.MLPClassifier, TARGETS[task](X), X, activation="gelu")
    label, probabilities = run(model, X, options={"zipmap": False})
    assert np.array_equal(label, model.predict(X))
    assert difference(probabilities, model.predict_proba(X)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_in_a_pipeline(outputs, dtype, random):
    X = (2 * random.normal(size=(200, 4)) + 3).astype(dtype)
    model = pipeline(pnn.MLPRegressor, X[:, :2] if outputs == 2 else X[:, 0] ** 2, X)
    (found,) = run(model, X)
    assert difference(found, model.predict(X).reshape(len(X), outputs)) <= TOLERANCE[dtype]


def test_parameters_are_rounded_to_the_dtype_of_the_input(random):
    X = random.normal(size=(100, 4))
    model = pipeline(pnn.MLPRegressor, X[:, 0], X)
    (found,) = run(model, X.astype("float32"))
    assert found.dtype == "float32"
    assert difference(found[:, 0], model.predict(X)) <= 1e-5


def test_an_older_opset_and_dictionaries_of_probabilities(random):
    X = random.normal(size=(50, 4)).astype("float32")
    model = pipeline(pnn.MLPClassifier, TARGETS["multiclass"](X + 3), X, activation="gelu")
    label, probabilities = run(model, X, target_opset=15)
    assert np.array_equal(label, model.predict(X))
    found = [[row[c] for c in (0, 1, 2)] for row in probabilities]
    assert difference(found, model.predict_proba(X)) <= 1e-6


def test_two_estimators_in_one_graph_do_not_disturb_one_another(random):
    from sklearn.ensemble import VotingRegressor

    X = random.normal(size=(100, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        nets = [
            (f"net{i}", pnn.MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=i))
            for i in range(2)
        ]
        model = VotingRegressor(nets).fit(X, X[:, 0])
    (found,) = run(model, X)
    assert difference(found[:, 0], model.predict(X)) <= 1e-12


def test_without_skl2onnx_the_error_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        register_with_skl2onnx()
