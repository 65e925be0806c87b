"""A training carried out: the loop with its early stopping, callbacks and progress bar."""

from __future__ import annotations

import warnings
from typing import Any

from portable_nn.checks import as_array
from portable_nn.distributed.agreement import ending_together, failing_together
from portable_nn.distributed.communicator import is_first
from portable_nn.equations import Parameters
from portable_nn.errors import NonFiniteCostError
from portable_nn.network.parameters import Checked
from portable_nn.optimizers import OptimizerState
from portable_nn.optimizers.optimizer import check_state, init_state
from portable_nn.training.callbacks import TrainingState, agree_to_stop, call, called_here, watcher
from portable_nn.training.checkpoints import checkpoints_last
from portable_nn.training.data import Source
from portable_nn.training.description import Training
from portable_nn.training.early_stopping import BestSoFar
from portable_nn.training.history import History, entries
from portable_nn.training.loop import Epoch, Loop, passing_stop_iteration
from portable_nn.training.progress import progress_bar
from portable_nn.training.resuming import Resumption, go_on, load_states, record_of
from portable_nn.training.snapshots import Snapshot, Start


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
    group = training.communicator
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
    with progress_bar(progress and is_first(group)) as bars, ending_together(group):
        callbacks = checkpoints_last([*bars, *called_here(training.callbacks, group)])
        loop = Loop(training, backend, start, data, validation, watcher(callbacks, state))

        def snapshot() -> Snapshot:
            net = training.net.described
            record = record_of(net, state, best, callbacks) | {"arguments": resumption.arguments}
            return Snapshot(loop.params, loop.state, loop.position, record, net=net)

        state.snapshot = snapshot
        with failing_together(group):
            call(callbacks, "on_train_begin", state)
            load_states(callbacks, resumption.states if is_first(group) else ())
        agree_to_stop(group, state)
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
                agree_to_stop(group, state)
                if state.stopped:
                    break
        except KeyboardInterrupt:
            if not state.epoch or group is not None:
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
