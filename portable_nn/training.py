"""Training: mini-batches, epochs, and what is recorded, around the one compiled step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Any, TypeVar

import numpy as np

from portable_nn import checks
from portable_nn.backends import Backend
from portable_nn.callbacks import (
    BestSoFar,
    EarlyStopping,
    TrainingState,
    call,
    check_callbacks,
    progress_bar,
)
from portable_nn.equations import Array, Parameters
from portable_nn.errors import NonFiniteCostError
from portable_nn.history import History
from portable_nn.network import Network
from portable_nn.optimizers import Adam, Optimizer, OptimizerState, init_state
from portable_nn.schedules import Schedule, constant
from portable_nn.steps import evaluation_step, summary, training_step

T = TypeVar("T")


def fit(
    net: Network,
    params: Parameters,
    X: Array,
    Y: Array,
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    batch_size: int | None = 128,
    seed: Any = 0,
    l2: float = 0.0,
    sample_weight: Array | None = None,
    validation: Sequence[Array] | None = None,
    early_stopping: EarlyStopping | None = None,
    schedule: Schedule | None = None,
    callbacks: Iterable[Any] = (),
    progress: bool = False,
    epoch_order: Callable[[int, int], Any] | None = None,
    optimizer_state: OptimizerState | None = None,
) -> tuple[Parameters, History]:
    """Train by mini-batches; changes none of the arrays that it is given.

    Parameters
    ----------
    net : Network
    params : list of (W, b)
        Where training starts; K networks at once if it is a stack.
    X, Y : array, (n_samples, n_0) and (n_samples, n_L)
    optimizer : Optimizer
        By default ``Adam()``.
    epochs : int
        How often all examples are gone through, >= 1.
    batch_size : int or None
        Examples per update, >= 1; the last batch of an epoch takes what is left. None: all of them.
    seed : int or numpy.random.Generator
        Of the permutations, drawn on the host: batches are the same on every backend.
    l2 : float
        The strength of the penalty l2/(2B) sum_l ||W[l]||^2, as in the source with the batch's B: the
        smaller the batches, the stronger it is.
    sample_weight : array (n_samples,), optional
        w_i >= 0. An epoch's batches together count by their weights: every batch divides by the mean
        weight of all the data, not of its own rows.
    validation : (X, Y) or (X, Y, sample_weight), optional
        Data whose cost is taken at every epoch's end.
    early_stopping : EarlyStopping, optional
        For one network, not for a stack.
    schedule : callable, optional
        ``schedule(step)`` is the learning rate of update 0, 1, ..., in place of the optimizer's; see
        `portable_nn.schedules`.
    callbacks : iterable
        Objects with ``on_epoch_end(state)``; see `Callback`.
    progress : bool
        Whether to show a progress bar (by tqdm).
    epoch_order : callable, optional
        ``epoch_order(epoch, n)``, epoch = 0, 1, ...: the rows of this epoch in their order, a non-empty
        1-d array of integers in 0..n-1, in place of a permutation.
    optimizer_state : OptimizerState, optional
        ``history.optimizer_state`` of the training that this one goes on with.

    Returns
    -------
    params : list of (W, b)
        The trained ones, of the library, device and dtype of X.
    history : History

    Raises
    ------
    TypeError, ValueError
        For arguments that are not of this form, before anything is trained.
    NonFiniteCostError
        When an epoch ends with a cost or parameters that are not finite; it keeps the last finite ones.
    """
    optimizer = Adam() if optimizer is None else optimizer
    check_kinds(net, optimizer, early_stopping, epoch_order)
    epochs, l2 = checks.whole("epochs", epochs, 1), checks.number("l2", l2, 0.0)
    schedule = constant(optimizer.learning_rate) if schedule is None else schedule
    hooks = check_callbacks(callbacks)
    draw = epoch_order or permutations(seed)
    backend = checks.admit(net.sizes, net.loss, params, X, Y, sample_weight)
    validation = check_validation(net, params, validation)
    mean_weight = None if sample_weight is None else backend.xp.mean(sample_weight, axis=-1)
    n, stack = X.shape[-2], tuple(params[0][0].shape[:-2])
    size = n if batch_size is None else checks.whole("batch_size", batch_size, 1)
    if early_stopping is not None and stack:
        raise ValueError("`early_stopping` with a stack of networks; accepted: it with one network")

    orders = begun(check_order(draw(epoch, n), n) for epoch in range(epochs))
    best = None if early_stopping is None else BestSoFar(early_stopping)
    zero = backend.xp.zeros(stack, dtype=backend.widest_float(), device=backend.device)
    if optimizer_state is None:
        optimizer_state = init_state(backend.xp, optimizer, params)
    else:
        optimizer.check_state(params, optimizer_state, backend)
    step = optimizer_state.t
    rates = begun(learning_rate(schedule, number) for number in count(step))
    update = Update(backend, net, optimizer, l2, rates, zero)
    evaluate, summarize = evaluation_step(backend, net), summary(backend)
    history = History()
    state = TrainingState(epochs, list(params), history, optimizer_state, step=step)
    with progress_bar(progress, state) as bar:
        call(hooks, "on_train_begin", state)
        while state.epoch < epochs and not state.stopped:
            started, before = time.perf_counter(), state.params
            drawn = next(orders)
            order = backend.asarray(drawn, dtype=backend.index_dtype())
            total = update.epoch(state, order, size, X, Y, sample_weight, mean_weight)
            sums = [(total, len(drawn))]
            if validation is not None:
                total = evaluate_in_parts(evaluate, state.params, zero, *validation)
                sums.append((total, validation[0].shape[-2]))
            report = backend.to_numpy(summarize(state.params, *sums))  # the one read of the epoch
            state.epoch += 1
            if not report[-1].all():
                raise NonFiniteCostError(NOT_FINITE.format(state.epoch), state.epoch, before, history)
            watched = note(history, report[:-1], update.alpha, time.perf_counter() - started)
            if best is not None and best.see(watched, state.epoch, state.params):
                state.stop("early stopping")
            call([bar, *hooks], "on_epoch_end", state)
    if best is not None:
        history.best_epoch, state.params = best.epoch, best.choose(state.params)
    history.stopped_by, history.optimizer_state = state.stopped or "epochs", state.optimizer_state
    call(hooks, "on_train_end", state)
    return state.params, history


def begun(items: Iterator[T]) -> Iterator[T]:
    """`items`, the first of them made, and so checked, already; the others when they are asked for."""
    return chain((next(items),), items)


def note(history: History, costs: np.ndarray[Any, Any], alpha: float, seconds: float) -> Any:
    """Record an epoch; the cost that early stopping watches, the validation cost if there is one."""
    found = [row.copy() if row.ndim else float(row) for row in costs]
    history.cost.append(found[0])
    history.validation_cost.extend(found[1:])
    history.learning_rate.append(alpha)
    history.seconds.append(seconds)
    return found[-1]


NOT_FINITE = (
    "the cost, or a parameter, is NaN or infinite in epoch {}; the parameters before it are kept in "
    "this error's `params`; try a smaller learning rate, features of a smaller scale (standardise X), "
    "or another pair of output activation and loss"
)


class Update:
    """The updates of an epoch: which learning rate, which rows, and the step that makes them."""

    def __init__(
        self,
        backend: Backend,
        net: Network,
        optimizer: Optimizer,
        l2: float,
        rates: Iterator[float],
        zero: Array,
    ) -> None:
        self.step = training_step(backend, net, optimizer, l2)
        self.optimizer, self.rates, self.zero = optimizer, rates, zero
        self.alpha = 0.0

    def epoch(
        self,
        state: TrainingState,
        order: Array,
        size: int,
        X: Array,
        Y: Array,
        weight: Array | None,
        mean_weight: Array | None,
    ) -> Array:
        """One update per batch of `size` rows, noted in `state`; the sum of `training_step`."""
        n = order.shape[0]
        params, slots, total = state.params, state.optimizer_state.slots, self.zero
        for start in range(0, n, size):
            rows = order[start : min(start + size, n)]
            self.alpha = next(self.rates)
            state.step += 1
            numbers = self.optimizer.coefficients(state.step, self.alpha)
            params, slots, total = self.step(
                params, slots, total, X, Y, weight, mean_weight, rows, numbers
            )
        state.params, state.optimizer_state = params, OptimizerState(state.step, slots)
        return total


def evaluate_in_parts(
    evaluate: Callable[..., Any],
    params: Parameters,
    zero: Array,
    X: Array,
    Y: Array,
    weight: Array | None,
    mean_weight: Array | None,
    size: int = 1024,
) -> Array:
    """The sum of `evaluation_step` over all rows, `size` rows at a time: memory stays bounded."""
    total, n = zero, X.shape[-2]
    for start in range(0, n, size):
        part = slice(start, min(start + size, n))
        w = None if weight is None else weight[..., part]
        total = evaluate(params, total, X[..., part, :], Y[..., part, :], w, mean_weight)
    return total


def check_kinds(net: Any, optimizer: Any, early_stopping: Any, epoch_order: Any) -> None:
    """Raise TypeError for what is no network, no optimizer, no rule of early stopping, no function."""
    if not isinstance(net, Network):
        raise TypeError(f"`net` is {net!r}; accepted: a portable_nn.Network")
    if not isinstance(optimizer, Optimizer) or type(optimizer).rule is Optimizer.rule:
        raise TypeError(f"`optimizer` is {optimizer!r}; accepted: one such as portable_nn.Adam()")
    if "__eq__" not in vars(type(optimizer)):  # else two that differ would share one compiled step
        raise TypeError(
            f"`optimizer` is a {type(optimizer).__name__}, which is no dataclass itself; accepted: a "
            "subclass of portable_nn.Optimizer decorated with @dataclasses.dataclass(frozen=True)"
        )
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        raise TypeError(f"`early_stopping` is {early_stopping!r}; accepted: a portable_nn.EarlyStopping")
    if epoch_order is not None and not callable(epoch_order):
        raise TypeError(f"`epoch_order` is {epoch_order!r}; accepted: a function of (epoch, n)")


def check_validation(
    net: Network, params: Parameters, validation: Any
) -> tuple[Array, Array, Array | None, Array | None] | None:
    """(X, Y, weights, their mean), checked as training data is; None if there is none."""
    if validation is None:
        return None
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        many = f" of {len(validation)}" if isinstance(validation, (tuple, list)) else ""
        given = f"{type(validation).__name__}{many}"
        raise TypeError(f"`validation` is a {given}; accepted: (X, Y) or (X, Y, sample_weight)")
    X, Y, weight = (*validation, None)[:3]
    backend = checks.admit(net.sizes, net.loss, params, X, Y, weight, prefix="validation ")
    return X, Y, weight, None if weight is None else backend.xp.mean(weight, axis=-1)


def permutations(seed: Any) -> Callable[[int, int], Any]:
    """An `epoch_order` that draws permutations from one generator of the host."""
    if not isinstance(seed, np.random.Generator):
        checks.whole("seed", seed, 0)
    random = np.random.default_rng(seed)
    return lambda epoch, n: random.permutation(n)


def check_order(order: Any, n: int) -> np.ndarray[Any, Any]:
    """The rows of an epoch as a host array of indices, if they are some of 0..n-1."""
    rows = order if isinstance(order, np.ndarray) else checks.to_host(order)
    if rows.ndim != 1 or rows.size == 0 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"`epoch_order` gave an array of shape {rows.shape} and dtype {rows.dtype}; accepted: a "
            "non-empty 1-d array of integers"
        )
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(
            f"`epoch_order` gave rows from {rows.min()} to {rows.max()}; accepted: from 0 to {n - 1}"
        )
    return rows


def learning_rate(schedule: Schedule, step: int) -> float:
    """The schedule's learning rate as a Python float, if it is a finite number >= 0."""
    if not callable(schedule) or isinstance(schedule, type):
        raise TypeError(f"`schedule` is {schedule!r}; accepted: a function of the step")
    return checks.number(f"schedule({step})", schedule(step), 0.0)
