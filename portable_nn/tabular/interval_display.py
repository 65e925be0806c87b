"""A picture of the intervals of a regressor, in the manner of scikit-learn's displays."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from portable_nn.estimators import inputs
from portable_nn.tabular.columns import Host
from portable_nn.tabular.reliability_display import axes


class IntervalDisplay:
    """The predicted intervals of rows, sorted by what is predicted, and the values found.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        The values.
    prediction, low, high : ndarrays of shape (n_samples,)
    coverage : float
        The probability that was asked for.
    estimator_name : str or None, default=None
        Stands in the title.

    Attributes
    ----------
    share_inside : float
        The share of the values that are in their intervals.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    band_ : matplotlib collection
        The intervals.
    inside_, outside_ : matplotlib Line2D
        The values in their intervals, and the others.

    Examples
    --------
    Of a fitted regressor ``IntervalDisplay.from_estimator(regressor, X, y)`` makes, and draws, one. From
    intervals that are known:

    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> y, middle = np.array([1.0, 2.0, 3.0, 9.0]), np.array([1.5, 2.0, 2.5, 4.0])
    >>> display = pnn.IntervalDisplay(y=y, prediction=middle, low=middle - 1, high=middle + 1,
    ...                               coverage=0.9)
    >>> display.share_inside
    0.75
    """

    def __init__(
        self,
        *,
        y: Host,
        prediction: Host,
        low: Host,
        high: Host,
        coverage: float,
        estimator_name: str | None = None,
    ) -> None:
        self.y, self.prediction, self.low, self.high = y, prediction, low, high
        self.coverage, self.estimator_name = coverage, estimator_name

    @property
    def is_inside(self) -> Host:
        """Whether each value is in its interval."""
        found: Host = (self.low <= self.y) & (self.y <= self.high)
        return found

    @property
    def share_inside(self) -> float:
        """The share of the values that are in their intervals."""
        return float(self.is_inside.mean())

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        coverage: float = 0.9,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw it for a fitted regressor of one output and rows that it has not learned from.

        Parameters
        ----------
        estimator : a fitted regressor with `predict_interval`
        X : table of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The values.
        coverage : float, default=0.9
        name : str or None, default=None
            Stands in the title; None: the name of the class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: new ones.
        **kwargs : dict
            Passed to matplotlib's ``plot`` of the values.

        Returns
        -------
        display : IntervalDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it predicts several values a row, or X and y do not suit each other.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        low, high = (inputs.host(each) for each in estimator.predict_interval(X, coverage))
        if low.ndim != 1:
            raise ValueError(
                f"the estimator predicts {low.shape[1]} values a row; accepted: one; for several make "
                "the display yourself, of the values of one output"
            )
        prediction = inputs.host(estimator.predict(X))
        name = type(estimator).__name__ if name is None else name
        values = column_or_1d(check_array(inputs.host(y), ensure_2d=False, dtype=np.float64))
        check_consistent_length(low, values)
        found = cls(
            y=values, prediction=prediction, low=low, high=high, coverage=coverage, estimator_name=name
        )
        return found.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        name : str or None, default=None
            Stands in the title in place of `estimator_name`.
        **kwargs : dict
            Passed to matplotlib's ``plot`` of the values.

        Returns
        -------
        display : IntervalDisplay
            With `ax_`, `figure_`, `band_`, `inside_` and `outside_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = axes(ax, "IntervalDisplay")
        name = self.estimator_name if name is None else name
        order = np.argsort(self.prediction, kind="stable")
        ranks = np.arange(len(order))
        label = f"interval for {self.coverage:.0%}"
        self.band_ = ax.fill_between(
            ranks, self.low[order], self.high[order], color="tab:blue", alpha=0.25, lw=0, label=label
        )
        ax.plot(ranks, self.prediction[order], color="tab:blue", lw=1, label="prediction")
        inside = self.is_inside[order]
        lines = []
        for which, color, what in ((inside, "tab:green", "in it"), (~inside, "tab:red", "not in it")):
            options = {"ls": "", "marker": ".", "ms": 3, "color": color, **kwargs}
            share = f"{what}: {which.mean():.1%}"
            lines += ax.plot(ranks[which], self.y[order][which], label=share, **options)
        self.inside_, self.outside_ = lines
        ax.set(xlabel="Rows, sorted by their prediction", ylabel="y", title=name or "")
        ax.legend(loc="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self
