"""The cost of one mini-batch and its gradients, for rows: what runs inside a training step.

Pure: arrays in, arrays out, no look at a value. X is (..., B, n_0), Y (..., B, n_L), sample_weight
(..., B); the turn into the columns of the equations is one `.mT` view.
"""

from __future__ import annotations

from collections.abc import Sequence

from portable_nn.equations import (
    Activation,
    Array,
    Loss,
    Namespace,
    Parameters,
    backward,
    cost,
    forward,
    output_delta,
    squared_norm,
)


def batch_cost(
    xp: Namespace,
    g: Sequence[Activation],
    loss: Loss,
    params: Parameters,
    X: Array,
    Y: Array,
    l2: float = 0.0,
    sample_weight: Array | None = None,
) -> tuple[Array, Array]:
    """J of a batch of rows, and the sum of its weights."""
    Z, A = forward(xp, params, X.mT, g)
    return _cost(xp, g, loss, params, Z, A, Y.mT, l2, *_weights(xp, X, sample_weight))


def batch_gradients(
    xp: Namespace,
    g: Sequence[Activation],
    loss: Loss,
    params: Parameters,
    X: Array,
    Y: Array,
    l2: float = 0.0,
    sample_weight: Array | None = None,
    masks: Sequence[Array | None] | None = None,
) -> tuple[Array, Parameters, Array]:
    """J of a batch of rows, its gradients, and the sum of its weights; `masks` as for `forward`."""
    w, total = _weights(xp, X, sample_weight)
    Z, A = forward(xp, params, X.mT, g, masks)
    J, total = _cost(xp, g, loss, params, Z, A, Y.mT, l2, w, total)
    Delta = output_delta(xp, loss, g[-1], Z[-1], A[-1], Y.mT)
    grads = backward(xp, params, Z, A, Delta if w is None else w * Delta, g, masks)
    if l2:
        shrink = l2 * _inverse(xp, total)
        shrink = shrink if sample_weight is None else shrink[..., None, None]
        grads = [(dW + shrink * W, db) for (W, _), (dW, db) in zip(params, grads, strict=True)]
    return J, grads, total


def _cost(
    xp: Namespace,
    g: Sequence[Activation],
    loss: Loss,
    params: Parameters,
    Z: list[Array],
    A: list[Array],
    Y: Array,
    l2: float,
    w: Array | None,
    total: Array,
) -> tuple[Array, Array]:
    J = cost(xp, loss, g[-1], Z[-1], A[-1], Y, w)
    if l2:
        J = J + (0.5 * l2) * _inverse(xp, total) * squared_norm(xp, params)
    return J, total


def _weights(xp: Namespace, X: Array, sample_weight: Array | None) -> tuple[Array | None, Array]:
    """The weights with mean 1 as (..., 1, B), and their sum before; None and B where none are given."""
    B = X.shape[-2]
    if sample_weight is None:
        return None, B
    total = xp.sum(sample_weight, axis=-1)
    w = sample_weight * (_inverse(xp, total) * B)[..., None]
    return w[..., None, :], total


def _inverse(xp: Namespace, total: Array) -> Array:
    """1 / total; 0 for a batch whose weights are all 0, which then moves nothing."""
    if isinstance(total, int):
        return 1 / total
    tiny = float(xp.finfo(total.dtype).smallest_normal)
    return xp.astype(total > 0, total.dtype) / xp.maximum(total, tiny)
