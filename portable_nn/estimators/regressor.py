"""scikit-learn's MLPRegressor on any array."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from portable_nn.backends import Backend
from portable_nn.equations import Array, Loss
from portable_nn.estimators import docs
from portable_nn.estimators.constraints import store
from portable_nn.estimators.conventions import REGRESSION_LOSSES
from portable_nn.estimators.docs import documented
from portable_nn.estimators.fitting import BaseMLP
from portable_nn.estimators.targets import Targets, ValueTargets


class MLPRegressor(RegressorMixin, BaseMLP):
    __doc__ = docs.REGRESSOR

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
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
    @documented(docs.PARTIAL_FIT_REGRESSOR)
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
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)

    def _targets(
        self, y: Any, weight: Any, incremental: bool, classes: Any, backend: Backend
    ) -> Targets:
        return ValueTargets(self, y, weight)

    # ---- predictions --------------------------------------------------------------------------------

    def _score(self, y: Any, predicted: Any, weight: Any) -> float:
        return float(r2_score(y, predicted, sample_weight=weight))

    @documented(docs.PREDICT_REGRESSOR)
    def predict(self, X: Any) -> Array:
        A, to_host = self._compute(X, "predict")
        return self._hand_back(A[:, 0] if A.shape[1] == 1 else A, to_host)

    score = BaseMLP.score  # which hands scikit-learn's function host arrays

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
