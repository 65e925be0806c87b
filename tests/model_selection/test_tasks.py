"""What is trained together: how many stacks, how much memory, whose time."""

from __future__ import annotations

import sys
import threading
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from searched import X, X_cancer, both, classifier, pipeline, t, y, y_cancer
from sklearn import model_selection
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as ScikitMLP

from portable_nn import model_selection as ours
from portable_nn.compiler.numpy import program
from portable_nn.model_selection import tasks
from portable_nn.training.steps import training_steps

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
RATES = {"learning_rate_init": [1e-3, 1e-2]}


@pytest.fixture
def trained(monkeypatch):
    """The sizes of the networks of each pass, as they are trained."""
    found, train = [], tasks.train_together

    def record(members, *kept):
        found.append([member.problem.net.sizes for member in members])
        return train(members, *kept)

    monkeypatch.setattr(tasks, "train_together", record)
    return found


def test_all_folds_of_all_candidates_are_one_pass(trained):
    grid = RATES | {"hidden_layer_sizes": [(3,), (5, 2)]}
    search = ours.GridSearchCV(classifier(), grid, cv=3, refit=False).fit(X, y)
    assert [len(sizes) for sizes in trained] == [2 * 2 * 3]
    assert search.n_passes_ == 2  # one of each structure


def test_the_refit_is_alone(trained):
    ours.GridSearchCV(classifier(), RATES, cv=3).fit(X, y)
    assert [len(sizes) for sizes in trained] == [6]


def test_what_cannot_be_stacked_is_fitted_as_by_scikit_learn(trained):
    for estimator in (classifier(solver="lbfgs"), ScikitMLP((3,), max_iter=3, random_state=0)):
        search = ours.GridSearchCV(estimator, {"alpha": [0.1, 1.0]}, cv=2).fit(X, y)
        assert search.n_passes_ == 0
    assert trained == []


@pytest.mark.parametrize(("share", "count"), [(2.5, [2, 2, 2]), (0.1, [1] * 6), (6, [6])])
def test_the_memory_of_a_pass_is_bounded(trained, share, count):
    member = []

    class Spy(tasks.Request):
        def __post_init__(self):
            super().__post_init__()
            member.append(self.nbytes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "Request", Spy)
        ours.cross_val_score(classifier(), X, y, cv=6)
    trained.clear()
    bound = int(share * max(member))
    found, expected = [
        module.cross_val_score(classifier(), X, y, cv=6, **more)
        for module, more in ((ours, {"max_stack_bytes": bound}), (model_selection, {}))
    ]
    assert [len(sizes) for sizes in trained] == count
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("n", "inputs", "hidden"),
    [(600, 30, (100,)), (10_000, 40, (10,)), (200, 100, (300, 300))],
    ids=["small", "many rows", "many weights"],
)
def test_the_estimate_of_the_memory_is_a_bound_within_twice(monkeypatch, n, inputs, hidden):
    monkeypatch.setattr(program, "OWN_MEMORY", (-1, -1))  # what programs keep would not be counted
    training_steps.cache_clear()
    rows = np.random.default_rng(0).normal(size=(n, inputs))
    estimates, train = [], tasks.train_together

    def record(members, *kept):
        estimates.append(sum(member.nbytes for member in members))
        return train(members, *kept)

    estimator = classifier(hidden_layer_sizes=hidden, max_iter=2, batch_size=100)
    search = ours.GridSearchCV(estimator, {"alpha": [0.1, 1.0, 2.0, 3.0]}, cv=2, refit=False)
    labels = (rows[:, 0] > 0).astype(int)
    search.fit(rows, labels)  # what is compiled stays, and is not of the training
    monkeypatch.setattr(tasks, "train_together", record)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        search.fit(rows, labels)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        training_steps.cache_clear()
    assert peak < estimates[0] < 2 * peak


def test_max_stack_bytes_is_a_positive_integer():
    for search in (
        ours.GridSearchCV(classifier(), RATES, max_stack_bytes=0),
        ours.HalvingGridSearchCV(classifier(), RATES, max_stack_bytes="1 GB"),
    ):
        with pytest.raises(ValueError, match="'max_stack_bytes' parameter of"):
            search.fit(X, y)
        assert not hasattr(search, "n_splits_")
    with pytest.raises(TypeError, match=r"`max_stack_bytes` is 0.5; accepted: a positive integer"):
        ours.cross_val_score(classifier(), X, y, max_stack_bytes=0.5)
    with pytest.raises(ValueError, match=r"`max_stack_bytes` is -1; .*leave it out"):
        ours.in_one_pass(max_stack_bytes=-1).__enter__()


