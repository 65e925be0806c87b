"""fit: checked arguments in, trained parameters and a history out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from portable_nn.backends import with_own_settings
from portable_nn.checks import Given, Value, check_flag, check_whole
from portable_nn.distributed import Communicator
from portable_nn.distributed.agreement import failing_together, of_root
from portable_nn.distributed.communicator import is_first
from portable_nn.equations import Array, Parameters
from portable_nn.errors import naming_ours
from portable_nn.network import Network
from portable_nn.network.parameters import Checked, check_parameters
from portable_nn.optimizers import Adam, Optimizer, OptimizerState
from portable_nn.schedules import Schedule
from portable_nn.training.arguments import arguments_of
from portable_nn.training.checkpoints import Checkpoint
from portable_nn.training.data import training_data, validation_data
from portable_nn.training.description import Training, check_network
from portable_nn.training.draws import ShardDraws
from portable_nn.training.early_stopping import EarlyStopping
from portable_nn.training.history import History
from portable_nn.training.per_network import check_seed
from portable_nn.training.resuming import read_snapshot, resumed
from portable_nn.training.running import run
from portable_nn.training.running_stacks import Stacked, run_stack
from portable_nn.training.several_processes import (
    Lengths,
    Placed,
    check_alone,
    check_same,
    joined,
    part_of,
    seed_as_values,
    shared_source,
    with_shards,
)
from portable_nn.training.shared_data import shards_in_order
from portable_nn.training.stack_arguments import (
    check_in_step,
    check_own_rows,
    seeds_for_rows,
    why_together,
)


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
    seed: Any = 0,
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
    rows: Any = None,
    communicator: Communicator | None = None,
    shard: tuple[int, int, int] | None = None,
) -> tuple[Parameters, History]:
    """Train by mini-batches; changes none of the arrays that it is given.

    Parameters
    ----------
    net : Network
    params : list of (W, b)
        Where training starts. A stack is trained in one pass; each of its networks becomes what it
        would become alone, with its own seed, rows and numbers (on NumPy to the bit).
    X, Y : array, (n_samples, n_0) and (n_samples, n_L)
        For a stack they may have its axes in front, (*stack, n_samples, n_0), or 1 in the place of
        those along which networks share what they learn from.
        Of the dtype of `params`, or of integers or booleans; for categorical_cross_entropy Y may be the
        indices of classes, (n_samples,): see `Network`. Batches are cast, and made one-hot, on the
        device, one by one.
    optimizer : Optimizer, or the name of one
        By default ``Adam()``; "sgd", "rmsprop", "adam" and "adamw" are those with their defaults.
    epochs : int
        The number of passes over all examples, >= 1.
    batch_size : int or None
        Examples per update, >= 1; the last batch of an epoch takes the rest. None: all of them.
    seed : int or numpy.random.Generator; for a stack also one for each network
        Draws the permutations and the dropout masks, on the host: the same on every backend. With one
        seed the networks of a stack see the same batches; masks differ from network to network.
    l2 : float
        The strength of the penalty l2/(2B) sum_l ||W[l]||^2, as in the source with the batch's B: the
        smaller the batches, the stronger it is. For a stack, also one number for each network.
    sample_weight : array (n_samples,), or (K, n_samples) for a stack; optional
        w_i >= 0. Every batch divides by the mean weight of all the data, not of its own rows, so that
        batches count by their weights.
    validation : (X, Y) or (X, Y, sample_weight), optional
        Data whose cost is computed at the end of every epoch.
    early_stopping : EarlyStopping, optional
        Of a stack each network stops by itself, and leaves the work. It may also stand among the
        callbacks.
    schedule : callable, optional; for a stack also one for each network
        ``schedule(step)`` is the learning rate of update 0, 1, ..., instead of the optimizer's; see
        `portable_nn.schedules`.
    callbacks : iterable
        Objects with ``on_epoch_end(state)``; see `Callback`.
    progress : bool
        Whether to show a progress bar (by tqdm); see `ProgressBar`.
    epoch_order : callable, optional
        ``epoch_order(epoch, n)``, epoch = 0, 1, ...: the rows of this epoch in their order, a non-empty
        1-d array of integers in 0..n-1, instead of a permutation; for a stack also (*stack, m).
    optimizer_state : OptimizerState, optional
        ``history.optimizer_state`` of the training that this one continues.
    dropout : float or schedule, or a list with one for each hidden layer
        The probability, in [0, 1), of leaving a hidden unit out for an example; what is kept is divided
        by 1 - rate. A schedule gives that of update 0, 1, .... Predictions and the validation cost use
        all units. For a stack a rate may be an array of the stack's shape, for all layers or, in a
        list, for each: ``[[0.1, 0.2], 0.3]``. With one `seed` the masks of all are drawn from one
        generator: other ones than if a network trained alone.
    clip_norm : float or mapping, optional
        The largest norm of the gradient, over all parameters together, > 0; a longer gradient is
        shortened to it. For a stack, also one number for each network. ``{"weights": 5.0}`` limits the
        gradients of these arrays together, and no others: keys are those of the groups of `Optimizer`.
    stream : bool
        Whether X, Y and the weights stay on the host, as NumPy arrays, memory maps or stores: anything
        with `shape`, `dtype` and slices of rows, such as arrays of zarr, h5py and dask, `ParquetRows`,
        and the `Columns` of one. Chunks of some 32 MB (or one batch) are sent to the device of `params`,
        each while the device computes with the one before; the host needs memory for about four chunks,
        and two more for each store. The results are those of data on the device; JAX, which compiles for
        each number of rows sent, may round differently. Data may be larger than the device's memory and,
        in memory maps and stores, than the host's: it is read once before training, to be checked; the
        order of the rows takes 8 bytes a row; the weights are moved as a whole, once, for their mean. Of
        a store a permutation reads all for every few batches: give `epoch_order` a `WindowShuffle`, in
        which an epoch reads every row once. Validation data may be on the host too.
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
    rows : list of integer arrays, one for each network of a stack; optional
        The rows of X, Y and the weights that each network learns from, such as folds or bootstrap
        samples; of any lengths, and a row may come more than once. X is not copied for it. Without a
        seed for each network each draws from a generator of its own with this one `seed`. To judge each
        by rows of its own, give `validation` weights (K, n_samples) that are 0 elsewhere. Rows, and a
        seed or an end for each network, are refused with `stream`, a `Checkpoint` and `resume`, and
        where networks share weights. `epoch_order` is asked for each number of rows.
    communicator : Communicator, optional
        The processes that train this network together, each of which calls `fit` with the same
        arguments: ``portable_nn.distributed.mpi()`` or ``.torch()``. Every process draws the same order
        of all rows and takes its part of each batch; the gradients are added up. The result is that of
        one process, to rounding, whatever the number of processes is, and has the same bits in all.
        Process 0 calls the callbacks, draws the bar and writes checkpoints; a callback with the
        attribute ``every_rank = True`` is called in every process. One network, without BatchNorm.
    shard : (start, stop, n), optional
        Of several processes: X, Y and `sample_weight` are the rows start..stop-1 of n, and those of the
        processes follow one another. Every batch then takes from each shard its part, so the order of
        the rows, and the result, depend on the shards. Validation data are the same in all processes.

    Returns
    -------
    params : list of (W, b)
        The trained ones, with the library, device and dtype of those given.
    history : History

    Raises
    ------
    TypeError, ValueError
        For arguments that are not of this form, before anything is trained; for what a schedule or an
        `epoch_order` returns later, in that epoch. With a `communicator`, where one process was given
        other arguments than the first.
    OtherProcessError
        If another process has raised an error before training. One that is raised later ends all
        processes.
    FileNotFoundError, ModelFormatError
        If `resume` is a path without a checkpoint, or with none that can be read.
    NonFiniteCostError
        When an epoch ends with a cost, parameters or arrays of the optimizer (squares of gradients) that
        are not finite; it holds the last finite parameters. Of a stack: when this has happened to all.

    Warns
    -----
    UserWarning
        If some networks of a stack diverge: they keep their last finite parameters, or the best ones,
        and the others go on (see ``history.diverged``).
        If training is interrupted (Ctrl-C) after the first epoch: the parameters of the last complete
        epoch are returned, ``history.stopped_by`` is "interrupt", and ``history.optimizer_state`` None
        unless there are callbacks. Before the first epoch is complete KeyboardInterrupt is raised.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> Y = (X[:, :1] * X[:, 1:] > 0).astype("float64")
    >>> net = pnn.Network((2, 16, 1), ("relu", "sigmoid"), "binary_cross_entropy")
    >>> params, history = pnn.fit(net, net.initialize(dtype="float64"), X, Y, epochs=60, batch_size=20,
    ...                           optimizer=pnn.Adam(0.01), metrics="accuracy")
    >>> history.cost[-1] < 0.2, history.metrics["accuracy"][-1] > 0.95
    (True, True)
    """
    group, lengths = joined(communicator, shard, X)
    snapshot, arguments = None, None
    with failing_together(group):
        check_flag("stream", stream)
        checked = check_trainable(net, params, communicator)
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
            seed=seed if rows is None else seeds_for_rows(seed, checked.stack),
            stack=checked.stack,
            draws=draws_of_shards(lengths, seed, batch_size),  # type: ignore[arg-type]
            communicator=group,
        )
        has_checkpoint = any(isinstance(each, Checkpoint) for each in training.callbacks)
        why = why_together(checked, stream, has_checkpoint or resume is not None)
        if why is not None and checked.stack:
            own_seeds = seed if training.has_own_draws else None
            check_in_step(why, checked.stack, early_stopping=early_stopping, rows=rows, seed=own_seeds)
        given = Given(X, Y, sample_weight, part=part_of(group, lengths))
        data = training_data(checked, given, stream, epoch_order)
        held_out = validation_data(checked, validation, stream, part_of(group))
        own = None if rows is None else check_own_rows(rows, checked.stack, data.n)
        if resume is not None or has_checkpoint or group is not None:
            named = {"params": params, "validation": list(validation or ())}
            named |= {"optimizer_state": list(optimizer_state or ())}
            named |= {"X": [X], "Y": [Y], "sample_weight": [sample_weight]}
            arguments = arguments_of(training, named)
        if resume is not None and is_first(group):
            snapshot = read_snapshot(resume, "fit")
    if checked.stack and why is None:
        stacked = Stacked(params, optimizer_state, data, held_out, own)
        return run_stack(training, checked, stacked, progress)
    if group is not None and arguments is not None:
        arguments = with_shards(group, arguments, lengths)
        check_same(group, checked.backend, arguments | seed_as_values(seed) | {"epochs": epochs})
        snapshot = of_root(group, snapshot)
        placed = Placed(checked.backend, checked.dtype)
        data = shared_source(data, group, placed, lengths)
        held_out = held_out and shared_source(held_out, group, placed)
    with failing_together(group):
        resumption = resumed(snapshot, training, arguments)
    return run(training, checked, params, optimizer_state, data, held_out, progress, resumption)


def check_trainable(net: Network, params: Parameters, communicator: Communicator | None) -> Checked:
    """The parameters, checked; TypeError or ValueError for those that `fit` cannot train."""
    check_network(net)
    checked = check_parameters(net.described, net.loss, params)
    check_alone(net, checked.stack, communicator)
    if not all(checked.backend.values_known(array) for array in checked.arrays.values()):
        raise TypeError(
            "`params` are being traced, by jax.jit or jax.grad; accepted: arrays with values; `fit` "
            "compiles its steps itself: call it outside, or trace `net.cost`"
        )
    return checked


def draws_of_shards(lengths: Lengths | None, seed: Any, batch_size: int | None) -> ShardDraws | None:
    """What orders of rows in shards are drawn from; None where every process has all rows."""
    if lengths is None:
        return None
    size = sum(lengths) if batch_size is None else check_whole("batch_size", batch_size, 1)
    shards = shards_in_order(lengths, size)
    return ShardDraws(check_seed(seed), shards)
