"""scikit-learn's names and conventions for activations, initial weights, losses and optimizers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from portable_nn.checks.numbers import check_fits
from portable_nn.equations import (
    ACTIVATIONS,
    LOSSES,
    Activation,
    Loss,
    Parameters,
    pinball,
    relu,
    scikit_losses,
)
from portable_nn.equations.scikit_losses import SQUARED_ERROR
from portable_nn.errors import unknown_name
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.network import Network
from portable_nn.network.initialization import count_parameters
from portable_nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

SYNONYMS = {"logistic": "sigmoid"}
ACTIVATION_NAMES = {*ACTIVATIONS, *SYNONYMS}
SCIKIT_NAMES = {"sigmoid": "logistic"}  # what `out_activation_` calls them
STOCHASTIC = ("adam", "adamw", "rmsprop", "sgd")

# where pickles of version 0.1 look for them
binary_log_loss = scikit_losses.binary_log_loss
multinomial_log_loss = scikit_losses.multinomial_log_loss
mean_squared_error = scikit_losses.mean_squared_error


def hidden_activations(given: Any, hidden: int) -> list[Activation]:
    """g[1..L-1] from one name or Activation for all hidden layers, or one for each."""
    each = list(given) if isinstance(given, (list, tuple)) else [given] * hidden
    if len(each) != hidden:
        raise ValueError(
            f"`activation` holds {len(each)} activations; accepted: one, or one for each of the "
            f"{hidden} hidden layers"
        )
    return [_activation(g) for g in each]


def _activation(given: Any) -> Activation:
    if isinstance(given, Activation):
        return given
    if not isinstance(given, str) or given not in ACTIVATION_NAMES:
        raise ValueError(unknown_name("activation", given, ACTIVATION_NAMES))
    if given == "relu":  # scikit-learn's derivative at z = 0, which is 1 in the source
        return relu(at_zero=0.0)
    return ACTIVATIONS[SYNONYMS.get(given, given)]


def initial_parameters(net: Network, random: np.random.RandomState, lone: Any) -> Parameters:
    """Drawn as scikit-learn does, uniform within a bound of Glorot and Bengio (2010), on the host.

    The output layer has the bound of the last hidden layer's activation, or, where there is none, that
    of `lone`.
    """
    check_fits("hidden_layer_sizes", net.sizes[1:-1], count_parameters(net.described.layers))
    names = [g.name for g in net.g[:-1]] or [lone]
    params: Parameters = []
    for l, (n_in, n_out) in enumerate(pairwise(net.sizes)):
        is_logistic = names[min(l, len(names) - 1)] in ("logistic", "sigmoid")
        bound = np.sqrt((2.0 if is_logistic else 6.0) / (n_in + n_out))
        coef = random.uniform(-bound, bound, (n_in, n_out))
        intercept = random.uniform(-bound, bound, n_out)
        params.append((np.ascontiguousarray(coef.T), intercept[:, None]))
    return params


# ---- losses ---------------------------------------------------------------------------------------

REGRESSION_LOSSES = ("absolute_error", "huber", "pinball", "poisson", "squared_error")


def regression_loss(given: Any, quantile: float) -> Loss:
    """The loss of a regressor, from its name or as it is given."""
    if isinstance(given, Loss):
        return given
    if given == "pinball":
        return pinball(quantile)
    return SQUARED_ERROR if given == "squared_error" else LOSSES[given]


# ---- optimizers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScikitAdam(Adam):
    """Adam in the order of Kingma and Ba's section 2, where epsilon is added to sqrt(v), not sqrt(v^).

    theta <- theta - alpha sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)
    """

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        _, _, *constants = super().coefficients(t, alpha)
        return alpha * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t), 1.0, *constants


def optimizer(estimator: MLPAttributes) -> Optimizer:
    """The optimizer that the estimator's parameters describe; its learning rates come from elsewhere.

    The gradient of K networks that share weights is that of the sum of their costs, K times that of the
    mean: epsilon is K times as large, so that the update is that of the mean.
    """
    e, epsilon = estimator, estimator.epsilon * estimator._networks
    if e.solver == "sgd":
        nesterov = bool(e.nesterovs_momentum and e.momentum > 0)
        return SGD(1.0, momentum=e.momentum, nesterov=nesterov)
    if e.solver == "rmsprop":
        return RMSprop(1.0, e.rho, epsilon)
    if e.solver == "adamw":
        return AdamW(1.0, e.beta_1, e.beta_2, epsilon, e.weight_decay)
    return ScikitAdam(1.0, e.beta_1, e.beta_2, epsilon)
