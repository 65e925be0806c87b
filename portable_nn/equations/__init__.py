"""The equations of a feed-forward network, each written once, for every array library.

Source and notation: the summary of the Coursera course *Neural Networks and Deep Learning*.
For a mini-batch of B examples, which are COLUMNS, and layers l = 1..L:

    A[0] = X                     (n_0, B)        the inputs
    W[l], b[l]                   (n_l, n_{l-1}), (n_l, 1)        the parameters
    Z[l] = W[l] A[l-1] + b[l]    (n_l, B)        b is broadcast
    A[l] = g[l](Z[l])            (n_l, B)        A[L] is the prediction
    J = (1/B) sum_i L_i          scalar          the cost
    Delta[l] = dL/dZ[l]          (n_l, B)        the error signal

`xp`, an argument, is the array library: any namespace of the Python array API standard (2024.12). Only
the last two axes have a meaning, so every leading axis is a stack of independent networks: W[l] may be
(K, n_l, n_{l-1}), b[l] (K, n_l, 1); A[l] is then (K, n_l, B) and J (K,). The functions g, g' and the
losses are in `activations.py` and `losses.py`; `pairs.py` has the pairs of both that need more care.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

from portable_nn.equations.activations import (
    ACTIVATIONS,
    Activation,
    Bound,
    leaky_relu,
    relu,
)
from portable_nn.equations.arrays import Array, Namespace
from portable_nn.equations.losses import LOSSES, Loss, huber, pinball
from portable_nn.equations.pairs import PAIRS

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "Activation",
    "Array",
    "Bound",
    "Loss",
    "Namespace",
    "Parameters",
    "backward",
    "backward_to",
    "cost",
    "delta",
    "forward",
    "huber",
    "leaky_relu",
    "output_delta",
    "pinball",
    "relu",
    "squared_norm",
    "symbol",
]

Parameters: TypeAlias = list[tuple[Array, ...]]  # [(W[1], b[1]), ..., (W[L], b[L])]


AT_ONCE = 1 << 17  # examples in one sum

unknown: Any = None  # the place of what there is none of, or what is computed later


def by_layer(parameters: Parameters) -> tuple[list[Array], list[Array]]:
    """W and b, numbered as in the source: W[1] is the first layer's."""
    return [unknown, *(W for W, _ in parameters)], [unknown, *(b for _, b in parameters)]


def symbol(place: Sequence[int]) -> str:
    """What the source calls the array at this place of the parameters: (0, 1) is b[1]."""
    match place:
        case (l, 0 | 1 as k):
            return f"{'Wb'[k]}[{l + 1}]"
    return "params" + "".join(f"[{i}]" for i in place)


def by_number(activations: Sequence[Activation]) -> list[Activation]:
    """g, numbered as in the source: g[1] is the first layer's; there is no g[0]."""
    for g in activations:
        if not isinstance(g, Activation):
            accepted = "an Activation, such as portable_nn.equations.ACTIVATIONS['sigmoid']"
            raise TypeError(f"{g!r} was given as activation; accepted: {accepted}")
    return [ACTIVATIONS["identity"], *activations]


def masks_by_number(masks: Sequence[Array | None] | None, L: int) -> list[Array | None]:
    """The dropout masks, numbered as the layers are; None where nothing is dropped."""
    return [None, *masks, None] if masks else [None] * (L + 1)


def forward(
    xp: Namespace,
    parameters: Parameters,
    X: Array,
    activations: Sequence[Activation],
    masks: Sequence[Array | None] | None = None,
) -> tuple[list[Array], list[Array]]:
    """Z[0..L] and A[0..L] for the batch X (n_0, B); Z[0] is None, A[L] the prediction.

    Parameters
    ----------
    xp : namespace of the array API standard, of the library of the arrays
    parameters : [(W[1], b[1]), ..., (W[L], b[L])], of the shapes (n_l, n_{l-1}) and (n_l, 1)
    X : (n_0, B), examples are columns
    activations : g[1], ..., g[L], such as ``ACTIVATIONS["relu"]``; TypeError for what is none
    masks : of inverted dropout (Srivastava et al., 2014), optional
        One for each hidden layer: None, or an array that broadcasts to (n_l, B) with 0 for a dropped
        unit and 1/(1 - rate) for a kept one.
    """
    W, b = by_layer(parameters)
    g, L = by_number(activations), len(parameters)
    M = masks_by_number(masks, L)
    Z, A = [unknown] * (L + 1), [X] * (L + 1)
    for l in range(1, L + 1):
        Z[l] = W[l] @ A[l - 1] + b[l]
        A[l] = g[l].g(xp, Z[l])
        if M[l] is not None:
            A[l] = A[l] * M[l]
    return Z, A


