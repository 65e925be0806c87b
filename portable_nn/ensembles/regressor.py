"""An ensemble that predicts numbers, with their uncertainty."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils.metaestimators import available_if

from portable_nn.ensembles.base import CONSTRAINTS
from portable_nn.ensembles.docs import with_texts
from portable_nn.ensembles.intervals import IntervalEnsemble, flat
from portable_nn.ensembles.signatures import with_parameters_of
from portable_nn.estimators.constraints import Range
from portable_nn.estimators.predicting import ValuePredictions
from portable_nn.estimators.regressor import MLPRegressor
from portable_nn.estimators.targets import Targets


@with_texts
class MLPEnsembleRegressor(ValuePredictions, RegressorMixin, IntervalEnsemble):
    """Several multi-layer perceptrons, trained in one pass, whose predictions are averaged.

    Their spread tells how little is known of the function; intervals, calibrated on rows that were set
    aside, tell where values are.

    Parameters
    ----------
    {{parameters_of_ensembles}}

    calibration_fraction : float, default=0.0
        The share of the rows that `fit` sets aside, drawn by `random_state`, and calibrates the
        intervals with; 0: none, see `calibrate`.

    {{parameters_of_members}}

    {{loss_of_regressors}}

    {{quantile}}

    {{further_parameters}}

    Attributes
    ----------
    {{attributes_of_ensembles}}

    noise_ : ndarray of shape (n_outputs,)
        The root mean square of y less the prediction, over the rows learned from; not of `partial_fit`.

    calibration_scores_ : ndarray of shape (n_rows, n_outputs)
        How far each row set aside was off, in units of its scale, sorted; if there are such rows.

    See Also
    --------
    MLPEnsembleClassifier : The same for classes.
    MLPRegressor : One network.

    Notes
    -----
    {{notes_of_ensembles}}

    References
    ----------
    {{references_of_ensembles}}

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn import MLPEnsembleRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(600, 1))
    >>> y = np.sin(2 * X[:, 0]) + 0.2 * rng.normal(size=600)
    >>> ensemble = MLPEnsembleRegressor(8, hidden_layer_sizes=(32,), learning_rate_init=0.01,
    ...                                 tol=1e-3, calibration_fraction=0.2, random_state=0).fit(X, y)
    >>> mean, std = ensemble.predict([[0.0], [6.0]], return_std=True)
    >>> std[1] > 5 * std[0]
    np.True_
    >>> low, high = ensemble.predict_interval(X, coverage=0.9)
    >>> ((low < y) & (y < high)).mean() > 0.85
    np.True_
    """

    _member: ClassVar[type[MLPRegressor]] = MLPRegressor
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLPRegressor._parameter_constraints,
        **CONSTRAINTS,
        "calibration_fraction": [Range(Real, 0, 1, closed="left")],
    }

    @with_parameters_of(MLPRegressor)
    def __init__(
        self,
        n_estimators: int = 16,
        *,
        bootstrap: bool = False,
        max_samples: float | None = None,
        sharing: str = "none",
        calibration_fraction: float = 0.0,
        **of_member: Any,
    ) -> None:
        """Store the parameters."""

    @available_if(lambda e: e._member._check_solver(e))
    @_fit_context(prefer_skip_nested_validation=True)
    @with_texts
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Learn from X and y for one epoch more: each member from all the rows.

        Intervals have to be calibrated again after it.

        Parameters
        ----------
        {{training_data}}
        {{validation_data}}
        {{needed_validation}}
        {{validation_weight}}

        Returns
        -------
        self : object

        {{raises_of_fit}}
        """
        self._partial_fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        self._calibration = {}  # what there was is of other weights
        return self

    def _outputs_differ(self, targets: Targets) -> str | None:
        return None  # their number is a size of the network

    @with_texts
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The mean of the members' predictions, and how far they are apart.

        Parameters
        ----------
        {{rows}}
        return_std : bool, default=False
            Whether to return the standard deviation over the members too. It tells how little the
            members know of the function there, not how much values vary around it: see
            `predict_interval`.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            On the device of X.
        std : array of that shape
            Only with `return_std`.

        {{raises_of_predict}}
        """
        if not return_std:
            return super().predict(X)
        return tuple(map(flat, self._mean_and_spread(X, "predict")))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
