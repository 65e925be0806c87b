"""fit: checked arguments in; trained parameters, and what was recorded on the way, out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Any, TypeVar

import numpy as np

from portable_nn import backends, checks
from portable_nn.equations import Array, Parameters
from portable_nn.errors import NonFiniteCostError
from portable_nn.network import Network
from portable_nn.optimizers import Adam, Optimizer, OptimizerState, init_state
from portable_nn.schedules import Schedule, constant, learning_rate
from portable_nn.training import loop
from portable_nn.training.callbacks import (
    BestSoFar,
    EarlyStopping,
    TrainingState,
    call,
    check_callbacks,
    progress_bar,
)
from portable_nn.training.data import admit, admit_validation
from portable_nn.training.history import History

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
    dropout: float | Sequence[float] = 0.0,
    clip_norm: float | None = None,
    stream: bool = False,
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
        Of the permutations and the dropout masks, drawn on the host: the same on every backend.
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
    dropout : float, or one for each hidden layer
        With which probability, in [0, 1), a hidden unit is left out for an example; those kept are
        divided by 1 - rate. Predictions and the validation cost use all units.
    clip_norm : float, optional
        A gradient whose norm, over all parameters together, is larger is shortened to this norm, > 0.
    stream : bool
        Whether X, Y and the weights stay on the host, as NumPy arrays or memory maps: batches are sent
        to where `params` are, some 32 MB (or one batch) at a time, the next while the device is busy
        with those before; the host needs memory for about four such parts. The results are those of
        data that lies there; JAX, which compiles each number of steps for itself, may round otherwise.
        Data may be larger than the device's memory and, in memory maps, than the host's: all of it is
        read once before, to be checked; an order of the rows takes 8 bytes a row; the weights are moved
        whole, once, for their mean. Validation data may be all on the host too.

    Returns
    -------
    params : list of (W, b)
        The trained ones, of the library, device and dtype of those given.
    history : History

    Raises
    ------
    TypeError, ValueError
        For arguments that are not of this form, before anything is trained; for a schedule, or an order,
        that goes wrong later, when it is asked.
    NonFiniteCostError
        When an epoch ends with a cost or parameters that are not finite; it keeps the last finite ones.
    """
    optimizer = Adam() if optimizer is None else optimizer
    check_kinds(net, optimizer, early_stopping, epoch_order, stream)
    epochs, l2 = checks.whole("epochs", epochs, 1), checks.number("l2", l2, 0.0)
    schedule = constant(optimizer.learning_rate) if schedule is None else schedule
    hooks = check_callbacks(callbacks)
    rates_of_dropout = check_dropout(dropout, len(net.g) - 1)
    if clip_norm is not None:
        clip_norm = checks.number("clip_norm", clip_norm, 0.0, open_low=True)
    backend, data = admit(net, params, (X, Y, sample_weight), stream)
    held_out = admit_validation(net, params, validation, stream)
    n, stack = X.shape[-2], tuple(params[0][0].shape[:-2])
    size = n if batch_size is None else checks.whole("batch_size", batch_size, 1)
    if early_stopping is not None and stack:
        raise ValueError("`early_stopping` with a stack of networks; accepted: it with one network")

    random = generator(seed)
    draw = epoch_order or (lambda epoch, n: random.permutation(n))
    orders = begun(check_order(draw(epoch, n), n) for epoch in range(epochs))
    best = None if early_stopping is None else BestSoFar(early_stopping)
    is_fresh = optimizer_state is None
    if optimizer_state is None:
        optimizer_state = init_state(backend.xp, optimizer, params)
    else:
        optimizer.check_state(params, optimizer_state, backend)
    rates = begun(learning_rate(schedule, step) for step in count(optimizer_state.t))
    draw_masks = loop.dropout(backend, params, rates_of_dropout, random.random)
    history = History()
    state = TrainingState(epochs, list(params), history, optimizer_state, step=optimizer_state.t)
    run = loop.epochs(
        backend,
        net,
        optimizer,
        state.params,
        optimizer_state,
        data,
        orders,
        rates,
        size,
        l2,
        clip_norm,
        draw_masks,
        held_out,
        owns_state=is_fresh and not hooks,
        states_are_kept=bool(hooks),
        ahead=not (stream or hooks or epoch_order or early_stopping or seed is random),
    )
    with progress_bar(progress, state) as bar:
        call(hooks, "on_train_begin", state)
        for epoch in run:
            state.epoch += 1
            if not epoch.is_sound:
                message = NOT_FINITE.format(state.epoch)
                raise NonFiniteCostError(message, state.epoch, state.params, history)
            state.params, state.optimizer_state = epoch.params, epoch.optimizer_state
            state.step = epoch.optimizer_state.t
            watched = note(history, epoch)
            if best is not None and best.see(watched, state.epoch, state.params):
                state.stop("early stopping")
            call([bar, *hooks], "on_epoch_end", state)
            if state.stopped:
                break
    if best is not None:
        history.best_epoch, state.params = best.epoch, best.choose(state.params)
    history.stopped_by, history.optimizer_state = state.stopped or "epochs", state.optimizer_state
    call(hooks, "on_train_end", state)
    return state.params, history


def begun(items: Iterator[T]) -> Iterator[T]:
    """`items`, the first of them made, and so checked, already; the others when they are asked for."""
    return chain((next(items),), items)


def note(history: History, epoch: loop.Epoch) -> Any:
    """Record an epoch; the cost that early stopping watches, the validation cost if there is one."""
    found = [row.copy() if row.ndim else float(row) for row in epoch.costs]
    history.cost.append(found[0])
    history.validation_cost.extend(found[1:])
    history.learning_rate.append(epoch.learning_rate)
    history.seconds.append(epoch.seconds)
    return found[-1]


NOT_FINITE = (
    "the cost, or a parameter, is NaN or infinite in epoch {}; the parameters before it are kept in "
    "this error's `params`; try a smaller learning rate, features of a smaller scale (standardise X), "
    "or another pair of output activation and loss"
)


def check_kinds(net: Any, optimizer: Any, early_stopping: Any, epoch_order: Any, stream: Any) -> None:
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
    if not isinstance(stream, bool):
        raise TypeError(f"`stream` is {stream!r}; accepted: True or False")


def check_dropout(rates: Any, hidden: int) -> list[float]:
    """One rate in [0, 1) for each hidden layer, from a number for all or a sequence of them."""
    if isinstance(rates, (tuple, list)):
        if len(rates) != hidden:
            raise ValueError(
                f"`dropout` holds {len(rates)} rates; accepted: a number, or one for each of the "
                f"{hidden} hidden layers"
            )
        return [checks.number(f"dropout[{l}]", rate, 0.0, 1.0) for l, rate in enumerate(rates)]
    return [checks.number("dropout", rates, 0.0, 1.0)] * hidden


def generator(seed: Any) -> np.random.Generator:
    """The generator of the host that orders and dropout masks are drawn from."""
    if not isinstance(seed, (int, np.integer, np.random.Generator)):
        given = f"`seed` is {seed!r}; accepted: a whole number >= 0, or a numpy.random.Generator"
        raise TypeError(given)
    if not isinstance(seed, np.random.Generator):
        checks.whole("seed", seed, 0)
    return np.random.default_rng(seed)


def check_order(order: Any, n: int) -> np.ndarray[Any, Any]:
    """The rows of an epoch as a host array of indices, if they are some of 0..n-1."""
    rows = order if isinstance(order, np.ndarray) else backends.to_host(order)
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