def test_fit_times_are_those_of_the_fits_and_add_up_to_no_more_than_the_search():
    slow = {"learning_rate_init": [1e-3, 1e-2], "max_iter": [2, 40]}
    begin = time.perf_counter()
    search = ours.GridSearchCV(pipeline(), {f"mlp__{k}": v for k, v in slow.items()}, cv=2, refit=False)
    search.fit(X_cancer, y_cancer)
    seconds = time.perf_counter() - begin
    fit, score = (search.cv_results_[f"mean_{what}_time"] for what in ("fit", "score"))
    assert 0.2 * seconds < 2 * (fit.sum() + score.sum()) < seconds
    assert fit[1] > 2 * fit[0] > 0  # 40 iterations and 2


def test_each_pass_is_reported_where_verbose_is_set(capsys):
    ours.GridSearchCV(classifier(), RATES, cv=2, verbose=1, refit=False).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Fitting 2 folds for each of 2 candidates, totalling 4 fits"
    assert lines[1].startswith("[pass] 4 networks in ")
    assert "(4-4-3): " in lines[1]
    ours.GridSearchCV(classifier(), RATES, cv=2, refit=False).fit(X, y)
    assert capsys.readouterr().out == ""


def test_a_bar_shows_how_many_epochs_the_networks_have_behind_them(capsys):
    before = {*threading.enumerate()}
    ours.GridSearchCV(classifier(), RATES, cv=2, progress=True).fit(X, y)
    others = {type(thread).__name__ for thread in {*threading.enumerate()} - before}
    assert others <= {"TMonitor"}  # tqdm's own
    assert "4 networks: 100%" in (shown := capsys.readouterr().err)
    assert "16/16" in shown  # four of four epochs
    ours.cross_val_score(classifier(tol=10.0, n_iter_no_change=1), X, y, cv=2, progress=True)
    assert "6/6" in capsys.readouterr().err  # each has stopped after three


def test_a_bar_without_tqdm_is_refused_before_anything_is_fitted(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    search = ours.GridSearchCV(classifier(), RATES, cv=2, progress=True)
    with pytest.raises(ImportError, match="pip install tqdm"):
        search.fit(X, y)
    assert not hasattr(search, "n_splits_")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_after_an_interrupt_no_thread_is_left_and_the_search_is_as_it_was(monkeypatch, error):
    before = threading.active_count()
    search = ours.GridSearchCV(classifier(), RATES, cv=2)

    def interrupted(members, *kept):
        raise error

    monkeypatch.setattr(tasks, "train_together", interrupted)
    with pytest.raises(error):
        search.fit(X, y)
    assert threading.active_count() == before
    assert not hasattr(search, "cv_results_")
    monkeypatch.undo()
    assert search.fit(X, y).n_passes_ > 0


def test_warnings_obey_the_filters_of_the_user():
    search = ours.GridSearchCV(classifier(), RATES, cv=2, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="Maximum iterations"):
            search.fit(X, y)
    with pytest.warns(ConvergenceWarning) as caught:
        search.fit(X, y)
    assert len(caught) == 5  # four folds and the refit


def test_halving_continues_trainings_of_max_iter_only(monkeypatch):
    stores, train = [], tasks.train_together

    def record(members, *kept):
        stores.append(kept)
        return train(members)

    monkeypatch.setattr(tasks, "train_together", record)
    options = {"cv": 2, "random_state": 0, "factor": 2, "max_resources": 8, "min_resources": 2}
    grid = {"mlp__alpha": [0.1, 1.0, 2.0]}
    ours.HalvingGridSearchCV(pipeline(batch_size=5), grid, resource="mlp__max_iter", **options).fit(X, y)
    assert len(stores) > 1
    assert all(kept == ({},) and kept[0] is stores[0][0] for kept in stores)
    stores.clear()
    ours.HalvingGridSearchCV(pipeline(batch_size=5), grid, cv=2, random_state=0).fit(X, y)
    assert set(stores) == {()}


def test_a_search_within_a_pass_leaves_targets_alone():
    before = (X.copy(), t.copy())
    both("GridSearchCV", classifier(), RATES, cv=2)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(t, before[1])
