"""Large arguments travel by themselves, each once; what comes back are the calls as they were."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from searched import classifier
from sklearn import model_selection

from portable_nn import model_selection as ours
from portable_nn.model_selection import joblib_backend
from portable_nn.model_selection.arguments import LARGE, put_back, taken_out

pytestmark = pytest.mark.usefixtures("host_only")

LARGE_ARRAY, ONE_BYTE_LESS = np.zeros(LARGE, "uint8"), np.zeros(LARGE - 1, "uint8")


def call(*args, **kwargs):
    """What joblib makes of a delayed function."""
    return (print, args, kwargs)


def test_an_argument_of_many_calls_is_taken_out_once_by_position_and_by_name():
    other = LARGE_ARRAY.copy()
    tasks = [[call(1, LARGE_ARRAY, test=other)], [call(2, LARGE_ARRAY), call(X=LARGE_ARRAY, y=None)]]
    without, large = taken_out(tasks)
    assert [id(value) for value in large] == [id(LARGE_ARRAY), id(other)]
    (_, (one, first), named), (_, (two, second), _) = without[0][0], without[1][0]
    assert (one, two) == (1, 2)
    assert first == second == without[1][1][2]["X"] != named["test"]


def test_what_is_put_back_are_the_same_objects_in_the_same_places():
    tasks = [[call("a", LARGE_ARRAY, alpha=0.5)], [call(X=LARGE_ARRAY), call()]]
    ((_, (letter, rows), named),), ((_, _, again), nothing) = put_back(*taken_out(tasks))
    assert (letter, named, nothing[1:]) == ("a", {"alpha": 0.5}, ([], {}))
    assert rows is again["X"] is LARGE_ARRAY


@pytest.mark.parametrize("value", [ONE_BYTE_LESS, 1.5, None, "a", [LARGE_ARRAY]], ids=type)
def test_what_is_small_stays_where_it_is(value):
    without, large = taken_out([[call(value, value=value)]])
    assert large == []
    assert without[0][0][1][0] is without[0][0][2]["value"] is value


def test_views_and_sparse_rows_are_as_large_as_what_they_show():
    rows = np.ones((LARGE, 2), "uint8")
    view, sparse = rows[:, 0], csr_array(rows)
    _, large = taken_out([[call(view, sparse, view[1:], sparse[:9])]])
    assert [id(value) for value in large] == [id(view), id(sparse)]


def test_frames_are_as_large_as_their_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": LARGE_ARRAY})
    assert [value is frame for value in taken_out([[call(frame, frame.head())]])[1]] == [True]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_search_hands_its_rows_to_each_worker_as_one_argument(monkeypatch):
    received, run_share = [], joblib_backend.run_share

    def record(share, settings, *large):
        received.append(large)
        return run_share(share, settings, *large)

    monkeypatch.setattr(joblib_backend, "run_share", record)
    X = np.random.default_rng(0).normal(size=(LARGE // 16, 2))
    y = X[:, 0] > 0
    search = {"estimator": classifier(max_iter=1, batch_size=10000), "param_grid": {"alpha": [0.1, 1.0]}}
    with joblib.parallel_config("threading", n_jobs=2):
        found = ours.GridSearchCV(**search, cv=2).fit(X, y).cv_results_["mean_test_score"]
    assert [[value is X for value in large] for large in received] == [[True], [True]]
    expected = model_selection.GridSearchCV(**search, cv=2).fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)
