"""The estimators on every array library: results beside X, nothing moved unasked, pickles that load."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from helpers import relative
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import DataConversionWarning

import portable_nn as pnn
from portable_nn.backends import Backend

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_iris, y_iris = load_iris(return_X_y=True)
X_iris = (X_iris - X_iris.mean(axis=0)) / X_iris.std(axis=0)
NAMES = np.array(["setosa", "versicolor", "virginica"])
OPTIONS = {"hidden_layer_sizes": (8, 6), "max_iter": 30, "random_state": 0}
SOLVERS = [
    {"solver": "adam", "early_stopping": True},
    {"solver": "sgd", "learning_rate_init": 0.05, "learning_rate": "adaptive"},
    {"solver": "adamw", "learning_rate_init": 0.01, "dropout": 0.3},
    {"solver": "rmsprop", "clip_norm": 0.5},
    {"solver": "lbfgs"},
]


def assert_beside(found: Any, backend: Backend, X: Any) -> None:
    assert pnn.backends.of(found) is backend
    assert pnn.backends.of(found).device == backend.device
    assert found.dtype == X.dtype


@pytest.mark.parametrize("options", SOLVERS, ids=[s["solver"] for s in SOLVERS])
def test_a_classifier_trains_where_x_lies_as_it_does_on_numpy(options, backend, dtype, margin):
    options = {**OPTIONS, **options}
    X = X_iris.astype(dtype)
    expected = pnn.MLPClassifier(**options).fit(X, NAMES[y_iris])
    x = backend.asarray(X)
    ours = pnn.MLPClassifier(**options).fit(x, NAMES[y_iris])
    found = [*ours.coefs_, *ours.intercepts_, ours.predict_proba(x), ours.transform(x)]
    wanted = [*expected.coefs_, *expected.intercepts_, expected.predict_proba(X), expected.transform(X)]
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


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber", "pinball", "absolute_error"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_trains_where_x_lies_as_it_does_on_numpy(loss, outputs, backend, margin):
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


def test_labels_that_are_numbers_come_back_beside_x(backend):
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


def test_labels_of_a_dtype_that_numpy_lacks():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, y = torch.asarray(X_iris), torch.asarray(y_iris).to(torch.bfloat16)
    assert pnn.MLPClassifier(**OPTIONS).fit(x, y).score(x, y) > 0.3


def test_weights_may_lie_anywhere(backend):
    w = np.random.default_rng(0).uniform(0, 2, size=150)
    expected = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris, sample_weight=w)
    x, y = backend.asarray(X_iris), backend.asarray(y_iris)
    for weight in (w, backend.asarray(w), w.tolist()):
        ours = pnn.MLPClassifier(**OPTIONS).fit(x, y, sample_weight=weight)
        assert relative(ours.loss_curve_, expected.loss_curve_) < 1e-10
        assert ours.score(x, y, weight) == pytest.approx(expected.score(X_iris, y_iris, w), rel=1e-12)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "transform"])
def test_x_elsewhere_than_in_fit_is_refused_and_the_remedy_named(method, backend):
    ours = pnn.MLPClassifier(**OPTIONS).fit(backend.asarray(X_iris), y_iris)
    strict = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    elsewhere: list[Any] = [strict.asarray(X_iris, device=strict.Device("device2"))]
    if not backend.host:
        elsewhere += [X_iris, X_iris.tolist()]
    for X in elsewhere:
        expected = (
            rf"MLPClassifier.{method}\(\) must use the same namespace and the same device.*\.to\('"
        )
        with pytest.raises(ValueError, match=expected):
            getattr(ours, method)(X)
    with pytest.raises(
        ValueError, match=r"partial_fit\(\) must .*\.to\('array_api_strict', 'device2'\)"
    ):
        ours.partial_fit(elsewhere[0], y_iris)


def test_a_backend_by_name_takes_host_data_and_gives_back_host_arrays(backend, margin):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    expected = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris)
    frame = pandas.DataFrame(X_iris, columns=list("abcd"))
    for given, device in ((backend.name, backend.device_name()), (backend, None)):
        ours = pnn.MLPClassifier(backend=given, device=device, **OPTIONS)
        for X in (X_iris, X_iris.tolist(), frame):
            clone(ours).fit(X, y_iris)
        ours.fit(frame, y_iris)
        assert pnn.backends.of(ours.coefs_[0]) is backend
        assert list(ours.feature_names_in_) == list("abcd")
        for method in ("predict", "predict_proba", "transform"):
            found = getattr(ours, method)(frame)
            assert type(found) is np.ndarray
            difference = relative(found, getattr(expected, method)(X_iris))
            assert margin("estimators", f"{backend.name}@{backend.device_name()}", difference) < 1e-8
        assert all(type(a) is np.ndarray for a in ours.activations(frame))
        assert ours.score(frame, y_iris) == expected.score(X_iris, y_iris)
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            on_device = ours.predict_proba(backend.asarray(X_iris))  # what lies there is taken too
        assert pnn.backends.of(on_device) is backend


def test_a_fitted_estimator_can_be_moved_there_and_back(backend):
    x = backend.asarray(X_iris)
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris)
    P = backend.to_numpy(ours.predict_proba(x))
    assert ours.to("numpy") is ours
    np.testing.assert_allclose(ours.predict_proba(X_iris), P, rtol=1e-12, atol=1e-15)
    assert type(ours.predict(X_iris)) is np.ndarray
    ours.partial_fit(X_iris, y_iris)  # the optimizer's state has moved along
    ours.to(backend)
    assert_beside(ours.predict_proba(x), backend, x)
    assert pnn.backends.of(ours.classes_) is backend
    moved = pnn.MLPClassifier(backend="numpy", **OPTIONS).fit(X_iris, y_iris).to(backend)
    assert_beside(moved.predict_proba(x), backend, x)
    if not backend.host:
        with pytest.raises(ValueError, match="must use the same namespace"):
            moved.predict(X_iris)  # which it took before it was moved
    with pytest.raises(pnn.UnknownBackendError, match="did you mean 'numpy'"):
        ours.to("nunpy")
    assert_beside(ours.predict_proba(x), backend, x)


def test_partial_fit_goes_on_after_a_move_as_if_there_had_been_none(backend):
    x = backend.asarray(X_iris)
    stayed = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris).partial_fit(X_iris, y_iris)
    moved = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris).to("numpy").partial_fit(X_iris, y_iris)
    again = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris).to(backend).partial_fit(x, y_iris)
    assert relative(moved.coefs_[0], stayed.coefs_[0]) < 1e-9
    assert relative(backend.to_numpy(again.coefs_[0]), stayed.coefs_[0]) < 1e-9


def test_training_goes_on_in_the_dtype_it_began_with(backend, dtype):
    other = "float32" if dtype == "float64" else "float64"
    x, x_other = backend.asarray(X_iris, dtype=dtype), backend.asarray(X_iris, dtype=other)
    ours = pnn.MLPClassifier(warm_start=True, early_stopping=True, **OPTIONS)
    ours.fit(x, y_iris, X_val=x_other, y_val=y_iris).fit(x_other, y_iris)
    ours.partial_fit(x_other, y_iris, X_val=x, y_val=y_iris)
    assert_beside(ours.coefs_[0], backend, x)
    assert ours.predict_proba(x).dtype == x.dtype
    assert ours.predict_proba(x_other).dtype == backend.xp.float64  # the wider one


def test_validation_data_lies_where_x_does(backend):
    x = backend.asarray(X_iris)
    if not backend.host:
        with pytest.raises(ValueError, match="X_val is on the host, X on <backend"):
            pnn.MLPClassifier().fit(x, y_iris, X_val=X_iris, y_val=y_iris)
        with pytest.raises(ValueError, match=r"X_val is on <backend .*, X on the host"):
            pnn.MLPClassifier(backend=backend).fit(X_iris, y_iris, X_val=x, y_val=y_iris)
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris, X_val=x, y_val=backend.asarray(y_iris))
    assert ours.validation_scores_[-1] == ours.score(x, y_iris)


def test_a_pickle_holds_host_arrays_and_predicts_on_numpy(backend):
    x = backend.asarray(X_iris)
    for ours in (
        pnn.MLPClassifier(early_stopping=True, **OPTIONS).fit(x, y_iris),
        pnn.MLPClassifier(backend=backend.name, device=backend.device_name(), **OPTIONS).fit(
            X_iris, NAMES[y_iris]
        ),
    ):
        before = backend.to_numpy(backend.asarray(ours.predict_proba(X_iris if ours.backend else x)))
        data = pickle.dumps(ours)
        loaded = pickle.loads(data)
        np.testing.assert_allclose(loaded.predict_proba(X_iris), before, rtol=1e-12, atol=1e-15)
        assert all(type(a) is np.ndarray for a in [*loaded.coefs_, *loaded.intercepts_])
        assert pnn.backends.of(ours.coefs_[0]) is backend  # the one that was pickled has not moved


def test_host_data_goes_on_being_taken_after_a_pickle_and_a_move(backend):
    ours = pnn.MLPClassifier(backend=backend, **OPTIONS).fit(X_iris, y_iris)
    loaded = pickle.loads(pickle.dumps(ours))  # on NumPy now, and it is trained on there
    assert (loaded.backend, loaded.device) == (backend.name, backend.device_name())
    loaded.partial_fit(X_iris, y_iris)
    assert type(loaded.coefs_[0]) is np.ndarray
    loaded.to(backend)  # where its parameter `backend` has it: host data is taken there again
    loaded.partial_fit(X_iris, y_iris)
    assert pnn.backends.of(loaded.coefs_[0]) is backend
    assert type(loaded.predict_proba(X_iris)) is np.ndarray
    ours.partial_fit(X_iris, y_iris).partial_fit(X_iris, y_iris)
    assert relative(loaded.predict_proba(X_iris), ours.predict_proba(X_iris)) < 1e-9
    assert_beside(ours.predict_proba(backend.asarray(X_iris)), backend, ours.coefs_[0])


def test_a_pickle_loads_where_the_library_of_the_training_is_missing(backend, tmp_path):
    if backend.host:
        pytest.skip("NumPy is never missing")
    ours = pnn.MLPClassifier(backend=backend, **OPTIONS).fit(X_iris, y_iris)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(ours))
    np.save(tmp_path / "X.npy", X_iris)
    program = (
        "import sys, pickle, numpy as np\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name.partition('.')[0] == {backend.package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "clf = pickle.load(open('model.pickle', 'rb'))\n"
        "print(*clf.predict(np.load('X.npy')))\n"
        f"assert {backend.package!r} not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(c) for c in ours.to("numpy").predict(X_iris)]


def test_copies_stay_where_they_are(backend):
    x = backend.asarray(X_iris)
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris)
    for twin in (copy.copy(ours), copy.deepcopy(ours)):
        np.testing.assert_array_equal(
            backend.to_numpy(twin.predict_proba(x)), backend.to_numpy(ours.predict_proba(x))
        )
        assert_beside(twin.coefs_[0], backend, x)
    assert clone(pnn.MLPClassifier(backend=backend)).backend is backend


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_on_any_device_are_refused_in_scikit_learns_words(bad, backend):
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


def test_shapes_are_refused_on_any_device_in_scikit_learns_words(backend):
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


def test_scikit_learns_own_switch_for_arrays_may_be_set(backend):
    program = (
        "import sys, warnings, numpy as np, sklearn\n"
        "sklearn.set_config(array_api_dispatch=True)\n"
        "warnings.simplefilter('ignore')\n"
        "import portable_nn as pnn\n"
        "backend = pnn.backends.get(sys.argv[1], sys.argv[2])\n"
        "X = np.random.default_rng(0).normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int)\n"
        "x, labels = backend.asarray(X), backend.asarray(y)\n"
        "clf = pnn.MLPClassifier(max_iter=5, n_iter_no_change=9, early_stopping=True)\n"
        "clf.fit(x, labels)\n"
        "assert pnn.backends.of(clf.predict(x)) is backend\n"
        "assert 0 <= clf.score(x, labels) <= 1\n"
        "pnn.MLPRegressor(max_iter=5, solver='lbfgs').fit(x, x[:, 0]).score(x, x[:, 0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, backend.name, backend.device_name()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
    )
    assert done.returncode == 0, done.stderr


def test_a_device_without_float64_trains_in_float32():
    pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    device = pnn.backends.get("array_api_strict", "no_float64")
    x = device.asarray(X_iris.astype("float32"))
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris)
    assert_beside(ours.predict_proba(x), device, x)
    floats = y_iris.astype(float)  # labels that are float64, which the device has not
    assert set(pnn.MLPClassifier(**OPTIONS).fit(x, floats).predict(x)) <= {0.0, 1.0, 2.0}
    with pytest.raises(TypeError, match="no dtype 'float64'"):
        pnn.MLPClassifier(backend="array_api_strict", device="no_float64").fit(X_iris, y_iris)


def test_neither_x_nor_y_is_taken_to_the_host(backend, monkeypatch):
    if backend.host:
        pytest.skip("NumPy's arrays are there")
    x, y = backend.asarray(X_iris), backend.asarray(X_iris[:, :3] + 1)
    sizes, original = [], type(backend).to_numpy

    def watched(self, array):
        host = original(self, array)
        sizes.append(host.size)
        return host

    monkeypatch.setattr(type(backend), "to_numpy", watched)
    options = OPTIONS | {"max_iter": 2, "batch_size": 50}
    pnn.MLPRegressor(**options).fit(x, y).predict(x)
    assert max(sizes) < 20  # flags and costs
    assert len(sizes) <= 7  # X and y are finite (X of predict too), y has a meaning; one read an epoch
    pnn.MLPRegressor(early_stopping=True, **options).fit(x, y)
    assert max(sizes) <= 450  # y, which is scored on the host
    assert 600 not in sizes  # X


def test_labels_given_as_classes_may_lie_on_a_device(backend):
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


def test_jax_as_it_is_by_default_has_no_64_bit_numbers():
    pytest.importorskip("jax", reason="jax is not installed")
    program = (
        "import warnings, numpy as np, jax.numpy as jnp, portable_nn as pnn\n"
        "warnings.simplefilter('ignore')\n"
        "X = np.random.default_rng(0).normal(size=(60, 3)).astype('float32')\n"
        "y = (X[:, 0] > 0).astype(int)\n"
        "clf = pnn.MLPClassifier(max_iter=3).fit(X, y).to('jax')\n"
        "assert type(clf.predict(jnp.asarray(X))) is np.ndarray  # int64, which is not there\n"
        "clf = pnn.MLPClassifier(max_iter=3, backend='jax').fit(X, y)\n"
        "assert clf.score(X, y) == np.mean(clf.predict(X) == y)\n"
        "clf = pnn.MLPClassifier(max_iter=3).fit(jnp.asarray(X), jnp.asarray(y))\n"
        "assert pnn.backends.of(clf.predict(jnp.asarray(X))).name == 'jax'\n"
        "pnn.MLPRegressor(max_iter=3).fit(jnp.asarray(X), X[:, 0].astype(float))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_the_outputs_of_many_rows_are_computed_in_parts(backend):
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
