"""The warnings of the estimators: which line they show, and which filters silence them."""

from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from iris import X, classifier, regressor, t, y
from scikit_features import COUNTS_ITERATIONS, filter_warnings
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


class Raises(pnn.Callback):
    """Raises an error at the end of the epoch of this number."""

    def __init__(self, error, epoch=1):
        self.error, self.epoch = error, epoch

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            raise self.error


def the_warning(action):
    """The one warning of an action."""
    with warnings.catch_warnings(record=True) as caught:
        filter_warnings("always")
        action()
    (found,) = caught
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"max_iter": 2},
        {"max_iter": 2, "solver": "lbfgs"},
        {"max_iter": 9, "max_time": 1e-9},
        {"max_iter": 9, "max_time": 1e-9, "solver": "lbfgs"},
    ],
    ids=["adam", "lbfgs", "adam, time", "lbfgs, time"],
)
def test_a_convergence_warning_shows_the_line_of_the_user(options):
    pipeline = make_pipeline(StandardScaler(), classifier(**options))
    for est in (classifier(**options), pipeline):
        line = inspect.currentframe().f_lineno + 1
        found = the_warning(lambda est=est: est.fit(X, y))
        assert found.category is ConvergenceWarning
        assert (found.filename, found.lineno) == (__file__, line)


def test_other_warnings_show_the_line_of_the_user_too():
    est = regressor(batch_size=1000)
    line = inspect.currentframe().f_lineno + 1
    found = the_warning(lambda: est.partial_fit(X, t))
    assert "clipped" in str(found.message)
    assert (found.filename, found.lineno) == (__file__, line)
    line = inspect.currentframe().f_lineno + 1
    found = the_warning(lambda: regressor(callbacks=[Raises(KeyboardInterrupt())]).fit(X, t))
    assert "interrupted" in str(found.message)
    assert (found.filename, found.lineno) == (__file__, line)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "chosen",
    [
        {"module": "sklearn"},
        {"category": ConvergenceWarning, "module": "sklearn"},
        {"category": ConvergenceWarning},
    ],
)
def test_the_filters_of_scikit_learns_examples_silence_it_as_its_own(chosen, solver):
    for library in (pnn, neural_network):
        with warnings.catch_warnings():
            filter_warnings("error")
            warnings.filterwarnings("ignore", **chosen)
            library.MLPClassifier((3,), max_iter=2, solver=solver, random_state=0).fit(X, y)


def test_lbfgs_warns_in_the_words_of_scikit_learn():
    options = {"hidden_layer_sizes": (3,), "solver": "lbfgs", "random_state": 0}
    for limit in ({"max_iter": 2}, {"max_fun": 3}):
        found, theirs = (
            the_warning(lambda make=library.MLPClassifier, o=options | limit: make(**o).fit(X, y))
            for library in (pnn, neural_network)
        )
        assert found.category is theirs.category
        if COUNTS_ITERATIONS:
            assert str(found.message) == str(theirs.message)
        else:  # scikit-learn's of 1.6; ours are those of the newest
            assert re.match(r"lbfgs failed to converge after \d iteration\(s\)", str(found.message))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_stop_iteration_of_a_callback_or_a_scorer_reaches_the_user(solver):
    with pytest.raises(StopIteration, match="mine"):
        regressor(solver=solver, callbacks=[Raises(StopIteration("mine"))]).fit(X, t)

    def scoring(est, X, y):
        raise StopIteration("mine")

    def schedule(step):
        if step > 1:
            raise StopIteration("mine")
        return 0.01

    if solver == "adam":
        with pytest.raises(StopIteration, match="mine"):
            regressor(early_stopping=True, scoring=scoring).fit(X, t)
        with pytest.raises(StopIteration, match="mine"):
            regressor(schedule=schedule, batch_size=50).fit(X, t)


def test_an_interrupted_partial_fit_leaves_everything_as_it_was(monkeypatch):
    est = regressor().partial_fit(X, t).partial_fit(X, t)
    before = {name: np.copy(getattr(est, name)) for name in ("n_iter_", "t_", "loss_curve_")}
    weights = [W.copy() for W in est.coefs_]

    def interrupted(self):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("portable_nn.training.loop.Loop.__iter__", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        est.partial_fit(X, t)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(est, name), value)
    assert est.n_iter_ == 1
    for W, V in zip(est.coefs_, weights, strict=True):
        np.testing.assert_array_equal(W, V)
