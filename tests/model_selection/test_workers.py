"""Several jobs: each worker trains its share together, on the backend of the user's."""

from __future__ import annotations

import threading
import time

import joblib
import numpy as np
import pytest
from searched import X, assert_same_results, classifier, y
from sklearn import model_selection
from sklearn.ensemble import RandomForestClassifier

from portable_nn import model_selection as ours
from portable_nn.model_selection import joblib_backend

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
GRID = {"learning_rate_init": [1e-3, 1e-2, 0.1]}


@pytest.fixture(scope="module")
def expected():
    return model_selection.GridSearchCV(classifier(), GRID, cv=3).fit(X, y).cv_results_


@pytest.fixture
def shares(monkeypatch):
    """How many tasks each worker got, where the workers are threads."""
    found, run_share = [], joblib_backend.run_share

    def record(tasks, settings, *large):
        found.append((len(tasks), settings.max_stack_bytes))
        return run_share(tasks, settings, *large)

    monkeypatch.setattr(joblib_backend, "run_share", record)
    return found


def test_processes_give_the_same_results_in_the_same_order(expected):
    search = ours.GridSearchCV(classifier(), GRID, cv=3, n_jobs=2, pre_dispatch=1).fit(X, y)
    assert_same_results(search.cv_results_, expected)
    assert search.n_passes_ >= 2


def test_the_tasks_and_the_memory_are_dealt_to_the_users_own_backend(expected, shares):
    with joblib.parallel_backend("threading", n_jobs=2):
        search = ours.GridSearchCV(classifier(), GRID, cv=3, max_stack_bytes=2**20).fit(X, y)
    assert_same_results(search.cv_results_, expected)
    assert sorted(shares) == [(4, 2**19), (5, 2**19)]


def test_more_jobs_than_tasks_and_jobs_of_the_searches_own(shares):
    scores = model_selection.cross_val_score(classifier(), X, y, cv=2)
    with joblib.parallel_backend("threading", n_jobs=1):
        found = ours.cross_val_score(classifier(), X, y, cv=2, n_jobs=3)
    np.testing.assert_array_equal(found, scores)
    assert [n for n, _ in shares] == [1, 1]


def test_an_error_in_a_worker_is_raised_and_the_next_search_runs(expected):
    with joblib.parallel_backend("threading", n_jobs=2):
        before = threading.active_count()
        search = ours.GridSearchCV(classifier(), {"alpha": [0.1, "much"]}, cv=2, error_score="raise")
        with pytest.raises(ValueError, match="'alpha' parameter of MLPClassifier"):
            search.fit(X, y)
        end = (
            time.monotonic() + 20
        )  # no thread can be stopped from outside: the other share ends by itself
        while threading.active_count() > before and time.monotonic() < end:
            time.sleep(0.01)
        assert threading.active_count() <= before
        search = ours.GridSearchCV(classifier(), GRID, cv=3).fit(X, y)
    assert_same_results(search.cv_results_, expected)


def test_what_prefers_threads_gets_the_threads_of_the_user(monkeypatch):
    taken, apply_async = [], joblib_backend.OnePass.apply_async

    def record(self, func, callback):
        taken.append(func)
        return apply_async(self, func, callback)

    monkeypatch.setattr(joblib_backend.OnePass, "submit", record)
    monkeypatch.setattr(joblib_backend.OnePass, "apply_async", record)
    forest = RandomForestClassifier(4, n_jobs=2, random_state=0)
    expected = forest.fit(X, y).predict_proba(X)
    with ours.in_one_pass() as count:
        np.testing.assert_array_equal(forest.fit(X, y).predict_proba(X), expected)
    assert (len(taken), count.n_passes) == (0, 0)
    found = ours.cross_val_score(forest, X, y, cv=2)
    np.testing.assert_array_equal(found, model_selection.cross_val_score(forest, X, y, cv=2))
    assert len(taken) == 2  # the folds, and none of their trees


def test_no_jobs_are_refused_as_by_joblib():
    with pytest.raises(ValueError, match="n_jobs == 0"):
        ours.cross_val_score(classifier(), X, y, n_jobs=0)
