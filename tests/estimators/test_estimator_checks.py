"""scikit-learn's own checks of an estimator, all of them, none of them expected to fail."""

from __future__ import annotations

import os
from typing import Any

import pytest

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

with pytest.MonkeyPatch.context() as patch:
    if sklearn.__version__.startswith("1.6."):  # whose checks cannot be imported without it
        patch.setenv("SCIPY_ARRAY_API", "1")
    from sklearn.utils.estimator_checks import estimator_checks_generator

import portable_nn as pnn

ESTIMATORS = [
    pnn.MLPClassifier(max_iter=100),
    pnn.MLPRegressor(max_iter=100),
    pnn.MLPEnsembleClassifier(2, hidden_layer_sizes=(20,), learning_rate_init=0.05, max_iter=20),
    pnn.MLPEnsembleRegressor(2, hidden_layer_sizes=(20,), learning_rate_init=0.05, max_iter=20),
    pnn.TabularClassifier(n_estimators=2, max_iter=12, random_state=0),
    pnn.TabularRegressor(n_estimators=2, max_iter=12, random_state=0),
]
# of estimators with a decision_function, which scikit-learn's own MLPs do not have either
NOT_OURS = {"check_classifiers_multilabel_output_format_decision_function"}
# the rows set aside are drawn: other ones where a row of weight 2 is two rows
DRAWN = {"check_sample_weight_equivalence_on_dense_data"}


def name_of(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


def is_run(check: Any) -> bool:
    """Checks of other array libraries need scikit-learn's switch for them (nox -s sklearn_suite)."""
    name = name_of(check)
    return name not in NOT_OURS and ("array_api" not in name or "SCIPY_ARRAY_API" in os.environ)


CASES = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name_of(check)}")
    for each in ESTIMATORS
    for estimator, check in estimator_checks_generator(each)
    if is_run(check) and not (hasattr(each, "refit") and name_of(check) in DRAWN)
]


@pytest.mark.usefixtures("host_only")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "check"), CASES)
def test_the_estimators_pass_every_check_of_scikit_learn(estimator, check):
    check(estimator)
