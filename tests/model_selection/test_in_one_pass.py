"""Any meta-estimator within `in_one_pass`; searches within others, and in threads."""

from __future__ import annotations

import threading

import joblib
import numpy as np
import pytest
from searched import X, assert_same_results, classifier, regressor, t, y
from sklearn import model_selection
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import RFECV
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor

from portable_nn import model_selection as ours
from portable_nn.model_selection import tasks

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
GRID = {"alpha": [0.1, 1.0]}
PAIR = [("a", classifier()), ("b", classifier(random_state=1))]
ESTIMATORS = {  # and how many networks its first pass trains
    "bagging": (BaggingClassifier(classifier(), n_estimators=4, random_state=0), 4),
    "voting": (VotingClassifier(PAIR, voting="soft"), 2),
    "stacking": (StackingClassifier(PAIR, LogisticRegression(max_iter=500), cv=2), 2),
    "one against the rest": (OneVsRestClassifier(classifier()), 3),
    "one against one": (OneVsOneClassifier(classifier()), 3),
    "calibrated": (CalibratedClassifierCV(classifier(), cv=3), 3),
    "columns": (RFECV(classifier(), cv=3, importance_getter=lambda e: abs(e.coefs_[0]).sum(1)), 3),
}


@pytest.fixture
def passes(monkeypatch):
    """How many networks each pass has trained."""
    found, train = [], tasks.train_together

    def record(members, *kept):
        found.append(len(members))
        return train(members, *kept)

    monkeypatch.setattr(tasks, "train_together", record)
    return found


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_meta_estimator_trains_its_networks_together_and_predicts_the_same(name, passes):
    estimator, first = ESTIMATORS[name]
    expected = clone(estimator).fit(X, y)
    assert passes == []
    with ours.in_one_pass() as count:
        found = clone(estimator).fit(X, y)
    assert passes[0] == first
    assert 0 < count.n_passes <= sum(passes)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    method = "decision_function" if name == "one against one" else "predict_proba"
    np.testing.assert_array_equal(getattr(found, method)(X), getattr(expected, method)(X))


def test_outputs_of_a_regression_are_trained_together(passes):
    Y = np.stack([t, -t, t**2], axis=1)
    estimator = MultiOutputRegressor(regressor())
    with ours.in_one_pass():
        found = clone(estimator).fit(X, Y)
    assert passes == [3]
    np.testing.assert_array_equal(found.predict(X), estimator.fit(X, Y).predict(X))


@pytest.mark.parametrize("module", [ours, model_selection], ids=["ours", "theirs"])
def test_a_search_within_a_cross_validation_is_trained_with_those_of_other_folds(module, passes):
    search = module.GridSearchCV(classifier(), GRID, cv=2)
    found = ours.cross_validate(search, X, y, cv=3, return_estimator=True)
    assert passes == [3 * 2 * 2, 3]  # the searches of all folds, and their refits
    nested = model_selection.GridSearchCV(classifier(), GRID, cv=2)
    expected = model_selection.cross_validate(nested, X, y, cv=3)
    np.testing.assert_array_equal(found["test_score"], expected["test_score"])
    if module is ours:
        assert all(search.n_passes_ > 0 for search in found["estimator"])


def test_a_search_of_ours_within_takes_the_jobs_of_its_own(passes):
    with ours.in_one_pass() as outer, joblib.parallel_backend("threading", n_jobs=1):
        ours.cross_val_score(classifier(), X, y, cv=2)
    with ours.in_one_pass() as around:
        ours.cross_val_score(classifier(), X, y, cv=2)
        model_selection.cross_val_score(classifier(), X, y, cv=2, n_jobs=2)
    assert passes == [2, 2, 2]
    assert outer.n_passes == 0
    assert around.n_passes > 0  # of scikit-learn's


def test_two_searches_in_two_threads_at_once():
    expected = model_selection.GridSearchCV(classifier(), GRID, cv=2).fit(X, y).cv_results_
    searches = [ours.GridSearchCV(classifier(), GRID, cv=2) for _ in range(2)]
    before = threading.active_count()
    threads = [threading.Thread(target=search.fit, args=(X, y)) for search in searches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for search in searches:
        assert_same_results(search.cv_results_, expected)
    assert threading.active_count() == before


def test_a_thread_that_a_task_has_started_trains_by_itself(passes):
    from contextvars import copy_context

    class Threaded(type(classifier())):
        def fit(self, X, y):
            run = copy_context().run  # as Python 3.14 may do without being asked
            thread = threading.Thread(target=run, args=(super().fit, X, y))
            thread.start()
            thread.join()
            return self

    estimator = Threaded((4,), max_iter=4, random_state=0)
    found = ours.cross_val_score(estimator, X, y, cv=2)
    assert passes == [1, 1]
    np.testing.assert_array_equal(found, model_selection.cross_val_score(estimator, X, y, cv=2))


def test_outside_all_is_as_it_was():
    backend = type(joblib.parallel.get_active_backend()[0])
    with ours.in_one_pass():
        assert type(joblib.parallel.get_active_backend()[0]) is not backend
    with pytest.raises(ZeroDivisionError), ours.in_one_pass():
        raise ZeroDivisionError
    assert type(joblib.parallel.get_active_backend()[0]) is backend


@pytest.mark.parametrize("n_jobs", [None, 2, -1])
def test_all_parts_are_one_pass_whatever_n_jobs_is(n_jobs):
    bagging = BaggingClassifier(classifier(), n_estimators=5, n_jobs=n_jobs, random_state=0)
    with ours.in_one_pass() as count:
        bagging.fit(X, y)
    assert count.n_passes == 1


@pytest.mark.parametrize(
    "wrong", [{"verbose": "a"}, {"verbose": -1}, {"progress": "a"}, {"max_stack_bytes": 0}]
)
def test_wrong_settings_are_refused(wrong):
    (name,) = wrong
    with (
        pytest.raises((TypeError, ValueError), match=f"`{name}` is .*accepted"),
        ours.in_one_pass(**wrong),
    ):
        pass
