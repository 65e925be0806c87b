"""Numbers for the rows of a table."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, column_or_1d

from portable_nn.ensembles import conformal
from portable_nn.ensembles.stacked import mean_of, spread_of
from portable_nn.equations import Array
from portable_nn.estimators import inputs
from portable_nn.estimators.constraints import store
from portable_nn.tabular.base import CONSTRAINTS, BaseTabular
from portable_nn.tabular.columns import Host
from portable_nn.tabular.docs import with_texts
from portable_nn.tabular.preset import Preset, preset_of_values
from portable_nn.tabular.training import Rows

ROUNDING = 1e-12  # relative to the mean: values that differ by less are one


@with_texts
class TabularRegressor(RegressorMixin, BaseTabular):
    """Numbers for the rows of a table: frames or arrays in, values and intervals out; no tuning.

    Several networks are trained in one pass, with everything around them: missing values, categories,
    the scale of numbers and targets, the rows that are set aside, and the calibration.

    Parameters
    ----------
    {{first_parameters}}

    {{last_parameters}}

    Attributes
    ----------
    n_outputs_ : int
        How many values are predicted for a row.

    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        What y was centred at and divided by.

    target_range_ : ndarray of shape (2, n_outputs)
        The smallest and the largest y learned from; no prediction is beyond.

    noise_ : ndarray of shape (n_outputs,)
        The root mean square of y less the prediction, over the rows set aside; if there are such rows.

    calibration_scores_ : ndarray of shape (n_rows, n_outputs)
        How far each row set aside was off, in units of its scale, sorted; if there are such rows.

    {{attributes}}

    See Also
    --------
    TabularClassifier : The same for classes.
    IntervalDisplay : A picture of the intervals.
    MLPRegressor : One network, with all its settings.

    Notes
    -----
    {{notes}}

    References
    ----------
    {{references}}
    Lei et al., "Distribution-free predictive inference for regression", 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from portable_nn import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> regressor = TabularRegressor(max_iter=32, random_state=0).fit(X, y)
    >>> regressor.score(X_test, y_test) > 0.3
    True
    >>> low, high = regressor.predict_interval(X_test, coverage=0.9)
    >>> bool(((low < y_test) & (y_test < high)).mean() > 0.8)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {**CONSTRAINTS}

    n_outputs_: int
    target_mean_: Host
    target_scale_: Host
    target_range_: Host
    noise_: Host
    calibration_scores_: Host

    def __init__(
        self,
        preset: str = "default",
        *,
        n_estimators: int | None = None,
        max_iter: int | None = None,
        time_limit: float | None = None,
        categorical_features: Any = "from_dtype",
        validation_fraction: float = 0.2,
        refit: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        backend: Any = None,
        device: Any = None,
    ) -> None:
        store(self, locals())

    # ---- targets ------------------------------------------------------------------------------------

    def _learn_targets(self, y: Any) -> Host:
        Y = values(y, "y")
        self.n_outputs_ = Y.shape[1]
        return Y

    def _encode_targets(self, y: Any, n: int, name: str = "y_val") -> Host:
        Y = values(y, name)
        if Y.shape != (n, self.n_outputs_):
            raise ValueError(f"`{name}` has the shape {Y.shape}; accepted: {(n, self.n_outputs_)}")
        return Y

    def _standardize(self, Y: Host, weight: Host | None) -> None:
        for name in ("calibration_scores_", "noise_"):  # of a fit before
            self.__dict__.pop(name, None)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(Y, axis=0, weights=weight)
            farthest = np.max(np.abs(Y - mean), axis=0)
        if not np.isfinite(farthest).all():
            raise ValueError("the range of y is too large for float64; accepted: values up to 1e307")
        is_constant = farthest <= ROUNDING * np.abs(mean)
        unit = np.where(is_constant, 1.0, farthest)  # squares of it would be too large, or too small
        variance = np.average(((Y - mean) / unit) ** 2, axis=0, weights=weight)
        deviation = np.where(is_constant | (variance == 0), 1.0, unit * np.sqrt(variance))
        self.target_mean_, self.target_scale_ = mean, deviation
        self.target_range_ = np.stack([Y.min(axis=0), Y.max(axis=0)])

    def _as_targets(self, Y: Host) -> Host:
        return ((Y - self.target_mean_) / self.target_scale_).astype(np.float32)

    def _plan(self) -> tuple[Preset, int, str]:
        return self._with_own(preset_of_values(self.preset)), self.n_outputs_, "squared_error"

    def _calibrate(self, rows: Rows, anew: bool) -> None:
        mean, spread = self._values(self._outputs(rows.X, [mean_of, spread_of]))
        Y = rows.Y * self.target_scale_ + self.target_mean_
        if anew or "noise_" not in vars(self):
            off = (Y - mean) / self.target_scale_  # of the order of 1: squares are neither 0 nor inf
            mean_square = np.average(off**2, axis=0, weights=rows.weight)
            self.noise_ = self.target_scale_ * np.sqrt(mean_square)
        scale = conformal.scale_of(spread, self.noise_)
        self.calibration_scores_ = conformal.signed_scores(Y, mean, scale)

    def _values(self, outputs: list[Host]) -> tuple[Host, Host]:
        """The means and spreads of the networks' outputs in the unit of y, within its range."""
        A, spread = outputs
        low, high = self.target_range_
        mean = np.clip(A * self.target_scale_ + self.target_mean_, low, high)
        return mean, spread * self.target_scale_

    def _mean_and_spread(self, X: Any) -> tuple[Host, Host]:
        return self._values(self._predicted(X, [mean_of, spread_of]))

    @with_texts
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The mean of what the networks predict, and how far they are apart.

        Parameters
        ----------
        {{rows}}
        return_std : bool, default=False
            Whether to return the standard deviation over the networks too. It tells how little they know
            of the function there, not how much values vary around it: see `predict_interval`.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Beside X; within the range of the y learned from.
        std : array of that shape
            Only with `return_std`.

        {{raises}}
        """
        mean, spread = (self._hand_back(self._flat(each), X) for each in self._mean_and_spread(X))
        return (mean, spread) if return_std else mean

    @with_texts
    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """An interval for each value, which contains it with at least this probability.

        The prediction plus and minus a multiple of sqrt(std^2 + noise_^2), by split conformal prediction
        with the rows that were set aside: the probability is over rows, those and the ones to come,
        which have to come from one distribution. It holds for each output by itself.

        Parameters
        ----------
        {{rows}}
        coverage : float, default=0.9
            In (0, 1).

        Returns
        -------
        low, high : arrays of shape (n_samples,) or (n_samples, n_outputs)
            Beside X.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted, or no rows were set aside.
        ValueError
            If so few rows were that no finite interval has this coverage, and as `predict`.

        References
        ----------
        Lei et al., "Distribution-free predictive inference for regression", 2018.
        """
        self._check_calibrated("predict_interval")
        scores = self.calibration_scores_
        half = conformal.half_width(scores, conformal.check_share("coverage", coverage, len(scores)))
        mean, spread = self._mean_and_spread(X)
        width = half * conformal.scale_of(spread, self.noise_)
        low, high = (self._hand_back(self._flat(each), X) for each in (mean - width, mean + width))
        return low, high

    def _flat(self, found: Host) -> Host:
        """The values of one output without an axis for it."""
        return found[:, 0] if self.n_outputs_ == 1 else found

    @with_texts
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The coefficient of determination, R^2.

        Parameters
        ----------
        {{rows}}
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true values.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        weight = None if sample_weight is None else inputs.host(sample_weight)
        return float(r2_score(inputs.host(y), inputs.host(self.predict(X)), sample_weight=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def values(y: Any, name: str) -> Host:
    """The targets as numbers, (n, n_outputs)."""
    host = check_array(inputs.host(y), ensure_2d=False, dtype=np.float64, input_name=name)
    if host.ndim == 2 and host.shape[1] == 1:
        host = column_or_1d(host, warn=True)
    if host.ndim > 2 or host.ndim == 0:
        raise ValueError(f"`{name}` has the shape {host.shape}; accepted: (n,) or (n, n_outputs)")
    found: Host = host.reshape(len(host), -1)
    return found
