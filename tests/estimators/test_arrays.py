"""The estimators on every array library: results on the device of X, nothing moved unasked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import iris
from helpers import relative
from iris import NAMES, assert_beside
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import DataConversionWarning

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X_iris, y_iris = iris.X, iris.y
OPTIONS = {"hidden_layer_sizes": (8, 6), "max_iter": 30, "random_state": 0}
SOLVERS = [
    {"solver": "adam", "early_stopping": True},
    {"solver": "sgd", "learning_rate_init": 0.05, "learning_rate": "adaptive"},
    {"solver": "adamw", "learning_rate_init": 0.01, "dropout": 0.3},
    {"solver": "rmsprop", "clip_norm": 0.5},
    {"solver": "lbfgs"},
]


@pytest.mark.parametrize(
    ("options", "dtype"),
    [(options, "float64") for options in SOLVERS] + [(SOLVERS[0], "float32"), (SOLVERS[-1], "float32")],
)
def test_a_classifier_trains_on_the_device_of_x_as_on_numpy(options, backend, dtype, margin):
    options = {**OPTIONS, **options}
    X = X_iris.astype(dtype)
    expected = pnn.MLPClassifier(**options).fit(X, NAMES[y_iris])
    x = backend.asarray(X)
    ours = pnn.MLPClassifier(**options).fit(x, NAMES[y_iris])
    found = [*ours.coefs_, *ours.intercepts_, ours.predict_proba(x), *ours.activations(x)]
    wanted = [
        *expected.coefs_,
        *expected.intercepts_,
        expected.predict_proba(X),
        *expected.activations(X),
    ]
    for array, numpy_array in zip(found, wanted, strict=True):
        assert_beside(array, backend, x)
        assert tuple(array.shape) == numpy_array.shape
    assert ours.predict(x).dtype.kind == "U"  # names are NumPy's alone
    assert ours.n_iter_ == expected.n_iter_
    if dtype == "float64":
        difference = max(relative(backend.to_numpy(a), b) for a, b in zip(found, wanted, strict=True))
        assert margin("estimators", f"{backend.name}@{backend.device_name()}", difference) < 1e-8
        np.testing.assert_array_equal(ours.predict(x), expected.predict(X))
    else:
        assert ours.score(x, NAMES[y_iris]) == pytest.approx(expected.score(X, NAMES[y_iris]), abs=0.03)


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ("squared_error", 1),
        ("squared_error", 2),
        ("poisson", 1),
        ("huber", 1),
        ("pinball", 1),
        ("absolute_error", 2),
    ],
)
def test_a_regressor_trains_on_the_device_of_x_as_on_numpy(loss, outputs, backend, margin):
    y = np.abs(X_iris[:, :outputs]) if outputs > 1 else np.abs(X_iris[:, 0])
    expected = pnn.MLPRegressor(loss, **OPTIONS).fit(X_iris, y)
    x = backend.asarray(X_iris)
    on_device = pnn.MLPRegressor(loss, **OPTIONS).fit(x, backend.asarray(y))
    from_host = pnn.MLPRegressor(loss, **OPTIONS).fit(x, y.tolist())
    for ours in (on_device, from_host):
        A = ours.predict(x)
        assert_beside(A, backend, x)
        assert tuple(A.shape) == y.shape
        difference = relative(backend.to_numpy(A), expected.predict(X_iris))
        assert margin("estimators", f"{backend.name}@{backend.device_name()}", difference) < 1e-8
    score = on_device.score(x, backend.asarray(y))
    assert type(score) is float
    assert score == pytest.approx(expected.score(X_iris, y), rel=1e-8)


def test_numeric_labels_are_predicted_on_the_device_of_x(backend):
    x = backend.asarray(X_iris)
    for y in (backend.asarray(y_iris), y_iris, (10 * y_iris).tolist()):
        host = np.asarray(y) if isinstance(y, list) else backend.to_numpy(backend.asarray(y))
        ours = pnn.MLPClassifier(**OPTIONS).fit(x, y)
        predicted = ours.predict(x)
        assert pnn.backends.of(predicted) is backend
        assert pnn.backends.of(ours.classes_) is backend
        assert set(backend.to_numpy(predicted).tolist()) <= set(host.tolist())
        assert ours.score(x, y) == np.mean(backend.to_numpy(predicted) == host)


def test_two_classes_and_one(backend):
    x = backend.asarray(X_iris[:100])
    two = pnn.MLPClassifier(**OPTIONS).fit(x, np.array(["no", "yes"])[y_iris[:100]])
    P, logs = two.predict_proba(x), two.predict_log_proba(x)
    assert tuple(P.shape) == (100, 2)
    assert_beside(logs, backend, x)
    np.testing.assert_allclose(backend.to_numpy(P).sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(backend.to_numpy(logs)), backend.to_numpy(P), rtol=1e-13)
    one = pnn.MLPClassifier(**OPTIONS).fit(x, ["only"] * 100)
    assert set(one.predict(x)) == {"only"}


def test_many_labels_a_row(backend):
    X, Y = make_multilabel_classification(n_samples=60, random_state=0)
    x = backend.asarray(X)
    expected = pnn.MLPClassifier(**OPTIONS).fit(X, Y)
    for y in (Y, backend.asarray(Y)):
        ours = pnn.MLPClassifier(**OPTIONS).fit(x, y)
        predicted = ours.predict(x)
        assert pnn.backends.of(predicted) is backend
        np.testing.assert_array_equal(backend.to_numpy(predicted), expected.predict(X))
        assert ours.score(x, y) == expected.score(X, Y)


def test_labels_may_have_a_dtype_that_numpy_lacks(torch):
    x, y = torch.asarray(X_iris), torch.asarray(y_iris).to(torch.bfloat16)
    assert pnn.MLPClassifier(**OPTIONS).fit(x, y).score(x, y) > 0.3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint16", "uint32", "uint64", "int8"])
def test_labels_of_unusual_dtypes_are_predicted_on_the_device_of_x(dtype, torch):
    rows, labels = torch.tensor(iris.X), torch.tensor(iris.y).to(getattr(torch, dtype))
    found = iris.classifier().fit(rows, labels).predict(rows)
    assert isinstance(found, torch.Tensor)
    expected = iris.classifier().fit(rows, torch.tensor(iris.y)).predict(rows)
    assert bool((found.to(torch.int64) == expected).all())


def test_labels_and_targets_may_be_of_a_dtype_that_the_library_or_numpy_lacks(torch, jax):
    long, options = np.longdouble, {"backend": "torch"}
    found = iris.regressor(**options).fit(iris.X, iris.t.astype(long)).predict(iris.X)
    assert relative(found, iris.regressor(**options).fit(iris.X, iris.t).predict(iris.X)) == 0
    found = iris.classifier(**options).fit(iris.X, iris.y.astype(long)).predict(iris.X)
    assert (found == iris.classifier(**options).fit(iris.X, iris.y).predict(iris.X)).all()
    rows, labels = jax.numpy.asarray(iris.X), jax.numpy.asarray(iris.y)
    found = iris.classifier().fit(rows, labels.astype("bfloat16")).predict(rows)
    assert bool((found == iris.classifier().fit(rows, labels).predict(rows)).all())


def test_sample_weights_may_be_on_the_host_or_the_device(backend):
    w = np.random.default_rng(0).uniform(0, 2, size=150)
    expected = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris, sample_weight=w)
    x, y = backend.asarray(X_iris), backend.asarray(y_iris)
    for weight in (w, backend.asarray(w), w.tolist()):
        ours = pnn.MLPClassifier(**OPTIONS).fit(x, y, sample_weight=weight)
        assert relative(ours.loss_curve_, expected.loss_curve_) < 1e-10
        assert ours.score(x, y, weight) == pytest.approx(expected.score(X_iris, y_iris, w), rel=1e-12)


METHODS = ["predict", "predict_proba", "predict_log_proba", "activations"]


def assert_refused(ours: Any, method: str, X: Any) -> None:
    expected = rf"MLPClassifier.{method}\(\) must use the same namespace and the same device.*\.to\('"
    with pytest.raises(ValueError, match=expected):
        getattr(ours, method)(X)


@pytest.mark.device_only
def test_host_data_after_training_on_a_device_is_refused_and_the_remedy_named(backend):
    ours = pnn.MLPClassifier(**OPTIONS).fit(backend.asarray(X_iris), y_iris)
    for method in METHODS:
        assert_refused(ours, method, X_iris)
        assert_refused(ours, method, X_iris.tolist())


def test_data_on_another_device_than_in_training_is_refused_and_the_remedy_named(strict):
    first, second = (strict.asarray(X_iris, device=strict.Device(f"device{k}")) for k in (1, 2))
    for X in (X_iris, first):
        ours = pnn.MLPClassifier(**OPTIONS).fit(X, y_iris)
        for method in METHODS:
            assert_refused(ours, method, second)
        message = r"partial_fit\(\) must .*\.to\('array_api_strict', 'device2'\)"
        with pytest.raises(ValueError, match=message):
            ours.partial_fit(second, y_iris)


def test_validation_data_must_be_on_the_device_of_x(backend):
    x = backend.asarray(X_iris)
    if not backend.host:
        with pytest.raises(ValueError, match="X_val is on the host, X on <backend"):
            pnn.MLPClassifier().fit(x, y_iris, X_val=X_iris, y_val=y_iris)
        with pytest.raises(ValueError, match=r"X_val is on <backend .*, X on the host"):
            pnn.MLPClassifier(backend=backend).fit(X_iris, y_iris, X_val=x, y_val=y_iris)
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris, X_val=x, y_val=backend.asarray(y_iris))
    assert ours.validation_scores_[-1] == ours.score(x, y_iris)


def test_training_continues_in_its_first_dtype(backend, dtype):
    other = "float32" if dtype == "float64" else "float64"
    x, x_other = backend.asarray(X_iris, dtype=dtype), backend.asarray(X_iris, dtype=other)
    ours = pnn.MLPClassifier(warm_start=True, early_stopping=True, **OPTIONS)
    ours.fit(x, y_iris, X_val=x_other, y_val=y_iris).fit(x_other, y_iris)
    ours.partial_fit(x_other, y_iris, X_val=x, y_val=y_iris)
    assert_beside(ours.coefs_[0], backend, x)
    assert ours.predict_proba(x).dtype == x.dtype
    assert ours.predict_proba(x_other).dtype == backend.xp.float64  # the wider one


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_on_any_device_are_refused_in_the_words_of_scikit_learn(bad, backend):
    X = X_iris.copy()
    X[3, 2] = bad
    what = "NaN" if np.isnan(bad) else "infinity"
    ours = pnn.MLPClassifier(**OPTIONS)
    with pytest.raises(ValueError, match=f"Input X contains {what}"):
        ours.fit(backend.asarray(X), y_iris)
    assert not hasattr(ours, "coefs_")
    assert not hasattr(ours, "n_features_in_")
    ours.fit(backend.asarray(X_iris), y_iris)
    with pytest.raises(ValueError, match=f"Input X contains {what}"):
        ours.predict(backend.asarray(X))
    y = X[:, 2]
    with pytest.raises(ValueError, match=f"Input y contains {what}"):
        pnn.MLPRegressor().fit(backend.asarray(X_iris), backend.asarray(y))


def test_bad_shapes_on_any_device_are_refused_in_the_words_of_scikit_learn(backend):
    x, y = backend.asarray(X_iris), backend.asarray(y_iris)
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        ours.fit(x[:, 0], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ours.fit(x, y[:-1])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        ours.fit(x[:0, :], y[:0])
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4 features"):
        ours.predict(x[:, :3])
    with pytest.raises(ValueError, match="requires y to be passed"):
        ours.fit(x, None)
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        pnn.MLPRegressor(max_iter=2).fit(x, backend.asarray(y_iris[:, None].astype(float)))


def test_other_numbers_become_floating_ones(backend):
    for dtype in ("int32", "uint8", "bool"):
        X = np.round(X_iris * 2).astype("int32") % 7
        x = backend.asarray(X.astype(dtype))
        ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris)
        P = ours.predict_proba(x)
        assert P.dtype == ours.coefs_[0].dtype == backend.widest_float()
    if hasattr(backend.xp, "complex64"):
        with pytest.raises(ValueError, match="Complex data not supported"):
            ours.fit(backend.xp.astype(backend.asarray(X_iris), backend.xp.complex64), y_iris)


def test_a_device_without_float64_trains_in_float32(strict):
    device = pnn.backends.get("array_api_strict", "no_float64")
    x = device.asarray(X_iris.astype("float32"))
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris)
    assert_beside(ours.predict_proba(x), device, x)
    floats = y_iris.astype(float)  # labels that are float64, which the device has not
    assert set(pnn.MLPClassifier(**OPTIONS).fit(x, floats).predict(x)) <= {0.0, 1.0, 2.0}
    with pytest.raises(TypeError, match="no dtype 'float64'"):
        pnn.MLPClassifier(backend="array_api_strict", device="no_float64").fit(X_iris, y_iris)


@pytest.mark.device_only
def test_neither_x_nor_y_is_copied_to_the_host(backend, monkeypatch):
    x, y = backend.asarray(X_iris), backend.asarray(X_iris[:, :3] + 1)
    sizes, original = [], type(backend).to_numpy

    def watched(self, array):
        host = original(self, array)
        sizes.append(host.size)
        return host

    monkeypatch.setattr(type(backend), "to_numpy", watched)
    # smaller arrays pass through the host where each of their lengths would be compiled for
    monkeypatch.setattr(backend, "padded_bytes", min(backend.padded_bytes, 1000))
    options = OPTIONS | {"max_iter": 2, "batch_size": 50}
    pnn.MLPRegressor(**options).fit(x, y).predict(x)
    assert max(sizes) < 20  # flags and costs
    assert len(sizes) <= 7  # X and y are finite (X of predict too), y has a meaning; one read an epoch
    pnn.MLPRegressor(early_stopping=True, **options).fit(x, y)
    assert max(sizes) <= 450  # y, which is scored on the host
    assert 600 not in sizes  # X


def test_the_classes_of_partial_fit_may_be_on_a_device(backend):
    x = backend.asarray(X_iris)
    ours = pnn.MLPClassifier(**OPTIONS).partial_fit(x, y_iris, classes=backend.asarray([0, 1, 2]))
    ours.partial_fit(x, y_iris, classes=ours.classes_)
    assert pnn.backends.of(ours.predict(x)) is backend


def test_numbers_of_numpy_as_parameters_change_no_dtype(backend):
    x = backend.asarray(X_iris, dtype="float32")
    options = {"label_smoothing": 0.1, "dropout": 0.2, "alpha": 0.1, "clip_norm": 1.0, "epsilon": 1e-7}
    options |= {"learning_rate_init": 0.01, "beta_1": 0.8, "weight_decay": 0.1, "max_time": 100.0}
    scalars = {name: np.float64(value) for name, value in options.items()}
    ours = pnn.MLPClassifier(solver="adamw", random_state=0, max_iter=3, **scalars).fit(x, y_iris)
    assert_beside(ours.predict_proba(x), backend, x)
    rate = {"learning_rate": "invscaling", "power_t": np.float64(0.5), "momentum": np.float64(0.9)}
    ours = pnn.MLPRegressor(solver="sgd", random_state=0, max_iter=3, **rate).fit(x, y_iris)
    assert_beside(ours.predict(x), backend, x)


def test_predictions_of_many_rows_are_computed_in_chunks(backend):
    rows = np.tile(X_iris, (60, 1))
    ours = pnn.MLPClassifier(**OPTIONS).fit(backend.asarray(X_iris), y_iris)
    found = ours.predict_proba(backend.asarray(rows))
    assert tuple(found.shape) == (9000, 3)
    once = backend.to_numpy(ours.predict_proba(backend.asarray(X_iris)))
    np.testing.assert_allclose(backend.to_numpy(found), np.tile(once, (60, 1)), rtol=1e-12)


def test_training_leaves_what_it_was_given_alone(backend):
    x, w = backend.asarray(X_iris), backend.asarray(np.ones(150))
    kept = np.array(backend.to_numpy(x))
    pnn.MLPClassifier(**OPTIONS).fit(x, y_iris, w).partial_fit(x, y_iris)
    np.testing.assert_array_equal(backend.to_numpy(x), kept)
    np.testing.assert_array_equal(backend.to_numpy(w), 1)
