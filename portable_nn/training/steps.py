"""The steps of training: pure functions of arrays, each passed once to the backend to be compiled.

Hyperparameters reach them as data, so that steps that differ in their values only are one step. A step
says by its attribute `steady` that it does the same at any time, and by `functions` which functions are
user-defined, and may read what changes between epochs. A backend that keeps steps looks whether it has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from portable_nn import trees
from portable_nn.backends import Backend
from portable_nn.compiler.exchange import unpacked
from portable_nn.distributed import Communicator
from portable_nn.distributed.summing import Sum
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.network.objective import Batch, Objective, as_dtype, or_one, shrinkage
from portable_nn.network.user_functions import depending_on, user_defined
from portable_nn.optimizers.rules import UserRule
from portable_nn.optimizers.update import Rule, apply, clipped_parts
from portable_nn.training.metrics import Metric

Carry = tuple[Any, ...]


class StepKind(NamedTuple):
    """What a compiled training step depends on; everything else is data.

    Each array of the parameters belongs to one of `parts`, which has a rule, and to one of `limited`,
    whose gradients' norm has a limit, or to -1, which has none; `limited` is empty without limits.
    `trained` says which arrays have a gradient.

    With `own_means` the weights of a batch, of which several processes have parts, are relative to their
    own mean.
    """

    objective: Objective
    rules: tuple[Rule, ...]
    parts: tuple[int, ...]
    has_penalty: bool
    limited: tuple[int, ...] = ()
    trained: tuple[bool, ...] = ()
    own_means: bool = False

    @property
    def user_functions(self) -> tuple[Callable[..., Any], ...] | None:
        """Those of its functions that are user-defined; None where they may change."""
        rules = [r.optimizer.rule if isinstance(r, UserRule) else r for r in self.rules]
        functions = self.objective.user_functions
        return None if functions is None else functions + user_defined(*dict.fromkeys(rules))


def gathered(xp: Namespace, array: Array, rows: Array, axis: int) -> Array:
    """The rows of an array, along the axis -2 or -1: rows (B,) for all networks alike.

    Rows (K, B) are those of each network of a stack; the array then is (n, m), or (n,), which all share.
    """
    if rows.ndim == 1:
        return xp.take(array, rows, axis=axis)
    found = xp.take(array, xp.reshape(rows, (-1,)), axis=axis)
    own: Array = xp.reshape(found, (*rows.shape, *found.shape[1:]))
    return own


def filled_up(xp: Namespace, rows: Any, among: Array | None, dtype: Any) -> tuple[Any, Array | None]:
    """The rows of a batch, and how many of them count: those `among` the first ones; None if all do.

    Others become the batch's first row, so that they are finite wherever the batch is: 0 times
    infinity would be NaN.
    """
    if among is None:
        return rows, None
    of_one = rows[(0,) * (rows.ndim - 1)]  # each network of a stack has as many
    number = xp.sum(xp.astype(of_one < among, dtype))
    return xp.where(rows < among, rows, rows[..., :1]), number


def widened(xp: Namespace, x: Array, like: Array) -> Array:
    """`x` as the dtype of a sum, said aloud: JAX can be set to refuse it otherwise."""
    return xp.astype(x, like.dtype, copy=False)


class Numbers(NamedTuple):
    """The numbers of an update: l2, limits of the gradients' norms, the coefficients of each part."""

    l2: Any
    longest: Sequence[Any]
    coefficients: Sequence[Sequence[Any]]


