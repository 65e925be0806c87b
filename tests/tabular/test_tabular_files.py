"""Files, pickles and copies of estimators of tables predict what they did."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from storage_files import with_values
from tables import QUICK, classes, table

import portable_nn as pnn

CASES = {
    "classes": (pnn.TabularClassifier, classes, {}),
    "numbers": (pnn.TabularRegressor, table, {"refit": True}),
    "nothing set aside": (pnn.TabularClassifier, classes, {"validation_fraction": 0.0}),
}
host = pytest.mark.usefixtures("host_only")


@pytest.fixture(params=CASES)
def fitted(request):
    """A fitted estimator, and its table."""
    pytest.importorskip("pandas")
    kind, make, options = CASES[request.param]
    X, y = make()
    return kind(**QUICK | options).fit(X, y), X


def assert_same(one, two, X):
    """They predict the same, to the bit, and how sure they are."""
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    if isinstance(one, pnn.TabularClassifier):
        np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    if "calibration_scores_" in vars(one):
        method = "predict_set" if isinstance(one, pnn.TabularClassifier) else "predict_interval"
        np.testing.assert_array_equal(getattr(one, method)(X), getattr(two, method)(X))


@host
def test_a_file_predicts_the_same(fitted, tmp_path):
    estimator, X = fitted
    path = tmp_path / "model.pnn"
    pnn.save(path, estimator)
    loaded = pnn.load(path)
    assert type(loaded) is type(estimator)
    assert loaded.get_params() == estimator.get_params()
    assert_same(estimator, loaded, X)
    assert list(loaded.feature_names_in_) == list(X)
    assert vars(loaded).keys() == vars(estimator).keys()
    pnn.save(path, loaded)
    assert_same(estimator, pnn.load(path), X)


@host
@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_predict_the_same(fitted, twin):
    estimator, X = fitted
    assert_same(estimator, twin(estimator), X)
    unfitted = twin(type(estimator)(max_iter=3))
    assert unfitted.max_iter == 3


@host
def test_a_pickle_names_no_class_of_ours_but_the_estimator(fitted):
    estimator, _ = fitted
    named = pickle.dumps(estimator, protocol=2)
    modules = {word.split(b"\n")[0] for word in named.split(b"cportable_nn")[1:]}
    assert modules == {b".tabular." + type(estimator).__name__[7:].lower().encode()}


def test_a_file_is_loaded_on_any_backend(backend, tmp_path, random):
    X = random.normal(size=(60, 3)).astype("float32")
    regressor = pnn.TabularRegressor(**QUICK).fit(X, X[:, 0])
    pnn.save(tmp_path / "model.pnn", regressor)
    loaded = pnn.load(tmp_path / "model.pnn", backend)
    found = loaded.predict(backend.asarray(X))
    assert pnn.backends.of(found) is backend
    np.testing.assert_allclose(pnn.backends.to_host(found), regressor.predict(X), rtol=1e-4, atol=1e-5)
    pnn.save(tmp_path / "again.pnn", loaded)
    again = pnn.load(tmp_path / "again.pnn")
    np.testing.assert_array_equal(again.predict(X), regressor.predict(X))


@host
def test_without_scikit_learn_the_stack_of_networks_comes_back(tmp_path, random):
    X = random.normal(size=(60, 3))
    clf = pnn.TabularClassifier(**QUICK).fit(X, X[:, 0] > 0)
    path = tmp_path / "model.pnn"
    pnn.save(path, clf)
    net, params, labels = pnn.load(path, as_network=True)
    assert net.sizes[-1] == len(labels) == 2
    assert params[-1][0].shape[0] == 2
    block = "import sys; sys.modules['sklearn'] = None; sys.path[:0] = []\n"
    code = f"{block}import portable_nn as pnn\nprint(len(pnn.load({str(path)!r})))"
    run = [sys.executable, "-W", "ignore", "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == "3"


@host
def test_what_is_not_fitted_or_not_ours_is_refused(tmp_path):
    class Mine(pnn.TabularClassifier):
        pass

    with pytest.raises(NotFittedError, match="this TabularClassifier is not fitted"):
        pnn.save(tmp_path / "model.pnn", pnn.TabularClassifier())
    with pytest.raises(TypeError, match=r"Mine was given; .*Subclasses are not saved"):
        pnn.save(tmp_path / "model.pnn", Mine())


@host
def test_attributes_of_others_are_left_out_with_a_warning(tmp_path, random):
    clf = pnn.TabularClassifier(**QUICK).fit(random.normal(size=(20, 2)), np.arange(20) % 2)
    clf.note_ = "mine"
    with pytest.warns(UserWarning, match="without the attribute `note_`"):
        pnn.save(tmp_path / "model.pnn", clf)
    assert not hasattr(pnn.load(tmp_path / "model.pnn"), "note_")


def at(values, *path):
    for name in path:
        values = values[name]
    return values


DAMAGES = {
    "a scale of 0": (("encoding", "numbers", 0), "scale", 0.0),
    "no scale": (("encoding", "numbers", 0), "scale", None),
    "another column": (("encoding", "numbers", 0), "column", 99),
    "a field more": (("encoding", "numbers", 0), "more", 1),
    "no numbers": (("encoding",), "numbers", None),
    "fewer columns": (("encoding",), "is_number", [True]),
    "no answer": (("encoding",), "twice", 0),
    "levels that are numbers": (("encoding", "categories", 0), "levels", [1, 2, 3]),
    "fewer levels": (("encoding", "categories", 1), "levels", ["level 1"]),
    "no outputs": (("attributes",), "n_outputs_", 7),
    "other features": (("attributes",), "n_features_in_", 3),
    "an attribute more": (("attributes",), "evil_", 1),
    "no mean": (("attributes",), "target_mean_", None),
}


@host
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_was_changed_is_refused(damage, tmp_path):
    pytest.importorskip("pandas")
    X, y = table()
    path, (where, name, value) = tmp_path / "model.pnn", DAMAGES[damage]
    pnn.save(path, pnn.TabularRegressor(**QUICK).fit(X, y))

    def change(values):
        at(values, *where)[name] = value
        return values

    with_values(path, change)
    with pytest.raises(pnn.ModelFormatError):
        pnn.load(path)