def cost(
    xp: Namespace,
    loss: Loss,
    g: Activation,
    Z: Array,
    A: Array,
    Y: Array,
    weight: Array | None = None,
) -> Array:
    """J = (1/B) sum_i L_i, shape () or that of the stack, from the output layer's g, Z[L] and A[L].

    `loss` gives the terms of L_i; where A has rounded to 0 or 1 they are computed from Z. Z, A and the
    targets Y are (n_L, B). `weight` (1, B), where given, has the mean 1: J = (1/B) sum_i w_i L_i.
    """
    pair = PAIRS.get((g, loss))
    from_Z = loss.value_from_Z if g == loss.matched else pair and pair.value
    terms = loss.value(xp, A, Y) if from_Z is None else from_Z(xp, Z, Y)
    if weight is not None:
        terms = weight * terms
    B = Y.shape[-1]
    return (1 / B) * xp.sum(terms, axis=(-2, -1))


def squared_norm(xp: Namespace, weights: Sequence[Array]) -> Array:
    """sum_l ||W[l]||^2, shape () or that of the stack; l2/(2B) times it is the penalty in J.

    `weights` are W[1], ..., W[L]; the biases b[l] have no penalty.
    """
    return sum(xp.sum(W * W, axis=(-2, -1)) for W in weights)  # type: ignore[return-value]


def delta(xp: Namespace, g: Activation, Z: Array, dA: Array) -> Array:
    """dL/dZ = dL/dA * g'(Z); through the Jacobian of g where g is not elementwise. All (n_l, B)."""
    if g.delta is not None:
        return g.delta(xp, Z, dA)
    return dA * g.g_prime(xp, Z)  # type: ignore[misc]  # where delta is None, g_prime is not


def output_delta(xp: Namespace, loss: Loss, g: Activation, Z: Array, A: Array, Y: Array) -> Array:
    """Delta[L] (n_L, B), step 1 of the recipe: directly for a matched pair, else from Z or by the chain
    rule through `loss`. `g`, Z[L] and A[L] are the output layer's, Y (n_L, B) the targets.
    """
    if g == loss.matched:
        return A - Y
    if (g, loss) in PAIRS:
        return PAIRS[g, loss].delta(xp, Z, Y)
    return delta(xp, g, Z, loss.derivative(xp, A, Y))


def over_examples(Delta: Array, A: Array) -> Array:
    """Delta A.mT: a sum over the examples, in parts where there are many of them.

    Some libraries add up a product of matrices term by term: of 1e7 terms in float32 3 digits were left.
    """
    B = A.shape[-1]
    if B <= AT_ONCE:
        return Delta @ A.mT
    part = [(..., slice(start, min(start + AT_ONCE, B))) for start in range(0, B, AT_ONCE)]
    return functools.reduce(operator.add, (Delta[p] @ A[p].mT for p in part))


def backward(
    xp: Namespace,
    parameters: Parameters,
    Z: Sequence[Array],
    A: Sequence[Array],
    Delta_L: Array,
    activations: Sequence[Activation],
    masks: Sequence[Array | None] | None = None,
) -> Parameters:
    """[(dJ/dW[l], dJ/db[l])], l = 1..L, from the Z and A of `forward` and Delta[L]: steps 2 and 3.

    `Delta_L` (n_L, B) is that of `output_delta`, times the weights (1, B) if there are any; the other
    arguments, `masks` too, are those that `forward` was called with. The penalty is not in it.
    """
    grads, _ = backward_to(1, xp, parameters, Z, A, Delta_L, activations, masks)
    return grads


def backward_to(
    first: int,
    xp: Namespace,
    parameters: Parameters,
    Z: Sequence[Array],
    A: Sequence[Array],
    Delta_L: Array,
    activations: Sequence[Activation],
    masks: Sequence[Array | None] | None = None,
) -> tuple[Parameters, Array]:
    """As `backward`, with the same arguments; with ``first=0`` also dL/dA[0], for layers below.

    The gradients of `parameters` from Z and A, `Delta_L`, `activations` and `masks`.
    """
    W, _ = by_layer(parameters)
    g, L, B = by_number(activations), len(parameters), A[0].shape[-1]
    M = masks_by_number(masks, L)
    dA, Delta = [unknown] * (L + 1), [unknown] * L + [Delta_L]
    dW, db = [unknown] * (L + 1), [unknown] * (L + 1)
    for l in range(L, 0, -1):
        if l < L:
            if M[l] is not None:
                dA[l] = dA[l] * M[l]
            Delta[l] = delta(xp, g[l], Z[l], dA[l])
        dW[l] = over_examples((1 / B) * Delta[l], A[l - 1])
        db[l] = (1 / B) * xp.sum(Delta[l], axis=-1, keepdims=True)
        if l > first:
            dA[l - 1] = W[l].mT @ Delta[l]
    return list(zip(dW[1:], db[1:], strict=True)), dA[0]
