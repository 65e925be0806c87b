"""The training of a stack carried out: each network as if it were alone."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend
from portable_nn.equations import Parameters
from portable_nn.errors import NonFiniteCostError
from portable_nn.network.parameters import Checked
from portable_nn.optimizers import OptimizerState
from portable_nn.optimizers.optimizer import check_state, init_state
from portable_nn.training.callbacks import TrainingState, call
from portable_nn.training.checkpoints import checkpoints_last
from portable_nn.training.description import Training
from portable_nn.training.dropout import Rates
from portable_nn.training.early_stopping import BestOfEach
from portable_nn.training.history import History
from portable_nn.training.loop import Epoch, Loop, passing_stop_iteration
from portable_nn.training.passes import Block, Pass, bytes_of_batch
from portable_nn.training.progress import progress_bar
from portable_nn.training.running import NOT_FINITE, interrupted
from portable_nn.training.snapshots import Start
from portable_nn.training.some_networks import draws_of, of_some
from portable_nn.training.stack_arguments import check_own_weights
from portable_nn.training.stack_data import Members, behind_one_another, map_own, some_of, stack_data

Host = np.ndarray[Any, Any]


class Stacked(NamedTuple):
    """What a stack is trained with: parameters (*stack, ...), data, and the rows of each network."""

    params: Parameters
    optimizer_state: OptimizerState | None
    data: Any
    validation: Any
    rows: Sequence[Host] | None = None


@passing_stop_iteration
def run_stack(
    training: Training, checked: Checked, given: Stacked, progress: bool
) -> tuple[Parameters, History]:
    """Carry the training of a stack out, with its early stopping, callbacks and progress bar."""
    run = StackRun(training, checked, given)
    state = run.state
    with progress_bar(progress) as bars, run.networks:
        callbacks = checkpoints_last([*bars, *training.callbacks])
        call(callbacks, "on_train_begin", state)
        try:
            while not state.stopped and state.epoch < training.epochs:
                run.train_epoch()
                if training.callbacks:
                    state.params, state.optimizer_state = run.trained(), run.trained_state()
                call(callbacks, "on_epoch_end", state)
        except KeyboardInterrupt:
            if not state.epoch:
                raise
            run.is_interrupted = True
            interrupted(state, False)
    state.params, state.history.optimizer_state = run.trained(), run.trained_state()
    state.optimizer_state = state.history.optimizer_state
    state.history.stopped_by = state.stopped or "epochs"
    run.warn_of_divergence()
    call(callbacks, "on_train_end", state)
    return state.params, state.history


class StackRun:
    """The networks of a stack while they are trained, and what has become of each."""

    def __init__(self, training: Training, checked: Checked, given: Stacked) -> None:
        self.training, self.backend, self.stack = training, checked.backend, checked.stack
        self.count = math.prod(self.stack)
        state = given.optimizer_state
        is_fresh = state is None
        if state is None:
            state = init_state(self.backend.xp, training.optimizer, given.params)
        else:
            state = check_state(training.optimizer, given.params, state, self.backend)
        params = list(given.params)
        state = state.nested_like(params)
        self.history = History(last_epoch=np.zeros(self.stack, int), diverged=np.zeros(self.stack, bool))
        self.state = TrainingState(training.epochs, params, self.history, state)
        rule = training.early_stopping
        self.best = None if rule is None else BestOfEach(rule, self.count)
        flat = [tuple(map_own(self.flat, list(layer))) for layer in params]
        slots = tuple(map_own(self.flat, slot) for slot in state.slots)
        draws = draws_of(training)
        data = stack_data(self.backend, given.data.all, self.stack, given.rows)
        if given.rows is not None:
            check_own_weights(data.all, data.first[2], given.rows)
        held_out = given.validation
        validation = None if held_out is None else stack_data(self.backend, held_out.all, self.stack)
        self.sums = 1 if held_out is None else 2

        def make_loop(members: Members, start: Start) -> Loop:
            some = of_some(training, members, draws(members))
            judged = None if validation is None else validation.of(members)
            return Loop(some, self.backend, start, data.of(members), judged)

        keeps_best = rule is not None and rule.restore_best
        self.networks = Pass(
            self.backend,
            make_loop,
            Start(flat, OptimizerState(state.t, slots), is_fresh and not training.callbacks),
            [data.count(k) for k in range(self.count)],
            carried=flat if keeps_best else None,
            is_whole=draws_are_shared(training),
            may_use_threads=training.net.objective.user_functions == (),
            bytes_of_batch=bytes_of_batch(
                training.net.sizes, min(training.batch_size or data.n, data.n), checked.dtype
            ),
        )
        self.done: list[tuple[Members, Parameters]] = []  # networks that have left, with their arrays
        self.is_interrupted = False

    def flat(self, array: Any) -> Any:
        """An array (*stack, ...) as (K, ...)."""
        return self.backend.xp.reshape(array, (self.count, *array.shape[len(self.stack) :]))

    def train_epoch(self) -> None:
        """Train those that have not left for an epoch, and let those leave that are done."""
        number = self.state.epoch + 1
        started = time.perf_counter()
        found = self.networks.epoch()
        costs, rates = np.full((self.sums, self.count), np.nan), np.full(self.count, np.nan)
        measured = {name: np.full(self.count, np.nan) for name, _ in self.training.metrics}
        sound = np.zeros(self.count, bool)
        for block, epoch in found:
            going = ~self.networks.has_left[block.members]
            some = block.members[going]
            sound[some] = (epoch.finite & np.isfinite(epoch.costs).all(axis=0))[going]
            costs[:, some], rates[some] = epoch.costs[:, going], of_each(epoch, block)[going]
            for name, values in epoch.metrics.items():
                measured[name][some] = values[going]
        going = ~self.networks.has_left
        if not sound.any() and not (self.networks.has_left & ~self.history.diverged.reshape(-1)).any():
            raise NonFiniteCostError(
                NOT_FINITE.format(number), number, self.trained(before=True), self.history
            )
        self.history.diverged |= (going & ~sound).reshape(self.stack)
        self.history.last_epoch[(going & sound).reshape(self.stack)] = number
        costs[:, going & ~sound] = np.nan
        self.record(costs, measured, rates, time.perf_counter() - started)
        self.state.epoch = number
        for block, _ in found:
            self.judge(block, costs[-1], sound)
        if self.networks.is_over:
            self.state.stop("early stopping")

    def judge(self, block: Block, costs: Host, sound: Host) -> None:
        """Look at the networks of a block after an epoch: those that are done leave."""
        members, now = block.members, block.loop.params
        going = ~self.networks.has_left[members]
        has_diverged, stops = going & ~sound[members], np.zeros(len(members), bool)
        if self.best is not None:
            judged = going & sound[members]
            is_lowest, stops[judged] = self.best.see(
                members[judged], costs[members[judged]], self.state.epoch
            )
            if block.carried is not None:
                improved = np.zeros(len(members), bool)
                improved[judged] = is_lowest
                block.carried = self.chosen(improved, now, block.carried)
        if has_diverged.any():
            self.take(block, has_diverged, block.before if block.carried is None else block.carried)
        if stops.any():
            self.take(block, stops, now if block.carried is None else block.carried)

    def chosen(self, which: Host, these: Parameters, others: Parameters) -> Parameters:
        """The arrays of `these` for some networks, those of `others` for the rest."""
        if which.all():
            return these
        if not which.any():
            return others
        xp, mask = self.backend.xp, self.backend.asarray(which)[:, None, None]
        found: Parameters = map_own(lambda one, two: xp.where(mask, one, two), these, others)
        return found

    def take(self, block: Block, which: Host, params: Parameters) -> None:
        """These networks of a block leave, with these parameters."""
        self.done.append((block.members[which], some_of(self.backend, params, np.flatnonzero(which))))
        self.networks.leave(block.members[which])

    def record(self, costs: Host, measured: dict[str, Host], rates: Host, seconds: float) -> None:
        """Record an epoch; NaN for networks that have left."""
        history, shape = self.history, self.stack
        for curve, row in zip((history.cost, history.validation_cost), costs, strict=False):
            curve.append(row.reshape(shape))
        for name, values in measured.items():
            history.metrics.setdefault(name, []).append(values.reshape(shape))
        first = rates[~np.isnan(rates)]
        is_one = first.size and (first == first[0]).all()
        history.learning_rate.append(float(first[0]) if is_one else rates.reshape(shape))
        history.seconds.append(seconds)

    def trained(self, before: bool = False) -> trees.Tree:
        """The parameters of all networks, (*stack, ...); with `before` those before the last epoch."""
        pieces = list(self.done)
        for block in self.networks.blocks:
            going = np.flatnonzero(~self.networks.has_left[block.members])
            params = block.before if before or self.is_interrupted else block.loop.params
            if block.carried is not None:
                params = block.carried
            pieces.append((block.members[going], some_of_all(self.backend, params, going, block)))
        if self.best is not None:
            self.history.best_epoch = self.best.epoch.reshape(self.stack).copy()
        return self.in_order(pieces)

    def trained_state(self) -> OptimizerState | None:
        """The optimizer's state; None where networks have left, or made other numbers of updates."""
        blocks = self.networks.blocks
        steps = {block.loop.state.t for block in blocks}
        if self.is_interrupted or self.networks.has_left.any() or len(steps) != 1:
            return None
        pieces = [(block.members, block.loop.state.slots) for block in blocks]
        return OptimizerState(steps.pop(), self.in_order(pieces))

    def in_order(self, pieces: list[tuple[Members, trees.Tree]]) -> trees.Tree:
        """Arrays of all networks, which are those of several stacks, in the stack's own shape."""
        members = np.concatenate([some for some, _ in pieces])
        whole = behind_one_another(self.backend, [tree for _, tree in pieces])
        if not np.array_equal(members, np.arange(self.count)):
            whole = some_of(self.backend, whole, np.argsort(members))
        xp, stack = self.backend.xp, self.stack
        return map_own(lambda array: xp.reshape(array, (*stack, *array.shape[1:])), whole)

    def warn_of_divergence(self) -> None:
        """Warn where networks have diverged while others went on."""
        which = np.argwhere(self.history.diverged)
        if len(which):
            names = [int(one[0]) if len(one) == 1 else tuple(map(int, one)) for one in which]
            shown = f"{names[:5]}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            warnings.warn(
                f"{len(names)} of the {self.count} networks have diverged: {shown}; their parameters "
                "are the last finite ones (the best with early stopping), and `history.last_epoch` "
                "tells when that was; the others have been trained as if they were alone",
                stacklevel=6,
            )


def some_of_all(backend: Backend, tree: trees.Tree, going: Members, block: Block) -> trees.Tree:
    """Arrays of some of a block's networks; all of them as they are."""
    return tree if len(going) == len(block.members) else some_of(backend, tree, going)


def of_each(epoch: Epoch, block: Block) -> Host:
    """The learning rate of each network of a block."""
    return np.broadcast_to(np.asarray(epoch.learning_rate, float), (len(block.members),))


def draws_are_shared(training: Training) -> bool:
    """Whether all networks draw from one generator what they do not share: dropout masks."""
    return any(Rates(training.dropout).drops) and not training.has_own_draws
