"""What the tests of searches need: data, estimators, and comparing with scikit-learn's own search."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn import model_selection
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import portable_nn as pnn
from portable_nn import model_selection as ours

X, y = load_iris(return_X_y=True)
X_cancer, y_cancer = (array[::4] for array in load_breast_cancer(return_X_y=True))
t = X[:, 3] + 0.1 * X[:, 0]
RATES = [1e-3, 1e-2, 0.1]


def classifier(**options: Any) -> pnn.MLPClassifier:
    settings = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0, "batch_size": 40}
    return pnn.MLPClassifier(**settings | options)


def regressor(**options: Any) -> pnn.MLPRegressor:
    settings = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0, "batch_size": 40}
    return pnn.MLPRegressor(**settings | options)


def pipeline(**options: Any) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("mlp", classifier(**options))])


def assert_same_results(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Everything but the times is the same, to the bit."""
    assert list(found) == list(expected)
    for key, value in expected.items():
        if "time" in key:
            assert np.shape(found[key]) == np.shape(value)
            assert (np.asarray(found[key]) >= 0).all()
        else:
            np.testing.assert_array_equal(found[key], value, err_msg=key)


def said(warning: warnings.WarningMessage) -> str:
    """Category and text; of failed fits not the tracebacks, which name files."""
    text = str(warning.message)
    return f"{warning.category.__name__}: {text.partition('Below are more details')[0]}"


def both(name: str, *arguments: Any, fit: Any = (X, y), routed: Any = None, **options: Any) -> Any:
    """Our search and scikit-learn's, with the same arguments, fitted: (ours, theirs)."""
    searches = []
    for module in (ours, model_selection):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search = getattr(module, name)(*arguments, **options).fit(*fit, **(routed or {}))
        searches.append(search)
        search.said = sorted(said(warning) for warning in caught)
    found, expected = searches
    assert_same_results(found.cv_results_, expected.cv_results_)
    for attribute in ("best_index_", "best_score_", "best_params_", "multimetric_", "n_splits_"):
        assert hasattr(found, attribute) == hasattr(expected, attribute), attribute
        assert getattr(found, attribute, None) == getattr(expected, attribute, None), attribute
    assert found.said == expected.said
    return found, expected
