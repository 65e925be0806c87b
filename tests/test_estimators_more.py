"""What the estimators have beyond scikit-learn's: each is seen to count, by numbers worked out apart."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from helpers import relative
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, log_loss
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
t = X[:, 3] + 0.5 * X[:, 0] ** 2
TRAIN, VAL = np.arange(150) % 3 > 0, np.arange(150) % 3 == 0
FULL = {"batch_size": 150, "shuffle": False, "alpha": 0.0, "random_state": 0}
SMALL = {"hidden_layer_sizes": (6, 5), "random_state": 0}


def classifier(**options: Any) -> Any:
    return pnn.MLPClassifier(**{**SMALL, "max_iter": 20, **options})


def regressor(**options: Any) -> Any:
    return pnn.MLPRegressor(**{**SMALL, "max_iter": 20, **options})


def differs(a: Any, b: Any) -> bool:
    return relative(a.coefs_[0], b.coefs_[0]) > 1e-6


def same(a: Any, b: Any) -> bool:
    return max(relative(p, q) for p, q in zip(a.coefs_, b.coefs_, strict=True)) < 1e-12


def outputs(est: Any, rows: Any, hidden: Any) -> Any:
    """The forward pass, written out; `hidden` are the functions of the hidden layers."""
    A = rows
    for l, (W, b) in enumerate(zip(est.coefs_, est.intercepts_, strict=True)):
        Z = A @ W + b
        A = hidden[l](Z) if l < len(hidden) else Z
    return A


def first_weights(kind: Any, **options: Any) -> Any:
    """An estimator as it is before the first update (learning rate zero)."""
    return kind(**options, solver="sgd", schedule=lambda step: 0.0, max_iter=1)


# ---- class_weight -------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early", [False, True])
def test_class_weights_are_the_same_sample_weights(solver, early):
    w = {0: 5.0, 1: 0.5, 2: 1.0}
    options = {"solver": solver, "early_stopping": early, "learning_rate_init": 0.02}
    ours = classifier(class_weight=w, **options).fit(X, y)
    theirs = classifier(**options).fit(X, y, sample_weight=np.array([5.0, 0.5, 1.0])[y])
    assert same(ours, theirs)
    assert differs(ours, classifier(**options).fit(X, y))


def test_class_weights_multiply_the_sample_weights_and_may_be_balanced():
    rows = np.r_[0:50, 50:60, 100:105]
    v = np.random.default_rng(0).uniform(0.5, 2, size=len(rows))
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=y[rows], sample_weight=v)
    ours = classifier(class_weight="balanced").fit(X[rows], y[rows], v)
    assert same(ours, classifier().fit(X[rows], y[rows], v * balanced[y[rows]]))
    names = np.array(["a", "b", "c"])[y]
    ours = classifier(class_weight={"a": 5.0}).fit(X, names)
    assert same(ours, classifier().fit(X, y, np.array([5.0, 1, 1])[y]))


def test_class_weights_of_many_labels_a_row():
    rows, Y = make_multilabel_classification(n_samples=80, n_classes=3, random_state=0)
    given = [{0: 1, 1: 3}, {0: 1, 1: 1}, {0: 2, 1: 1}]
    for class_weight in (given, "balanced"):
        ours = classifier(class_weight=class_weight).fit(rows, Y)
        assert same(ours, classifier().fit(rows, Y, compute_sample_weight(class_weight, Y)))


def test_class_weights_count_in_partial_fit():
    ours = classifier(class_weight={0: 5.0}).partial_fit(X, y, classes=[0, 1, 2])
    assert same(ours, classifier().partial_fit(X, y, np.array([5.0, 1, 1])[y], classes=[0, 1, 2]))
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


# ---- dropout ------------------------------------------------------------------------------------------


def test_dropout_changes_the_training_and_not_the_predictions():
    plain, ours = classifier().fit(X, y), classifier(dropout=0.5).fit(X, y)
    assert differs(plain, ours)
    np.testing.assert_array_equal(ours.predict_proba(X), ours.predict_proba(X))
    E = np.exp(outputs(ours, X, [lambda z: np.maximum(z, 0)] * 2))
    assert relative(ours.predict_proba(X), E / E.sum(axis=1, keepdims=True)) < 1e-12
    assert same(ours, classifier(dropout=[0.5, 0.5]).fit(X, y))
    assert differs(ours, classifier(dropout=[0.5, 0]).fit(X, y))
    assert same(plain, classifier(dropout=[0, 0.0]).fit(X, y))


# ---- activations --------------------------------------------------------------------------------------

BY_HAND = {
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "exp": np.exp,
}


@pytest.mark.parametrize("name", sorted(pnn.equations.ACTIVATIONS))
def test_every_activation_trains(name):
    ours = regressor(activation=name, max_iter=40).fit(X, t)
    assert ours.loss_curve_[-1] < ours.loss_curve_[0]
    if name in BY_HAND:
        assert relative(ours.predict(X), outputs(ours, X, [BY_HAND[name]] * 2)[:, 0]) < 1e-12


def test_each_hidden_layer_may_have_an_activation_of_its_own():
    cube = pnn.Activation("cube", lambda xp, Z: Z * Z * Z, lambda xp, Z: 3 * Z * Z)
    ours = regressor(activation=["tanh", cube]).fit(X, t)
    assert relative(ours.predict(X), outputs(ours, X, [np.tanh, lambda z: z**3])[:, 0]) < 1e-12
    one = regressor(activation=cube).fit(X, t)
    assert relative(one.predict(X), outputs(one, X, [lambda z: z**3] * 2)[:, 0]) < 1e-12
    assert same(regressor(activation="sigmoid").fit(X, t), regressor(activation="logistic").fit(X, t))
    assert same(regressor(activation=["tanh", "tanh"]).fit(X, t), regressor(activation="tanh").fit(X, t))


def test_the_first_weights_have_the_bound_of_each_layers_activation():
    start = first_weights(
        pnn.MLPRegressor, hidden_layer_sizes=(6, 5), activation=["logistic", "relu"], random_state=9
    ).fit(X, t)
    draw = np.random.RandomState(9)
    for (n_in, n_out), factor, W, b in zip(
        ((4, 6), (6, 5), (5, 1)), (2, 6, 6), start.coefs_, start.intercepts_, strict=True
    ):
        bound = np.sqrt(factor / (n_in + n_out))
        np.testing.assert_allclose(W, draw.uniform(-bound, bound, (n_in, n_out)), rtol=1e-14)
        np.testing.assert_allclose(b, draw.uniform(-bound, bound, n_out), rtol=1e-14)


# ---- solvers, schedules, clipped gradients ----------------------------------------------------------


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


def test_a_schedule_goes_on_in_partial_fit():
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
def test_another_optimizer_begins_anew_in_partial_fit(before, after):
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


def test_lbfgs_ends_where_float32_can_tell_no_more():
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


# ---- losses and label smoothing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [
        ("absolute_error", lambda a, y: np.abs(a - y)),
        ("huber", lambda a, y: np.where(np.abs(a - y) < 1, (a - y) ** 2 / 2, np.abs(a - y) - 0.5)),
        ("pinball", lambda a, y: np.maximum(0.8 * (y - a), -0.2 * (y - a))),
        (
            pnn.huber(0.25),
            lambda a, y: (
                np.minimum(np.abs(a - y), 0.25) * (np.abs(a - y) - np.minimum(np.abs(a - y), 0.25) / 2)
            ),
        ),
        (
            pnn.Loss("fourth", lambda xp, A, Y: (A - Y) ** 4, lambda xp, A, Y: 4 * (A - Y) ** 3),
            lambda a, y: (a - y) ** 4,
        ),
    ],
)
def test_every_loss_is_its_formula_and_falls(loss, by_hand):
    options = {**FULL, "hidden_layer_sizes": (6, 5), "loss": loss, "quantile": 0.8}
    start = first_weights(pnn.MLPRegressor, **options).fit(X, t)
    A = outputs(start, X, [lambda z: np.maximum(z, 0)] * 2)[:, 0]
    assert start.loss_ == pytest.approx(np.mean(by_hand(A, t)), rel=1e-12)
    ours = regressor(**options, max_iter=50, learning_rate_init=0.01).fit(X, t)
    assert ours.loss_ < 0.8 * start.loss_


def test_the_pinball_loss_predicts_the_quantile():
    random = np.random.default_rng(0)
    rows, noise = random.uniform(size=(4000, 1)), random.exponential(size=4000)
    ours = pnn.MLPRegressor(
        "pinball", (10,), quantile=0.75, solver="lbfgs", max_iter=500, random_state=0
    ).fit(rows, noise)
    assert np.mean(noise < ours.predict(rows)) == pytest.approx(0.75, abs=0.01)
    assert ours.predict([[0.5]])[0] == pytest.approx(np.log(4), abs=0.15)


def test_a_loss_of_ones_own_for_classes():
    focal = pnn.Loss(
        "focal",
        lambda xp, A, Y: -Y * (1 - A) ** 2 * xp.log(xp.maximum(A, 1e-30)),
        lambda xp, A, Y: Y * (2 * (1 - A) * xp.log(xp.maximum(A, 1e-30)) - (1 - A) ** 2 / A),
        targets="distribution",
    )
    ours = classifier(loss=focal, learning_rate_init=0.02, max_iter=300, tol=0).fit(X, y)
    assert ours.out_activation_ == "softmax"
    assert ours.score(X, y) > 0.95
    P = ours.predict_proba(X)[np.arange(150), y]
    assert ours.loss_ == pytest.approx(np.mean(-((1 - P) ** 2) * np.log(P)), rel=0.05)


def test_label_smoothing_spreads_a_share_of_each_target():
    options = {**FULL, "hidden_layer_sizes": (6, 5), "label_smoothing": 0.3}
    start = first_weights(pnn.MLPClassifier, **options).fit(X, y)
    Y = 0.7 * np.eye(3)[y] + 0.1
    assert start.loss_ == pytest.approx(np.mean(-(Y * np.log(start.predict_proba(X))).sum(1)), rel=1e-12)
    two, Y2 = y > 0, np.where(y > 0, 0.85, 0.15)
    start = first_weights(pnn.MLPClassifier, **options).fit(X, two)
    P = start.predict_proba(X)[:, 1]
    assert start.loss_ == pytest.approx(np.mean(-Y2 * np.log(P) - (1 - Y2) * np.log(1 - P)), rel=1e-12)
    rows, many = make_multilabel_classification(n_samples=60, random_state=0)
    start = first_weights(pnn.MLPClassifier, **FULL | {"batch_size": 60, "label_smoothing": 0.3}).fit(
        rows, many
    )
    P, M = start.predict_proba(rows), 0.7 * many + 0.15
    assert start.loss_ == pytest.approx(-np.mean((M * np.log(P) + (1 - M) * np.log(1 - P)).sum(1)))
    ours = classifier(label_smoothing=0.3, max_iter=400, learning_rate_init=0.01, tol=0).fit(X, y)
    sure = classifier(max_iter=400, learning_rate_init=0.01, tol=0).fit(X, y)
    assert ours.predict_proba(X).max() < 0.95 < sure.predict_proba(X).max()


# ---- validation, early stopping, scorers ------------------------------------------------------------


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


def test_validation_data_without_a_meaning_is_refused():
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


def test_a_scorer_is_handed_host_arrays_wherever_the_training_is():
    strict = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    rows = strict.asarray(X, device=strict.Device("device1"))
    ours = classifier(early_stopping=True, scoring="roc_auc_ovr").fit(rows, y)
    on_numpy = classifier(early_stopping=True, scoring="roc_auc_ovr").fit(X, y)
    np.testing.assert_allclose(ours.validation_scores_, on_numpy.validation_scores_, rtol=1e-12)


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


def test_a_partial_fit_that_blows_up_keeps_the_last_finite_weights_with_early_stopping_too():
    ours = regressor(early_stopping=True, solver="sgd", activation="identity")
    data = {"X_val": X[VAL], "y_val": t[VAL]}
    ours.partial_fit(X[TRAIN], t[TRAIN], **data)
    before = [W.copy() for W in ours.coefs_]
    ours.set_params(learning_rate_init=1e200, schedule=lambda step: 1e200)
    with pytest.raises(pnn.NonFiniteCostError):
        ours.partial_fit(X[TRAIN], t[TRAIN], **data)
    for W, kept in zip(ours.coefs_, before, strict=True):
        np.testing.assert_array_equal(W, kept)


@pytest.mark.parametrize(("first", "then"), [("lbfgs", "adam"), ("adam", "sgd"), ("sgd", "lbfgs")])
@pytest.mark.parametrize("early", [(False, True), (True, False)])
def test_training_may_go_on_with_another_solver_and_other_rules(first, then, early):
    ours = classifier(solver=first, early_stopping=early[0], warm_start=True, max_iter=40).fit(X, y)
    before = ours.loss_
    ours.set_params(solver=then, early_stopping=early[1], learning_rate_init=0.01).fit(X, y)
    assert ours.loss_ < before * 1.5
    if then != "lbfgs":
        assert (ours.best_loss_ is None) == (ours.best_validation_score_ is not None) == early[1]
        ours.set_params(early_stopping=False).partial_fit(X, y)
    ours.predict(X)


def test_a_subclass_may_have_parameters_of_its_own():
    class Mine(pnn.MLPClassifier):
        def __init__(self, units=7, alpha=0.5):
            super().__init__(hidden_layer_sizes=(units,), alpha=alpha, max_iter=5, random_state=0)
            self.units = units

    assert Mine(units=3).fit(X, y).coefs_[0].shape == (4, 3)
    assert Mine().get_params() == {"alpha": 0.5, "units": 7}


def test_a_score_that_is_no_number_keeps_the_last_weights_and_says_so():
    options = {"early_stopping": True, "max_iter": 5}
    with pytest.warns(ConvergenceWarning, match="No validation score was a number"):
        ours = regressor(**options, scoring=lambda est, rows, t: float("nan")).fit(X, t)
    assert same(ours, regressor(**options, scoring=lambda est, rows, t: est.n_iter_).fit(X, t))


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


def test_weights_that_are_no_numbers_are_never_the_best():
    options = {"early_stopping": True, "activation": "exp", "max_iter": 5}
    with pytest.warns(ConvergenceWarning, match="diverged in iteration 1"):
        ours = classifier(**options).fit(1e3 * X, y)  # argmax of NaN is a class, and scores
    assert ours.validation_scores_[0] > 0
    assert all(np.isfinite(W).all() for W in ours.coefs_)


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


def test_a_scorer_that_fails_does_so_before_anything_has_changed():
    ours = classifier(early_stopping=True).fit(X, y)
    before = dict(vars(ours))
    with pytest.raises(ValueError, match="multi_class must be in"):
        ours.set_params(scoring="roc_auc").fit(X, y)
    assert all(vars(ours)[k] is v for k, v in before.items() if k != "scoring")
    with pytest.raises(ValueError, match="`y_val` has 1 outputs; accepted: 2"):
        regressor().fit(X, np.stack([t, t], axis=1), X_val=X, y_val=t)


def test_scores_are_those_of_scikit_learn_with_weights_too():
    from sklearn.metrics import accuracy_score, r2_score

    w = np.random.default_rng(0).uniform(size=150)
    ours, real = classifier().fit(X, y), regressor().fit(X, t)
    assert ours.score(X, y, w) == accuracy_score(y, ours.predict(X), sample_weight=w)
    assert real.score(X, t, w) == r2_score(t, real.predict(X), sample_weight=w)
    assert ours.score(X, y, w) != ours.score(X, y)


def test_parameters_kept_by_a_callback_stay_as_they_were():
    for solver in ("adam", "lbfgs"):
        kept, copies = [], []

        class Keep(pnn.Callback):
            def on_epoch_end(self, state: Any, kept: Any = kept, copies: Any = copies) -> None:
                kept.append(state.params[0][0])
                copies.append(np.array(state.params[0][0]))

        ours = classifier(solver=solver, callbacks=[Keep()], max_iter=8).fit(X, y)
        for array, copy in zip(kept, copies, strict=True):
            np.testing.assert_array_equal(array, copy)
        np.testing.assert_array_equal(ours.coefs_[0], copies[-1].T)


def test_a_loss_of_another_output_keeps_the_outputs_probabilities():
    brier = pnn.equations.LOSSES["squared_error"]
    ours = classifier(loss=brier, learning_rate_init=0.02, max_iter=200).fit(X, y)
    assert ours.out_activation_ == "softmax"
    assert ours.score(X, y) > 0.9
    np.testing.assert_allclose(ours.predict_proba(X).sum(axis=1), 1)


def test_scorers_that_take_no_weights_are_handed_none():
    def mine(est: Any, rows: Any, labels: Any) -> float:
        return float(est.score(rows, labels))

    for scoring in (mine, "adjusted_rand_score"):
        classifier(early_stopping=True, scoring=scoring, class_weight="balanced").fit(X, y)
        classifier(early_stopping=True, scoring=scoring).fit(X, y, np.ones(150))


def test_class_weights_count_in_the_validation_data_given():
    cw = {0: 5.0, 1: 0.5, 2: 1.0}
    ours = classifier(class_weight=cw).fit(X[TRAIN], y[TRAIN], X_val=X[VAL], y_val=y[VAL])
    w = np.array([5.0, 0.5, 1.0])[y]
    theirs = classifier().fit(
        X[TRAIN], y[TRAIN], w[TRAIN], X_val=X[VAL], y_val=y[VAL], sample_weight_val=w[VAL]
    )
    assert relative(ours.validation_loss_curve_, theirs.validation_loss_curve_) < 1e-12


def test_what_is_set_between_calls_of_partial_fit_counts():
    options = {**FULL, "solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False}
    ours = regressor(**options, learning_rate_init=0.01).partial_fit(X, t)
    fast = regressor(**options, learning_rate_init=0.01).partial_fit(X, t)
    before = ours.coefs_[0]
    ours.partial_fit(X, t)
    fast.set_params(learning_rate_init=0.03).partial_fit(X, t)
    np.testing.assert_allclose(fast.coefs_[0] - before, 3 * (ours.coefs_[0] - before), rtol=1e-9)


def test_weights_set_by_hand_predict():
    import sklearn.neural_network

    random = np.random.default_rng(0)
    for module in (sklearn.neural_network, pnn):
        est = module.MLPRegressor(hidden_layer_sizes=(5,), activation="tanh")
        random = np.random.default_rng(0)
        est.coefs_ = [random.normal(size=(4, 5)), random.normal(size=(5, 1))]
        est.intercepts_ = [random.normal(size=5), random.normal(size=1)]
        est.n_layers_, est.n_outputs_, est.out_activation_ = 3, 1, "identity"
        A = np.tanh(X @ est.coefs_[0] + est.intercepts_[0]) @ est.coefs_[1] + est.intercepts_[1]
        assert relative(est.predict(X), A[:, 0]) < 1e-13
    assert relative(pickle.loads(pickle.dumps(est)).predict(X), A[:, 0]) < 1e-13
    trained = classifier().fit(X, y)
    ours = classifier(hidden_layer_sizes=(6, 5))
    ours.coefs_, ours.intercepts_, ours.classes_ = trained.coefs_, trained.intercepts_, np.arange(3)
    ours.n_outputs_, ours.out_activation_ = 3, "softmax"
    np.testing.assert_array_equal(ours.predict(X), trained.predict(X))
    ours.coefs_ = [*ours.coefs_[:1], np.eye(6), *ours.coefs_[1:]]  # deeper than any training
    ours.intercepts_ = [*ours.intercepts_[:1], np.zeros(6), *ours.intercepts_[1:]]
    np.testing.assert_array_equal(ours.predict(X), trained.predict(X))


def test_sparse_labels_come_back_sparse():
    import scipy.sparse
    import sklearn.neural_network

    rows, Y = make_multilabel_classification(n_samples=60, random_state=0)
    sparse = scipy.sparse.csr_matrix(Y)
    theirs = sklearn.neural_network.MLPClassifier(max_iter=5, random_state=0).fit(rows, sparse)
    ours = pnn.MLPClassifier(max_iter=5, random_state=0).fit(rows, sparse)
    assert type(ours.predict(rows)) is type(theirs.predict(rows))
    np.testing.assert_array_equal(ours.predict(rows).toarray(), theirs.predict(rows).toarray())
    assert ours.score(rows, sparse) == theirs.score(rows, sparse)


def test_partial_fit_takes_many_labels_a_row_without_classes():
    rows, Y = make_multilabel_classification(n_samples=80, random_state=0)
    named = classifier().partial_fit(rows, Y, classes=np.arange(Y.shape[1]))
    ours = classifier().partial_fit(rows, Y)
    assert same(ours, named)
    ours.partial_fit(rows[:1], Y[:1]).partial_fit(rows[:7], 0 * Y[:7])
    assert ours.predict(rows).shape == Y.shape
    with pytest.raises(ValueError, match="one per label"):
        classifier().partial_fit(rows, Y, classes=[0, 1])


# ---- callbacks and time -----------------------------------------------------------------------------


class Watch(pnn.Callback):
    def __init__(self, last: int = 10**9) -> None:
        self.last, self.seen = last, []

    def on_train_begin(self, state: Any) -> None:
        self.seen.append("begin")

    def on_epoch_end(self, state: Any) -> None:
        self.seen.append((state.epoch, state.history.cost[-1]))
        if state.epoch == self.last:
            state.stop("enough")

    def on_train_end(self, state: Any) -> None:
        self.seen.append("end")
        self.stopped_by = state.history.stopped_by


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_our_callbacks_are_told_of_each_epoch_and_can_end_the_training(solver):
    watch = Watch(last=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = classifier(solver=solver, callbacks=[watch]).fit(X, y)
    assert ours.n_iter_ == 4
    assert watch.stopped_by == "enough"
    assert watch.seen == ["begin", *enumerate(ours.loss_curve_, start=1), "end"]
    watch = Watch()
    ours = classifier(callbacks=[watch], batch_size=50).partial_fit(X, y, classes=[0, 1, 2])
    assert watch.seen == ["begin", (1, ours.loss_), "end"]


def test_a_callback_is_shown_the_parameters_and_the_step_of_its_epoch():
    seen = []

    class Look(pnn.Callback):
        def on_epoch_end(self, state: Any) -> None:
            seen.append((state.step, state.optimizer_state.t, [np.array(W.T) for W, _ in state.params]))

    ours = classifier(callbacks=[Look()], batch_size=50, max_iter=2).fit(X, y)
    assert [(step, t) for step, t, _ in seen] == [(3, 3), (6, 6)]
    np.testing.assert_array_equal(seen[-1][2][0], ours.coefs_[0])
    before = classifier(batch_size=50, max_iter=1).fit(X, y)
    np.testing.assert_array_equal(seen[0][2][0], before.coefs_[0])


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("how", ["set_callbacks", "parameter"])
def test_scikit_learns_own_callbacks_are_called(solver, how):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    ours = classifier(solver=solver, max_iter=6, callbacks=[monitor] if how == "parameter" else None)
    ours.set_params(learning_rate_init=0.2)
    if how == "set_callbacks":
        ours.set_callbacks(monitor)
    ours.fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] != "fit"]
    assert len(rows) == ours.n_iter_ == 6
    assert rows[-1]["accuracy"] == ours.score(X, y)
    assert rows[0]["accuracy"] < rows[-1]["accuracy"]
    assert not hasattr(ours, "_skl_callbacks") or how == "set_callbacks"
    ours.fit(X, y)  # and again
    if solver != "lbfgs":
        ours.partial_fit(X, y)  # of which they are not told
        assert len(monitor.get_logs(select="all")) == 2


def test_a_callback_of_scikit_learn_can_end_the_training():
    class Stop:
        def setup(self, estimator, context):
            self.log = ["setup"]

        def teardown(self, estimator, context):
            self.log.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.log.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, X=None):
            assert fitted_estimator.predict(X).shape == (150,)
            return context.task_id == 2

    stop = Stop()
    ours = classifier(callbacks=[stop, Watch()]).fit(X, y)
    assert ours.n_iter_ == 3
    assert stop.log == ["setup", "begin fit", *["begin epoch"] * 3, "teardown"]


def test_the_progress_bar_of_scikit_learn_works(capsys):
    pytest.importorskip("rich", reason="rich is not installed")
    from sklearn.callback import ProgressBar
    from sklearn.model_selection import GridSearchCV

    classifier(callbacks=[ProgressBar()]).fit(X, y)
    assert "MLPClassifier - fit" in capsys.readouterr().out
    search = GridSearchCV(classifier(max_iter=3), {"alpha": [0.1, 1]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "MLPClassifier - fit" in capsys.readouterr().out
    search = GridSearchCV(
        classifier(callbacks=[ProgressBar()]), {"alpha": [0.1]}, cv=2, error_score="raise"
    )
    with pytest.raises(TypeError, match="set it on the outermost"):
        search.fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_epoch_is_begun_after_max_time(solver):
    noise = np.random.default_rng(0).normal(size=(300, 6))
    ours = regressor(solver=solver, max_iter=10**6, tol=0, n_iter_no_change=np.inf, max_time=0.1)
    with pytest.warns(ConvergenceWarning, match=r"Maximum time \(0.1 s\) reached"):
        ours.fit(noise[:, :5], noise[:, 5])
    assert 1 <= ours.n_iter_ < 10**5


def log_score(est: Any, rows: Any, labels: Any) -> float:
    return -float(log_loss(labels, est.predict_proba(rows), labels=est.classes_))


class Interrupt(pnn.Callback):
    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == 3:
            raise KeyboardInterrupt


def test_an_interrupt_keeps_the_best_weights_with_early_stopping():
    options = {"early_stopping": True, "callbacks": [Interrupt()], "learning_rate_init": 0.02}
    data = {"X_val": X[VAL], "y_val": 0 * y[VAL]}  # whose score falls
    options |= {"learning_rate_init": 0.1}
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        ours = classifier(**options, scoring=log_score).fit(X[TRAIN], y[TRAIN], **data)
    assert np.argmax(ours.validation_scores_) == 0
    P = ours.predict_proba(X[VAL])
    assert -log_loss(0 * y[VAL], P, labels=[0, 1, 2]) == pytest.approx(ours.validation_scores_[0])


def test_a_single_epoch_of_partial_fit_knows_no_limit_of_time():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(max_time=1e-9).partial_fit(X, y, classes=[0, 1, 2])


def test_an_interrupt_keeps_what_was_learned():
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        ours = classifier(callbacks=[Interrupt()]).fit(X, y)
    assert ours.n_iter_ == 3
    assert same(ours, classifier(max_iter=3).fit(X, y))


# ---- transform, activations, names, outputs ---------------------------------------------------------


def test_transform_gives_the_last_hidden_layer_and_activations_all_of_them():
    ours = classifier().fit(X, y)
    first = np.maximum(X @ ours.coefs_[0] + ours.intercepts_[0], 0)
    second = np.maximum(first @ ours.coefs_[1] + ours.intercepts_[1], 0)
    assert relative(ours.transform(X), second) < 1e-12
    found = ours.activations(X)
    assert [a.shape for a in found] == [(150, 6), (150, 5), (150, 3)]
    assert relative(found[0], first) < 1e-12
    np.testing.assert_array_equal(found[2], ours.predict_proba(X))
    assert list(ours.get_feature_names_out()) == [f"mlpclassifier{i}" for i in range(5)]
    np.testing.assert_array_equal(classifier().fit_transform(X, y), ours.transform(X))
    assert "MLPClassifier" in ours._repr_html_()
    none = classifier(hidden_layer_sizes=()).fit(X, y)
    np.testing.assert_array_equal(none.transform(X), X)
    assert len(none.get_feature_names_out()) == 4


def test_transform_may_give_a_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=list("abcd"), index=np.arange(150) + 7)
    ours = classifier().set_output(transform="pandas").fit(frame, y)
    found = ours.transform(frame)
    assert list(found.columns) == [f"mlpclassifier{i}" for i in range(5)]
    assert list(found.index) == list(frame.index)


def test_frames_bring_their_names():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    expected = classifier(early_stopping=True).fit(X, y)
    for module in (polars, pandas):
        frame = module.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
        labels = module.Series("species", y) if module is polars else module.Series(y, name="species")
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            ours = classifier(early_stopping=True, scoring="accuracy").fit(frame, labels)
            assert list(ours.feature_names_in_) == list("abcd")
            assert same(ours, expected)
            ours.predict(frame)
            if module is pandas:
                with pytest.raises(ValueError, match="The feature names should match"):
                    ours.predict(frame.rename(columns={"a": "A"}))


def test_metadata_is_routed():
    import sklearn
    from sklearn.model_selection import cross_validate
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    w = np.random.default_rng(0).uniform(size=150)
    with sklearn.config_context(enable_metadata_routing=True):
        ours = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, ours).fit(X, y, sample_weight=w)
        assert same(pipe[-1], classifier().fit(pipe[0].transform(X), y, w))
        cross_validate(pipe, X, y, params={"sample_weight": w}, cv=2)


def test_the_loss_curves_can_be_drawn():
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import LogisticRegression

    ours = classifier(early_stopping=True).fit(X, y)
    display = pnn.LossCurveDisplay.from_estimator(ours, name="mine", c="red", ls=":")
    np.testing.assert_array_equal(display.line_.get_ydata(), ours.loss_curve_)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, ours.n_iter_ + 1))
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), ours.validation_loss_curve_)
    assert display.line_.get_color() == display.validation_line_.get_color() == "red"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "mine: training",
        "mine: validation",
    ]
    late = classifier(warm_start=True, max_iter=2).fit(X, y).fit(X, y, X_val=X, y_val=y).fit(X, y)
    drawn = pnn.LossCurveDisplay.from_estimator(late).validation_line_  # of the second fit alone
    np.testing.assert_array_equal(drawn.get_xdata()[~np.isnan(drawn.get_ydata())], [3, 4])
    curves = {"loss_curve": [2.0, 1.0], "validation_loss_curve": np.array([3.0, 2.0])}
    assert pnn.LossCurveDisplay(**curves).plot().validation_line_ is not None
    again = pnn.LossCurveDisplay.from_estimator(classifier(solver="lbfgs").fit(X, y), ax=display.ax_)
    assert again.figure_ is display.figure_
    assert again.validation_line_ is None
    with pytest.raises(NotFittedError):
        pnn.LossCurveDisplay.from_estimator(classifier())
    with pytest.raises(TypeError, match=r"no `loss_curve_`; accepted"):
        pnn.LossCurveDisplay.from_estimator(LogisticRegression().fit(X, y))
    plt.close("all")
