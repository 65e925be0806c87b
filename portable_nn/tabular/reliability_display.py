"""A picture of how reliable probabilities are, in the manner of scikit-learn's displays."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from portable_nn.checks import check_whole
from portable_nn.estimators import inputs
from portable_nn.tabular.columns import Host


def axes(ax: Any, name: str) -> Any:
    """The axes to draw on, new ones for None; ImportError that says what to install."""
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415
    except ImportError:
        raise ImportError(f"{name} needs matplotlib; install it with: pip install matplotlib") from None
    return plt.subplots()[1] if ax is None else ax


class ReliabilityDisplay:
    """How often the predicted class is right, over how sure the classifier was of it.

    Rows are sorted into bins of as many rows each by the largest of their probabilities. Where the
    probabilities hold what they say, the points are on the diagonal.

    Parameters
    ----------
    confidence : ndarray of shape (n_bins,)
        The mean of the largest probability in each bin.
    accuracy : ndarray of shape (n_bins,)
        The share of rows in each bin whose predicted class is right.
    counts : ndarray of shape (n_bins,)
        How many rows each bin has.
    estimator_name : str or None, default=None
        Stands in the legend.

    Attributes
    ----------
    expected_calibration_error : float
        The mean distance of accuracy and confidence, of the bins by their counts.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    References
    ----------
    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    2015.

    Examples
    --------
    Of a fitted classifier ``ReliabilityDisplay.from_estimator(classifier, X, y)`` makes, and draws, one.
    From bins that are known:

    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> confidence, accuracy = np.array([0.5, 0.9]), np.array([0.5, 0.8])
    >>> display = pnn.ReliabilityDisplay(confidence=confidence, accuracy=accuracy,
    ...                                  counts=np.array([10, 30]))
    >>> round(display.expected_calibration_error, 3)
    0.075
    """

    def __init__(
        self, *, confidence: Host, accuracy: Host, counts: Host, estimator_name: str | None = None
    ) -> None:
        self.confidence, self.accuracy, self.counts = confidence, accuracy, counts
        self.estimator_name = estimator_name

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance of accuracy and confidence."""
        distance = np.abs(self.accuracy - self.confidence)
        return float(np.average(distance, weights=self.counts))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw it for a fitted classifier and rows that it has not learned from.

        Parameters
        ----------
        estimator : a fitted classifier with `predict_proba`
        X : table of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            The true classes.
        n_bins : int, default=10
        name : str or None, default=None
            Stands in the legend; None: the name of the class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: new ones.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If `n_bins` is not a whole number >= 1, or y has other classes than the estimator.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        P = np.asarray(inputs.host(estimator.predict_proba(X)))
        classes = np.asarray(inputs.host(estimator.classes_))
        name = type(estimator).__name__ if name is None else name
        found = cls.of_predictions(inputs.host(y), P, classes, n_bins=n_bins, name=name)
        return found.plot(ax=ax, **kwargs)

    @classmethod
    def of_predictions(
        cls, y: Any, P: Host, classes: Host, *, n_bins: int = 10, name: str | None = None
    ) -> Self:
        """The display of probabilities, not drawn yet.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The true classes.
        P : ndarray of shape (n_samples, n_classes)
            The probabilities.
        classes : ndarray of shape (n_classes,)
            What the columns of P stand for.
        n_bins : int, default=10
            Into how many bins the rows are sorted.
        name : str or None, default=None
            Stands in the legend.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        TypeError, ValueError
            If `n_bins` is not a whole number >= 1, P has another shape, or y other classes.
        """
        check_whole("n_bins", n_bins, 1)
        P, classes, true = np.asarray(P), np.asarray(classes), column_or_1d(y)
        if P.shape != (len(true), len(classes)):
            raise ValueError(
                f"`P` has the shape {P.shape}; accepted: {(len(true), len(classes))}, a row for each "
                "of y and a column for each class"
            )
        unknown = sorted({str(label) for label in np.setdiff1d(true, classes)})
        if unknown:
            raise ValueError(
                f"y has the classes {unknown[:5]}; accepted: those of the classifier, "
                f"{classes.tolist()[:10]}"
            )
        confidence, is_right = P.max(axis=1), classes[P.argmax(axis=1)] == true
        order = np.argsort(confidence, kind="stable")
        bins = [rows for rows in np.array_split(order, n_bins) if len(rows)]
        return cls(
            confidence=np.asarray([confidence[rows].mean() for rows in bins]),
            accuracy=np.asarray([is_right[rows].mean() for rows in bins]),
            counts=np.asarray([len(rows) for rows in bins]),
            estimator_name=name,
        )

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        name : str or None, default=None
            Stands in the legend in place of `estimator_name`.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : ReliabilityDisplay
            With `ax_`, `figure_` and `line_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = axes(ax, "ReliabilityDisplay")
        name = self.estimator_name if name is None else name
        low = min(float(self.confidence.min()), float(self.accuracy.min()))
        label = "as sure as right"
        if label not in ax.get_legend_handles_labels()[1]:
            ax.plot([low, 1], [low, 1], color="black", lw=1, ls=":", label=label)
        options = {"marker": "o", "label": name, **kwargs}
        (self.line_,) = ax.plot(self.confidence, self.accuracy, **options)
        ax.set(xlabel="Probability of the predicted class", ylabel="Share of rows where it is right")
        ax.legend(loc="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self
