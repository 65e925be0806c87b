"""The steps of training: pure functions of arrays, each handed once to the backend's `compile`.

A step says by its attribute `steady` that it does the same at any time: all of its functions are ours.
One of somebody else's may read what changes between epochs: a backend that keeps steps looks again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from portable_nn.backends import Backend
from portable_nn.equations import Activation, Array, Loss, Namespace, Parameters, forward
from portable_nn.network import Network
from portable_nn.network.objective import batch_cost, batch_gradients
from portable_nn.optimizers import Optimizer, apply, clipped

Carry = tuple[Any, ...]


def are_ours(g: Sequence[Activation], loss: Loss | None = None, optimizer: Any = None) -> bool:
    """Whether all functions of the activations, the loss and the optimizer are those of this package."""
    functions = [f for each in g for f in (each.g, each.g_prime, each.delta)]
    if loss is not None:
        functions += [loss.value, loss.derivative, loss.value_from_Z]
    functions.append(type(optimizer).rule if optimizer is not None else None)
    mine = __name__.partition(".")[0] + "."
    return all(f is None or str(getattr(f, "__module__", "")).startswith(mine) for f in functions)


@functools.lru_cache(maxsize=64)
def training_steps(
    backend: Backend, net: Network, optimizer: Optimizer, l2: float, clip_norm: float | None = None
) -> Callable[..., Any]:
    """Many updates, compiled; each: gather the batch, cost and gradients, new parameters.

    ``run(carry, data, each, owned)``, see `Backend.scan`: `carry` is (params, slots, total), total being
    the sum of J B over the batches so far; `data` (X, Y, weight, mean_weight); `each`, for every
    update, (rows, masks, coefficients).
    """

    def step(xp: Namespace, carry: Carry, data: Carry, one: Carry) -> Carry:
        (params, slots, total), (X, Y, weight, mean_weight), (rows, masks, numbers) = carry, data, one
        X, Y = xp.take(X, rows, axis=-2), xp.take(Y, rows, axis=-2)
        weight = None if weight is None else xp.take(weight, rows, axis=-1)
        J, grads = batch_gradients(xp, net.g, net.loss, params, X, Y, l2, weight, mean_weight, masks)
        if clip_norm is not None:
            grads = clipped(xp, grads, clip_norm)
        coefficients = [numbers[i] for i in range(numbers.shape[0])]
        params, slots = apply(xp, optimizer.rule, params, grads, slots, coefficients)
        return params, slots, total + J * X.shape[-2]  # total is the wider of the two

    step.steady = are_ours(net.g, net.loss, optimizer)  # type: ignore[attr-defined]
    return backend.scan(step)


@functools.lru_cache(maxsize=64)
def evaluation_step(backend: Backend, net: Network) -> Callable[..., Any]:
    """``evaluate(params, total, X, Y, weight, mean_weight)``: the sum of J B, without penalty."""
    xp = backend.xp

    def evaluate(
        params: Parameters,
        total: Array,
        X: Array,
        Y: Array,
        weight: Array | None,
        mean_weight: Array | None,
    ) -> Array:
        J = batch_cost(xp, net.g, net.loss, params, X, Y, 0.0, weight, mean_weight)
        return total + J * X.shape[-2]

    evaluate.steady = are_ours(net.g, net.loss)  # type: ignore[attr-defined]
    return backend.compile(evaluate)


@functools.lru_cache(maxsize=64)
def summary(backend: Backend) -> Callable[..., Any]:
    """``summarize(params, *sums)``: each total / n, and 1 where all params are finite, else 0."""
    xp = backend.xp

    def summarize(params: Parameters, *sums: tuple[Array, int]) -> Array:
        means = [total / n for total, n in sums]
        finite = xp.ones_like(means[0], dtype=xp.bool)
        for layer in params:
            for theta in layer:
                finite = finite & xp.all(xp.isfinite(theta), axis=(-2, -1))
        return xp.stack([*means, xp.astype(finite, means[0].dtype)])

    summarize.steady = True  # type: ignore[attr-defined]
    return backend.compile(summarize)


@functools.lru_cache(maxsize=64)
def gradient_step(backend: Backend, net: Network, l2: float) -> Callable[..., Any]:
    """``gradient(params, X, Y, weight)``: J of all the rows, and its gradients."""
    xp = backend.xp

    def gradient(params: Parameters, X: Array, Y: Array, weight: Array | None) -> tuple[Any, ...]:
        return batch_gradients(xp, net.g, net.loss, params, X, Y, l2, weight)

    gradient.steady = are_ours(net.g, net.loss)  # type: ignore[attr-defined]
    return backend.compile(gradient)


@functools.lru_cache(maxsize=64)
def prediction_step(backend: Backend, g: tuple[Activation, ...], every: bool) -> Callable[..., Any]:
    """``predict(params, X)``: A[L] as rows, or those of every layer: [A[1], ..., A[L]]."""
    xp = backend.xp

    def predict(params: Parameters, X: Array) -> Any:
        _, A = forward(xp, params, X.mT, g)
        return [columns.mT for columns in A[1:]] if every else A[-1].mT

    predict.steady = are_ours(g)  # type: ignore[attr-defined]
    return backend.compile(predict)
