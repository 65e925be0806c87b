"""The intervals of an ensemble of regressors, calibrated on rows that no member has learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from portable_nn.backends import of, own_settings, to_host
from portable_nn.ensembles import conformal
from portable_nn.ensembles.base import BaseMLPEnsemble
from portable_nn.ensembles.docs import with_texts
from portable_nn.ensembles.stacked import mean_of, spread_of
from portable_nn.equations import Array
from portable_nn.estimators import inputs
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.targets import Targets

Host = np.ndarray[Any, Any]


def fitted_numbers(ensemble: Any, name: str, stored: str) -> Host:
    """A fitted attribute; AttributeError where there is none."""
    known: dict[str, Host] = vars(ensemble).get("_calibration", {})
    if stored not in known:
        raise AttributeError(f"{type(ensemble).__name__!r} object has no attribute {name!r}", name=name)
    return known[stored]


class IntervalEnsemble(BaseMLPEnsemble):
    """An ensemble whose members predict numbers."""

    calibration_fraction: float
    _calibration: dict[str, Host]  # "noise" and "scores", on the host wherever the networks are

    @property
    def noise_(self) -> Host:
        """The root mean square of y less the prediction; on the host, wherever the networks are."""
        return fitted_numbers(self, "noise_", "noise")

    @property
    def calibration_scores_(self) -> Host:
        """What the intervals are calibrated by; on the host."""
        return fitted_numbers(self, "calibration_scores_", "scores")

    def _known_members(self) -> list[Any]:
        known = super()._known_members()
        if known and self.calibration_fraction and len(known) < self.n_estimators:
            raise ValueError(
                f"`calibration_fraction` is {self.calibration_fraction} with warm_start=True: members "
                "may have learned from rows that are set aside now; accepted: 0, and then "
                "`calibrate(X, y)` with rows of their own"
            )
        return known

    def _set_aside(self, n: int, random: np.random.RandomState) -> tuple[Host, Host | None]:
        if not self.calibration_fraction:
            return np.arange(n), None
        pool, held_out = train_test_split(
            np.arange(n), test_size=float(self.calibration_fraction), random_state=random
        )
        return np.sort(pool), np.sort(held_out)

    def _fitted(self, problem: Problem, targets: Targets, held_out: Host | None) -> None:
        backend, data = problem.backend, problem.train.all
        self._calibration = {}
        with own_settings():
            mean, spread = self._reduced_rows(data.X, [mean_of, spread_of])
        mean, spread, y = (to_host(each).astype(np.float64) for each in (mean, spread, data.Y))
        learned = np.ones(problem.train.n, bool)
        if held_out is not None:
            learned[held_out] = False
        weight = None if data.weight is None else backend.to_numpy(data.weight)[learned]
        noise = np.sqrt(np.average((y - mean)[learned] ** 2, axis=0, weights=weight))
        self._calibration = {"noise": noise}
        if held_out is not None:
            self._calibrate(y[held_out], mean[held_out], spread[held_out])

    def _calibrate(self, y: Host, mean: Host, spread: Host) -> None:
        known = vars(self).get("_calibration", {})
        scale = conformal.scale_of(spread, known.get("noise"))
        self._calibration = known | {"scores": conformal.signed_scores(y, mean, scale)}

    def calibrate(self, X: Any, y: Any) -> Self:
        """Calibrate the intervals with rows that the members have not learned from.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the ensemble is not fitted, or X and y are not of the form that `fit` was given.
        """
        check_is_fitted(self, "estimators_")
        values = np.asarray(inputs.host(y), np.float64)
        values = values.reshape(len(values), -1)
        mean, spread = self._mean_and_spread(X, "calibrate")
        mean, spread = to_host(mean).astype(np.float64), to_host(spread).astype(np.float64)
        if values.shape != mean.shape:
            raise ValueError(
                f"y has the shape {values.shape}; accepted: {mean.shape}, a value for each row of X and "
                "each output"
            )
        if not np.isfinite(values).all():
            raise ValueError("y has NaN or infinity; accepted: finite numbers")
        self._calibrate(values, mean, spread)
        return self

    def _mean_and_spread(self, X: Any, method: str) -> tuple[Array, Array]:
        (mean, spread), to_host = self._reduced(X, method, [mean_of, spread_of])
        return self._hand_back(mean, to_host), self._hand_back(spread, to_host)

    @with_texts
    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """An interval for each value, which contains it with at least this probability.

        The mean plus and minus a multiple of sqrt(std^2 + noise_^2), by split conformal prediction: the
        probability is over the rows, those that calibrate and those to come, which have to come from one
        distribution. It holds for each output by itself.

        Parameters
        ----------
        {{rows}}
        coverage : float, default=0.9
            In (0, 1).

        Returns
        -------
        low, high : arrays of shape (n_samples,) or (n_samples, n_outputs)
            On the device of X.

        Raises
        ------
        NotFittedError
            If nothing was set aside to calibrate with.
        ValueError
            If so few rows were that no finite interval has this coverage, and as `predict`.

        References
        ----------
        Lei et al., "Distribution-free predictive inference for regression", 2018.
        """
        scores = self._scores("predict_interval")
        half = conformal.half_width(scores, conformal.check_share("coverage", coverage, len(scores)))
        low, high = self._bounds(X, "predict_interval", [-half, half])
        return flat(low), flat(high)

    @with_texts
    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of each value: it is at most the one for q >= 0.5 with at least the probability q.

        It is at least the one for q < 0.5 with at least the probability 1 - q. As for
        `predict_interval`, but above and below the mean by themselves.

        Parameters
        ----------
        {{rows}}
        quantiles : sequence of float, default=(0.05, 0.5, 0.95)
            Each in (0, 1).

        Returns
        -------
        values : array of shape (n_samples, n_quantiles) or (n_samples, n_outputs, n_quantiles)
            On the device of X.

        Raises
        ------
        NotFittedError, ValueError
            As `predict_interval`.
        """
        scores = self._scores("predict_quantiles")
        if np.size(quantiles) == 0:
            raise ValueError("`quantiles` is empty; accepted: numbers in (0, 1)")
        asked = np.atleast_1d(np.asarray(quantiles, dtype=object)).tolist()
        shares = [conformal.check_share("quantiles", q, len(scores)) for q in asked]
        found = self._bounds(X, "predict_quantiles", [conformal.bound(scores, q) for q in shares])
        return of(found[0]).xp.stack([flat(each) for each in found], axis=-1)

    def _scores(self, method: str) -> Host:
        check_is_fitted(self, "estimators_")
        if not hasattr(self, "calibration_scores_"):
            raise NotFittedError(
                f"{method} needs rows that the members have not learned from; call calibrate(X, y) with "
                "such rows, or fit with calibration_fraction=0.2"
            )
        return self.calibration_scores_

    def _bounds(self, X: Any, method: str, scores: Sequence[Host]) -> list[Array]:
        """The mean plus each multiple, one for each output, of the scale of the rows."""
        mean, spread = self._mean_and_spread(X, method)
        backend, noise = of(mean), vars(self).get("_calibration", {}).get("noise")
        with own_settings():
            scale = backend.asarray(conformal.scale_of(to_host(spread), noise), dtype=mean.dtype)
            multiples = [backend.asarray(each, dtype=mean.dtype) for each in scores]
            return [mean + each * scale for each in multiples]


def flat(A: Array) -> Array:
    """The values of one output without an axis for it."""
    return A[:, 0] if A.shape[1] == 1 else A
