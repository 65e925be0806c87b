"""scikit-learn's MLPs, both ways: its own predictions are the oracle."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

import portable_nn as pnn
from portable_nn.interchange import from_sklearn, to_sklearn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
CLOSE = 1e-12
TARGETS = {
    "strings": lambda X: np.array(["c", "a", "b"])[np.argsort(X[:, :3], axis=1)[:, 0]],
    "booleans": lambda X: X[:, 0] > 0,
    "many labels": lambda X: (X[:, :3] > 0).astype(int),
    "numbers": lambda X: X[:, 0],
    "rows of numbers": lambda X: X[:, :2],
}


@pytest.fixture
def X(random):
    return random.normal(size=(80, 5))


def outputs(estimator, X):
    return getattr(estimator, "predict_proba", estimator.predict)(X)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("kind", TARGETS)
def test_predictions_are_the_same_both_ways(kind, activation, X, margin):
    y = TARGETS[kind](X)
    estimator = MLPRegressor if "numbers" in kind else MLPClassifier
    how = {"hidden_layer_sizes": (6, 4), "activation": activation, "max_iter": 4, "random_state": 0}
    theirs = estimator(**how).fit(X, y)
    ours = from_sklearn(theirs)
    again = ours.to_sklearn()
    assert type(again) is type(theirs)
    assert again.get_params() == theirs.get_params()
    for one, other in ((ours, theirs), (again, theirs)):
        found = float(np.max(np.abs(outputs(one, X) - outputs(theirs, X))))
        assert margin("scikit-learn", kind, found) <= CLOSE
        np.testing.assert_array_equal(
            one.predict(X)[: len(y) * (kind not in ("numbers", "rows of numbers"))],
            other.predict(X)[: len(y) * (kind not in ("numbers", "rows of numbers"))],
        )
        assert one.loss_curve_ == theirs.loss_curve_
    theirs.coefs_[0][:] = 0  # copies
    assert ours.coefs_[0].any()
    assert again.coefs_[0].any()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_training_goes_on_in_both_libraries(solver, X):
    y = X[:, 0] > 0
    theirs = MLPClassifier((4,), solver=solver, max_iter=3, random_state=0).fit(X, y)
    ours = from_sklearn(theirs)
    for estimator in (ours, ours.to_sklearn()):
        if solver == "adam":
            estimator.partial_fit(X, y)
        before = estimator.coefs_[0].copy()
        estimator.set_params(warm_start=True).fit(X, y)
        assert not np.array_equal(estimator.coefs_[0], before)


def test_a_warm_start_is_that_of_scikit_learn(X):
    y = X[:, 0] > 0
    theirs = MLPClassifier((4,), max_iter=3, random_state=0, warm_start=True).fit(X, y)
    ours = from_sklearn(theirs)
    theirs.fit(X, y)
    ours.fit(X, y)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)


def test_what_is_lost_is_said(X):
    y = X[:, 0] > 0
    ours = pnn.MLPClassifier((4,), dropout=0.2, solver="adamw", class_weight="balanced", max_iter=2)
    ours.fit(X, y)
    message = "no counterpart for `class_weight`, `dropout`, `solver`: predictions are the same"
    with pytest.warns(UserWarning, match=message):
        theirs = to_sklearn(ours)
    assert theirs.solver == "adam"
    assert np.max(np.abs(outputs(theirs, X) - outputs(ours, X))) <= CLOSE
    huber = pnn.MLPRegressor("huber", (4,), max_iter=2).fit(X, X[:, 0])
    with pytest.warns(UserWarning, match="for `loss`"):
        found = huber.to_sklearn().predict(X)
    assert np.max(np.abs(found - huber.predict(X))) <= CLOSE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        pnn.MLPClassifier((4,), max_iter=2, batch_size=20).fit(X, y).to_sklearn()


def test_what_scikit_learn_lacks_is_refused(X):
    y = X[:, 0] > 0
    for activation in ("silu", ["relu", "tanh"]):
        with pytest.raises(ValueError, match="which scikit-learn's MLP lacks; accepted: relu"):
            pnn.MLPClassifier((4, 4), activation=activation, max_iter=2).fit(X, y).to_sklearn()
    with pytest.raises(NotFittedError):
        pnn.MLPClassifier().to_sklearn()
    with pytest.raises(NotFittedError):
        from_sklearn(MLPClassifier())
    with pytest.raises(TypeError, match="accepted: sklearn"):
        from_sklearn(pnn.MLPClassifier())
    with pytest.raises(TypeError, match="accepted: a fitted portable_nn"):
        to_sklearn(3)


def test_an_estimator_of_another_backend_goes_to_the_host(strict, X):
    y = (X[:, 0] > 0).astype(int)
    ours = pnn.MLPClassifier((4,), max_iter=2, random_state=0).fit(strict.asarray(X), strict.asarray(y))
    theirs = ours.to_sklearn()
    assert isinstance(theirs.coefs_[0], np.ndarray)
    assert isinstance(theirs.classes_, np.ndarray)
    np.testing.assert_array_equal(theirs.predict(X), np.asarray(ours.predict(strict.asarray(X))))
