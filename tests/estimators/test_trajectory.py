"""The trajectories are those of scikit-learn's MLPs, which share no code with ours.

Its own are as sensitive: with X changed by 1e-15, L-BFGS parts by 1e-8 after 80 iterations of such
problems and by 1e-1 after 160. So the tests stay at 30 to 60.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from helpers import relative
from scikit_features import COUNTS_ITERATIONS, filter_warnings, needs_loss, needs_weights
from sklearn import datasets, neural_network
from sklearn.preprocessing import StandardScaler

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
TOLERANCE = {"adam": 1e-8, "sgd": 1e-8, "lbfgs": 1e-6}


def scaled(load: Any) -> tuple[Any, Any]:
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def data(name: str) -> tuple[Any, Any]:
    X, y = DATA[name]()
    if name in ("diabetes", "outputs"):
        y = StandardScaler().fit_transform(np.reshape(y, (len(y), -1)))
        y = y[:, 0] if y.shape[1] == 1 else y
    return X, y


def some_digits() -> tuple[Any, Any]:
    X, y = datasets.load_digits(return_X_y=True)
    return X[:500] / 16, y[:500]


def labels() -> tuple[Any, Any]:
    X, y = datasets.make_multilabel_classification(n_samples=150, random_state=0)
    return X / 10, y


def counts() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 5))
    return X, random.poisson(np.exp(0.3 * X[:, 0])).astype(float)


DATA: dict[str, Callable[[], tuple[Any, Any]]] = {
    "digits": some_digits,  # ten classes; pixels that are always zero
    "iris": lambda: scaled(datasets.load_iris),
    "cancer": lambda: scaled(datasets.load_breast_cancer),  # two classes
    "wine, as it is": lambda: datasets.load_wine(return_X_y=True),  # saturates: the loss is clipped
    "labels": labels,
    "diabetes": lambda: scaled(datasets.load_diabetes),
    "outputs": lambda: datasets.make_regression(150, 8, n_targets=3, random_state=1),
    "counts": counts,
}
CLASSES = ("digits", "iris", "cancer", "labels")
NUMBERS = ("diabetes", "outputs")
SOLVERS = [
    {"solver": "adam", "learning_rate_init": 0.005},
    {"solver": "sgd", "learning_rate_init": 0.02},
    {"solver": "sgd", "learning_rate_init": 0.05, "learning_rate": "invscaling", "power_t": 0.2},
    {
        "solver": "sgd",
        "learning_rate_init": 0.02,
        "learning_rate": "adaptive",
        "tol": 1e-2,
        "n_iter_no_change": 2,
    },
    {"solver": "lbfgs"},
]
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
FEW = {"digits": "relu", "cancer": "tanh", "labels": "logistic", "outputs": "identity"}


def pair(X: Any, y: Any, kind: str, fit: dict[str, Any] | None = None, **options: Any) -> Any:
    """scikit-learn's estimator and ours, fitted with the same options; both warn alike."""
    found, said = [], []
    for module in (neural_network, pnn):
        with warnings.catch_warnings(record=True) as caught:
            filter_warnings("always")
            found.append(getattr(module, kind)(**options).fit(X, y, **(fit or {})))
        has_our_words = COUNTS_ITERATIONS or options.get("solver") != "lbfgs"
        said.append([(w.category, str(w.message) if has_our_words else "") for w in caught])
    assert said[0] == said[1]
    return found


