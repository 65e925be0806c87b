"""Estimators that are killed and resumed: what was never interrupted, to the bit."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from interrupted import Death, DeathError, checkpoints

pytest.importorskip("sklearn")
import portable_nn as pnn
from portable_nn.storage import read_document, write_document

pytestmark = pytest.mark.usefixtures("host_only")
N, SIZE = 150, 16

VARIANTS = {
    "plain": {"tol": 1e-2, "n_iter_no_change": 2},
    "dropout, early stopping": {"dropout": 0.2, "early_stopping": True, "solver": "adamw"},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.2,
        "tol": 1e-2,
        "n_iter_no_change": 2,
    },
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.5},
    "schedule, weights of classes": {
        "schedule": pnn.schedules.cosine(0.05, 100),
        "class_weight": "balanced",
        "early_stopping": True,
        "n_iter_no_change": 3,
    },
}
ATTRIBUTES = (
    *("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "best_validation_score_"),
    *("validation_scores_", "validation_loss_curve_", "_no_improvement_count", "stopped_early_"),
)


@pytest.fixture
def data():
    random = np.random.default_rng(2)
    return random.normal(size=(N, 5)), np.array(["a", "b", "c"])[random.integers(0, 3, size=N)]


def assert_same(found, expected):
    for a, b in zip(
        found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    for name in ATTRIBUTES:
        np.testing.assert_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for a, b in zip(found._optimizer.state.slots, expected._optimizer.state.slots, strict=True):
        np.testing.assert_array_equal(a[0][0], b[0][0])


@pytest.mark.parametrize("seeded", [True, False], ids=["seeded", "not seeded"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_is_killed_and_resumed_is_one_that_was_not(variant, seeded, data, tmp_path):
    how = {"hidden_layer_sizes": (6,), "batch_size": SIZE, "max_iter": 12, **VARIANTS[variant]}
    make = functools.partial(pnn.MLPClassifier, **how, random_state=7 if seeded else None)
    np.random.seed(5)
    expected, checkpoint = make().fit(*data), checkpoints(tmp_path, every_steps=5)
    for at in (23, 36):
        np.random.seed(5 if at == 23 else 99)  # the second time nobody knows what it was
        with pytest.raises(DeathError):
            make(callbacks=[Death(at), checkpoint]).fit(*data, resume=checkpoint)
    found = make(callbacks=[checkpoint]).fit(*data, resume=checkpoint.path)
    assert_same(found, expected)
    assert_same(make().fit(*data, resume=checkpoint), expected)  # which is over


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_regressor_with_validation_data_and_a_warm_start_is_resumed(data, tmp_path):
    X, _ = data
    t, how = X[:, 0] * X[:, 1], {"max_iter": 6, "random_state": 1, "loss": "huber", "warm_start": True}

    def fit(**more):
        return (
            pnn.MLPRegressor(hidden_layer_sizes=(4,), batch_size=SIZE, **how)
            .fit(X, t)
            .set_params(**more)
        )

    given = {"X_val": X[:30], "y_val": t[:30], "sample_weight": np.linspace(0.5, 1, N)}
    expected, checkpoint = fit().fit(X, t, **given), checkpoints(tmp_path)
    with pytest.raises(DeathError):
        fit(callbacks=[Death(40), checkpoint]).fit(X, t, **given)
    assert_same(fit().fit(X, t, **given, resume=checkpoint), expected)
    with pytest.raises(ValueError, match="another training: `coefs_ and intercepts_` has other values;"):
        pnn.MLPRegressor(hidden_layer_sizes=(4,), batch_size=SIZE, **how).fit(
            X, t, **given, resume=checkpoint
        )


def test_more_iterations_than_before_go_on(data, tmp_path):
    make = functools.partial(pnn.MLPClassifier, (4,), random_state=0, batch_size=SIZE)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        make(max_iter=3, callbacks=[checkpoints(tmp_path)]).fit(*data)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        found = make(max_iter=7).fit(*data, resume=tmp_path / "run.ckpt")
    with pytest.warns(UserWarning, match="Maximum iterations"):
        assert_same(found, make(max_iter=7).fit(*data))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_other_parameters_and_data_are_named_and_nothing_is_changed(data, tmp_path):
    X, y = data
    make = functools.partial(pnn.MLPClassifier, (4,), max_iter=2, random_state=0)
    make(callbacks=[checkpoints(tmp_path)]).fit(X, y)
    path = tmp_path / "run.ckpt"
    with pytest.raises(ValueError, match=r"another training: `alpha` was 0\.0001 and is 0\.1; accepted"):
        make(alpha=0.1).fit(X, y, resume=path)
    estimator = make()
    with pytest.raises(ValueError, match="another training: `X` has other values; accepted"):
        estimator.fit(X + 1e-9, y, resume=path)
    assert not hasattr(estimator, "n_features_in_")
    with pytest.raises(ValueError, match="`y` has other values"):
        make().fit(X, y[::-1], resume=path)
    with pytest.raises(pnn.ModelFormatError, match="accepted for `resume`: a checkpoint of MLPR"):
        pnn.MLPRegressor(hidden_layer_sizes=4).fit(X, X[:, 0], resume=path)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["start", "now", "order"])
def test_a_forged_checkpoint_is_refused(name, data, tmp_path):
    make = functools.partial(pnn.MLPClassifier, (4,), random_state=0)
    make(max_iter=2, callbacks=[checkpoints(tmp_path, keep=1)]).fit(*data)
    path = tmp_path / "run.ckpt"
    kind, values, _ = read_document(path)
    place = values["record"] if name == "start" else values["position"]["now"]
    if name == "order":
        values["position"]["before"]["index"][0] = 10**9
    else:
        place["random"]["state"]["pos"] = -(10**8)
    write_document(path, kind, values)
    with pytest.raises(pnn.ModelFormatError, match="a checkpoint"):
        make(max_iter=3).fit(*data, resume=path)


def test_what_cannot_be_resumed_says_so(data, tmp_path):
    checkpoint = checkpoints(tmp_path)
    estimator = pnn.MLPClassifier((4,), solver="lbfgs", callbacks=[checkpoint])
    with pytest.raises(ValueError, match="solver 'lbfgs' cannot be resumed; accepted: fit with one"):
        estimator.fit(*data)
    with pytest.raises(ValueError, match="`resume` is given, and the solver 'lbfgs'"):
        pnn.MLPClassifier((4,), solver="lbfgs").fit(*data, resume=checkpoint)
    with pytest.raises(ValueError, match="and partial_fit cannot be resumed"):
        pnn.MLPClassifier((4,), callbacks=[checkpoint]).partial_fit(*data, classes=["a", "b", "c"])
    assert not hasattr(estimator, "coefs_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sparse_rows_are_resumed(data, tmp_path):
    from scipy.sparse import csr_array

    X, y = csr_array(np.maximum(data[0], 0)), data[1]
    make = functools.partial(pnn.MLPClassifier, (4,), max_iter=5, random_state=0, batch_size=SIZE)
    expected, checkpoint = make().fit(X, y), checkpoints(tmp_path, every_steps=4)
    with pytest.raises(DeathError):
        make(callbacks=[Death(34), checkpoint]).fit(X, y)
    assert_same(make().fit(X, y, resume=checkpoint), expected)
