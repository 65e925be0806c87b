"""Searches give what scikit-learn's own search gives for the same estimator, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import loguniform
from searched import RATES, X, both, classifier, pipeline, regressor, t, y
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GroupKFold, ShuffleSplit
from sklearn.pipeline import Pipeline

from portable_nn import model_selection as ours

pytestmark = pytest.mark.usefixtures("host_only")
GRID = {"learning_rate_init": RATES, "alpha": [1e-4, 1.0]}
IN_PIPELINE = {f"mlp__{name}": values for name, values in GRID.items()}
FEW = {"learning_rate_init": RATES[:2]}


def test_a_grid_has_the_results_and_the_best_estimator_of_scikit_learn():
    found, expected = both("GridSearchCV", classifier(), GRID, cv=3, return_train_score=True)
    for mine, theirs in zip(found.best_estimator_.coefs_, expected.best_estimator_.coefs_, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert found.score(X, y) == expected.score(X, y)


def test_rates_of_dropout_are_searched_with_none_among_them():
    both(
        "GridSearchCV", classifier(), {"dropout": [0.0, 0.2, 0.5], "learning_rate_init": RATES[:2]}, cv=2
    )


def test_a_pipeline_is_fitted_fold_by_fold():
    both("GridSearchCV", pipeline(), IN_PIPELINE, cv=3)


def test_several_metrics_and_a_callable_refit():
    options = {"scoring": ["accuracy", "neg_log_loss"], "cv": 2}
    for refit in ("neg_log_loss", lambda results: 1, False):
        both("GridSearchCV", classifier(), FEW, refit=refit, **options)


def test_a_regression_in_float32():
    both("GridSearchCV", regressor(), GRID, fit=(X.astype("float32"), t.astype("float32")), cv=2)


def test_grids_of_several_structures_solvers_and_other_estimators():
    grids = [
        {"mlp": [classifier()], "mlp__hidden_layer_sizes": [(4,), (5, 2)], "mlp__batch_size": [30, 40]},
        {"mlp": [classifier(solver="lbfgs"), LogisticRegression(max_iter=1000)]},
        {"mlp": [classifier(activation="tanh", solver="sgd")], "mlp__alpha": [0.1, 1.0]},
    ]
    both("GridSearchCV", Pipeline([("mlp", classifier())]), grids, cv=2)


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True, "max_iter": 8, "n_iter_no_change": 2},
        {"warm_start": True},
        {"random_state": np.random.RandomState(3)},
        {"max_iter": 30, "tol": 0.05, "n_iter_no_change": 1},
    ],
    ids=["early_stopping", "warm_start", "random_state", "tol"],
)
def test_what_a_network_is_trained_with(options):
    both("GridSearchCV", classifier(**options), FEW, cv=2)


def test_groups_and_splitters():
    groups = np.arange(len(X)) % 5
    cv = GroupKFold(3)
    both("GridSearchCV", classifier(), FEW, cv=cv, routed={"groups": groups})
    both("GridSearchCV", classifier(), FEW, cv=ShuffleSplit(2, random_state=0))
    both("GridSearchCV", classifier(), FEW, cv=list(ShuffleSplit(2, random_state=0).split(X)))


def test_sample_weights_reach_the_folds():
    weight = np.random.default_rng(0).uniform(0.1, 2, len(X))
    found, _ = both("GridSearchCV", classifier(), FEW, cv=2, routed={"sample_weight": weight})
    plain, _ = both("GridSearchCV", classifier(), FEW, cv=2)
    assert (found.best_estimator_.coefs_[0] != plain.best_estimator_.coefs_[0]).any()


def test_metadata_is_routed_to_the_estimator_the_scorer_and_the_splitter():
    weight = np.random.default_rng(0).uniform(0.1, 2, len(X))
    with config_context(enable_metadata_routing=True):
        estimator = classifier().set_fit_request(sample_weight=True)
        scorer = make_scorer(recall_score, average="macro").set_score_request(sample_weight=True)
        routed = {"sample_weight": weight, "groups": np.arange(len(X)) % 4}
        both("GridSearchCV", estimator, FEW, cv=GroupKFold(2), scoring=scorer, routed=routed)


def test_a_random_search_draws_the_same_candidates():
    choices = {"learning_rate_init": loguniform(1e-3, 1e-1), "hidden_layer_sizes": [(3,), (5,)]}
    both("RandomizedSearchCV", classifier(), choices, n_iter=4, cv=2, random_state=1)


@pytest.mark.parametrize(
    ("name", "resource"),
    [("HalvingGridSearchCV", "mlp__max_iter"), ("HalvingRandomSearchCV", "n_samples")],
)
def test_halving_keeps_the_same_candidates(name, resource):
    most = {} if resource == "n_samples" else {"max_resources": 9, "min_resources": 2}
    options = {"cv": 2, "random_state": 0, "factor": 2, "resource": resource} | most
    found, expected = both(name, pipeline(), IN_PIPELINE, **options)
    for attribute in ("n_candidates_", "n_resources_", "n_iterations_", "n_remaining_candidates_"):
        assert getattr(found, attribute) == getattr(expected, attribute)


def test_a_candidate_that_diverges_scores_error_score_and_the_others_go_on():
    grid = {"learning_rate_init": [1e-2, 1e200, 1e-3], "solver": ["sgd"]}
    found, _ = both("GridSearchCV", regressor(), grid, fit=(X, t), cv=2)
    scores = found.cv_results_["mean_test_score"]
    assert np.isnan(scores).tolist() == [False, True, False]
    assert any(line.startswith("FitFailedWarning") for line in found.said)
    both("GridSearchCV", regressor(), grid, fit=(X, t), cv=2, error_score=-7.0)


def test_error_score_raise_raises_what_scikit_learn_raises():
    grid = {"learning_rate_init": [1e-2, 1e200], "solver": ["sgd"]}
    messages = []
    for module in (ours, pytest.importorskip("sklearn.model_selection")):
        search = module.GridSearchCV(regressor(max_iter=2), grid, cv=2, error_score="raise")
        with pytest.warns(), pytest.raises(ValueError, match="non-finite") as raised:
            search.fit(X, t)
        messages.append((type(raised.value), str(raised.value)))
    assert messages[0] == messages[1]


def test_scores_that_are_no_numbers_or_booleans():
    def is_good(estimator, X, y):
        return bool(estimator.score(X, y) > 0.5)

    def is_nan(estimator, X, y):
        return np.nan if estimator.alpha < 1 else 0.5

    for scorer in (is_good, is_nan):
        both("GridSearchCV", classifier(), {"alpha": [0.1, 1.0]}, cv=2, scoring=scorer)
