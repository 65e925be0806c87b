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
    mean_weight: Array | None = None,
) -> Array:
    """J of a batch: (1/B) sum_i w_i/w L_i + l2/(2 B w) sum_l ||W[l]||^2, w being the mean weight.

    `mean_weight` is that of the data the batch is drawn from; by default the batch's own, and then J is
    sum_i w_i L_i / sum_i w_i + l2/(2 sum_i w_i) sum_l ||W[l]||^2, or the penalty l2/(2B) alone where all
    of the batch's own weights are zero. Without weights, all are 1.
    """
    weight, shrink = _relative(xp, X, l2, sample_weight, mean_weight)
    Z, A = forward(xp, params, X.mT, g)
    return _cost(xp, g[-1], loss, params, Z[-1], A[-1], Y.mT, weight, shrink)


def batch_gradients(
    xp: Namespace,
    g: Sequence[Activation],
    loss: Loss,
    params: Parameters,
    X: Array,
    Y: Array,
    l2: float = 0.0,
    sample_weight: Array | None = None,
    mean_weight: Array | None = None,
    masks: Sequence[Array | None] | None = None,
) -> tuple[Array, Parameters]:
    """J as in `batch_cost`, and its gradients; `masks` as for `equations.forward`."""
    weight, shrink = _relative(xp, X, l2, sample_weight, mean_weight)
    Z, A = forward(xp, params, X.mT, g, masks)
    J = _cost(xp, g[-1], loss, params, Z[-1], A[-1], Y.mT, weight, shrink)
    Delta = output_delta(xp, loss, g[-1], Z[-1], A[-1], Y.mT)
    grads = backward(xp, params, Z, A, Delta if weight is None else weight * Delta, g, masks)
    if shrink is not None:
        s = shrink if sample_weight is None else shrink[..., None, None]
        grads = [(dW + s * W, db) for (W, _), (dW, db) in zip(params, grads, strict=True)]
    return J, grads


def _cost(
    xp: Namespace,
    g: Activation,
    loss: Loss,
    params: Parameters,
    Z: Array,
    A: Array,
    Y: Array,
    weight: Array | None,
    shrink: Array | None,
) -> Array:
    """J from the output layer's Z and A, with the penalty."""
    J = cost(xp, loss, g, Z, A, Y, weight)
    return J if shrink is None else J + 0.5 * shrink * squared_norm(xp, params)


def _relative(
    xp: Namespace, X: Array, l2: float, weight: Array | None, mean: Array | None
) -> tuple[Array | None, Array | None]:
    """w_i/w as (..., 1, B), None where all are 1; and l2/(B w), None where there is no penalty."""
    B = X.shape[-2]
    if weight is None:
        return None, l2 / B if l2 else None
    if mean is None:
        mean = xp.mean(weight, axis=-1)
        mean = mean + xp.astype(mean == 0, mean.dtype)  # weights that are all zero count for nothing
    return (weight / mean[..., None])[..., None, :], l2 / (B * mean) if l2 else None