def largest_difference(X: Any, theirs: Any, ours: Any) -> float:
    """The largest relative difference of all that training leads to."""
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.out_activation_ == theirs.out_activation_
    pairs = list(zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True))
    if theirs.solver != "lbfgs":
        pairs.append((ours.loss_curve_, theirs.loss_curve_))
        assert len(ours.loss_curve_) == len(theirs.loss_curve_)
        for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
            given, wanted = getattr(ours, name), getattr(theirs, name)
            assert (given is None) == (wanted is None)
            if wanted is not None:
                np.testing.assert_allclose(given, wanted, rtol=1e-8, atol=1e-12)
    pairs.append((ours.loss_, theirs.loss_))
    pairs.append((ours.predict(X), theirs.predict(X)))
    if hasattr(theirs, "classes_"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        pairs.append((ours.predict_proba(X), theirs.predict_proba(X)))
    assert ours.score(X, theirs.predict(X)) == pytest.approx(1.0, abs=1e-12)
    return max(relative(a, b) for a, b in pairs)


def name_of(solver: dict[str, Any]) -> str:
    return "-".join(
        [solver["solver"], *([solver["learning_rate"]] if "learning_rate" in solver else [])]
    )


CASES = [
    pytest.param(
        dataset, solver, early, activation, id=f"{dataset}-{name_of(solver)}-{activation}-{early}"
    )
    for dataset, solver, early, activation in itertools.product(
        CLASSES + NUMBERS, SOLVERS, (False, True), ACTIVATIONS
    )
    if not (early and solver["solver"] == "lbfgs")
    and (dataset in ("iris", "diabetes") or activation == FEW[dataset])
]


@pytest.mark.parametrize(("dataset", "solver", "early", "activation"), CASES)
def test_losses_weights_and_predictions_are_those_of_scikit_learn(
    dataset, solver, early, activation, margin
):
    X, y = data(dataset)
    kind = "MLPClassifier" if dataset in CLASSES else "MLPRegressor"
    options = {
        "hidden_layer_sizes": (12, 7),
        "activation": activation,
        "random_state": 3,
        "max_iter": 35,
    }
    options |= {"n_iter_no_change": 40, "early_stopping": early, **solver}
    theirs, ours = pair(X, y, kind, **options)
    if name_of(solver) != "sgd-adaptive" and solver["solver"] != "lbfgs":
        assert theirs.n_iter_ >= 30
    found = largest_difference(X, theirs, ours)
    where = f"{kind}, early stopping" if early else kind
    assert margin(f"trajectory, {name_of(solver)}", where, found) < TOLERANCE[solver["solver"]]


def integers(n: int) -> Any:
    return np.random.default_rng(5).integers(0, 4, size=n).astype(float)


OTHERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "defaults": ("digits", "MLPClassifier", {"max_iter": 30}),
    "defaults of the regressor": ("diabetes", "MLPRegressor", {"max_iter": 30}),
    "saturated": ("wine, as it is", "MLPClassifier", {"max_iter": 60}),
    "saturated, two classes": ("cancer", "MLPClassifier", {"learning_rate_init": 5.0, "max_iter": 40}),
    "poisson": ("counts", "MLPRegressor", {"loss": "poisson", "max_iter": 40}),
    "poisson, lbfgs": ("counts", "MLPRegressor", {"loss": "poisson", "solver": "lbfgs", "max_iter": 40}),
    "no momentum": ("iris", "MLPClassifier", {"solver": "sgd", "momentum": 0, "max_iter": 30}),
    "momentum of one": ("iris", "MLPClassifier", {"solver": "sgd", "momentum": 1.0, "max_iter": 30}),
    "plain momentum": ("iris", "MLPClassifier", {"solver": "sgd", "nesterovs_momentum": False}),
    "no shuffle": ("iris", "MLPClassifier", {"shuffle": False, "batch_size": 7, "max_iter": 30}),
    "batches of one": ("diabetes", "MLPRegressor", {"batch_size": 1, "max_iter": 3}),
    "a batch too large": ("iris", "MLPClassifier", {"batch_size": 1000, "max_iter": 30}),
    "no hidden layer": ("iris", "MLPClassifier", {"hidden_layer_sizes": (), "max_iter": 30}),
    "no hidden layer, logistic": (
        "iris",
        "MLPClassifier",
        {"hidden_layer_sizes": (), "activation": "logistic", "max_iter": 30},
    ),
    "early stopping": ("iris", "MLPClassifier", {"early_stopping": True, "max_iter": 40}),
    "early stopping of the regressor": ("diabetes", "MLPRegressor", {"early_stopping": True}),
    "an int": ("iris", "MLPClassifier", {"hidden_layer_sizes": 5, "alpha": 1.0, "max_iter": 30}),
    "converges": ("diabetes", "MLPRegressor", {"learning_rate_init": 0.05, "tol": 1e-2}),
    "few evaluations": ("iris", "MLPClassifier", {"solver": "lbfgs", "max_fun": 10}),
    "betas": ("iris", "MLPClassifier", {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-3}),
}