class StepParts:
    """What a training step is made of: the batch, its gradients, and the update by them.

    A step takes (carry, data, one), see `training_steps`.
    """

    def __init__(self, kind: StepKind) -> None:
        self.kind, self.limits = kind, max(kind.limited, default=-1) + 1

    def numbers(self, given: Array) -> Numbers:
        """The numbers of an update, each as an array."""
        each = [given[i, ...] for i in range(given.shape[0])]
        l2 = each.pop(0) if self.kind.has_penalty else None
        longest, each = each[: self.limits], each[self.limits :]
        parts = len(self.kind.rules)
        count = len(each) // parts
        return Numbers(l2, longest, [each[i * count : (i + 1) * count] for i in range(parts)])

    def batch(self, xp: Namespace, data: Carry, rows: Any, dtype: Any) -> Batch:
        """The rows of a batch, gathered."""
        X, Y, weight, mean, classes, among, whole = data
        rows, number = filled_up(xp, rows, among, dtype)
        of_X, of_Y, of_weight = rows if isinstance(rows, tuple) else (rows,) * 3
        X, Y = gathered(xp, X, of_X, -2), gathered(xp, Y, of_Y, -2)
        weight = None if weight is None else gathered(xp, weight, of_weight, -1)
        return Batch(X, Y, weight, mean, classes, number, whole).masked(xp, dtype)

    def updated(
        self, xp: Namespace, params: Parameters, grads: Parameters, slots: Any, numbers: Numbers
    ) -> tuple[Parameters, Any]:
        """The parameters and the optimizer's arrays after an update by these gradients."""
        kind = self.kind
        if numbers.longest:
            grads = clipped_parts(xp, params, grads, numbers.longest, kind.limited)
        return apply(xp, kind.rules, params, grads, slots, numbers.coefficients, kind.parts)

    def step(self, xp: Namespace, carry: Carry, data: Carry, one: Carry) -> Carry:
        """All of it."""
        (params, slots, total), (rows, masks, given) = carry, one
        numbers, batch = self.numbers(given), self.batch(xp, data, rows, given.dtype)
        J, grads, params = self.kind.objective.learned(xp, params, batch, numbers.l2, masks)
        params, slots = self.updated(xp, params, grads, slots, numbers)
        return params, slots, total + widened(xp, J * batch.B, total)

    def first_half(self, xp: Namespace, carry: Carry, data: Carry, one: Carry) -> list[Array]:
        """What a process adds to J and its gradients, without penalty; nothing, where it has no row."""
        (params, *_), (rows, masks, given) = carry, one
        if trees.leaves(rows)[0].shape[-1] == 0:
            nothing = [xp.zeros_like(theta) for theta in self.with_gradients(trees.leaves(params))]
            return [*(xp.zeros_like(x, dtype=given.dtype) for x in self.numbers_summed(carry)), *nothing]
        batch, means = self.batch(xp, data, rows, given.dtype), []
        if self.kind.own_means:
            means = [xp.mean(batch.weight, axis=-1) * batch.part]  # type: ignore[arg-type]
            batch = batch._replace(mean_weight=xp.ones_like(means[0]))
        J, grads, _ = self.kind.objective.learned(xp, params, batch, None, masks)
        return [J, *means, *trees.leaves(grads)]

    def second_half(self, xp: Namespace, carry: Carry, data: Carry, one: Carry, flat: Array) -> Carry:
        """The rest of `step`, from the sums over all processes."""
        (params, slots, total), (*_, given) = carry, one
        numbers, batch = self.numbers(given), Batch(*data)
        thetas, form = trees.flatten(params)
        like = [*self.numbers_summed(carry), *self.with_gradients(thetas)]
        J, *found = unpacked(xp, flat, [x.shape for x in like])
        if self.kind.own_means:
            mean = or_one(xp, found.pop(0))
            J, found = J / mean, [g / mean[..., None, None] for g in found]
            batch = batch._replace(mean_weight=mean)
        each = iter(found)
        grads = trees.unflatten(form, [next(each) if has else None for has in self.kind.trained])
        shrink = shrinkage(xp, batch, numbers.l2)
        J, grads = self.kind.objective.penalised(xp, params, J, grads, shrink)
        params, slots = self.updated(xp, params, grads, slots, numbers)
        return params, slots, total + widened(xp, J * batch.whole, total)

    def numbers_summed(self, carry: Carry) -> Sequence[Array]:
        """Arrays like what is summed beside the gradients: J, and the mean weight where it is needed."""
        return [carry[2]] * (1 + self.kind.own_means)

    def with_gradients(self, thetas: Sequence[Array]) -> list[Array]:
        """Those arrays of the parameters that have a gradient."""
        return [theta for theta, has in zip(thetas, self.kind.trained, strict=True) if has]


