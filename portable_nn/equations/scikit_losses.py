"""The losses as scikit-learn counts them, with the derivatives of ours."""

from __future__ import annotations

from typing import Any

from portable_nn.equations.arrays import Array, Namespace
from portable_nn.equations.losses import LOSSES, Loss


def within_eps(xp: Namespace, A: Array) -> Array:
    """Probabilities clipped to [eps, 1 - eps] of their dtype, as scikit-learn's log loss does."""
    eps = float(xp.finfo(A.dtype).eps)
    return xp.minimum(xp.maximum(A, eps), 1 - eps)


def binary_log_loss(xp: Namespace, A: Array, Y: Array) -> Array:
    return LOSSES["binary_cross_entropy"].value(xp, within_eps(xp, A), Y)


def multinomial_log_loss(xp: Namespace, A: Array, Y: Array) -> Array:
    return LOSSES["categorical_cross_entropy"].value(xp, within_eps(xp, A), Y)


def mean_squared_error(xp: Namespace, A: Array, Y: Array) -> Array:
    """The squared error per output; as in scikit-learn, Delta[L] is A - Y all the same."""
    return LOSSES["squared_error"].value(xp, A, Y) * (1 / A.shape[-2])


def _matched(name: str, value: Any, of: Loss) -> Loss:
    return Loss(name, value, of.derivative, of.matched, targets=of.targets)


BINARY_LOG_LOSS = _matched("log_loss", binary_log_loss, LOSSES["binary_cross_entropy"])
LOG_LOSS = _matched("log_loss", multinomial_log_loss, LOSSES["categorical_cross_entropy"])
SQUARED_ERROR = _matched("squared_error", mean_squared_error, LOSSES["squared_error"])
