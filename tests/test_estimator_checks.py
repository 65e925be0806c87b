"""scikit-learn's own checks of an estimator, all of them, none of them expected to fail."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.utils.estimator_checks import parametrize_with_checks

import portable_nn as pnn


@pytest.mark.usefixtures("host_only")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([pnn.MLPClassifier(max_iter=100), pnn.MLPRegressor(max_iter=100)])
def test_the_estimators_pass_every_check_of_scikit_learn(estimator, check):
    check(estimator)
