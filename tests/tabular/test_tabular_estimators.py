"""What the estimators of tables learn from, keep and predict."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GroupKFold, cross_val_score
from tables import QUICK, SHORT, classes, table

import portable_nn as pnn
from portable_nn.tabular import training
from portable_nn.tabular.splitting import split_rows

host = pytest.mark.usefixtures("host_only")
pytestmark = pytest.mark.filterwarnings("error")
BOTH = {"classes": (pnn.TabularClassifier, classes), "numbers": (pnn.TabularRegressor, table)}


@pytest.fixture(params=BOTH)
def both(request):
    """An estimator, and the data that it takes."""
    pytest.importorskip("pandas")
    kind, make = BOTH[request.param]
    return kind, *make()


@host
def test_it_learns_from_every_kind_of_column():
    pytest.importorskip("pandas")
    X, y = table(1200)
    X_test, y_test = table(600, seed=1)
    regressor = pnn.TabularRegressor(n_estimators=2, max_iter=60, random_state=0).fit(X, y)
    assert regressor.score(X_test, y_test) > 0.93
    for name in X:
        shuffled = X_test.assign(**{name: X_test[name].sample(frac=1, random_state=0).to_numpy()})
        assert regressor.score(shuffled, y_test) < regressor.score(X_test, y_test) - 0.01


@host
def test_frames_of_polars_and_pandas_give_the_same(both):
    pl = pytest.importorskip("polars")
    kind, X, y = both
    columns = {name: X[name].astype(object).where(X[name].notna(), None).tolist() for name in X}
    other = pl.DataFrame(columns)
    one, two = (kind(**QUICK).fit(frame, y).predict(frame) for frame in (X, other))
    np.testing.assert_array_equal(one, two)


@host
def test_the_same_seed_gives_the_same_and_another_another(both):
    kind, X, y = both
    first, again, other = (kind(**QUICK | {"random_state": seed}).fit(X, y) for seed in (0, 0, 1))
    predict = "predict" if kind is pnn.TabularRegressor else "predict_proba"
    np.testing.assert_array_equal(getattr(first, predict)(X), getattr(again, predict)(X))
    assert (getattr(first, predict)(X) != getattr(other, predict)(X)).any()


@host
def test_nothing_is_learned_from_the_rows_set_aside(both):
    kind, X, y = both
    given = kind(**QUICK).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    other = X[300:].assign(gaps=1e6, x=-1e6)
    changed = kind(**QUICK).fit(X[:300], y[:300], X_val=other, y_val=y[300:])
    assert given.encoding_ == changed.encoding_
    assert given.loss_curve_ == changed.loss_curve_
    assert given.validation_loss_curve_ != changed.validation_loss_curve_


@host
def test_each_network_keeps_its_best_epoch():
    pytest.importorskip("pandas")
    X, y = table(200)
    held_out = table(100, seed=1)
    regressor = pnn.TabularRegressor(**SHORT).fit(X, y, X_val=held_out[0], y_val=held_out[1])
    assert len(regressor.best_epochs_) == 2
    assert all(1 <= epoch <= 24 for epoch in regressor.best_epochs_)
    alone = pnn.TabularRegressor(**SHORT | {"n_estimators": 1})
    alone.fit(X, y, X_val=held_out[0], y_val=held_out[1])
    curve = alone.validation_loss_curve_
    assert alone.best_epochs_ == [int(np.argmin(curve)) + 1]
    error = np.mean((alone.predict(held_out[0]) - held_out[1]) ** 2) / (2 * alone.target_scale_**2)
    np.testing.assert_allclose(error, min(curve), rtol=0.02)  # but for what is clamped


@host
def test_rows_of_one_group_stay_together(random):
    X, groups = random.normal(size=(200, 2)), np.repeat(np.arange(20), 10)
    for strata in (None, random.integers(0, 3, 200)):
        learned, held_out = split_rows(200, 0.2, strata, groups, np.random.RandomState(0))
        assert not set(groups[learned]) & set(groups[held_out])
        assert 20 <= len(held_out) <= 60
    pnn.TabularRegressor(**QUICK).fit(X, X[:, 0], groups=groups)
    with pytest.raises(ValueError, match="`groups` has 1 group; accepted: two or more"):
        pnn.TabularRegressor(**QUICK).fit(X, X[:, 0], groups=np.zeros(200))


@host
def test_every_class_keeps_a_row_to_learn_from(random):
    for n, strata in ((50, [0] * 48 + [1, 2]), (60, [k // 2 for k in range(60)]), (12, range(12))):
        codes = random.permutation(np.asarray(list(strata)))
        learned, held_out = split_rows(n, 0.2, codes, None, np.random.RandomState(0))
        assert set(codes[learned]) == set(codes)
        assert sorted([*learned, *held_out]) == list(range(n))


@host
def test_refit_learns_from_all_rows(both):
    kind, X, y = both
    settings = {**QUICK, "refit": True}
    again, once = kind(**settings).fit(X, y), kind(**QUICK).fit(X, y)
    assert again.best_epochs_ == once.best_epochs_
    assert (again.predict(X) != once.predict(X)).any() or kind is pnn.TabularClassifier
    np.testing.assert_array_equal(again.calibration_scores_, once.calibration_scores_)
    assert not np.array_equal(again.params_[-1][0], once.params_[-1][0])


@host
def test_rows_without_weight_are_as_if_not_there(both):
    kind, X, y = both
    weight = np.ones(len(X))
    weight[::4] = 0
    some, alone = kind(**QUICK).fit(X, y, weight), kind(**QUICK).fit(X[weight > 0], y[weight > 0])
    assert some.encoding_ == alone.encoding_
    np.testing.assert_allclose(some.loss_curve_, alone.loss_curve_, rtol=1e-5)


@host
def test_only_ratios_of_weights_matter(both):
    kind, X, y = both
    weight = np.linspace(1, 2, len(X))
    one, two = kind(**QUICK).fit(X, y, weight), kind(**QUICK).fit(X, y, 1e6 * weight)
    np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-6)


@host
def test_weights_of_classes_favour_the_rare_one(random):
    X = random.normal(size=(600, 2))
    y = (X[:, 0] + random.normal(size=600) > 2).astype(int)
    found = [
        pnn.TabularClassifier(**SHORT, class_weight=each, calibration=None).fit(X, y).predict(X).mean()
        for each in (None, "balanced", {1: 8.0})
    ]
    assert found[0] < 0.5 * min(found[1:])


@host
def test_weights_of_classes_count_for_the_validation_rows_too(random):
    X, y = random.normal(size=(200, 2)), np.arange(200) % 2
    held_out = {"X_val": X[:50], "y_val": y[:50]}
    own = {"sample_weight_val": np.where(y[:50] == 1, 3.0, 1.0)}
    one = pnn.TabularClassifier(**QUICK, class_weight={1: 3.0}).fit(X, y, **held_out)
    two = pnn.TabularClassifier(**QUICK).fit(X, y, np.where(y == 1, 3.0, 1.0), **held_out, **own)
    np.testing.assert_allclose(one.validation_loss_curve_, two.validation_loss_curve_, rtol=1e-6)
    assert one.temperature_ == pytest.approx(two.temperature_)
    rows = np.linspace(1, 2, 200)  # which they multiply
    one = pnn.TabularClassifier(**QUICK, class_weight={1: 3.0}).fit(X, y, rows)
    two = pnn.TabularClassifier(**QUICK).fit(X, y, rows * np.where(y == 1, 3.0, 1.0))
    np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-6)


@host
def test_several_outputs_have_each_their_own_scale(random):
    X = random.normal(size=(600, 3))
    Y = np.column_stack([1e6 * X[:, 0] + 1e7, 1e-3 * X[:, 1] ** 2])
    regressor = pnn.TabularRegressor(n_estimators=2, max_iter=40, random_state=0).fit(X, Y)
    assert regressor.predict(X).shape == Y.shape
    assert regressor.score(X, Y) > 0.9
    mean, std = regressor.predict(X, return_std=True)
    low, high = regressor.predict_interval(X)
    assert mean.shape == std.shape == low.shape == high.shape == Y.shape
    assert 0.85 < np.mean((low <= Y) & (high >= Y)) <= 1


@host
def test_no_prediction_is_beyond_the_values_learned_from(random):
    X = random.normal(size=(200, 2))
    regressor = pnn.TabularRegressor(**SHORT, validation_fraction=0).fit(X, np.exp(X[:, 0]))
    found = regressor.predict(1e3 * random.normal(size=(500, 2)))
    assert np.exp(X[:, 0]).min() <= found.min()
    assert found.max() <= np.exp(X[:, 0]).max()


@host
def test_a_thousand_classes(random):
    y = np.repeat(np.arange(1000), 3)
    X = np.column_stack([y // 32, y % 32]) + 0.01 * random.normal(size=(3000, 2))
    clf = pnn.TabularClassifier(n_estimators=1, max_iter=3, random_state=0).fit(X, y)
    assert clf.predict_proba(X).shape == (3000, 1000)
    assert set(clf.predict(X)) <= set(y)


@host
def test_labels_come_back_as_they_were():
    X, digits = load_digits(return_X_y=True)
    X, digits = X[:400], digits[:400]
    for labels in (digits, digits.astype(str), digits.astype(float), digits > 4):
        clf = pnn.TabularClassifier(**SHORT).fit(X, labels)
        assert clf.predict(X).dtype == labels.dtype
        assert clf.score(X, labels) > 0.85
        np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_array_equal(clf.predict_log_proba(X), np.log(clf.predict_proba(X)))


@host
def test_the_time_limit_is_kept(random):
    X = random.normal(size=(3000, 8))
    settings = {"n_estimators": 2, "max_iter": 100_000, "random_state": 0}
    started = time.perf_counter()
    regressor = pnn.TabularRegressor(**settings, time_limit=2.0).fit(X, X[:, 0])
    seconds = time.perf_counter() - started
    assert 1 <= regressor.n_iter_ < 100_000
    assert seconds < 20  # how closely it is kept is measured in the benchmarks
    assert regressor.score(X, X[:, 0]) > 0.5


@host
def test_with_little_time_some_rows_are_learned_from(random, monkeypatch):
    X, seen = random.normal(size=(2000, 2)), []
    monkeypatch.setattr(training, "seconds_of_epoch", lambda work: 1.0)
    train = training.train
    monkeypatch.setattr(
        training, "train", lambda work, plan, end=0.0: seen.append((work, plan)) or train(work, plan)
    )
    pnn.TabularRegressor(n_estimators=2, random_state=0, time_limit=10).fit(X, X[:, 0])
    ((work, plan),) = seen
    assert plan == (training.FEWEST_EPOCHS, training.FEWEST_EPOCHS, len(work.rows.X))
    assert 0.8 < len(work.rows.X) / (1600 * 9 / training.FEWEST_EPOCHS) <= 1


@host
def test_with_hardly_any_time_networks_have_begun_all_the_same(random):
    X = random.normal(size=(400, 2))
    regressor = pnn.TabularRegressor(n_estimators=2, random_state=0, time_limit=1e-6, refit=True)
    assert regressor.fit(X, X[:, 0]).n_iter_ == training.FEWEST_EPOCHS
    assert regressor.score(X, X[:, 0]) > 0.5


@host
def test_it_is_one_of_scikit_learns_estimators(both):
    kind, X, y = both
    estimator = kind(**QUICK)
    scores = cross_val_score(estimator, X, y, cv=GroupKFold(3), groups=np.arange(len(X)) % 7)
    assert scores.shape == (3,)
    assert clone(estimator).get_params() == estimator.get_params()


@host
def test_what_matters_is_told_by_scikit_learn():
    pytest.importorskip("pandas")
    X, y = table(600)
    regressor = pnn.TabularRegressor(**SHORT).fit(X.assign(noise=np.arange(600) % 7), y)
    assert list(regressor.feature_names_in_) == [*X, "noise"]
    X = X.assign(noise=np.arange(600) % 7)
    found = permutation_importance(regressor, X, y, n_repeats=2, random_state=0)
    assert found.importances_mean[0] > 0.5
    assert found.importances_mean[-1] < 0.02
    curve = partial_dependence(regressor, X, ["x"], grid_resolution=5)
    assert (np.diff(curve["average"][0]) > 0).all()


def test_arrays_stay_where_they_are(backend, random):
    X = random.normal(size=(60, 3)).astype("float32")
    X[::7, 1] = np.nan
    y = (X[:, 0] + X[:, 2] > 0).astype("int32")
    place, new = backend.asarray, X + np.float32(0.01)  # none of the rows that calibrate
    for kind, target in ((pnn.TabularClassifier, y), (pnn.TabularRegressor, X[:, 0])):
        wanted = kind(**QUICK).fit(X, target)
        found = kind(**QUICK).fit(place(X), place(target))
        for method in ("predict", "predict_proba", "predict_set", "predict_interval"):
            if not hasattr(kind, method):
                continue
            ours, theirs = getattr(found, method)(place(new)), getattr(wanted, method)(new)
            pairs = zip(ours, theirs, strict=True) if method == "predict_interval" else [(ours, theirs)]
            for mine, other in pairs:
                assert pnn.backends.of(mine) is backend
                np.testing.assert_allclose(pnn.backends.to_host(mine), other, rtol=2e-4, atol=2e-5)
        assert found.score(place(X), place(target)) == pytest.approx(wanted.score(X, target), abs=1e-4)
        # on NumPy afterwards, and from there
        np.testing.assert_allclose(found.to("numpy").predict(X), wanted.predict(X), rtol=2e-4, atol=2e-5)
