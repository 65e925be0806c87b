"""An estimator of tables: how it is fitted."""

from __future__ import annotations

import copy
import math
import time
from abc import abstractmethod
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from portable_nn.backends import own_settings
from portable_nn.estimators import inputs
from portable_nn.estimators.constraints import Range
from portable_nn.estimators.fitting import VALIDATION_REQUEST
from portable_nn.tabular.columns import Host, read_columns
from portable_nn.tabular.docs import with_texts
from portable_nn.tabular.encoding import (
    learn_encoding,
    left_out,
    rows_of,
)
from portable_nn.tabular.fitted import FittedTabular
from portable_nn.tabular.given import Table, check_given, some, warn_of_dropped, weights
from portable_nn.tabular.network import network_of
from portable_nn.tabular.preset import Preset
from portable_nn.tabular.splitting import split_rows
from portable_nn.tabular.training import Rows, Work, carried_out, train
from portable_nn.training import History

LARGEST_SEED = 2**31 - 1
CONSTRAINTS: dict[str, Any] = {
    "preset": [StrOptions({"default", "fast"})],
    "n_estimators": [None, Range(Integral, 1, None, closed="left")],
    "max_iter": [None, Range(Integral, 1, None, closed="left")],
    "time_limit": [None, Range(Real, 0, None, closed="neither")],
    "categorical_features": [None, "array-like", StrOptions({"from_dtype"})],
    "validation_fraction": [Range(Real, 0, 1, closed="left")],
    "refit": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class BaseTabular(FittedTabular):
    """The common part; use `TabularClassifier` or `TabularRegressor`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    # what meta-estimators pass on without being asked, where metadata is routed
    __metadata_request__fit: ClassVar[dict[str, Any]] = VALIDATION_REQUEST

    preset: str
    n_estimators: int | None
    max_iter: int | None
    time_limit: float | None
    categorical_features: Any
    validation_fraction: float
    refit: bool
    random_state: Any
    verbose: Any
    device: Any

    n_features_in_: int
    n_iter_: int
    best_epochs_: list[int]
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None

    @abstractmethod
    def _learn_targets(self, y: Any) -> Host:
        """The targets; sets what is known of them."""

    @abstractmethod
    def _encode_targets(self, y: Any, n: int, name: str = "y_val") -> Host:
        """Other targets, of n rows, in the form that the loss takes; messages call them `name`."""

    def _check_learned(self, Y: Host, learned: Host) -> None:
        """Raise ValueError where some of what is to be told apart is not among the rows learned from."""
        return

    def _weighed(self, weight: Host | None, Y: Host, learned: Host) -> Host | None:
        """The weights of rows with the targets Y; `learned` are the targets to learn from."""
        return weight

    @abstractmethod
    def _standardize(self, Y: Host, weight: Host | None) -> None:
        """Take note of where the targets to learn from are."""

    @abstractmethod
    def _as_targets(self, Y: Host) -> Host:
        """Targets as the loss takes them."""

    @abstractmethod
    def _calibrate(self, rows: Rows, anew: bool) -> None:
        """Take note of how far off the networks are on rows that they have not learned from.

        `anew`: the rows are those of `fit`, which say what the temperature or the noise is, too.
        """

    @abstractmethod
    def _plan(self) -> tuple[Preset, int, str]:
        """The settings, the number of outputs, and the loss."""

    def _with_own(self, preset: Preset) -> Preset:
        """The preset with the numbers that the user has given."""
        networks, epochs = self.n_estimators, self.max_iter
        return replace(
            preset,
            networks=preset.networks if networks is None else int(networks),
            epochs=preset.epochs if epochs is None else int(epochs),
        )

    # ---- fit ----------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    @with_texts
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Learn from a table X and the targets y.

        Parameters
        ----------
        {{fit}}
        """
        fitted = copy.copy(self)
        with own_settings():
            fitted._fit(Table(X, y, sample_weight, groups), Table(X_val, y_val, sample_weight_val))
        self.__dict__.clear()
        self.__dict__.update(vars(fitted))
        return self

    @with_texts
    def calibrate(self, X: Any, y: Any) -> Self:
        """Calibrate sets or intervals with rows that nothing was learned from, nor an epoch chosen by.

        The rows that `fit` sets aside do both, so that few of them promise a little too much. With rows
        of their own sets and intervals hold what split conformal prediction says.

        Parameters
        ----------
        {{rows}}
        y : array-like of shape (n_samples,), or (n_samples, n_outputs)
            Their targets.

        Returns
        -------
        self : object

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If X or y is not of the form that `fit` was given, or X is on another device.
        """
        check_is_fitted(self, "params_")
        self._check_place(X)
        with own_settings():
            rows = self._encoded(X)
            Y = self._as_targets(self._encode_targets(y, len(rows), "y"))
            self._calibrate(Rows(rows, Y, None), anew=False)
        return self

    def _fit(self, given: Table, validation: Table) -> None:
        started = time.perf_counter()
        random = check_random_state(self.random_state)
        backend = inputs.training_backend(self, given.X)
        named = read_columns(self, given.X, reset=True)
        columns = list(named.values())
        n = len(rows_of(columns[0]))
        check_given(self, given, validation, n)
        Y = self._learn_targets(given.y)
        weight = self._weighed(weights(given.weight, n), Y, Y)
        learned, held_out = self._split(given, validation, Y, weight, random)
        preset, outputs, loss = self._plan()
        parts = [each.rows(learned) for each in columns]
        encoding = learn_encoding(parts, preset.bins > 0)
        self.encoding_ = encoding
        warn_of_dropped(left_out(encoding, named))
        self._standardize(Y[learned], some(weight, learned))
        everything = Rows(encoding(columns), self._as_targets(Y), weight)
        judged = everything.some(held_out) if len(held_out) else None
        if validation.X is not None:
            judged = self._validation_rows(validation, Y)
        rows = everything.some(learned)
        self.network_ = network_of(preset, encoding, rows.X, outputs, loss)
        seeds = random.randint(LARGEST_SEED, size=preset.networks).tolist()
        work = Work(preset, self.network_, rows, judged, seeds, backend, bool(self.verbose))
        self._train(work, started, everything if len(held_out) else None)

    def _train(self, work: Work, started: float, everything: Rows | None) -> None:
        """Train, calibrate and, if that is asked for, train again with `everything`."""
        end = math.inf if self.time_limit is None else started + float(self.time_limit)
        again = everything if self.refit else None
        first_end = end if again is None or end == math.inf else (started + end) / 2
        self.params_, history, plan = carried_out(work, first_end)
        self._record(history)
        if work.held_out is not None:
            self._calibrate(work.held_out, anew=True)
        if again is not None:
            epochs = max(1, round(np.median(self.best_epochs_)))
            seconds = epochs * np.median(history.seconds) * len(again.X) / plan.rows
            if time.perf_counter() + seconds < end:
                work = replace(work, rows=again, held_out=None)
                self.params_, _ = train(work, plan._replace(trained=epochs), end)

    def _split(
        self, given: Table, validation: Table, Y: Host, weight: Host | None, random: Any
    ) -> tuple[Host, Host]:
        """The rows to learn from, and those set aside; rows without a weight are neither."""
        counted = np.arange(len(Y)) if weight is None else np.flatnonzero(weight)
        share = 0.0 if validation.X is not None else float(self.validation_fraction)
        groups = None if given.groups is None else np.asarray(given.groups)[counted]
        strata = None if Y.ndim > 1 else Y[counted]
        learned, held_out = split_rows(len(counted), share, strata, groups, random)
        learned, held_out = counted[learned], counted[held_out]
        self._check_learned(Y, learned)
        return learned, held_out

    def _validation_rows(self, validation: Table, learned: Host) -> Rows:
        """The rows that the user gave to judge by; `learned` are the targets of the others."""
        X = self._encoded(validation.X)
        Y = self._encode_targets(validation.y, len(X))
        weight = weights(validation.weight, len(X), "sample_weight_val")
        return Rows(X, self._as_targets(Y), self._weighed(weight, Y, learned))

    def _record(self, history: History) -> None:
        self.n_iter_ = history.epochs
        self.loss_curve_ = [float(np.nanmean(each)) for each in history.cost]
        judged = [float(np.nanmean(each)) for each in history.validation_cost]
        self.validation_loss_curve_ = judged or None
        last = [history.epochs] * int(self.params_[-1][0].shape[0])
        self.best_epochs_ = last if history.best_epoch is None else history.best_epoch.tolist()
