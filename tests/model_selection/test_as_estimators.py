"""The searches are estimators as scikit-learn's own are."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from searched import RATES, X, classifier, pipeline, regressor, y
from sklearn import model_selection
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags

import portable_nn as pnn
from portable_nn import model_selection as ours

with pytest.MonkeyPatch.context() as patch:
    if sklearn.__version__.startswith("1.6."):  # whose checks cannot be imported without it
        patch.setenv("SCIPY_ARRAY_API", "1")
    from sklearn.utils.estimator_checks import estimator_checks_generator

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
SEARCHES = ["GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"]
GRID = {"alpha": [0.1, 1.0]}


@pytest.mark.parametrize("name", SEARCHES)
def test_parameters_defaults_and_texts_are_scikit_learns_and_two_more(name):
    cls, theirs = getattr(ours, name), getattr(model_selection, name)
    mine = dict(inspect.signature(cls).parameters)
    added = mine.pop("max_stack_bytes")
    assert (added.default, added.kind) == (2**30, inspect.Parameter.KEYWORD_ONLY)
    added = mine.pop("progress")
    assert (added.default, added.kind) == (False, inspect.Parameter.KEYWORD_ONLY)
    expected = inspect.signature(theirs).parameters
    assert list(mine) == list(expected)
    for key, parameter in expected.items():
        assert mine[key].kind == parameter.kind
        assert mine[key].default is parameter.default or mine[key].default == parameter.default, key
    for text in (*mine, "max_stack_bytes", "progress", "cv_results_", "n_passes_"):
        assert f"\n{text} : " in inspect.getdoc(cls), text
    assert max(map(len, inspect.getdoc(cls).splitlines()[:15])) <= 105


def test_clones_parameters_and_representations():
    search = ours.GridSearchCV(pipeline(), {"mlp__alpha": [1.0]}, cv=2, max_stack_bytes=2**20)
    again = clone(search).set_params(estimator__mlp__alpha=3.0)
    assert again.get_params()["max_stack_bytes"] == 2**20
    assert again.estimator.get_params()["mlp__alpha"] == 3.0
    assert repr(search).startswith("GridSearchCV(cv=2,")
    assert "max_stack_bytes=1048576" in repr(search)
    assert "GridSearchCV" in search._repr_html_()
    assert is_classifier(search)
    assert is_regressor(ours.GridSearchCV(regressor(), GRID))
    theirs = model_selection.GridSearchCV(pipeline(), {"mlp__alpha": [1.0]})
    assert get_tags(search) == get_tags(theirs)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_fitted_search_is_pickled_and_predicts_the_same(name):
    more = {"n_iter": 2} if name == "RandomizedSearchCV" else {}
    more = {"random_state": 0} if name.startswith("Halving") else more
    more |= {"n_candidates": 3} if name == "HalvingRandomSearchCV" else {}
    estimator = classifier(batch_size=5)
    search = getattr(ours, name)(estimator, {"learning_rate_init": RATES}, cv=2, **more).fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert again.n_passes_ == search.n_passes_
    assert again.n_features_in_ == 4


def test_a_subclass_of_a_users_own():
    class Mine(ours.GridSearchCV):
        """Searches as I do."""

        def _run_search(self, evaluate_candidates):
            evaluate_candidates([{"alpha": 0.1}])
            evaluate_candidates([{"alpha": 1.0}])

    search = Mine(classifier(), {}, cv=2).fit(X, y)
    expected = model_selection.GridSearchCV(classifier(), GRID, cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, expected.cv_results_["mean_test_score"])


def name_of(check):
    return getattr(check, "func", check).__name__


SEARCH = ours.GridSearchCV(LogisticRegression(max_iter=50), {"C": [0.1, 1.0]}, cv=2)
CHECKS = [check for _, check in estimator_checks_generator(SEARCH)]
CHECKS = [check for check in CHECKS if "array_api" not in name_of(check)]  # the estimator's affair


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
@pytest.mark.filterwarnings("ignore")
def test_a_search_passes_the_checks_of_scikit_learn(check):
    check(clone(SEARCH))


def test_the_room_is_loaded_when_it_is_asked_for():
    program = (
        "import sys, portable_nn as pnn\n"
        "loaded = lambda: 'portable_nn.model_selection' in sys.modules\n"
        "before = loaded(), 'sklearn' in sys.modules\n"
        "pnn.model_selection.GridSearchCV\n"
        "print(*before, loaded())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
    assert "model_selection" in pnn.__all__
