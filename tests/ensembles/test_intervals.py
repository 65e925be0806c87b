"""Intervals contain new values as often as they say, and tell where little is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.ensembles import conformal

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def data(random, n):
    """Noise that is five times as large at one end as at the other."""
    X = random.uniform(-2, 2, (n, 1))
    return X, np.sin(2 * X[:, 0]) + (0.3 + 0.1 * X[:, 0]) * random.normal(size=n)


def regressor(seed, **options):
    settings = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.03, "max_iter": 15}
    return pnn.MLPEnsembleRegressor(3, random_state=seed, **(settings | options))


@pytest.fixture(scope="module")
def repeated():
    """The shares of new values within intervals and below quantiles, of 60 fits on new data each."""
    random, found = np.random.default_rng(0), []
    for seed in range(60):
        ensemble = regressor(seed, calibration_fraction=0.24).fit(*data(random, 100))
        X, y = data(random, 300)
        low, high = ensemble.predict_interval(X, coverage=0.8)
        below = y[:, None] <= ensemble.predict_quantiles(X, [0.12, 0.88])
        found.append([((low <= y) & (y <= high)).mean(), *below.mean(axis=0)])
    return np.mean(found, axis=0)


def test_intervals_and_quantiles_have_the_coverage_they_are_asked_for(repeated):
    """24 rows calibrate: 0.8 of 25 ranks are 20, 0.88 are 22, so that the means are just these."""
    np.testing.assert_allclose(repeated, [0.8, 0.12, 0.88], atol=0.035)  # 3 standard errors


def test_the_bound_is_the_exact_order_statistic():
    """Of n + 1 exchangeable scores each is the last one as often: counted over all of them."""
    ranks = np.arange(10.0)
    for share, expected in ((0.8, 8), (0.9, 9), (0.85, 9), (0.5, 5)):
        inside = [
            left <= conformal.upper_score(np.delete(ranks, i)[:, None], share)[0]
            for i, left in enumerate(ranks)
        ]
        assert sum(inside) == expected  # of 10: as few as reach the share
    low = [left >= conformal.bound(np.delete(ranks, i)[:, None], 0.2)[0] for i, left in enumerate(ranks)]
    assert sum(low) == 8


def test_intervals_are_wider_where_no_rows_were_and_quantiles_in_order(random):
    ensemble = regressor(0, max_iter=60, calibration_fraction=0.2).fit(*data(random, 300))
    inside, outside = np.linspace(-2, 2, 50)[:, None], np.array([[6.0], [-6.0]])
    low, high = ensemble.predict_interval(inside)
    low_outside, high_outside = ensemble.predict_interval(outside)
    assert (high_outside - low_outside).min() > 1.5 * (high - low).max()
    quantiles = ensemble.predict_quantiles(inside, [0.05, 0.3, 0.7, 0.95])
    assert all((quantiles[:, i] < quantiles[:, j]).all() for i, j in itertools.combinations(range(4), 2))


def test_calibrating_later_is_calibrating_in_fit(random):
    X, y = data(random, 120)
    Y = np.stack([y, 3 * y], axis=1)
    ensemble = regressor(0, calibration_fraction=0.25).fit(X, Y)
    learned = ensemble.estimators_samples_[0]
    held_out = np.setdiff1d(np.arange(120), learned)
    assert (len(learned), len(held_out)) == (90, 30)
    scores = ensemble.calibration_scores_
    assert scores.shape == (30, 2)
    before = ensemble.predict_interval(X)
    after = ensemble.calibrate(X[held_out], Y[held_out]).predict_interval(X)
    np.testing.assert_allclose(before, after, rtol=1e-12)
    assert before[0].shape == (120, 2)
    assert ensemble.predict_quantiles(X, [0.5, 0.9, 0.1]).shape == (120, 2, 3)


def test_drawn_rows_are_none_of_those_set_aside(random):
    ensemble = regressor(0, bootstrap=True, max_samples=0.5, calibration_fraction=0.25)
    ensemble.fit(*data(random, 120))
    drawn = np.concatenate(ensemble.estimators_samples_)
    assert len(drawn) == 3 * 45
    assert len(np.unique(drawn)) <= 90


def test_what_cannot_be_promised_is_refused(random):
    X, y = data(random, 60)
    ensemble = regressor(0, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"call calibrate\(X, y\).*calibration_fraction=0\.2"):
        ensemble.predict_interval(X)
    with pytest.raises(ValueError, match=r"y has the shape \(59, 1\); accepted: \(60, 1\)"):
        ensemble.calibrate(X, y[1:])
    with pytest.raises(ValueError, match="NaN"):
        ensemble.calibrate(X, np.full(60, np.nan))
    assert not hasattr(ensemble, "calibration_scores_")
    ensemble.calibrate(X[:9], y[:9])
    ensemble.predict_interval(X, 0.9)
    with pytest.raises(ValueError, match=r"`coverage` is 0\.91, which needs 11 .* 9 were used"):
        ensemble.predict_interval(X, 0.91)
    with pytest.raises(ValueError, match=r"`quantiles` is 0\.02, which needs 49"):
        ensemble.predict_quantiles(X, [0.5, 0.02])
    for wrong in (0, 1, True, "0.9", np.nan):
        with pytest.raises(ValueError, match=r"accepted: a number in \(0, 1\)"):
            ensemble.predict_interval(X, wrong)
    for learn in (ensemble.partial_fit, ensemble.fit):  # the scores were those of other members
        learn(X, y)
        with pytest.raises(ValueError, match="calibrate"):
            ensemble.predict_interval(X)
        ensemble.calibrate(X, y)
