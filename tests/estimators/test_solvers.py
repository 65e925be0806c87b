"""The solvers, schedules and clipped gradients of the estimators, and how partial_fit continues."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from helpers import relative
from iris import FULL, X, classifier, differs, first_weights, regressor, same, t, y
from sklearn.datasets import make_multilabel_classification

import portable_nn as pnn
from portable_nn.backends.blas_threads import own_of_scipy

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        (
            {"solver": "adamw", "weight_decay": 0.3, "beta_1": 0.8},
            pnn.AdamW(0.01, 0.8, weight_decay=0.3),
        ),
        ({"solver": "rmsprop", "rho": 0.7, "epsilon": 1e-3}, pnn.RMSprop(0.01, 0.7, 1e-3)),
        ({"solver": "sgd", "momentum": 0.5}, pnn.SGD(0.01, 0.5, nesterov=True)),
    ],
)
@pytest.mark.parametrize("schedule", [None, pnn.schedules.cosine(0.05, steps=12)])
def test_solvers_and_schedules_are_the_optimizers_of_that_name(options, optimizer, schedule):
    ours = regressor(**FULL | options, max_iter=10, learning_rate_init=0.01, schedule=schedule)
    start = first_weights(pnn.MLPRegressor, hidden_layer_sizes=(6, 5), **FULL).fit(X, t)
    params = [(W.T, b[:, None]) for W, b in zip(start.coefs_, start.intercepts_, strict=True)]
    net = pnn.Network((4, 6, 5, 1), ("relu", "relu", "identity"), "squared_error")
    state, costs = optimizer.init(params), []
    for step in range(10):
        J, grads = net.cost_and_gradients(params, X, t[:, None])
        costs.append(float(J))
        rate = None if schedule is None else schedule(step)
        params, state = optimizer.update(params, grads, state, rate)
    ours.fit(X, t)
    assert relative(ours.loss_curve_, costs) < 1e-12
    assert max(relative(W, V.T) for W, (V, _) in zip(ours.coefs_, params, strict=True)) < 1e-11


def test_a_schedule_continues_in_partial_fit():
    schedule = pnn.schedules.inverse_time(0.05)
    whole = regressor(**FULL, schedule=schedule, max_iter=6).fit(X, t)
    parts = regressor(**FULL, schedule=schedule)
    for _ in range(6):
        parts.partial_fit(X, t)
    assert same(whole, parts)
    assert differs(whole, regressor(**FULL, schedule=lambda step: 0.05, max_iter=6).fit(X, t))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"solver": "adam"}, {"solver": "sgd"}),
        ({"solver": "rmsprop"}, {"solver": "sgd"}),  # which keep as many arrays
        ({"momentum": 0.0}, {"momentum": 0.9}),
    ],
)
def test_partial_fit_with_another_optimizer_starts_with_a_new_state(before, after):
    options = {**FULL, "solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.01}
    ours = regressor(**options | before)
    for _ in range(3):
        ours.partial_fit(X, t)
    params = [(W.T, b[:, None]) for W, b in zip(ours.coefs_, ours.intercepts_, strict=True)]
    net = pnn.Network((4, 6, 5, 1), ("relu", "relu", "identity"), "squared_error")
    _, grads = net.cost_and_gradients(params, X, t[:, None])
    ours.set_params(**after).partial_fit(X, t)  # v is zero before it
    for W, (V, _), (dW, _) in zip(ours.coefs_, params, grads, strict=True):
        assert relative(W, (V - 0.01 * dW).T) < 1e-13
    ours.set_params(momentum=0.0).partial_fit(X, t)


def test_lbfgs_stops_at_the_precision_of_float32():
    from sklearn.datasets import load_breast_cancer

    rows, labels = load_breast_cancer(return_X_y=True)
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype("float32")
    ours = classifier(solver="lbfgs", hidden_layer_sizes=(20,), alpha=0.1, max_iter=400, tol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.fit(rows, labels)
    assert ours.coefs_[0].dtype == np.float32
    assert ours.loss_ < 0.01


def test_gradients_are_shortened_to_clip_norm():
    options = {**FULL, "solver": "sgd", "momentum": 0.0, "learning_rate_init": 1.0}
    start = first_weights(pnn.MLPRegressor, hidden_layer_sizes=(6, 5), **FULL).fit(X, t)
    ours = regressor(**options, clip_norm=1e-3, max_iter=1).fit(X, t)
    moved = [
        np.sum((a - b) ** 2)
        for a, b in zip(ours.coefs_ + ours.intercepts_, start.coefs_ + start.intercepts_, strict=True)
    ]
    assert np.sqrt(np.sum(moved)) == pytest.approx(1e-3, rel=1e-9)


@pytest.mark.parametrize(("first", "then"), [("lbfgs", "adam"), ("adam", "sgd"), ("sgd", "lbfgs")])
@pytest.mark.parametrize("early", [(False, True), (True, False)])
def test_training_may_continue_with_another_solver_and_other_options(first, then, early):
    ours = classifier(solver=first, early_stopping=early[0], warm_start=True, max_iter=40).fit(X, y)
    before = ours.loss_
    ours.set_params(solver=then, early_stopping=early[1], learning_rate_init=0.01).fit(X, y)
    assert ours.loss_ < before * 1.5
    if then != "lbfgs":
        assert (ours.best_loss_ is None) == (ours.best_validation_score_ is not None) == early[1]
        ours.set_params(early_stopping=False).partial_fit(X, y)
    ours.predict(X)


def test_parameters_set_between_calls_of_partial_fit_count():
    options = {**FULL, "solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False}
    ours = regressor(**options, learning_rate_init=0.01).partial_fit(X, t)
    fast = regressor(**options, learning_rate_init=0.01).partial_fit(X, t)
    before = ours.coefs_[0]
    ours.partial_fit(X, t)
    fast.set_params(learning_rate_init=0.03).partial_fit(X, t)
    np.testing.assert_allclose(fast.coefs_[0] - before, 3 * (ours.coefs_[0] - before), rtol=1e-9)


def test_partial_fit_takes_many_labels_a_row_without_classes():
    rows, Y = make_multilabel_classification(n_samples=80, random_state=0)
    named = classifier().partial_fit(rows, Y, classes=np.arange(Y.shape[1]))
    ours = classifier().partial_fit(rows, Y)
    assert same(ours, named)
    ours.partial_fit(rows[:1], Y[:1]).partial_fit(rows[:7], 0 * Y[:7])
    assert ours.predict(rows).shape == Y.shape
    with pytest.raises(ValueError, match="one per label"):
        classifier().partial_fit(rows, Y, classes=[0, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop"])
def test_huge_gradients_are_learned_from_or_an_error(solver, dtype):
    random = np.random.default_rng(0)
    rows, size = random.normal(size=(80, 4)), {"float32": 1e11, "float64": 1e100}[dtype]
    targets = size * (2 * rows[:, 0] + rows[:, 1])
    rows = (size * rows).astype(dtype)
    common = {"hidden_layer_sizes": (), "alpha": 0.0, "batch_size": 80, "random_state": 0}
    begin = first_weights(pnn.MLPRegressor, **common).fit(rows, targets)
    options = {"solver": solver, "momentum": 0.0, "learning_rate_init": 0.1, **common}
    ended = pnn.MLPRegressor(**options, max_iter=1, clip_norm=1.0).fit(rows, targets)
    moved = [ended.coefs_[0] - begin.coefs_[0], ended.intercepts_[0] - begin.intercepts_[0]]
    step = np.sqrt(sum(np.sum(each**2) for each in moved))
    assert abs(step - 0.1) < 1e-5 if solver == "sgd" else step > 0.1  # 0.1 is the rate, 1 the norm
    with pytest.raises(pnn.NonFiniteCostError):
        pnn.MLPRegressor(**options, max_iter=50).fit(rows, targets)


def test_lbfgs_leaves_scipys_own_library_one_thread_while_it_runs():
    seen = []

    class Look(pnn.Callback):
        def on_epoch_end(self, state):
            seen.append([each.num_threads for each in own_of_scipy()])

    X, y = np.eye(20), np.arange(20) % 2
    before = [each.num_threads for each in own_of_scipy()]
    pnn.MLPClassifier((3,), solver="lbfgs", max_iter=2, callbacks=[Look()], tol=0).fit(X, y)
    assert seen == [[1] * len(before)] * len(seen) != []
    assert [each.num_threads for each in own_of_scipy()] == before
