"""A picture of the loss curves, in the manner of scikit-learn's displays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted


class LossCurveDisplay:
    """The loss of each epoch of a fitted estimator, and that of its validation data, if it had any.

    Make it with `from_estimator`; the arguments here are stored as attributes.

    Parameters
    ----------
    loss_curve : sequence of float
        The training loss of each epoch.
    validation_loss_curve : sequence of float or None, default=None
        The validation loss after each epoch.
    estimator_name : str or None, default=None
        Stands in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The training loss.
    validation_line_ : matplotlib Line2D or None

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from portable_nn import LossCurveDisplay, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(max_iter=30, tol=0.05, n_iter_no_change=3, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> len(display.line_.get_ydata()) == clf.n_iter_
    True
    """

    def __init__(
        self,
        *,
        loss_curve: Sequence[float],
        validation_loss_curve: Sequence[float] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            A fitted one, or a pipeline, a search or a transformer of targets around it.
        name : str or None, default=None
            Stands in the legend; None: the name of its class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: new ones.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        TypeError
            If it has no loss curve.
        """
        check_is_fitted(estimator)
        estimator = innermost(estimator)
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(
                f"a {type(estimator).__name__} has no `loss_curve_`; accepted: a fitted MLPClassifier "
                "or MLPRegressor, of portable_nn or of scikit-learn"
            )
        display = cls(
            loss_curve=estimator.loss_curve_,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None: new ones.
        name : str or None, default=None
            Stands in the legend in place of `estimator_name`.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LossCurveDisplay
            With `ax_`, `figure_`, `line_` and `validation_line_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt  # noqa: PLC0415
            from matplotlib.cbook import normalize_kwargs  # noqa: PLC0415
            from matplotlib.lines import Line2D  # noqa: PLC0415
        except ImportError:
            raise ImportError(
                "LossCurveDisplay needs matplotlib; install it with: pip install matplotlib"
            ) from None
        kwargs = normalize_kwargs(kwargs, Line2D)
        if ax is None:
            _, ax = plt.subplots()
        name = self.estimator_name if name is None else name
        prefix = f"{name}: " if name else ""
        epochs = range(1, len(self.loss_curve) + 1)
        (self.line_,) = ax.plot(epochs, self.loss_curve, **{"label": f"{prefix}training", **kwargs})
        self.validation_line_ = None
        if self.validation_loss_curve is not None and len(self.validation_loss_curve):
            options = {"linestyle": "--", **kwargs, "label": f"{prefix}validation"}
            epochs = range(1, len(self.validation_loss_curve) + 1)
            (self.validation_line_,) = ax.plot(epochs, self.validation_loss_curve, **options)
        ax.set(xlabel="Epoch", ylabel="Loss")
        ax.legend(loc="upper right")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def innermost(estimator: Any) -> Any:
    """The fitted estimator within pipelines, searches and the like that has a loss curve, if one has."""
    while not hasattr(estimator, "loss_curve_"):
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
            continue
        names = ("best_estimator_", "regressor_", "classifier_", "estimator_")
        inner = [vars(estimator)[name] for name in names if name in vars(estimator)]
        if not inner:
            break
        estimator = inner[0]
    return estimator
