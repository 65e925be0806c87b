"""scikit-learn's MLPRegressor on any array."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from portable_nn.backends import Backend
from portable_nn.equations import Loss
from portable_nn.estimators.constraints import Range, store
from portable_nn.estimators.conventions import REGRESSION_LOSSES
from portable_nn.estimators.docs import with_shared_texts
from portable_nn.estimators.fitting import BaseMLP
from portable_nn.estimators.predicting import ValuePredictions
from portable_nn.estimators.targets import Targets, ValueTargets


@with_shared_texts
class MLPRegressor(ValuePredictions, RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers: scikit-learn's, on any array.

    Every parameter, attribute, warning and message is that of `sklearn.neural_network.MLPRegressor`
    1.9; the parameters from `quantile` on are additions.

    Parameters
    ----------
    {{loss_of_regressors}}

    {{parameters_of_scikit_learn}}

    {{quantile}}

    {{further_parameters}}

    Attributes
    ----------
    {{attributes}}

    See Also
    --------
    MLPClassifier : The same for classes.
    LossCurveDisplay : A picture of the loss curves.

    Notes
    -----
    {{notes}}

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    Huber, "Robust estimation of a location parameter", 1964.
    Kingma and Ba, "Adam: A method for stochastic optimization", 2015.
    Koenker and Bassett, "Regression quantiles", 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn import MLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(2000, 1))
    >>> y = X[:, 0] ** 2 + (1 + X[:, 0]) * rng.uniform(size=2000)
    >>> options = dict(loss="pinball", solver="lbfgs", max_iter=1000, random_state=0)
    >>> low = MLPRegressor(quantile=0.1, **options).fit(X, y)
    >>> high = MLPRegressor(quantile=0.9, **options).fit(X, y)
    >>> inside = (low.predict(X) < y) & (y < high.predict(X))
    >>> bool(abs(inside.mean() - 0.8) < 0.01)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss],
        "quantile": [Range(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        quantile: float = 0.5,
        dropout: Any = 0.0,
        weight_decay: float = 0.01,
        rho: float = 0.9,
        clip_norm: float | None = None,
        schedule: Any = None,
        scoring: Any = None,
        callbacks: Any = None,
        max_time: float | None = None,
        backend: Any = None,
        device: Any = None,
    ) -> None:
        store(self, locals())

    @available_if(lambda e: e._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    @with_shared_texts
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
        """Learn from X and y for one epoch more.

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
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)

    def _targets(
        self, y: Any, weight: Any, incremental: bool, classes: Any, backend: Backend
    ) -> Targets:
        return ValueTargets(self, y, weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
