"""Estimators that are trained in one stack are what each would be alone, to the bit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris

import portable_nn as pnn
from portable_nn import MLPClassifier, MLPRegressor
from portable_nn.estimators.gathering import gathering
from portable_nn.estimators.together import train_together

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
]
CURVES = ("loss_curve_", "n_iter_", "t_", "best_loss_", "validation_scores_", "stopped_early_")
OPTIONS = [
    {},
    {"alpha": 0.0, "learning_rate_init": 0.01, "tol": 1e-2},
    {"max_iter": 7},
    {"batch_size": 32},
    {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 1e-2},
    {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.5},
    {"early_stopping": True, "learning_rate_init": 0.05},
    {"early_stopping": True, "n_iter_no_change": 3},
    {"early_stopping": True, "scoring": "f1_macro", "learning_rate_init": 0.05},
    {"early_stopping": True, "scoring": "accuracy", "learning_rate_init": 0.1},
    {"dropout": 0.2},
    {"dropout": 0.5, "learning_rate_init": 0.01},
    {"clip_norm": 0.5},
    {"clip_norm": 0.1, "schedule": pnn.schedules.cosine(0.05, steps=50)},
    {"solver": "adamw", "weight_decay": 0.1},
    {"solver": "adamw"},
    {"class_weight": {0: 2.0, 1: 0.5}},
    {"label_smoothing": 0.1},
]


def fitted_together(estimators, data, kept=None):
    """Fit the estimators in one pass; the number of stacks, and what each training ended with."""
    members = []
    with gathering(members.append):
        for estimator, arguments in zip(estimators, data, strict=True):
            estimator.fit(*arguments)
    return train_together(members, kept), [member.error for member in members]


def assert_same(found, expected):
    for name in CURVES:
        assert getattr(found, name, None) == getattr(expected, name, None), name
    arrays = zip(found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_, strict=True)
    for ours, theirs in arrays:
        np.testing.assert_array_equal(ours, theirs)
        assert ours.flags.f_contiguous == theirs.flags.f_contiguous
        assert ours.base is None or ours.base.nbytes == ours.nbytes  # nothing of the stack is held


def twin(estimator):
    return type(estimator)(**estimator.get_params())


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


def test_each_follows_its_own_rules_and_rows(iris, random):
    X, y = iris
    estimators = [
        MLPClassifier((9,), random_state=i, **{"max_iter": 40, **options})
        for i, options in enumerate(OPTIONS)
    ]
    rows = [random.permutation(150)[:n] for n in random.choice([120, 121, 150], len(estimators))]
    data = [(X[own], y[own]) for own in rows]
    stacks, errors = fitted_together(estimators, data)
    assert stacks < len(estimators)
    assert errors == [None] * len(estimators)
    for estimator, (A, b) in zip(estimators, data, strict=True):
        alone = twin(estimator).fit(A, b)
        assert_same(estimator, alone)
        if not estimator.early_stopping:  # the optimizer's arrays are its own too
            assert_same(estimator.partial_fit(A, b), alone.partial_fit(A, b))


DROPOUTS = [0.0, 0.2, 0.5, [0.0, 0.3], [0.3, 0.0], [0.2, 0.1], lambda step: 0.1 * (step % 3)]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_those_of_one_seed_draw_each_its_own_orders_and_masks(iris, shuffle, solver):
    how = {"random_state": 0, "max_iter": 5, "shuffle": shuffle, "solver": solver, "batch_size": 40}
    estimators = [MLPClassifier((6, 5), dropout=dropout, **how) for dropout in DROPOUTS + DROPOUTS[:1]]
    _, errors = fitted_together(estimators, [iris] * len(estimators))
    assert errors == [None] * len(estimators)
    for estimator in estimators:
        assert_same(estimator, twin(estimator).fit(*iris))


def test_those_of_one_seed_follow_their_own_rules(iris):
    estimators = [MLPClassifier((9,), random_state=0, **{"max_iter": 20, **o}) for o in OPTIONS]
    fitted_together(estimators, [iris] * len(estimators))
    for estimator in estimators:
        assert_same(estimator, twin(estimator).fit(*iris))


def test_a_regressor_with_weights_and_values_of_its_own(random):
    X, Y = random.normal(size=(60, 4)), random.normal(size=(60, 3))
    estimators = [MLPRegressor(hidden_layer_sizes=(5,), random_state=i, max_iter=10) for i in range(3)]
    data = [(X, Y[:, i], random.uniform(0.5, 2, 60)) for i in range(3)]
    stacks, _ = fitted_together(estimators, data)
    assert stacks == 1
    for estimator, arguments in zip(estimators, data, strict=True):
        assert_same(estimator, twin(estimator).fit(*arguments))


def test_one_that_diverges_ends_with_its_error_and_leaves_the_others_alone(iris):
    X, y = iris
    rates = [0.1, 1e200, 0.2]
    estimators = [
        MLPClassifier((9,), solver="sgd", learning_rate_init=r, random_state=0, max_iter=9)
        for r in rates
    ]
    _, errors = fitted_together(estimators, [(X, y)] * 3)
    with pytest.raises(pnn.NonFiniteCostError) as alone:
        twin(estimators[1]).fit(X, y)
    assert str(errors[1]) == str(alone.value)
    np.testing.assert_array_equal(errors[1].params[0][0], alone.value.params[0][0])
    for k in (0, 2):
        assert_same(estimators[k], twin(estimators[k]).fit(X, y))


@pytest.mark.parametrize(
    "options", [{}, {"early_stopping": True}, {**OPTIONS[4], "n_iter_no_change": 1, "tol": 0.1}]
)
def test_a_longer_training_goes_on_from_one_that_was_kept(options, iris):
    X, y = iris
    kept, epochs = {}, []
    for max_iter in (3, 12, 12, 40):
        estimators = [
            MLPClassifier((9,), random_state=0, max_iter=max_iter, alpha=a, **options)
            for a in (1e-4, 0.1)
        ]
        fitted_together(estimators, [(X, y)] * 2, kept)
        for estimator in estimators:
            assert_same(estimator, twin(estimator).fit(X, y))
        epochs.append(len(kept))
    assert epochs == [2] * 4
    other = MLPClassifier((9,), random_state=1, max_iter=3, **options)  # another one begins anew
    fitted_together([other], [(X, y)], kept)
    assert_same(other, twin(other).fit(X, y))


def test_rows_that_are_equal_are_held_once(iris, monkeypatch):
    from portable_nn.estimators import together

    X, y = iris
    seen = []
    joined = together.joined
    monkeypatch.setattr(together, "joined", lambda *a: (seen.append(joined(*a)), seen[-1])[1])
    estimators = [MLPClassifier((4,), random_state=i, max_iter=2) for i in range(4)]
    fitted_together(
        estimators,
        [
            (X.copy(), y),
            (X.copy(), y),
            (np.vstack([X[:1], X[:0:-1]]), np.append(y[:1], y[:0:-1])),
            (X, y),
        ],
    )
    (batch, starts), *_ = seen
    assert batch.X.shape == (300, 4)
    np.testing.assert_array_equal(starts[[0, 1, 3]], starts[0])


def test_what_is_watched_or_cannot_be_stacked_is_trained_at_once(iris):
    X, y = iris
    members = []
    with warnings.catch_warnings(), gathering(members.append):
        warnings.simplefilter("ignore")
        MLPClassifier((4,), solver="lbfgs", max_iter=3).fit(X, y)
        MLPClassifier((4,), max_iter=3, callbacks=[pnn.Callback()]).fit(X, y)
        MLPClassifier((4,), max_iter=3, max_time=9.0).fit(X, y)
        MLPClassifier((4,)).partial_fit(X, y, classes=[0, 1, 2])
    assert members == []
