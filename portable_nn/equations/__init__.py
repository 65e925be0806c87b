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
    """What the source calls the array at this place of the parameters: (0, 1) is b[1].

    Parameters
    ----------
    place : sequence of int
        The indices that lead to the array: (layer from 0, array from 0) in [(W[1], b[1]), ...].

    Returns
    -------
    str
        "W[l]" or "b[l]", l = 1, 2, ...; for any other place its indices, after "params".

    Examples
    --------
    >>> from portable_nn import equations
    >>> equations.symbol((0, 1)), equations.symbol((2, 0)), equations.symbol((1,))
    ('b[1]', 'W[3]', 'params[1]')
    """
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
    xp : namespace
        The library of the arrays: a namespace of the array API standard.
    parameters : list of (W, b)
        [(W[1], b[1]), ..., (W[L], b[L])], of the shapes (n_l, n_{l-1}) and (n_l, 1).
    X : array (n_0, B)
        The inputs; examples are columns.
    activations : sequence of Activation
        g[1], ..., g[L], such as ``ACTIVATIONS["relu"]``.
    masks : sequence of arrays, optional
        Of inverted dropout (Srivastava et al., 2014), one for each hidden layer: None, or an array that
        broadcasts to (n_l, B) with 0 for a dropped unit and 1/(1 - rate) for a kept one.

    Returns
    -------
    Z : list of arrays (n_l, B)
    A : list of arrays (n_l, B)
        Dropout included.

    Raises
    ------
    TypeError
        If one of the `activations` is not an `Activation`.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import ACTIVATIONS, forward
    >>> W, b, X = np.array([[1.0, -2.0]]), np.array([[0.5]]), np.array([[1.0, 3.0], [1.0, 0.0]])
    >>> Z, A = forward(np, [(W, b)], X, [ACTIVATIONS["relu"]])
    >>> Z[1], A[1]
    (array([[-0.5,  3.5]]), array([[0. , 3.5]]))
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
    """J = (1/B) sum_i L_i, from the output layer's g, Z[L] and A[L].

    Parameters
    ----------
    xp : namespace
        The library of the arrays.
    loss : Loss
        The terms of L_i; where A has rounded to 0 or 1 they are computed from Z.
    g : Activation
        g[L], the output's.
    Z, A : array (n_L, B)
        Z[L] and A[L], as `forward` gives them.
    Y : array (n_L, B)
        The targets.
    weight : array (1, B), optional
        w_i, with the mean 1: J = (1/B) sum_i w_i L_i.

    Returns
    -------
    array ()
        J, without a penalty; (K,) for a stack of K networks.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import ACTIVATIONS, LOSSES, cost
    >>> A, Y = np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]])
    >>> float(cost(np, LOSSES["squared_error"], ACTIVATIONS["identity"], A, A, Y))  # (1/2 + 2) / 2
    1.25
    """
    pair = PAIRS.get((g, loss))
    from_Z = loss.value_from_Z if g == loss.matched else pair and pair.value
    terms = loss.value(xp, A, Y) if from_Z is None else from_Z(xp, Z, Y)
    if weight is not None:
        terms = weight * terms
    B = Y.shape[-1]
    return (1 / B) * xp.sum(terms, axis=(-2, -1))


def squared_norm(xp: Namespace, weights: Sequence[Array]) -> Array:
    """sum_l ||W[l]||^2; l2/(2B) times it is the penalty in J.

    Parameters
    ----------
    xp : namespace
        The library of the arrays.
    weights : sequence of arrays (n_l, n_{l-1})
        W[1], ..., W[L]; the biases b[l] have no penalty.

    Returns
    -------
    array ()
        The sum of all squares; (K,) for a stack of K networks.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import squared_norm
    >>> float(squared_norm(np, [np.ones((3, 2)), np.array([[1.0, 2.0]])]))
    11.0
    """
    return sum(xp.sum(W * W, axis=(-2, -1)) for W in weights)  # type: ignore[return-value]


