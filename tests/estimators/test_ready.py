"""Predictions of few rows are prepared once per model: they follow every change of it, to the bit."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier as ScikitClassifier

import portable_nn as pnn
from portable_nn.compiler.numpy.prepared import PreparedProgram, PreparedStep

TIMES = 12  # that a shape comes, until it is surely prepared


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def ran(monkeypatch):
    """How many predictions were made by a program."""
    found, call = [], PreparedProgram.__call__
    monkeypatch.setattr(
        PreparedProgram, "__call__", lambda self, x: (found.append(self), call(self, x))[1]
    )
    return found


def fitted(iris, **options):
    options = {"hidden_layer_sizes": (7, 5), "max_iter": 3, "random_state": 0} | options
    with pytest.warns(match="Maximum iterations"):
        return pnn.MLPClassifier(**options).fit(*iris)


def usual(model, rows):
    """What the usual way gives, of a copy that has nothing prepared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreparedStep, "__call__", lambda *_: None)
        return copy.deepcopy(model).predict_proba(rows)


def again(model, rows):
    for _ in range(TIMES):
        found = model.predict_proba(rows)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_few_rows_are_predicted_to_the_same_bits(activation, dtype, iris, ran):
    X, y = iris[0].astype(dtype), iris[1]
    model = fitted((X, y), activation=activation)
    for rows in (X[:1], X[:2], X[7:40], X[:64]):
        np.testing.assert_array_equal(again(model, rows), usual(model, rows))
    assert len(ran) >= 4 * (TIMES - 8)
    once = len(ran)
    for rows in (X[:65], X[:4].astype("f4" if dtype == "float64" else "f8"), X[:9:2], X[:3].tolist()):
        np.testing.assert_array_equal(again(model, rows), usual(model, rows))
    assert len(ran) == once, "these are none for a program"


def test_predictions_follow_every_change_of_the_model(iris, ran):
    X, y = iris
    model, rows = fitted(iris), X[:3]

    def check():
        np.testing.assert_array_equal(again(model, rows), usual(model, rows))

    before = again(model, rows)
    model.coefs_[0] *= 1.5  # in place
    check()
    model.coefs_[1] = model.coefs_[1] + 0.1
    check()
    model.intercepts_ = [b + 1 for b in model.intercepts_]
    check()
    model.partial_fit(X, y)
    check()
    with pytest.warns(match="Maximum iterations"):
        model.set_params(hidden_layer_sizes=(4,), activation="tanh").fit(X, y)
    check()
    assert ran
    assert not np.array_equal(before, model.predict_proba(rows))
    model.coefs_ = [*model.coefs_[:-1], model.coefs_[-1] * np.nan]
    assert np.isnan(again(model, rows)).all()


def test_wrong_rows_are_refused_as_before_once_all_is_prepared(iris):
    model = fitted(iris)
    again(model, iris[0][:1])
    for wrong, message in (
        (np.full((1, 4), np.nan), "contains NaN"),
        (np.ones((1, 5)), "5 features"),
        (np.ones(4), "1D array"),
        (np.ones((0, 4)), "0 sample"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict_proba(wrong)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["copy", "deep", "pickle"],
)
def test_a_copy_has_nothing_of_what_was_prepared(copied, iris):
    model, rows = fitted(iris), iris[0][:2]
    before = again(model, rows)
    assert "_ready" not in model.__getstate__()
    twin = copied(model)
    assert twin._ready is not model._ready
    np.testing.assert_array_equal(again(twin, rows), before)
    twin.coefs_ = [2 * coef for coef in twin.coefs_]
    assert not np.array_equal(again(twin, rows), before)
    np.testing.assert_array_equal(model.predict_proba(rows), before)


def test_a_model_of_scikit_learn_is_prepared_in_its_memory_order(iris, ran):
    with pytest.warns(match="Maximum iterations"):
        theirs = ScikitClassifier((7,), max_iter=3, random_state=0).fit(*iris)
    model = pnn.interchange.from_sklearn(theirs)
    for activation in ("relu", "tanh"):
        model.activation = activation  # it has no network yet that would say it
        for rows in (iris[0][:1], iris[0][:5]):
            np.testing.assert_array_equal(again(model, rows), usual(model, rows))
    assert ran


def test_threads_predict_while_the_model_is_fitted(iris):
    X, y = iris
    model, wrong = fitted(iris), []
    rows, stop = X[:4], threading.Event()

    def work():
        while not stop.is_set():
            P = model.predict_proba(rows)
            if P.shape != (4, 3) or not np.allclose(P.sum(axis=1), 1):
                wrong.append(P)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        model.partial_fit(X, y)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_user_defined_activation_is_asked_each_time(iris):
    scale = [1.0]
    own = pnn.Activation("own", lambda xp, Z: Z * scale[0], lambda xp, Z: xp.ones_like(Z) * scale[0])
    model, rows = fitted(iris, activation=own), iris[0][:2]
    before = again(model, rows)
    scale[0] = 2.0
    assert not np.array_equal(again(model, rows), before)


def test_regressors_and_labels_are_prepared_too(iris, ran, random):
    X, labels = iris[0], np.array(["a", "b", "c"])[iris[1]]
    with pytest.warns(match="Maximum iterations"):
        model = pnn.MLPRegressor(hidden_layer_sizes=(5,), max_iter=2, random_state=0).fit(X, X[:, 0])
    names = fitted((X, labels))
    for each in (model, names):
        for _ in range(TIMES):
            found = each.predict(X[:3])
        np.testing.assert_array_equal(found, copy.deepcopy(each).predict(X[:3]))
    assert len(ran) >= 2 * (TIMES - 8)
