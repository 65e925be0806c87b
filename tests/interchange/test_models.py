"""What a model is: one network with finite parameters on the host, from any backend."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.interchange import to_c, to_sklearn
from portable_nn.interchange.models import model_of


def fitted(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        return estimator.fit(X, y)


NET = pnn.Network((3, 5, 2), ("tanh", "softmax"), "categorical_cross_entropy")


def test_the_parameters_of_any_backend_come_to_the_host(backend, dtype):
    if dtype not in backend.dtypes():
        pytest.skip(f"{backend.name} has no {dtype} here")
    model = model_of((NET, NET.initialize(seed=1, backend=backend, dtype=dtype)))
    expected = NET.initialize(seed=1, dtype=dtype)
    for layer, theirs in zip(model.params, expected, strict=True):
        for array, other in zip(layer, theirs, strict=True):
            assert type(array) is np.ndarray
            assert array.flags.c_contiguous
            assert array.dtype == dtype
            assert np.array_equal(array, other)
    assert (model.task, model.classes, model.feature_names) == ("network", None, None)


@pytest.mark.usefixtures("host_only")
def test_a_model_is_a_copy():
    params = NET.initialize()
    model = model_of((NET, params))
    params[0][0][:] = 0
    assert model.params[0][0].any()


@pytest.mark.usefixtures("host_only")
def test_what_is_no_model_is_refused():
    params = NET.initialize()
    with pytest.raises(ValueError, match=r"stack of networks, of shape \(4,\).*one by one"):
        model_of((NET, NET.initialize(stack=4)))
    for wrong in (NET, params, None, (params, NET)):
        with pytest.raises(TypeError, match=r"`model` is .*accepted: \(net, params\), or a fitted"):
            model_of(wrong)
    with pytest.raises(ValueError, match="W\\[2\\]"):
        model_of((NET, [params[0], params[0]]))
    spoiled = [(W.copy(), b.copy()) for W, b in params]
    spoiled[1][1][0] = np.nan
    with pytest.raises(ValueError, match="b\\[2\\]"):
        model_of((NET, spoiled))


@pytest.mark.usefixtures("host_only")
def test_fitted_estimators_know_their_task_labels_and_names():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 3))
    options = {"hidden_layer_sizes": (4,), "max_iter": 2, "tol": 1.0, "n_iter_no_change": 1}
    labels = {
        "binary": np.where(X[:, 0] > 0, "yes", "no"),
        "multiclass": np.digitize(X[:, 0], [-0.5, 0.5]),
        "multilabel": (X[:, :2] > 0).astype(int),
    }
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    for task, y in labels.items():
        model = model_of(fitted(pnn.MLPClassifier(**options), frame, y))
        assert model.task == task
        assert model.feature_names == ("a", "b", "c")
        assert (
            model.classes.tolist()
            == (["no", "yes"] if task == "binary" else sorted({*range(3)}))[
                : model.sizes[-1] + (task == "binary")
            ]
        )
    regressor = pnn.MLPRegressor(**options)
    with pytest.raises(ValueError, match="not fitted; call fit first"):
        model_of(regressor)
    model = model_of(fitted(regressor, X, X[:, :2]))
    assert (model.task, model.sizes, model.classes) == ("regression", (3, 4, 2), None)
    assert model.feature_names is None


@pytest.mark.usefixtures("host_only")
def test_a_subclass_that_predicts_otherwise_is_not_exported(random):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")

    class Thresholded:
        def predict(self, X):
            return self.predict_proba(X)[:, 1] > 0.9

    class Careful(Thresholded, pnn.MLPClassifier):
        pass

    class Flat(pnn.MLPClassifier):
        def predict_proba(self, X):
            return super().predict_proba(X) / 2 + 0.25

    class Flatter(Flat):
        pass

    class Positive(pnn.MLPRegressor):
        def activations(self, X):
            return [abs(A) for A in super().activations(X)]

    class Named(pnn.MLPClassifier):
        def described(self):
            return "as ours"

    X = random.normal(size=(20, 3))
    y = (X[:, 0] > 0).astype(int)
    options = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
    for kind, method, where in (
        (Careful, "predict", "Thresholded"),
        (Flatter, "predict_proba", "Flat"),
        (Positive, "activations", "Positive"),
    ):
        estimator = fitted(kind(**options), X, y)
        for export in (model_of, to_sklearn):
            with pytest.raises(TypeError, match=f"`{method}` of {kind.__name__} is .*{where}, which"):
                export(estimator)
    plain = fitted(Named(**options), X, y)
    assert model_of(plain).task == "binary"
    assert np.array_equal(to_sklearn(plain).predict(X), plain.predict(X))
    plain.predict = lambda X: 1 - y
    with pytest.raises(TypeError, match="`predict` of Named is defined by the estimator itself"):
        model_of(plain)


@pytest.mark.usefixtures("host_only")
def test_of_a_pipeline_the_message_says_what_to_give(tmp_path):
    pipeline = pytest.importorskip("sklearn.pipeline", reason="scikit-learn is not installed")
    steps = pipeline.make_pipeline("passthrough", pnn.MLPClassifier())
    with pytest.raises(TypeError, match=r"pipeline\[-1\].*skl2onnx.*register_with_skl2onnx"):
        to_c(steps, tmp_path / "model.c")


def test_an_estimator_of_any_backend_comes_to_the_host(backend, random):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    X = random.normal(size=(20, 3)).astype("float32")
    place = backend.asarray
    estimator = pnn.MLPClassifier(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    fitted(estimator, place(X), place((X[:, 0] > 0).astype("int32")))
    model = model_of(estimator)
    for (W, b), coef, intercept in zip(
        model.params, estimator.coefs_, estimator.intercepts_, strict=True
    ):
        assert np.array_equal(W.T, backend.to_numpy(coef))
        assert np.array_equal(b[:, 0], backend.to_numpy(intercept))
    assert type(model.classes) is np.ndarray
    assert model.classes.tolist() == [0, 1]
