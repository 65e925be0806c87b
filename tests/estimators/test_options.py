"""What the estimators take beyond scikit-learn's: each option counts as its formula says."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from helpers import relative
from iris import FULL, TRAIN, VAL, X, classifier, differs, first_weights, outputs, regressor, same, t, y
from sklearn.datasets import make_multilabel_classification
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early", [False, True])
def test_class_weights_are_the_same_sample_weights(solver, early):
    w = {0: 5.0, 1: 0.5, 2: 1.0}
    options = {"solver": solver, "early_stopping": early, "learning_rate_init": 0.02}
    ours = classifier(class_weight=w, **options).fit(X, y)
    theirs = classifier(**options).fit(X, y, sample_weight=np.array([5.0, 0.5, 1.0])[y])
    assert same(ours, theirs)
    assert differs(ours, classifier(**options).fit(X, y))


def test_class_weights_multiply_the_sample_weights():
    v = np.random.default_rng(0).uniform(0.5, 2, size=150)
    ours = classifier(class_weight={2: 5.0}).fit(X, y, v)
    assert same(ours, classifier().fit(X, y, v * np.array([1, 1, 5.0])[y]))
    names = np.array(["a", "b", "c"])[y]
    ours = classifier(class_weight={"a": 5.0}).fit(X, names)
    assert same(ours, classifier().fit(X, y, np.array([5.0, 1, 1])[y]))


@pytest.mark.skipif(
    "sample_weight" not in inspect.signature(compute_class_weight).parameters,
    reason="scikit-learn's compute_class_weight has no sample_weight before its version 1.7",
)
def test_class_weights_may_be_balanced_by_the_sample_weights():
    rows = np.r_[0:50, 50:60, 100:105]
    v = np.random.default_rng(0).uniform(0.5, 2, size=len(rows))
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=y[rows], sample_weight=v)
    ours = classifier(class_weight="balanced").fit(X[rows], y[rows], v)
    assert same(ours, classifier().fit(X[rows], y[rows], v * balanced[y[rows]]))


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


def test_class_weights_count_in_the_validation_data_given():
    cw = {0: 5.0, 1: 0.5, 2: 1.0}
    ours = classifier(class_weight=cw).fit(X[TRAIN], y[TRAIN], X_val=X[VAL], y_val=y[VAL])
    w = np.array([5.0, 0.5, 1.0])[y]
    theirs = classifier().fit(
        X[TRAIN], y[TRAIN], w[TRAIN], X_val=X[VAL], y_val=y[VAL], sample_weight_val=w[VAL]
    )
    assert relative(ours.validation_loss_curve_, theirs.validation_loss_curve_) < 1e-12


def test_dropout_changes_the_training_and_not_the_predictions():
    plain, ours = classifier().fit(X, y), classifier(dropout=0.5).fit(X, y)
    assert differs(plain, ours)
    np.testing.assert_array_equal(ours.predict_proba(X), ours.predict_proba(X))
    E = np.exp(outputs(ours, X, [lambda z: np.maximum(z, 0)] * 2))
    assert relative(ours.predict_proba(X), E / E.sum(axis=1, keepdims=True)) < 1e-12
    assert same(ours, classifier(dropout=[0.5, 0.5]).fit(X, y))
    assert differs(ours, classifier(dropout=[0.5, 0]).fit(X, y))
    assert same(plain, classifier(dropout=[0, 0.0]).fit(X, y))
    assert same(ours, classifier(dropout=[pnn.schedules.constant(0.5), 0.5]).fit(X, y))
    assert differs(ours, classifier(dropout=lambda step: 0.5 / (1 + step)).fit(X, y))


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


def test_each_hidden_layer_may_have_its_own_activation():
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


def test_a_user_defined_loss_classifies():
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


def test_squared_error_of_a_classifier_still_gives_probabilities():
    brier = pnn.equations.LOSSES["squared_error"]
    ours = classifier(loss=brier, learning_rate_init=0.02, max_iter=200).fit(X, y)
    assert ours.out_activation_ == "softmax"
    assert ours.score(X, y) > 0.9
    np.testing.assert_allclose(ours.predict_proba(X).sum(axis=1), 1)


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


def test_a_subclass_may_have_parameters_of_its_own():
    class Mine(pnn.MLPClassifier):
        def __init__(self, units=7, alpha=0.5):
            super().__init__(hidden_layer_sizes=(units,), alpha=alpha, max_iter=5, random_state=0)
            self.units = units

    assert Mine(units=3).fit(X, y).coefs_[0].shape == (4, 3)
    assert Mine().get_params() == {"alpha": 0.5, "units": 7}
