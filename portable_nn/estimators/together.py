"""Several estimators trained together: those of one structure are one stack.

Each follows scikit-learn's rules by itself, by the same functions as one that is trained alone, and
leaves the stack when it is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, MutableMapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import dtype_name
from portable_nn.checks import is_schedule
from portable_nn.equations import Parameters
from portable_nn.estimators.gathering import Member
from portable_nn.estimators.kept import Kept, key_of
from portable_nn.estimators.minibatches import Shuffles, check_finite, ends, record, settle, training_of
from portable_nn.estimators.resuming import Course, values_of
from portable_nn.optimizers import OptimizerState
from portable_nn.training.callbacks import TrainingState
from portable_nn.training.data import DeviceSource
from portable_nn.training.description import Training
from portable_nn.training.draws import Buffer, Piece, Shape, separate_pieces
from portable_nn.training.dropout import Rates
from portable_nn.training.history import History
from portable_nn.training.loop import Epoch, Loop
from portable_nn.training.passes import Block, Pass, bytes_of_batch
from portable_nn.training.snapshots import Start
from portable_nn.training.some_networks import as_stack
from portable_nn.training.stack_data import Members, RowsSource, joined

Rows = np.ndarray[Any, Any]
MANY = 4  # networks that make a block worth having
KeptTrainings = MutableMapping[Hashable, Kept]


def train_together(members: Sequence[Member], kept: KeptTrainings | None = None) -> int:
    """Train the estimators of the members; how many stacks that took.

    What a training ends with is in ``member.error``; the others go on as if it had not been there. With
    `kept`, a training that has come as far as another one before goes on from there, and what is trained
    now is put there: of the same estimator, but for `max_iter`, the same data and the same draws.
    """
    stacks: dict[Hashable, list[Follower]] = {}
    for member in members:
        try:
            follower = Follower(member, kept)
        except Exception as error:
            member.error = error
            continue
        if not follower.is_over:
            stacks.setdefault(follower.structure, []).append(follower)
    for followers in stacks.values():
        train_stack(followers)
    return len(stacks)


class Follower:
    """An estimator while its network is trained in a stack: what one trained alone goes by."""

    def __init__(self, member: Member, kept: KeptTrainings | None) -> None:
        self.member, self.estimator, self.problem = member, member.estimator, member.problem
        e = self.estimator
        self.first: Parameters = e._params()
        self.kept, self.key = kept, None
        if kept is not None:
            self.key = key_of(e, self.problem, self.first)
        self.course = Course(TrainingState(e.max_iter, self.first, History(), None))
        e.n_iter_, e.stopped_early_ = 0, False
        self.training: Training = training_of(e, self.problem, False, e.max_iter)
        self.shuffles: Shuffles = self.training.draws  # type: ignore[assignment]
        self.is_over = False
        if kept is not None and self.key in kept:
            kept[self.key].restore(e, self.course, self.shuffles)
            if self.course.is_over or e.n_iter_ >= e.max_iter:
                self.end()

    @property
    def structure(self) -> Hashable:
        """What networks of one stack have in common; all else may differ."""
        e, training, data = self.estimator, self.training, self.problem.train.all
        optimizer, held_out = training.optimizer, self.problem.validation
        options = [getattr(optimizer, each.name) for each in fields(optimizer)]
        return (
            *(self.problem.backend, self.problem.net, training.smoothing),
            *(dtype_name(data.X.dtype), dtype_name(data.Y.dtype), data.Y.shape[-1]),
            (data.weight is None, held_out is None, held_out and held_out.all.weight is None),
            (type(optimizer), optimizer.slots, training.clip_norm is None),
            tuple(o for o in options if isinstance(o, bool) or not isinstance(o, (int, float))),
            tuple(map(is_schedule, training.dropout)),
            (e.n_iter_, e._optimizer.state.t),  # how far they have come
        )

    @property
    def how_batched(self) -> Hashable:
        """How the rows make batches: the same for all networks of one block."""
        held_out = self.problem.validation
        return self.problem.n, self.training.batch_size, None if held_out is None else held_out.n

    @cached_property
    def order_of_rows(self) -> Hashable:
        """What decides which rows each batch has: the same for candidates of a search in one fold.

        Dropout masks come from the generator that shuffles: who draws some for other layers, or none,
        has other orders from the second epoch on.
        """
        problem = self.problem
        own = None if problem.rows is None else problem.rows.tobytes()
        drawn = None if not self.estimator.shuffle else repr(values_of(self.shuffles.state()["random"]))
        masked = None if drawn is None else tuple(Rates(self.training.dropout).drops)
        return own, drawn, masked

    def see(self, epoch: Epoch) -> bool:
        """Take note of an epoch; whether it was the last one."""
        e = self.estimator
        try:
            check_finite(e, epoch, False, self.course.state.history)
            record(e, epoch, self.problem, self.course)
            if e._best is not None and e._best is epoch.params:
                e._best = self.own(epoch.params)
            return ends(e, self.course, False) or e.n_iter_ >= e.max_iter
        except Exception as error:
            self.member.error = error
            return True

    def leave(self, params: Parameters, state: OptimizerState) -> None:
        """The network leaves the stack, with arrays of its own."""
        e = self.estimator
        e._set_params(self.own(params))
        if self.member.error is None:
            e._optimizer.state = OptimizerState(state.t, self.own(state.slots))
            if self.kept is not None:
                self.kept[self.key] = Kept(e, self.course, self.shuffles)
            self.end()

    def end(self) -> None:
        """The training is over: with early stopping, back to the best weights."""
        self.is_over, e = True, self.estimator
        if e.early_stopping:
            settle(e, self.first, self.course.is_finite, self.course.state)

    def own(self, tree: trees.Tree) -> trees.Tree:
        """Copies, which hold no memory of the whole stack."""
        return trees.map(self.problem.backend.duplicate, tree)


class StackShuffles:
    """See `Draws`: each network's own, of rows that begin at `starts` in the data of all.

    With `in_step` all draw the same and learn from the same rows.
    """

    def __init__(self, shuffles: Sequence[Shuffles], starts: Rows, in_step: bool) -> None:
        self.shuffles, self.starts, self.in_step = shuffles, starts, in_step
        self.buffer = Buffer()

    def order(self, epoch: int, n: int) -> Rows:
        orders = [own.order(epoch, n) for own in self.shuffles]
        rows: Rows = (
            orders[0] + self.starts[0] if self.in_step else np.stack(orders) + self.starts[:, None]
        )
        return rows

    def uniform(self, batches: int, shapes: Sequence[Shape], drops: Sequence[Rows]) -> Iterator[Piece]:
        fills = [own.fill for own in self.shuffles]
        return separate_pieces(fills, self.buffer, batches, shapes, drops)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to do: the shuffles are the estimators' own."""