@pytest.mark.parametrize(
    "weighted", [pytest.param(False, id=""), pytest.param(True, id="weighted", marks=needs_weights)]
)
@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[needs_loss] * ("loss" in options)) for c, (_, _, options) in OTHERS.items()],
)
def test_every_other_parameter_counts_as_in_scikit_learn(case, weighted, margin):
    dataset, kind, options = OTHERS[case]
    X, y = data(dataset)
    fit = (
        {"sample_weight": integers(len(X)) + (1 if case == "batches of one" else 0)} if weighted else {}
    )
    theirs, ours = pair(X, y, kind, fit, random_state=1, **options)
    found = largest_difference(X, theirs, ours)
    assert margin("trajectory, other parameters", kind, found) < TOLERANCE[ours.solver]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_partial_fit_and_warm_start_continue_as_in_scikit_learn(kind, solver, margin):
    X, y = data("iris" if kind == "MLPClassifier" else "diabetes")
    given = {"classes": np.unique(y)} if kind == "MLPClassifier" else {}
    found = []
    for module in (neural_network, pnn):
        options = {"solver": solver, "learning_rate": "invscaling", "learning_rate_init": 0.01}
        est = getattr(module, kind)(random_state=2, max_iter=5, warm_start=True, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(3):
                est.partial_fit(X[::2], y[::2], **({} if hasattr(est, "coefs_") else given))
            est.fit(X, y).fit(X, y)
            est.set_params(random_state=np.random.RandomState(7))  # one that goes on
            for _ in range(20):
                est.partial_fit(X, y)
        found.append(est)
    theirs, ours = found
    assert len(ours.loss_curve_) == 33
    assert (
        margin("trajectory, partial_fit and warm_start", kind, largest_difference(X, theirs, ours))
        < 1e-8
    )
    assert ours.random_state.randint(1000) == theirs.random_state.randint(1000)


def test_what_is_printed_is_what_scikit_learn_prints(capsys):
    X, y = data("iris")
    for options in (
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
        {"early_stopping": True, "n_iter_no_change": 2},
        {"max_iter": 3},
    ):
        said = []
        for module in (neural_network, pnn):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module.MLPClassifier(random_state=0, verbose=True, **options).fit(X, y)
            said.append(capsys.readouterr().out)
        assert said[0] == said[1]
        assert "Iteration 1, loss = " in said[0]


def test_where_the_training_diverges_the_best_weights_are_those_of_scikit_learn():
    X, y = data("diabetes")
    options = {"solver": "sgd", "learning_rate_init": 5.0, "early_stopping": True, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = neural_network.MLPRegressor(max_iter=15, **options).fit(X, y)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match="diverged in iteration"):
        ours = pnn.MLPRegressor(max_iter=15, **options).fit(X, y)
    assert np.isnan(theirs.validation_scores_[-1])
    assert np.isnan(ours.validation_scores_[-1])
    assert ours.n_iter_ < 15  # theirs goes on with NaN to the end
    assert relative(ours.predict(X), theirs.predict(X)) < 1e-8


def test_sparse_rows_train_as_in_scikit_learn(margin):
    import scipy.sparse

    X, y = data("digits")
    for container in (scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.csr_matrix):
        for options in ({}, {"solver": "lbfgs"}, {"early_stopping": True, "solver": "sgd"}):
            theirs, ours = pair(container(X), y, "MLPClassifier", random_state=0, max_iter=10, **options)
            found = largest_difference(container(X), theirs, ours)
            assert margin("trajectory, sparse", "MLPClassifier", found) < TOLERANCE[ours.solver]


@pytest.mark.parametrize("solver", TOLERANCE)
@pytest.mark.parametrize("kind", ["MLPRegressor", "MLPClassifier"])
def test_where_relu_meets_exact_zeros_it_trains_as_scikit_learn_does(kind, solver, random, margin):
    X = random.normal(size=(60, 5))
    X[::3], X[1::3, :3], X[:, 2] = 0, 0, 0
    y = X[:, 0] - X[:, 4] + random.normal(size=60) / 10
    y = y if kind == "MLPRegressor" else (y > 0).astype(int)
    trained = []
    for library in (pnn, neural_network):
        options = {"solver": solver, "batch_size": 20, "warm_start": True, "random_state": 0}
        model = getattr(library, kind)(hidden_layer_sizes=(6, 5), max_iter=1, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
            model.intercepts_ = [np.zeros_like(b) for b in model.intercepts_]  # z = 0 where x is
            trained.append(model.set_params(max_iter=20).fit(X, y))
    ours, theirs = trained
    differences = [relative(a, b) for a, b in zip(ours.coefs_, theirs.coefs_, strict=True)]
    assert margin("estimators where z = 0", "numpy", max(differences)) < 1e-8
