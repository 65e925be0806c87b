"""Searches on a cluster: of two processes of this machine, by joblib's backends of Dask and of Ray."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from searched import X, assert_same_results, classifier, pipeline, y
from sklearn import model_selection

from portable_nn import model_selection as ours

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
GRID = {"learning_rate_init": [1e-3, 1e-2, 0.1]}


@pytest.fixture(autouse=True)
def hurry() -> Iterator[None]:
    """What waits for a worker that never answers fails, and does not hang."""

    def give_up(*_: Any) -> None:
        raise TimeoutError("no answer from the cluster in two minutes")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def dask() -> Iterator[str]:
    """The name of joblib's backend, with a cluster of two processes."""
    # of `distributed` alone our folder of tests could be taken for it
    pytest.importorskip("distributed.deploy", reason="Dask's distributed is not installed")
    import distributed

    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster):
        yield "dask"
    until = time.monotonic() + 10  # other tests count threads
    while "AsyncProcess" in str(threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ray() -> Iterator[str]:
    """The name of joblib's backend, with two processes."""
    library = pytest.importorskip("ray", reason="Ray is not installed")
    from ray.util.joblib import register_ray

    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    library.init(num_cpus=2, **options)
    register_ray()
    yield "ray"
    library.shutdown()


@pytest.fixture(params=["dask", "ray"])
def cluster(request: Any) -> Iterator[None]:
    """Searches are carried out on the cluster."""
    with joblib.parallel_config(request.getfixturevalue(request.param), n_jobs=2):
        yield


@pytest.fixture(scope="module")
def expected() -> Any:
    return model_selection.GridSearchCV(classifier(), GRID, cv=3).fit(X, y)


def same_parameters(one: Any, other: Any) -> bool:
    pairs = zip((*one.coefs_, *one.intercepts_), (*other.coefs_, *other.intercepts_), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_each_worker_makes_one_pass_of_its_share(cluster, expected):
    search = ours.GridSearchCV(classifier(), GRID, cv=3).fit(X, y)
    assert_same_results(search.cv_results_, expected.cv_results_)
    assert same_parameters(search.best_estimator_, expected.best_estimator_)
    assert search.n_passes_ == 2


def test_scikit_learns_own_search_gives_the_same(cluster, expected):
    search = model_selection.GridSearchCV(classifier(), GRID, cv=3).fit(X, y)
    assert_same_results(search.cv_results_, expected.cv_results_)
    assert same_parameters(search.best_estimator_, expected.best_estimator_)


@pytest.mark.parametrize("name", ["RandomizedSearchCV", "HalvingGridSearchCV"])
def test_other_searches_too(name, cluster):
    options: dict[str, Any] = {"cv": 3, "random_state": 0}
    options |= {"n_iter": 2} if name == "RandomizedSearchCV" else {"min_resources": 90}
    search, alone = (
        getattr(module, name)(pipeline(), {"mlp__alpha": [1e-4, 1e-2, 1.0]}, **options)
        for module in (ours, model_selection)
    )
    search.fit(X, y)
    with joblib.parallel_config("sequential"):
        alone.fit(X, y)
    assert_same_results(search.cv_results_, alone.cv_results_)


def test_a_search_in_a_cross_validation_stays_in_its_worker(cluster):
    search = ours.GridSearchCV(classifier(batch_size=20), GRID, cv=2)
    found = ours.cross_val_score(search, X, y, cv=2)
    with joblib.parallel_config("sequential"):
        np.testing.assert_array_equal(found, model_selection.cross_val_score(search, X, y, cv=2))


def test_an_error_in_a_worker_is_the_searchs(cluster):
    search = ours.GridSearchCV(classifier(), {"alpha": [0.1, "much"]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="'alpha' parameter of MLPClassifier"):
        search.fit(X, y)


@pytest.fixture
def wide() -> tuple[np.ndarray, np.ndarray]:
    """So many rows that Dask warns where they go through its scheduler."""
    rows = np.random.default_rng(0).normal(size=(14_000, 100))
    return rows, rows[:, 0] > 0


def test_dask_sends_many_rows_from_worker_to_worker(dask, wide):
    grid = {"estimator": classifier(max_iter=1, batch_size=1000), "param_grid": GRID, "cv": 2}
    with warnings.catch_warnings(record=True) as caught, joblib.parallel_config(dask):
        warnings.simplefilter("always")  # as an error, in Dask's own thread, it would be a hang
        search = ours.GridSearchCV(**grid).fit(*wide)
    assert not [warning for warning in caught if "large graph" in str(warning.message)]
    alone = ours.GridSearchCV(**grid).fit(*wide)
    assert_same_results(search.cv_results_, alone.cv_results_)
    assert same_parameters(search.best_estimator_, alone.best_estimator_)


def kills_once(path: Path) -> Any:
    """A scorer that kills the first worker; no worker could import one of this module."""
    here = os.getpid()

    def score(estimator: Any, X: Any, y: Any) -> float:
        if os.getpid() != here and not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(estimator.score(X, y))

    return score


@contextlib.contextmanager
def two_workers() -> Iterator[None]:
    """Until two are there again: with one of them joblib would not ask a cluster."""
    yield
    client = pytest.importorskip("distributed").default_client()
    client.wait_for_workers(2, timeout=60)


def test_dask_gives_the_share_of_a_worker_that_dies_to_another(dask, expected, tmp_path):
    search = ours.GridSearchCV(classifier(), GRID, cv=3, scoring=kills_once(tmp_path / "killed"))
    with two_workers(), joblib.parallel_config(dask):
        search.fit(X, y)
    assert (tmp_path / "killed").exists()
    assert_same_results(search.cv_results_, expected.cv_results_)


def test_many_rows_outlive_a_worker_where_joblib_has_scattered_them(dask, wide, tmp_path):
    grid = {"estimator": classifier(max_iter=1, batch_size=1000), "param_grid": GRID, "cv": 2}
    scoring = kills_once(tmp_path / "killed")
    with two_workers(), joblib.parallel_config(dask, scatter=list(wide)):
        search = ours.GridSearchCV(**grid, scoring=scoring).fit(*wide)
    assert (tmp_path / "killed").exists()
    assert_same_results(search.cv_results_, ours.GridSearchCV(**grid).fit(*wide).cv_results_)


def test_with_ray_the_death_of_a_worker_is_an_error(ray, tmp_path):
    search = ours.GridSearchCV(classifier(), GRID, cv=3, scoring=kills_once(tmp_path / "killed"))
    with joblib.parallel_config(ray, n_jobs=2), pytest.raises(Exception, match="actor died"):
        search.fit(X, y)


def test_partial_fit_by_dask_ml_is_that_of_the_blocks_in_order(dask):
    wrappers = pytest.importorskip("dask_ml.wrappers", reason="dask-ml is not installed")
    arrays = pytest.importorskip("dask.array")
    blocks = [slice(k, k + 50) for k in (0, 50, 100)]
    wrapped = wrappers.Incremental(classifier(), shuffle_blocks=False)
    rows, labels = arrays.from_array(X, chunks=(50, 4)), arrays.from_array(y, chunks=50)
    wrapped.fit(rows, labels, classes=[0, 1, 2])
    alone = classifier()
    for block in blocks:
        alone.partial_fit(X[block], y[block], classes=[0, 1, 2])
    assert same_parameters(wrapped.estimator_, alone)
    np.testing.assert_array_equal(wrapped.predict(rows).compute(), alone.predict(X))
