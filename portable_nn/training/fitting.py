"""fit: checked arguments in, trained parameters and a history out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from portable_nn.backends import with_own_settings
from portable_nn.checks import Given, Value, as_array, check_flag
from portable_nn.equations import Array, Parameters
from portable_nn.errors import NonFiniteCostError, naming_ours
from portable_nn.network import Network
from portable_nn.network.parameters import Checked, check_parameters
from portable_nn.optimizers import Adam, Optimizer, OptimizerState
from portable_nn.optimizers.optimizer import check_state, init_state
from portable_nn.schedules import Schedule
from portable_nn.training.arguments import arguments_of, fingerprint
from portable_nn.training.callbacks import TrainingState, call, watcher
from portable_nn.training.checkpoints import Checkpoint, checkpoints_last
from portable_nn.training.data import Source, training_data, validation_data
from portable_nn.training.description import Training, check_network
from portable_nn.training.early_stopping import BestSoFar, EarlyStopping
from portable_nn.training.history import History, entries
from portable_nn.training.loop import Epoch, Loop, passing_stop_iteration
from portable_nn.training.progress import progress_bar
from portable_nn.training.resuming import Resumption, go_on, load_states, record_of, resumed
from portable_nn.training.snapshots import Snapshot, Start


@naming_ours(
    validation_data="`validation=(X, Y)`",
    validation_split="`validation=(X, Y)`, with rows set aside before",
    callback="`callbacks`",
    verbose="`progress=True`",
    lr="`optimizer=portable_nn.Adam(learning_rate)`",
    learning_rate="`optimizer=portable_nn.Adam(learning_rate)`, or `schedule`",
    n_epochs="`epochs`",
    shuffle="`epoch_order`, which gives the rows of each epoch in their order",
    class_weight="`sample_weight`, one weight for each row",
    weight_decay="`optimizer=portable_nn.AdamW(weight_decay=...)`, or `l2`",
    loss="the loss of the Network",
    random_state="`seed`",
)
@with_own_settings
def fit(
    net: Network,
    params: Parameters,
    X: Array,
    Y: Array,
    optimizer: Optimizer | str | None = None,
    epochs: int = 10,
    batch_size: int | None = 128,
    seed: int | np.random.Generator = 0,
    l2: Value = 0.0,
    sample_weight: Array | None = None,
    validation: Sequence[Array] | None = None,
    early_stopping: EarlyStopping | None = None,
    schedule: Schedule | None = None,
    callbacks: Iterable[Any] = (),
    progress: bool = False,
    epoch_order: Callable[[int, int], Any] | None = None,
    optimizer_state: OptimizerState | None = None,
    dropout: Value | Schedule | Sequence[Value | Schedule] = 0.0,
    clip_norm: Value | Mapping[str | int, Value] | None = None,
    stream: bool = False,
    metrics: Any = (),
    resume: Any = None,
) -> tuple[Parameters, History]:
    """Train by mini-batches; changes none of the arrays that it is given.

    Parameters
    ----------
    net : Network
    params : list of (W, b)
        Where training starts; K networks at once if it is a stack.
    X, Y : array, (n_samples, n_0) and (n_samples, n_L)
        Of the dtype of `params`, or of integers or booleans; for categorical_cross_entropy Y may be the
        indices of classes, (n_samples,): see `Network`. Batches are cast, and made one-hot, on the
        device, one by one.
    optimizer : Optimizer, or the name of one
        By default ``Adam()``; "sgd", "rmsprop", "adam" and "adamw" are those with their defaults.
    epochs : int
        The number of passes over all examples, >= 1.
    batch_size : int or None
        Examples per update, >= 1; the last batch of an epoch takes the rest. None: all of them.
    seed : int or numpy.random.Generator
        Draws the permutations and the dropout masks, on the host: the same on every backend.
    l2 : float
        The strength of the penalty l2/(2B) sum_l ||W[l]||^2, as in the source with the batch's B: the
        smaller the batches, the stronger it is. For a stack, also one number for each network.
    sample_weight : array (n_samples,), or (K, n_samples) for a stack; optional
        w_i >= 0. Every batch divides by the mean weight of all the data, not of its own rows, so that
        batches count by their weights.
    validation : (X, Y) or (X, Y, sample_weight), optional
        Data whose cost is computed at the end of every epoch.
    early_stopping : EarlyStopping, optional
        For one network, not for a stack. It may also stand among the callbacks.
    schedule : callable, optional
        ``schedule(step)`` is the learning rate of update 0, 1, ..., instead of the optimizer's; see
        `portable_nn.schedules`.
    callbacks : iterable
        Objects with ``on_epoch_end(state)``; see `Callback`.
    progress : bool
        Whether to show a progress bar (by tqdm); see `ProgressBar`.
    epoch_order : callable, optional
        ``epoch_order(epoch, n)``, epoch = 0, 1, ...: the rows of this epoch in their order, a non-empty
        1-d array of integers in 0..n-1, instead of a permutation.
    optimizer_state : OptimizerState, optional
        ``history.optimizer_state`` of the training that this one continues.
    dropout : float or schedule, or a list with one for each hidden layer
        The probability, in [0, 1), of leaving a hidden unit out for an example; what is kept is divided
        by 1 - rate. A schedule gives that of update 0, 1, .... Predictions and the validation cost use
        all units. For a stack a rate may be an array of the stack's shape, for all layers or, in a
        list, for each: ``[[0.1, 0.2], 0.3]``. Each network has masks of its own, drawn from one
        generator: other ones than if it trained alone.
    clip_norm : float or mapping, optional
        The largest norm of the gradient, over all parameters together, > 0; a longer gradient is
        shortened to it. For a stack, also one number for each network. ``{"weights": 5.0}`` limits the
        gradients of these arrays together, and no others: keys are those of the groups of `Optimizer`.
    stream : bool
        Whether X, Y and the weights stay on the host, as NumPy arrays or memory maps. Chunks of some
        32 MB (or one batch) are sent to the device of `params`, each while the device computes with the
        one before; the host needs memory for about four chunks. The results are those of data on the
        device; JAX, which compiles each number of steps separately, may round differently. Data may be
        larger than the device's memory and, in memory maps, than the host's: it is read once before
        training, to be checked; the order of the rows takes 8 bytes a row; the weights are moved as a
        whole, once, for their mean. Validation data may be on the host too.
    metrics : str, list of str, or dict, optional
        What is measured at the end of every epoch and recorded in ``history.metrics``: on the validation
        data if there is any, else on the training data, which costs another pass forward. Names are
        "accuracy", "r2", "mean_squared_error" and "mean_absolute_error"; a dict may also have functions,
        ``{"sure": lambda xp, A, Y: xp.max(A, axis=-1) > 0.9}``, which take predictions and targets in
        rows, (..., B, n_L), and give a number for each example, (..., B): its weighted mean is reported.
    resume : path of a checkpoint, or a Checkpoint, optional
        Go on from the newest complete checkpoint, which a training with the same arguments saved; the
        result is that of a training that was never interrupted: see `Checkpoint`. `params` are those
        that it began with. A `Checkpoint` that has saved nothing yet: begin.

    Returns
    -------
    params : list of (W, b)
        The trained ones, with the library, device and dtype of those given.
    history : History

    Raises
    ------
    TypeError, ValueError
        For arguments that are not of this form, before anything is trained; for what a schedule or an
        `epoch_order` returns later, in that epoch.
    FileNotFoundError, ModelFormatError
        If `resume` is a path without a checkpoint, or with none that can be read.
    NonFiniteCostError
        When an epoch ends with a cost, parameters or arrays of the optimizer (squares of gradients) that
        are not finite; it holds the last finite parameters.

    Warns
    -----
    UserWarning
        If training is interrupted (Ctrl-C) after the first epoch: the parameters of the last complete
        epoch are returned, ``history.stopped_by`` is "interrupt", and ``history.optimizer_state`` None
        unless there are callbacks. Before the first epoch is complete KeyboardInterrupt is raised.
    """
    check_network(net)
    check_flag("stream", stream)
    checked = check_parameters(net.described, net.loss, params)
    if not all(checked.backend.values_known(array) for array in checked.arrays.values()):
        raise TypeError(
            "`params` are being traced, by jax.jit or jax.grad; accepted: arrays with values; `fit` "
            "compiles its steps itself: call it outside, or trace `net.cost`"
        )
    training = Training(
        net,
        Adam() if optimizer is None else optimizer,  # type: ignore[arg-type]
        epochs,
        batch_size,
        l2=l2,
        clip_norm=clip_norm,
        dropout=dropout,
        metrics=metrics,
        schedule=schedule,  # type: ignore[arg-type]
        early_stopping=early_stopping,
        callbacks=callbacks,
        epoch_order=epoch_order,
        seed=seed,
        stack=checked.stack,
    )
    data = training_data(checked, Given(X, Y, sample_weight), stream)
    held_out = validation_data(checked, validation, stream)
    resumption = Resumption()
    if resume is not None or any(isinstance(each, Checkpoint) for each in training.callbacks):
        given = {"params": params, "X": [X], "Y": [Y], "sample_weight": [sample_weight]}
        given |= {"validation": list(validation or ()), "optimizer_state": list(optimizer_state or ())}
        arguments = arguments_of(training) | {name: fingerprint(trees) for name, trees in given.items()}
        resumption = resumed(resume, training, arguments)
    return run(training, checked, params, optimizer_state, data, held_out, progress, resumption)


@passing_stop_iteration
def run(
    training: Training,
    checked: Checked,
    params: Parameters,
    optimizer_state: OptimizerState | None,
    data: Source,
    validation: Source | None,
    progress: bool,
    resumption: Resumption,
) -> tuple[Parameters, History]:
    """Carry a training out, with its early stopping, callbacks and progress bar."""
    backend, is_fresh = checked.backend, optimizer_state is None
    if optimizer_state is None:
        optimizer_state = init_state(backend.xp, training.optimizer, params)
    else:
        optimizer_state = check_state(training.optimizer, params, optimizer_state, backend)
    owns_state = is_fresh and not training.keep_states
    params, optimizer_state = list(params), optimizer_state.nested_like(list(params))
    best = None if training.early_stopping is None else BestSoFar(training.early_stopping)
    history = History()
    state = TrainingState(training.epochs, params, history, optimizer_state)
    start = Start(params, optimizer_state, owns_state)
    if resumption.snapshot is not None:
        start = go_on(resumption.snapshot, state, best, backend)
    with progress_bar(progress) as bars:
        callbacks = checkpoints_last([*bars, *training.callbacks])
        loop = Loop(training, backend, start, data, validation, watcher(callbacks, state))

        def snapshot() -> Snapshot:
            net = training.net.described
            record = record_of(net, state, best, callbacks) | {"arguments": resumption.arguments}
            return Snapshot(loop.params, loop.state, loop.position, record, net=net)

        state.snapshot = snapshot
        call(callbacks, "on_train_begin", state)
        load_states(callbacks, resumption.states)
        try:
            for epoch in () if state.stopped else loop:
                number = state.epoch + 1
                if not epoch.is_sound:
                    raise NonFiniteCostError(NOT_FINITE.format(number), number, state.params, history)
                watched = record(history, epoch)
                state.epoch, state.params, state.optimizer_state = number, *epoch[:2]
                if best is not None and best.see(watched, number, state.params):
                    state.stop("early stopping")
                call(callbacks, "on_epoch_end", state)
                if state.stopped:
                    break
        except KeyboardInterrupt:
            if not state.epoch:
                raise
            interrupted(state, training.keep_states)
    if best is not None:
        history.best_epoch, state.params = best.epoch, best.choose(state.params)
    history.stopped_by, history.optimizer_state = state.stopped or "epochs", state.optimizer_state
    call(callbacks, "on_train_end", state)
    return state.params, history


def interrupted(state: TrainingState, keeps_states: bool) -> None:
    """Training ends with the last complete epoch; a warning says so.

    The optimizer's arrays of that epoch have been overwritten, unless they are kept for callbacks.
    """
    warnings.warn(
        f"training was interrupted in epoch {state.epoch + 1}; the parameters are those after epoch "
        f"{state.epoch}",
        stacklevel=6,
    )
    state.stopped, state.snapshot = "interrupt", None
    if not keeps_states:
        state.optimizer_state = None


def record(history: History, epoch: Epoch) -> Any:
    """Record an epoch; the cost that early stopping watches: the validation cost if there is one."""
    found = entries(epoch.costs)
    history.cost.append(found[0])
    history.validation_cost.extend(found[1:])
    for name, value in epoch.metrics.items():
        history.metrics.setdefault(name, []).extend(entries(value[None]))
    history.learning_rate.append(as_array(epoch.learning_rate))
    history.seconds.append(epoch.seconds)
    return found[-1]


NOT_FINITE = (
    "the cost, a parameter, or the square of a gradient that the optimizer keeps is NaN or infinite in "
    "epoch {}; the parameters before it are in this error's `params`; try a smaller learning rate, "
    "features of a smaller scale (standardise X), or another pair of output activation and loss"
)
