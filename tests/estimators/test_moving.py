"""Estimators that move between libraries and devices: backends by name, `to`, pickles, copies."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import iris
import scipy
from helpers import relative
from iris import NAMES, assert_beside
from sklearn.base import clone
from sklearn.utils.fixes import parse_version

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X_iris, y_iris = iris.X, iris.y
OPTIONS = {"hidden_layer_sizes": (8, 6), "max_iter": 30, "random_state": 0}


def test_a_backend_by_name_takes_host_data_and_gives_back_host_arrays(backend, margin):
    expected = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris)
    for given, device in ((backend.name, backend.device_name()), (backend, None)):
        ours = pnn.MLPClassifier(backend=given, device=device, **OPTIONS)
        clone(ours).fit(X_iris.tolist(), y_iris)
        ours.fit(X_iris, y_iris)
        assert pnn.backends.of(ours.coefs_[0]) is backend
        for method in ("predict", "predict_proba"):
            found = getattr(ours, method)(X_iris)
            assert type(found) is np.ndarray
            difference = relative(found, getattr(expected, method)(X_iris))
            assert margin("estimators", f"{backend.name}@{backend.device_name()}", difference) < 1e-8
        assert all(type(a) is np.ndarray for a in ours.activations(X_iris))
        assert ours.score(X_iris, y_iris) == expected.score(X_iris, y_iris)
        on_device = ours.predict_proba(backend.asarray(X_iris))  # arrays that are there already
        assert pnn.backends.of(on_device) is backend


def test_a_backend_by_name_takes_frames_and_their_names():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    expected = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris)
    frame = pandas.DataFrame(X_iris, columns=list("abcd"))
    ours = pnn.MLPClassifier(backend="numpy", **OPTIONS).fit(frame, y_iris)
    assert list(ours.feature_names_in_) == list("abcd")
    for method in ("predict", "predict_proba"):
        found = getattr(ours, method)(frame)
        assert type(found) is np.ndarray
        assert relative(found, getattr(expected, method)(X_iris)) < 1e-8
    assert all(type(a) is np.ndarray for a in ours.activations(frame))
    assert ours.score(frame, y_iris) == expected.score(X_iris, y_iris)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        ours.predict_proba(X_iris)


def test_a_fitted_estimator_can_be_moved_to_a_device_and_back(backend):
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


def test_partial_fit_after_a_move_continues_as_without_it(backend):
    x = backend.asarray(X_iris)
    stayed = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris).partial_fit(X_iris, y_iris)
    moved = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris).to("numpy").partial_fit(X_iris, y_iris)
    again = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris).to(backend).partial_fit(x, y_iris)
    assert relative(moved.coefs_[0], stayed.coefs_[0]) < 1e-9
    assert relative(backend.to_numpy(again.coefs_[0]), stayed.coefs_[0]) < 1e-9


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


def test_host_data_is_still_accepted_after_a_pickle_and_a_move(backend):
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


@pytest.mark.device_only
def test_a_pickle_loads_without_the_library_it_was_trained_with(backend, tmp_path):
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


@pytest.mark.usefixtures("host_only")
def test_deep_copies_share_nothing_and_keep_what_is_one_array_one():
    ours = pnn.MLPClassifier(**OPTIONS).fit(X_iris, y_iris)
    coef, twin = copy.deepcopy([ours.coefs_[0], ours])
    assert twin.coefs_[0] is coef
    assert not np.shares_memory(coef, ours.coefs_[0])
    assert coef.flags.f_contiguous == ours.coefs_[0].flags.f_contiguous
    for value in (None, [[[1.0, 2.0]], [[3.0]]]):  # what only the user can have put there
        ours.coefs_ = value
        assert copy.deepcopy(ours).coefs_ == value


def test_copies_stay_on_their_device(backend):
    x = backend.asarray(X_iris)
    ours = pnn.MLPClassifier(**OPTIONS).fit(x, y_iris)
    for twin in (copy.copy(ours), copy.deepcopy(ours)):
        np.testing.assert_array_equal(
            backend.to_numpy(twin.predict_proba(x)), backend.to_numpy(ours.predict_proba(x))
        )
        assert_beside(twin.coefs_[0], backend, x)
    assert clone(pnn.MLPClassifier(backend=backend)).backend is backend


@pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.14"),
    reason="scikit-learn's switch for arrays needs SciPy 1.14",
)
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


def test_the_estimators_work_with_jax_in_its_default_32_bits(jax):
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


def test_a_pickle_of_version_0_1_finds_the_functions_that_have_moved():
    for name in ("binary_log_loss", "multinomial_log_loss", "mean_squared_error"):
        named = f"cportable_nn.estimators.conventions\n{name}\n.".encode()  # protocol 0: a name
        assert pickle.loads(named).__module__ == "portable_nn.equations.scikit_losses"
