"""What the installed scikit-learn has: the lowest that is supported, 1.6, lacks some of the newest."""

from __future__ import annotations

import inspect
import warnings

import pytest
from sklearn import neural_network
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight

HAS_WEIGHTS = "sample_weight" in inspect.signature(neural_network.MLPClassifier.fit).parameters
HAS_LOSS = "loss" in inspect.signature(neural_network.MLPRegressor).parameters
COUNTS_ITERATIONS = "iteration(s)" in inspect.getsource(_check_optimize_result)
REFUSES_WEIGHTS_OF_ZERO = "allow_all_zero_weights" in inspect.signature(_check_sample_weight).parameters

needs_weights = pytest.mark.skipif(
    not HAS_WEIGHTS, reason="scikit-learn's MLPs have no sample_weight before its version 1.7"
)
needs_loss = pytest.mark.skipif(
    not HAS_LOSS, reason="scikit-learn's MLPRegressor has no loss before its version 1.7"
)


def filter_warnings(action: str) -> None:
    """Filter every warning so; SciPy's, of an option that scikit-learn 1.6 still sets, is ignored."""
    warnings.simplefilter(action)
    warnings.filterwarnings("ignore", "scipy.optimize: The `disp` and `iprint` options")