@functools.lru_cache(maxsize=64)
def training_steps(
    backend: Backend, kind: StepKind, communicator: Communicator | None = None
) -> Callable[..., Any]:
    """Many updates, compiled; each: gather the batch, cost and gradients, new parameters.

    ``run(carry, data, each, owned)``, see `Backend.scan`: `carry` is (params, slots, total), total being
    the sum of J B over the batches so far; `data` is a `Batch` of all rows; `each`, for every update,
    (rows, masks, numbers). `rows` are those of the batch, see `gathered`; a tuple has those of X, of Y
    and of the weights. `numbers` has l2 and the limits of the gradients' norms, where there are such,
    and the optimizer's coefficients, part by part.

    With a `communicator` `rows` are those of the batch that this process has, and the processes add up
    what they compute of them.
    """
    parts, functions = StepParts(kind), kind.user_functions
    if communicator is None:
        return backend.scan(depending_on(functions, bound(parts.step)))
    first, second = (
        depending_on(functions, bound(half)) for half in (parts.first_half, parts.second_half)
    )
    return backend.scan_in_halves(first, second, Sum(communicator))


def bound(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method as a function, which can have attributes."""

    @functools.wraps(method)
    def function(*arguments: Any) -> Any:
        return method(*arguments)

    return function


@functools.lru_cache(maxsize=64)
def evaluation_step(
    backend: Backend, objective: Objective, metrics: tuple[Metric, ...] = ()
) -> Callable[..., Any]:
    """``evaluate(params, totals, batch, origin)``: the totals, and what the batch adds to them.

    They are the sum of J B, without penalty, and the sums of each metric, which see `origin`.
    """
    xp = backend.xp

    def evaluate(params: Parameters, totals: Carry, batch: Carry, origin: Array | None) -> Carry:
        batch = Batch(*batch).masked(xp, params[0][0].dtype)
        J, A, Y = objective.judged(xp, params, batch)
        total, *measured = totals
        found = [
            tuple(
                before + widened(xp, weighted_sum(xp, term, batch.weight), before)
                for before, term in zip(sums, metric.terms(xp, A, Y, origin), strict=True)
            )
            for metric, sums in zip(metrics, measured, strict=True)
        ]
        return total + widened(xp, J * batch.B, total), *found

    theirs = user_defined(*(getattr(metric, "function", None) for metric in metrics))
    known = objective.user_functions
    return backend.compile(depending_on(None if known is None else (*known, *theirs), evaluate))


def weighted_sum(xp: Namespace, terms: Array, weight: Array | None) -> Array:
    """sum_i w_i terms_i over the examples, the last axis of the terms (..., k, B); w (..., B)."""
    summed: Array = xp.sum(terms if weight is None else weight[..., None, :] * terms, axis=-1)
    return summed


@functools.lru_cache(maxsize=64)
def summary_step(backend: Backend, metrics: tuple[Metric, ...] = ()) -> Callable[..., Any]:
    """``summarize(arrays, measured, weight, *sums)``: what the host reads of an epoch, stacked.

    That is each total / n; each metric from its sums, over examples of this total weight; and 1 where
    all arrays are finite, else 0. `arrays` are the parameters and the optimizer's: where the square of
    a gradient has overflowed, the parameters stand still for good.
    """
    xp = backend.xp

    def summarize(arrays: trees.Tree, measured: Carry, weight: Any, *sums: tuple[Array, int]) -> Array:
        means = [total / n for total, n in sums]
        finite = backend.finite_matrices(*trees.leaves(arrays))
        if finite.shape != means[0].shape:  # all networks of a stack share the arrays
            finite = finite & xp.ones_like(means[0], dtype=xp.bool)
        found = [metric.value(xp, s, weight) for metric, s in zip(metrics, measured, strict=True)]
        others = [as_dtype(xp, row, means[0].dtype) for row in (*found, finite)]
        return xp.stack([*means, *others])

    return backend.compile(depending_on((), summarize))
