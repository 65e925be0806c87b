"""The functions of cross-validation give what scikit-learn's give, to the bit."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from searched import X, assert_same_results, classifier, pipeline, regressor, t, y
from sklearn import model_selection
from sklearn.ensemble import BaggingClassifier

import portable_nn as pnn
from portable_nn import model_selection as ours

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
FUNCTIONS = [name for name in ours.__all__ if name[0].islower() and name != "in_one_pass"]


def of_both(name, *arguments, **options):
    return [getattr(module, name)(*arguments, **options) for module in (ours, model_selection)]


def test_cross_validate_with_metrics_estimators_and_indices():
    options = {"scoring": ["accuracy", "f1_macro"], "cv": 3, "return_train_score": True}
    options |= {"return_estimator": True, "return_indices": True}
    found, expected = of_both("cross_validate", pipeline(), X, y, **options)
    for mine, theirs in zip(found.pop("estimator"), expected.pop("estimator"), strict=True):
        np.testing.assert_array_equal(mine.predict_proba(X), theirs.predict_proba(X))
    found["indices"], expected["indices"] = (
        [*chosen["train"], *chosen["test"]] for chosen in (found["indices"], expected["indices"])
    )
    for mine, theirs in zip(found.pop("indices"), expected.pop("indices"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert_same_results(found, expected)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_cross_val_predict(method):
    found, expected = of_both("cross_val_predict", pipeline(), X, y, cv=3, method=method)
    np.testing.assert_array_equal(found, expected)


def test_scores_and_curves():
    np.testing.assert_array_equal(*of_both("cross_val_score", regressor(), X, t, cv=3))
    folds = model_selection.ShuffleSplit(2, random_state=0)
    sizes = {"cv": folds, "train_sizes": [0.5, 1.0]}
    found, expected = of_both("learning_curve", classifier(), X, y, **sizes, return_times=True)
    for mine, theirs in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    incremental = sizes | {"exploit_incremental_learning": True}
    found, expected = of_both("learning_curve", classifier(), X, y, **incremental)
    np.testing.assert_array_equal(found[2], expected[2])
    along = {"param_name": "alpha", "param_range": [0.1, 1.0], "cv": 2}
    np.testing.assert_array_equal(*of_both("validation_curve", classifier(), X, y, **along))
    found, expected = of_both("permutation_test_score", classifier(), X, y, cv=2, n_permutations=2)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


def test_an_estimator_that_fits_several_networks_waits_for_each():
    bagging = BaggingClassifier(classifier(), n_estimators=2, random_state=0)
    np.testing.assert_array_equal(*of_both("cross_val_score", bagging, X, y, cv=2))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_and_texts_are_scikit_learns_and_two_parameters_more(name):
    function, theirs = getattr(ours, name), getattr(model_selection, name)
    parameters = inspect.signature(function).parameters
    added = ["max_stack_bytes", "progress"]
    assert list(parameters) == [*inspect.signature(theirs).parameters, *added]
    assert {parameters[name].kind for name in added} == {inspect.Parameter.KEYWORD_ONLY}
    for parameter in parameters:
        assert f"\n{parameter} : " in inspect.getdoc(function), parameter


@pytest.mark.parametrize("name", sorted({"GridSearchCV", "RandomizedSearchCV"} | set(FUNCTIONS)))
def test_arrays_of_other_libraries_are_taken_where_scikit_learn_takes_them(name, torch):
    rows = torch.asarray(X[::2])
    labels = torch.asarray(y[::2])
    more = {
        "GridSearchCV": ({"alpha": [0.1, 1.0]},),
        "RandomizedSearchCV": ({"alpha": [0.1, 1.0]},),
    }.get(name)
    options = {"cv": 2}
    options |= {"param_name": "alpha", "param_range": [0.1]} if name == "validation_curve" else {}
    options |= {"n_permutations": 1} if name == "permutation_test_score" else {}
    options |= {"n_iter": 2} if name == "RandomizedSearchCV" else {}
    outcomes = []
    for module in (ours, model_selection):
        try:
            if more is not None:
                search = getattr(module, name)(pnn.MLPClassifier((3,), max_iter=2), *more, **options)
                outcome = search.set_params(estimator__random_state=0).fit(rows, labels)
                outcome = outcome.cv_results_["split0_test_score"]
            else:
                estimator = classifier(max_iter=2)
                outcome = getattr(module, name)(estimator, rows, labels, **options)
                outcome = [] if name == "cross_validate" else outcome
        except Exception as error:
            outcome = type(error)
        outcomes.append(outcome)
    assert str(outcomes[0]) == str(outcomes[1])
