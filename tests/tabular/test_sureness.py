"""Probabilities, sets and intervals hold what they say; the displays draw it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import NotFittedError
from tables import QUICK, SHORT

import portable_nn as pnn
from portable_nn.tabular.calibration import class_scores, fit_temperature, tempered

pytestmark = pytest.mark.usefixtures("host_only")


def two_classes(n, seed):
    """Classes that no one can know for sure: the second one has the probability 1 / (1 + e^(-2 x_1))."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 2))
    return X, (random.random(n) < 1 / (1 + np.exp(-2 * X[:, 0]))).astype(int)


def a_wave(n, seed):
    random = np.random.default_rng(seed)
    X = random.uniform(-2, 2, size=(n, 1))
    return X, np.sin(2 * X[:, 0]) + 0.3 * random.normal(size=n)


def test_a_temperature_is_a_power(random):
    P = random.dirichlet(np.ones(4), 50)
    raised = P ** (1 / 1.7)
    np.testing.assert_allclose(tempered(P, 1.7), raised / raised.sum(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(tempered(P, 1.0), P, rtol=1e-12)
    np.testing.assert_array_equal(tempered(np.array([[1.0, 0.0]]), 0.05), [[1, 0]])


def test_the_temperature_has_the_lowest_log_loss(random):
    P = random.dirichlet(np.ones(3), 400)
    codes = np.array([random.choice(3, p=p) for p in tempered(P, 2.5)])
    weight = random.random(400)

    def loss(logarithm):
        p = P ** np.exp(-logarithm[0])
        p = p[np.arange(400), codes] / p.sum(1)
        return -np.average(np.log(p), weights=weight) + logarithm[0] ** 2 / 800

    wanted = np.exp(minimize(loss, [0.0], method="Nelder-Mead", options={"xatol": 1e-6}).x[0])
    assert fit_temperature(P, codes, weight) == pytest.approx(wanted, rel=1e-3)


def test_a_temperature_is_no_extreme_where_all_rows_are_right():
    P = np.tile([[0.8, 0.2]], (30, 1))
    found = tempered(P, fit_temperature(P, np.zeros(30, int), None))
    assert 0.95 < found[0, 0] < 0.999


def test_probabilities_are_calibrated():
    X, y = two_classes(4000, 0)
    clf = pnn.TabularClassifier(**SHORT).fit(X[:2000], y[:2000])
    found = clf.predict_proba(X[2000:])[:, 1]
    wanted = 1 / (1 + np.exp(-2 * X[2000:, 0]))
    assert np.mean(np.abs(found - wanted)) < 0.04


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_sets_and_intervals_contain_the_truth_as_often_as_they_say(coverage):
    X, y = two_classes(6000, 0)
    clf = pnn.TabularClassifier(**QUICK, validation_fraction=0.5).fit(X[:3000], y[:3000])
    sets = clf.predict_set(X[3000:], coverage)
    assert sets.dtype == bool
    assert sets[np.arange(3000), y[3000:]].mean() == pytest.approx(coverage, abs=0.03)
    X, y = a_wave(6000, 0)
    regressor = pnn.TabularRegressor(**QUICK, validation_fraction=0.5).fit(X[:3000], y[:3000])
    low, high = regressor.predict_interval(X[3000:], coverage)
    inside = (low <= y[3000:]) & (y[3000:] <= high)
    assert inside.mean() == pytest.approx(coverage, abs=0.03)


def test_rows_that_choose_no_epoch_calibrate_what_holds(random):
    found = []
    for seed in range(20):  # of few rows, set aside, which choose the epochs too, this would be 0.85
        X, y = a_wave(1100, seed)
        regressor = pnn.TabularRegressor(**QUICK, validation_fraction=0.3).fit(X[:60], y[:60])
        low, high = regressor.calibrate(X[60:100], y[60:100]).predict_interval(X[100:], 0.9)
        found.append(np.mean((low <= y[100:]) & (y[100:] <= high)))
    assert np.mean(found) > 0.885
    clf = pnn.TabularClassifier(**QUICK, validation_fraction=0).fit(*two_classes(200, 0))
    X, y = two_classes(4000, 1)
    sets = clf.calibrate(X[:2000], y[:2000]).predict_set(X[2000:], 0.8)
    assert sets[np.arange(2000), y[2000:]].mean() == pytest.approx(0.8, abs=0.03)
    with pytest.raises(ValueError, match=r"`y` has 2000 rows and the classes \['7'\]; accepted: 2000"):
        clf.calibrate(X[:2000], np.full(2000, 7))
    alone = pnn.TabularRegressor(n_estimators=1, max_iter=2, validation_fraction=0).fit(*a_wave(50, 0))
    low, high = alone.calibrate(*a_wave(500, 1)).predict_interval(a_wave(50, 2)[0])
    assert (low < high).all()


def test_scores_of_classes_are_those_of_the_definition(random):
    P, codes = random.dirichlet(np.ones(3), 20), random.integers(0, 3, 20)
    wanted = sorted(1 - P[i, c] for i, c in enumerate(codes))
    np.testing.assert_array_equal(class_scores(P, codes)[:, 0], wanted)
    X, y = two_classes(300, 0)
    clf = pnn.TabularClassifier(**QUICK).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    scores = np.sort(1 - clf.predict_proba(X[200:])[np.arange(100), y[200:]])
    np.testing.assert_allclose(clf.calibration_scores_[:, 0], scores, rtol=1e-12)
    bound = scores[int(np.ceil(0.9 * 101)) - 1]  # Vovk et al., 2005
    np.testing.assert_array_equal(clf.predict_set(X, 0.9), 1 - clf.predict_proba(X) <= bound + 1e-15)


@pytest.mark.parametrize("kind", [pnn.TabularClassifier, pnn.TabularRegressor])
def test_without_rows_set_aside_there_is_nothing_to_be_sure_by(kind, random):
    X = random.normal(size=(40, 2))
    fitted = kind(**QUICK, validation_fraction=0).fit(X, X[:, 0] > 0)
    method = "predict_set" if kind is pnn.TabularClassifier else "predict_interval"
    with pytest.raises(NotFittedError, match=f"{method} needs rows .* `validation_fraction` > 0"):
        getattr(fitted, method)(X)
    few = kind(**QUICK).fit(X, X[:, 0] > 0)
    with pytest.raises(ValueError, match=r"`coverage` is 0.99, which needs 99 held-out rows, and 8"):
        getattr(few, method)(X, coverage=0.99)
    with pytest.raises(ValueError, match=r"`coverage` is 1.5; accepted: a number in"):
        getattr(few, method)(X, coverage=1.5)
    with pytest.raises(NotFittedError):
        getattr(kind(), method)(X)


def test_nothing_of_a_fit_before_is_left(random):
    X, y = a_wave(200, 0)
    regressor = pnn.TabularRegressor(**QUICK).fit(X, y).set_params(validation_fraction=0).fit(X, y)
    assert not {"noise_", "calibration_scores_"} & vars(regressor).keys()


def test_without_calibration_probabilities_are_the_networks_own():
    X, y = two_classes(300, 0)
    raw, calibrated = (
        pnn.TabularClassifier(**QUICK, calibration=each).fit(X, y) for each in (None, "temperature")
    )
    assert raw.temperature_ == 1
    assert calibrated.temperature_ != 1
    found = tempered(raw.predict_proba(X), calibrated.temperature_)
    np.testing.assert_allclose(found, calibrated.predict_proba(X), rtol=1e-14)


def test_a_picture_of_reliability():
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = two_classes(1000, 0)
    clf = pnn.TabularClassifier(**SHORT).fit(X[:500], y[:500])
    display = pnn.ReliabilityDisplay.from_estimator(clf, X[500:], y[500:], n_bins=5, color="red")
    assert display.counts.tolist() == [100] * 5
    P = clf.predict_proba(X[500:])
    sure = np.argsort(P.max(axis=1), kind="stable")[-100:]
    assert display.confidence[-1] == pytest.approx(P.max(axis=1)[sure].mean())
    assert display.accuracy[-1] == np.mean(P.argmax(axis=1)[sure] == y[500:][sure])
    wanted = np.mean(np.abs(display.accuracy - display.confidence))
    assert display.expected_calibration_error == pytest.approx(wanted)
    assert display.line_.get_color() == "red"
    assert display.ax_.get_legend().get_texts()[1].get_text() == "TabularClassifier"
    plt.close("all")


def test_a_picture_takes_only_what_belongs_to_it():
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = two_classes(100, 0)
    draw, clf = pnn.ReliabilityDisplay.from_estimator, pnn.TabularClassifier(**QUICK).fit(X, y)
    for wrong, message in ((y + 5, "y has the classes"), (y[:50], r"`P` has the shape \(100, 2\)")):
        with pytest.raises(ValueError, match=message):
            draw(clf, X, wrong)
    with pytest.raises(ValueError, match="`n_bins` is 0"):
        draw(clf, X, y, n_bins=0)
    column = draw(clf, X, y[:, None])
    assert column.accuracy.tolist() == draw(clf, X, y, ax=column.ax_).accuracy.tolist()
    labels = [text.get_text() for text in column.ax_.get_legend().get_texts()]
    assert labels.count("as sure as right") == 1
    X, y = a_wave(100, 0)
    regressor = pnn.TabularRegressor(**QUICK).fit(X, y)
    for wrong, message in ((y * np.nan, "NaN"), (y[:50], "inconsistent numbers of samples")):
        with pytest.raises(ValueError, match=message):
            pnn.IntervalDisplay.from_estimator(regressor, X, wrong)
    plt.close("all")


def test_a_picture_of_intervals():
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = a_wave(600, 0)
    regressor = pnn.TabularRegressor(**SHORT).fit(X[:300], y[:300])
    _, ax = plt.subplots()
    display = pnn.IntervalDisplay.from_estimator(regressor, X[300:], y[300:], coverage=0.8, ax=ax)
    low, high = regressor.predict_interval(X[300:], 0.8)
    inside = (low <= y[300:]) & (y[300:] <= high)
    assert display.share_inside == inside.mean()
    assert len(display.inside_.get_xdata()) == inside.sum()
    assert len(display.outside_.get_xdata()) == (~inside).sum()
    assert display.ax_ is ax
    several = pnn.TabularRegressor(**QUICK).fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="predicts 2 values a row; accepted: one"):
        pnn.IntervalDisplay.from_estimator(several, X, y)
    plt.close("all")
