"""scikit-learn's MLPRegressor on any array."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from portable_nn.backends import Backend
from portable_nn.equations import ACTIVATIONS, Activation, Array, Loss
from portable_nn.estimators import docs, inputs
from portable_nn.estimators.constraints import store
from portable_nn.estimators.conventions import REGRESSION_LOSSES, regression_loss
from portable_nn.estimators.docs import documented
from portable_nn.estimators.fitting import BaseMLP


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

    # ---- targets ------------------------------------------------------------------------------------

    def _read_targets(
        self, y: Any, weight: Any, incremental: bool, classes: Any, backend: Backend
    ) -> dict[str, Any]:
        if issparse(y) or (isinstance(y, np.ndarray) and y.dtype.kind not in "biuf"):
            given = "sparse" if issparse(y) else f"of dtype {y.dtype}"
            raise TypeError(f"y is {given}; accepted: a dense array of numbers")
        return {}

    def _compared(self, y: Any, known: dict[str, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(inputs.host(y))

    def _encode(self, y: Any, known: dict[str, Any], backend: Backend, dtype: Any) -> Array:
        return backend.asarray(y if y.ndim == 2 else y[:, None], dtype)

    def _output(self, known: dict[str, Any]) -> tuple[Activation, Loss]:
        loss = regression_loss(self.loss, self.quantile)
        return loss.matched or ACTIVATIONS["identity"], loss

    # ---- predictions --------------------------------------------------------------------------------

    def _score_outputs(self, y: Any, A: np.ndarray[Any, Any], weight: Any) -> float:
        if not np.isfinite(A).all():
            return float("nan")
        return self._score(y, A[:, 0] if A.shape[1] == 1 else A, weight)

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
