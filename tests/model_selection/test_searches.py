"""Searches give what scikit-learn's own search gives for the same estimator, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from searched import RATES, X, both, classifier, pipeline, regressor, t, y

pytestmark = pytest.mark.usefixtures("host_only")
GRID = {"learning_rate_init": RATES, "alpha": [1e-4, 1.0]}
IN_PIPELINE = {f"mlp__{name}": values for name, values in GRID.items()}


def test_a_grid_has_the_results_and_the_best_estimator_of_scikit_learn():
    found, expected = both("GridSearchCV", classifier(), GRID, cv=3, return_train_score=True)
    for mine, theirs in zip(found.best_estimator_.coefs_, expected.best_estimator_.coefs_, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert found.score(X, y) == expected.score(X, y)


def test_a_pipeline_is_fitted_fold_by_fold():
    both("GridSearchCV", pipeline(), IN_PIPELINE, cv=3)


def test_several_metrics_and_a_callable_refit():
    options = {"scoring": ["accuracy", "neg_log_loss"], "cv": 3}
    both("GridSearchCV", classifier(), GRID, refit="neg_log_loss", **options)
    both("GridSearchCV", classifier(), GRID, refit=lambda results: 2, **options)
    both("GridSearchCV", classifier(), GRID, refit=False, **options)


def test_a_regression():
    both("GridSearchCV", regressor(), GRID, fit=(X, t), cv=3)
