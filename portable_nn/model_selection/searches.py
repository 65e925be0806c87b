"""scikit-learn's searches, their networks trained together."""

from __future__ import annotations

import inspect
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  (two of the classes below)
from sklearn.utils._param_validation import Interval

from portable_nn.model_selection.context import gathered
from portable_nn.model_selection.docs import N_PASSES, OF_PASSES, extended, with_example
from portable_nn.model_selection.tasks import MAX_STACK_BYTES, Settings

ADDED = {"max_stack_bytes": [Interval(Integral, 1, None, closed="left")], "progress": ["boolean"]}
SUMMARY = """\
scikit-learn's `{name}`, which trains networks of one structure in one pass.

Parameters and results are those of `sklearn.model_selection.{name}`, and so are
the scores of candidates whose `random_state` is an integer or a `RandomState`. What is no
`MLPClassifier` or `MLPRegressor` of this package, or cannot be stacked, is fitted as there. With
several jobs each worker makes passes of its share of the fits.

"""

SEARCH = """\
>>> search = {name}(model, {{"alpha": [1e-4, 1e-2, 1.0]}}, cv=3{options}).fit(X, y)
>>> sorted(search.best_params_), search.n_passes_ < 9
(['alpha'], True)"""
OPTIONS = {
    "HalvingGridSearchCV": ", random_state=0",
    "HalvingRandomSearchCV": ", n_candidates=3, random_state=0",
    "RandomizedSearchCV": ", n_iter=2, random_state=0",
}


class Search:
    """The common part of the searches."""

    verbose: int
    max_stack_bytes: int
    progress: bool
    n_passes_: int

    def __init_subclass__(cls, **options: Any) -> None:
        """Write what the class inherits of scikit-learn's docstring and constraints."""
        super().__init_subclass__(**options)
        if len(cls.__bases__) == 1:  # Halving, or a user's subclass
            return
        theirs: Any = cls.__bases__[1]
        cls._parameter_constraints = {**theirs._parameter_constraints, **ADDED}
        summary = SUMMARY.format(name=theirs.__name__) + (inspect.getdoc(cls) or "")
        added = {"Parameters": OF_PASSES, "Attributes": N_PASSES}
        name = cls.__name__
        example = SEARCH.format(name=name, options=OPTIONS.get(name, ""))
        cls.__doc__ = with_example(extended(summary, theirs.__doc__, added), name, example)

    _parameter_constraints: ClassVar[dict[str, Any]]

    def _kept(self) -> dict[Any, Any] | None:
        """Where trainings are kept that later ones go on from."""
        return None

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all candidates, the networks among them together; then the best one to all data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            The targets.
        **params : dict of str to object
            What scikit-learn passes to the estimator, the scorer and the splitter.

        Returns
        -------
        self : object
        """
        self._validate_params()  # type: ignore[attr-defined]
        settings = Settings(self.max_stack_bytes, self.verbose, self.progress)
        with gathered(settings, self._kept()) as count:
            super().fit(X, y, **params)  # type: ignore[misc]
        self.n_passes_ = count.n_passes
        return self


class GridSearchCV(Search, model_selection.GridSearchCV):
    """`pre_dispatch` says nothing here: `max_stack_bytes` does."""

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_stack_bytes: int = MAX_STACK_BYTES,
        progress: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_stack_bytes, self.progress = max_stack_bytes, progress


class RandomizedSearchCV(Search, model_selection.RandomizedSearchCV):
    """`pre_dispatch` says nothing here: `max_stack_bytes` does."""

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_stack_bytes: int = MAX_STACK_BYTES,
        progress: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_stack_bytes, self.progress = max_stack_bytes, progress


class Halving(Search):
    """With `resource='max_iter'`, or a name that ends so, as `'mlp__max_iter'`, the trainings of one
    iteration are continued in the next, to the bit as if they had not been interrupted, unless several
    jobs are asked for.
    """

    def _kept(self) -> dict[Any, Any] | None:
        resource: str = self.resource  # type: ignore[attr-defined]
        return {} if resource.rpartition("__")[2] == "max_iter" else None


class HalvingGridSearchCV(Halving, model_selection.HalvingGridSearchCV):
    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        factor: Any = 3,
        resource: str = "n_samples",
        max_resources: Any = "auto",
        min_resources: Any = "exhaust",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: int = 0,
        max_stack_bytes: int = MAX_STACK_BYTES,
        progress: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.max_stack_bytes, self.progress = max_stack_bytes, progress


class HalvingRandomSearchCV(Halving, model_selection.HalvingRandomSearchCV):
    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_candidates: Any = "exhaust",
        factor: Any = 3,
        resource: str = "n_samples",
        max_resources: Any = "auto",
        min_resources: Any = "smallest",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: int = 0,
        max_stack_bytes: int = MAX_STACK_BYTES,
        progress: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_candidates=n_candidates,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.max_stack_bytes, self.progress = max_stack_bytes, progress
