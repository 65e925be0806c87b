"""The attributes of an estimator, as the parts of its fit see them; their docs are in `docs.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portable_nn.backends import Backend, of
from portable_nn.equations import Activation, Array, Loss, Parameters
from portable_nn.network import Network
from portable_nn.schedules import Schedule

RECORD = (
    "best_loss_",
    "best_validation_score_",
    "validation_scores_",
    "validation_loss_curve_",
    "_no_improvement_count",
    "_best",
    "_optimizer",
)


class MLPAttributes:
    """What both estimators have; annotations, and the parameters as the equations take them."""

    # ---- the constructor's parameters ---------------------------------------------------------------
    hidden_layer_sizes: int | Sequence[int]
    activation: str | Activation | Sequence[str | Activation]
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int | str
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    loss: str | Loss
    dropout: float | Sequence[float]
    weight_decay: float
    rho: float
    clip_norm: float | None
    schedule: Schedule | None
    scoring: str | Callable[..., float] | None
    callbacks: Sequence[Any] | None
    max_time: float | None
    backend: str | Backend | None
    device: Any
    class_weight: Any  # of the classifier
    label_smoothing: float  # of the classifier
    quantile: float  # of the regressor

    # ---- fitted -------------------------------------------------------------------------------------
    coefs_: list[Array]
    intercepts_: list[Array]
    classes_: Array  # of the classifier
    out_activation_: str
    n_layers_: int
    n_outputs_: int
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any  # a float, or None; the next three likewise, or a list
    best_validation_score_: Any
    validation_scores_: Any
    validation_loss_curve_: Any
    stopped_early_: bool

    # `_net` has the activations; `_takes_host` says whether host data is moved to the device and
    # results back; early stopping and partial_fit continue from the last three
    # networks that share weights are one estimator, whose arrays have leading axes, `_lead`
    _lead: tuple[int, ...] = ()
    _net: Network | None = None
    _takes_host = False
    _ready: Any = None  # a Ready
    _best: Parameters | None
    _optimizer: Any  # an Optimization
    _no_improvement_count: int

    @property
    def _prints(self) -> bool:
        """Whether every epoch is reported in a line of its own."""
        return self.verbose != "bar" and bool(self.verbose)

    @property
    def _networks(self) -> int:
        """How many networks it is."""
        return math.prod(self._lead)

    def _averaged(self, A: Array) -> Array:
        """The outputs: the mean of those of several networks."""
        for _ in self._lead:
            A = of(A).xp.mean(A, axis=0)
        return A

    def _params(self) -> Parameters:
        """coefs_ and intercepts_ as the equations take them."""
        return [(coef.mT, b[:, None]) for coef, b in zip(self.coefs_, self.intercepts_, strict=True)]

    def _set_params(self, params: Parameters) -> None:
        self.coefs_ = [W.mT for W, _ in params]
        self.intercepts_ = [b[:, 0] for _, b in params]

    def _start_record(self, is_judged: bool, incremental: bool) -> None:
        """Set the attributes that mini-batch training needs and the last call has not left."""
        record = dict.fromkeys(RECORD) | {"_no_improvement_count": 0}
        self.__dict__.update({k: v for k, v in record.items() if self.__dict__.get(k) is None})
        if is_judged:  # NaN for epochs that were not
            scores, losses = self.validation_scores_ or [], self.validation_loss_curve_ or []
            missing = [float("nan")] * (len(self.loss_curve_) - len(scores))
            self.validation_scores_, self.validation_loss_curve_ = scores + missing, losses + missing
        if not incremental:
            self._best = None
        if not self.early_stopping:
            self.best_loss_ = np.inf if self.best_loss_ is None else self.best_loss_
            self.best_validation_score_ = None
        else:
            self.best_loss_ = None
            if self.best_validation_score_ is None:
                self.best_validation_score_, self._best = -np.inf, None