def delta(xp: Namespace, g: Activation, Z: Array, dA: Array) -> Array:
    """dL/dZ = dL/dA * g'(Z); through the Jacobian of g where g is not elementwise.

    Parameters
    ----------
    xp : namespace
        The library of the arrays.
    g : Activation
        g[l].
    Z : array (n_l, B)
        Z[l].
    dA : array (n_l, B)
        dL/dA[l].

    Returns
    -------
    array (n_l, B)
        Delta[l] = dL/dZ[l].

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import ACTIVATIONS, delta
    >>> Z, dA = np.array([[-1.0, 2.0]]), np.array([[5.0, 7.0]])
    >>> delta(np, ACTIVATIONS["relu"], Z, dA)
    array([[0., 7.]])
    """
    if g.delta is not None:
        return g.delta(xp, Z, dA)
    return dA * g.g_prime(xp, Z)  # type: ignore[misc]  # where delta is None, g_prime is not


def output_delta(xp: Namespace, loss: Loss, g: Activation, Z: Array, A: Array, Y: Array) -> Array:
    """Delta[L], step 1 of the recipe: A - Y for a matched pair, else from Z or by the chain rule.

    Parameters
    ----------
    xp : namespace
        The library of the arrays.
    loss : Loss
        Its derivative is dL/dA.
    g : Activation
        g[L], the output's.
    Z, A : array (n_L, B)
        Z[L] and A[L], as `forward` gives them.
    Y : array (n_L, B)
        The targets.

    Returns
    -------
    array (n_L, B)
        Delta[L] = dL/dZ[L], of each example alone.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import ACTIVATIONS, LOSSES, output_delta
    >>> sigmoid, Z, Y = ACTIVATIONS["sigmoid"], np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])
    >>> output_delta(np, LOSSES["binary_cross_entropy"], sigmoid, Z, sigmoid.g(np, Z), Y)
    array([[-0.5,  0.5]])
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

    Parameters
    ----------
    xp : namespace
        The library of the arrays.
    parameters : list of (W, b)
        Those that `forward` was called with.
    Z, A : list of arrays (n_l, B)
        What `forward` has returned.
    Delta_L : array (n_L, B)
        That of `output_delta`, times the weights (1, B) of the examples if there are any.
    activations : sequence of Activation
        g[1], ..., g[L].
    masks : sequence of arrays, optional
        Those that `forward` was called with.

    Returns
    -------
    list of (dJ/dW, dJ/db)
        Of the shapes of `parameters`; the penalty is not in them.

    Raises
    ------
    TypeError
        If one of the `activations` is not an `Activation`.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import ACTIVATIONS, backward, forward
    >>> parameters = [(np.array([[2.0]]), np.array([[0.0]]))]
    >>> X, Y, g = np.array([[1.0, 3.0]]), np.array([[1.0, 4.0]]), [ACTIVATIONS["identity"]]
    >>> Z, A = forward(np, parameters, X, g)
    >>> backward(np, parameters, Z, A, A[1] - Y, g)  # dW = (1*1 + 2*3) / 2, db = (1 + 2) / 2
    [(array([[3.5]]), array([[1.5]]))]
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

    Parameters
    ----------
    first : int
        1, or 0 for dL/dA[0] too.
    xp, parameters, Z, A, Delta_L, activations, masks : as for `backward`
        In this order.

    Returns
    -------
    grads : list of (dJ/dW, dJ/db)
        As of `backward`.
    below : array (n_0, B), or None
        dL/dA[0], of each example alone; None with ``first=1``.

    Raises
    ------
    TypeError
        If one of the `activations` is not an `Activation`.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import ACTIVATIONS, backward_to, forward
    >>> parameters, g = [(np.array([[2.0]]), np.array([[0.0]]))], [ACTIVATIONS["identity"]]
    >>> Z, A = forward(np, parameters, np.array([[1.0, 3.0]]), g)
    >>> _, below = backward_to(0, np, parameters, Z, A, np.array([[1.0, -1.0]]), g)
    >>> below
    array([[ 2., -2.]])
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