def train_stack(followers: Sequence[Follower]) -> None:
    """Train the networks of these estimators, which are of one structure, until all have left."""
    one = followers[0]
    backend, xp = one.problem.backend, one.problem.backend.xp
    data, starts = joined(backend, [f.problem.train.all for f in followers])
    params = stacked(xp, [f.estimator._params() for f in followers])
    slots = stacked(xp, [f.estimator._optimizer.state.slots for f in followers])
    held_out = [f.problem.validation for f in followers]
    judged = first_judged = None
    if one.problem.validation is not None:
        judged, first_judged = joined(backend, [source.all for source in held_out if source])
        judged = judged._replace(mean_weight=None)

    def make_loop(members: Members, start: Start) -> Loop:
        some = [followers[k] for k in members]
        in_step = len({f.order_of_rows for f in some}) == len(set(starts[members].tolist())) == 1
        draws = StackShuffles([f.shuffles for f in some], starts[members], in_step)
        validation = None
        if judged is not None and first_judged is not None:
            count = some[0].problem.validation.n
            rows = first_judged[members][:, None] + np.arange(count)
            validation = RowsSource(backend, judged, (rows, rows, rows))
        training = as_stack([f.training for f in some], draws)
        return Loop(training, backend, start, DeviceSource(data), validation)

    e = one.estimator
    start = Start(params, OptimizerState(e._optimizer.state.t, slots), True, epoch=e.n_iter_)
    size = bytes_of_batch(one.problem.net.sizes, one.training.batch_size or one.problem.n, data.X.dtype)
    kinds = kinds_of(followers, starts)
    is_built_in = one.problem.net.objective.user_functions == ()
    options: dict[str, Any] = {"bytes_of_batch": size, "may_use_threads": is_built_in}
    with Pass(backend, make_loop, start, kinds, **options) as networks:
        while not networks.is_over:
            for block, epoch in networks.epoch():
                going = np.flatnonzero(~networks.has_left[block.members])
                own = [(int(i), followers[block.members[i]]) for i in going]
                leaving = [i for i, follower in own if goes(follower, block, epoch, i)]
                networks.leave(block.members[leaving])


def kinds_of(followers: Sequence[Follower], starts: Rows) -> list[Hashable]:
    """What the networks of one block have in common.

    Where many networks see the same batches, they are in blocks of their own: such batches are gathered
    once for all of them.
    """
    same = [(f.order_of_rows, start) for f, start in zip(followers, starts.tolist(), strict=True)]
    many = {key for key, count in Counter(same).items() if count >= MANY}
    return [
        (f.how_batched, key if key in many else None) for f, key in zip(followers, same, strict=True)
    ]


def goes(follower: Follower, block: Block, epoch: Epoch, i: int) -> bool:
    """Whether network i of a block leaves after this epoch; it takes its arrays with it then."""
    rates = np.asarray(epoch.learning_rate)
    mine = epoch._replace(
        params=[] if follower.problem.judge is None else trees.at(epoch.params, i),
        costs=epoch.costs[:, i],
        finite=epoch.finite[i],
        learning_rate=float(rates[i] if rates.ndim else rates),
    )
    if not mine.is_sound:  # what an error says they were
        follower.estimator._set_params(trees.at(block.before, i))
    elif mine.params:  # what a scorer predicts with
        follower.estimator._set_params(mine.params)
    if not follower.see(mine):
        return False
    last = block.before if follower.member.error is not None else epoch.params
    slots = trees.at(epoch.optimizer_state.slots, i)
    follower.leave(trees.at(last, i), OptimizerState(epoch.optimizer_state.t, slots))
    return True


def stacked(xp: Any, each: Sequence[trees.Tree]) -> trees.Tree:
    """Arrays of several networks as those of a stack, (K, ...)."""
    return trees.map(lambda *arrays: xp.stack(arrays), *each)
