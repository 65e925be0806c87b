"""Validation data, early stopping and scorers of the estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from helpers import relative
from iris import TRAIN, VAL, X, classifier, regressor, same, t, y
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, log_loss

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def test_the_validation_data_given_is_what_is_judged_and_not_learned_from():
    plain = classifier().fit(X[TRAIN], y[TRAIN])
    w = np.random.default_rng(0).uniform(size=VAL.sum())
    ours = classifier().fit(X[TRAIN], y[TRAIN], X_val=X[VAL], y_val=y[VAL], sample_weight_val=w)
    assert same(plain, ours)  # without early stopping nothing else changes
    assert len(ours.validation_loss_curve_) == len(ours.validation_scores_) == ours.n_iter_
    expected = log_loss(y[VAL], ours.predict_proba(X[VAL]), sample_weight=w)
    assert ours.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-10)
    assert ours.validation_scores_[-1] == pytest.approx(ours.score(X[VAL], y[VAL], w), rel=1e-12)
    assert plain.validation_scores_ is None
    assert plain.validation_loss_curve_ is None


@pytest.mark.parametrize("given", [False, True])
def test_the_validation_loss_counts_by_weights_and_takes_the_targets_as_they_are(given):
    w = np.random.default_rng(0).uniform(size=150)
    options = {"early_stopping": True, "scoring": "neg_log_loss", "label_smoothing": 0.2}
    data = {"X_val": X[VAL], "y_val": y[VAL], "sample_weight_val": w[VAL]} if given else {}
    ours = classifier(**options).fit(X[TRAIN], y[TRAIN], w[TRAIN], **data)
    np.testing.assert_allclose(ours.validation_loss_curve_, -np.array(ours.validation_scores_))
    data.pop("sample_weight_val", None)
    plain = classifier(**options).fit(X[TRAIN], y[TRAIN], **data)
    assert relative(plain.validation_loss_curve_, ours.validation_loss_curve_) > 1e-3


def test_the_validation_loss_of_many_weighted_rows_is_their_weighted_mean():
    random = np.random.default_rng(0)
    rows = random.normal(size=(3000, 4))
    labels, w = (rows[:, 0] > 0).astype(int), np.exp(2 * rows[:, 1])
    data = {"X_val": rows, "y_val": labels, "sample_weight_val": w}
    ours = classifier(max_iter=3).fit(rows[:200], labels[:200], **data)
    expected = log_loss(labels, ours.predict_proba(rows), sample_weight=w)
    assert ours.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-10)
    split = classifier(
        max_iter=3, early_stopping=True, validation_fraction=0.8, scoring="neg_log_loss"
    ).fit(rows, labels, w)
    np.testing.assert_allclose(split.validation_loss_curve_, -np.array(split.validation_scores_))


def test_the_rows_set_aside_are_judged_by_their_own_weights():
    w, seen = np.random.default_rng(0).uniform(size=150), []

    def spy(est: Any, rows: Any, labels: Any, sample_weight: Any) -> float:
        for row, label, weight in zip(rows, labels, sample_weight, strict=True):
            (k,) = np.flatnonzero((unlike == row).all(axis=1))
            seen.append((labels_of[k] == label) and w[k] == weight)
        return 0.0

    unlike, labels_of = X + np.arange(150)[:, None] / 1e6, y
    classifier(early_stopping=True, scoring=spy, max_iter=1).fit(unlike, y, w)
    assert all(seen)
    assert len(seen) == 2 * 15  # the trial, and one epoch


def test_validation_targets_or_weights_that_are_invalid_are_refused():
    positive = t - t.min()
    with pytest.raises(ValueError, match="`y_val` has a value that poisson gives no meaning to"):
        regressor(loss="poisson").fit(X, positive, X_val=X, y_val=-positive)
    w = np.r_[1.0, np.zeros(149)]
    with pytest.raises(ValueError, match="sample weights for validation set are all zero"):
        classifier(early_stopping=True).fit(X, y, w)


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop"])
def test_early_stopping_keeps_the_weights_that_scored_best_on_the_data_given(solver):
    flipped = 2 - y[VAL]  # what is learned makes this score fall from some epoch on
    options = {"solver": solver, "early_stopping": True, "n_iter_no_change": 5, "max_iter": 200}
    options["learning_rate_init"] = 0.2 if solver == "sgd" else 0.02
    ours = classifier(**options).fit(X[TRAIN], y[TRAIN], X_val=X[VAL], y_val=flipped)
    assert ours.n_iter_ < 200
    assert ours.stopped_early_
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert ours.score(X[VAL], flipped) == ours.best_validation_score_
    assert ours.score(X[TRAIN], y[TRAIN]) < 0.9
    other = classifier(**options | {"n_iter_no_change": 40}).fit(
        X[TRAIN], y[TRAIN], X_val=X[VAL], y_val=y[VAL]
    )
    assert other.score(X[VAL], y[VAL]) == other.best_validation_score_ > 0.9


def test_partial_fit_stops_early_on_validation_data():
    options = {"early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.02}
    ours, calls = classifier(**options), 0
    while calls < 300:
        calls += 1
        ours.partial_fit(X[TRAIN], y[TRAIN], classes=[0, 1, 2], X_val=X[VAL], y_val=2 - y[VAL])
        if ours.stopped_early_:
            break
    assert calls < 300
    assert len(ours.validation_scores_) == calls
    assert ours.score(X[VAL], 2 - y[VAL]) == max(ours.validation_scores_)
    ours.partial_fit(X[TRAIN], y[TRAIN], X_val=X[VAL], y_val=y[VAL])  # it goes on if asked to
    assert not ours.stopped_early_
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True without"):
        ours.partial_fit(X, y)


def test_a_second_fit_that_never_scores_as_well_keeps_its_own_last_weights():
    import sklearn.neural_network

    found = []
    for module in (sklearn.neural_network, pnn):
        est = module.MLPRegressor(
            hidden_layer_sizes=(5,),
            warm_start=True,
            early_stopping=True,
            learning_rate_init=0.05,
            random_state=0,
        )
        found.append(est.fit(X, t).fit(X, -t))
    theirs, ours = found
    assert relative(ours.coefs_[0], theirs.coefs_[0]) < 1e-8
    assert relative(ours.loss_curve_, theirs.loss_curve_) < 1e-8


def test_a_partial_fit_that_diverges_keeps_the_last_finite_weights():
    ours = regressor(early_stopping=True, solver="sgd", activation="identity")
    data = {"X_val": X[VAL], "y_val": t[VAL]}
    ours.partial_fit(X[TRAIN], t[TRAIN], **data)
    before = [W.copy() for W in ours.coefs_]
    ours.set_params(learning_rate_init=1e200, schedule=lambda step: 1e200)
    with pytest.raises(pnn.NonFiniteCostError):
        ours.partial_fit(X[TRAIN], t[TRAIN], **data)
    for W, kept in zip(ours.coefs_, before, strict=True):
        np.testing.assert_array_equal(W, kept)


def test_weights_that_are_not_finite_are_never_the_best():
    options = {"early_stopping": True, "activation": "exp", "max_iter": 5}
    with pytest.warns(ConvergenceWarning, match="diverged in iteration 1"):
        ours = classifier(**options).fit(1e3 * X, y)  # argmax of NaN is a class, and scores
    assert ours.validation_scores_[0] > 0
    assert all(np.isfinite(W).all() for W in ours.coefs_)


def test_validation_scores_may_be_those_of_any_scorer():
    data = {"X_val": X[VAL], "y_val": np.array(["a", "b", "c"])[y[VAL]]}
    names = np.array(["a", "b", "c"])[y[TRAIN]]
    seen = []

    def mine(est: Any, rows: Any, labels: Any) -> float:
        seen.append((type(rows), est.predict(rows).dtype.kind, labels[0]))
        return -float(len(seen))  # ever worse

    ours = classifier(early_stopping=True, scoring="neg_log_loss").fit(X[TRAIN], names, **data)
    expected = get_scorer("neg_log_loss")(ours, data["X_val"], data["y_val"])
    assert ours.best_validation_score_ == pytest.approx(expected, rel=1e-12)
    assert ours.validation_scores_[0] == pytest.approx(-ours.validation_loss_curve_[0], rel=1e-10)
    ours = classifier(early_stopping=True, scoring=mine, n_iter_no_change=3).fit(X[TRAIN], names, **data)
    assert ours.n_iter_ == 5  # the best, three without a gain, and one more, as in scikit-learn
    assert set(seen) == {(np.ndarray, "U", "a")}
    split = regressor(early_stopping=True, scoring="neg_mean_absolute_error").fit(X, t)
    assert split.best_validation_score_ < 0


def test_a_scorer_gets_host_arrays_on_every_device(strict):
    rows = strict.asarray(X, device=strict.Device("device1"))
    ours = classifier(early_stopping=True, scoring="roc_auc_ovr").fit(rows, y)
    on_numpy = classifier(early_stopping=True, scoring="roc_auc_ovr").fit(X, y)
    np.testing.assert_allclose(ours.validation_scores_, on_numpy.validation_scores_, rtol=1e-12)


def test_where_every_score_is_nan_the_last_weights_are_kept_with_a_warning():
    options = {"early_stopping": True, "max_iter": 5}
    with pytest.warns(ConvergenceWarning, match="No validation score was a number"):
        ours = regressor(**options, scoring=lambda est, rows, t: float("nan")).fit(X, t)
    assert same(ours, regressor(**options, scoring=lambda est, rows, t: est.n_iter_).fit(X, t))


def test_a_scorer_that_fails_does_so_before_anything_has_changed():
    ours = classifier(early_stopping=True).fit(X, y)
    before = dict(vars(ours))
    with pytest.raises(ValueError, match="multi_class must be in"):
        ours.set_params(scoring="roc_auc").fit(X, y)
    assert all(vars(ours)[k] is v for k, v in before.items() if k != "scoring")
    with pytest.raises(ValueError, match="`y_val` has 1 outputs; accepted: 2"):
        regressor().fit(X, np.stack([t, t], axis=1), X_val=X, y_val=t)


def test_scorers_without_sample_weight_get_none():
    def mine(est: Any, rows: Any, labels: Any) -> float:
        return float(est.score(rows, labels))

    for scoring in (mine, "adjusted_rand_score"):
        classifier(early_stopping=True, scoring=scoring, class_weight="balanced").fit(X, y)
        classifier(early_stopping=True, scoring=scoring).fit(X, y, np.ones(150))
