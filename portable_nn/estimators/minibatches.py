"""Training an estimator by mini-batches, with scikit-learn's rules on when to stop and what to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portable_nn.distributed.agreement import failing_together
from portable_nn.distributed.communicator import is_first
from portable_nn.equations import Parameters
from portable_nn.errors import ModelFormatError, NonFiniteCostError
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.conventions import optimizer
from portable_nn.estimators.optimization import Optimization
from portable_nn.estimators.problem import NOT_FINITE, NOT_YET, Problem
from portable_nn.estimators.resuming import Course, go_on, record_of
from portable_nn.estimators.several_processes import agreed_score
from portable_nn.estimators.warning import warn
from portable_nn.optimizers.optimizer import init_state
from portable_nn.schedules import Schedule
from portable_nn.training.callbacks import TrainingState, agree_to_stop, watcher
from portable_nn.training.data import Source
from portable_nn.training.description import Training
from portable_nn.training.draws import Buffer, Piece, Shape, check_generator_state, joint_pieces
from portable_nn.training.history import History
from portable_nn.training.loop import Epoch, Loop, passing_stop_iteration
from portable_nn.training.resuming import Resumption, load_states
from portable_nn.training.running import record as record_history
from portable_nn.training.several_processes import Placed, shared_source
from portable_nn.training.snapshots import Snapshot, Start

Rows = np.ndarray[Any, Any]


class Shuffles:
    """Draws as scikit-learn makes them: each epoch it shuffles the order of the last one.

    Its function `shuffle` draws the same numbers; to check its arguments it takes half a millisecond.
    """

    def __init__(self, e: MLPAttributes, problem: Problem) -> None:
        self.shuffles, self.random, self.rows = e.shuffle, problem.random, problem.rows
        self.index, self.buffer = np.arange(problem.n, dtype=int), Buffer()
        if e._lead:
            self.index = np.tile(self.index, (*e._lead, 1))

    def order(self, epoch: int, n: int) -> Rows:
        if self.shuffles and self.index.ndim == 1:
            self.index = self.shuffled(self.index)
        elif self.shuffles:  # batches of its own for each of several networks
            self.index = np.stack([self.shuffled(own) for own in [*self.index]])
        return self.index if self.rows is None else self.rows[self.index]

    def shuffled(self, index: Rows) -> Rows:
        """The entries in another order."""
        places = np.arange(len(index))
        self.random.shuffle(places)
        return index[places]

    def uniform(self, batches: int, shapes: Sequence[Shape], drops: Sequence[Rows]) -> Iterator[Piece]:
        return joint_pieces(self.fill, self.buffer, batches, shapes)

    def fill(self, out: Rows) -> None:
        """Overwrite `out` with the next numbers in [0, 1)."""
        out[...] = self.random.random_sample(out.shape)

    def state(self) -> dict[str, Any]:
        return {"index": self.index, "random": self.random.get_state(legacy=False)}

    def restore(self, state: dict[str, Any]) -> None:
        if not np.array_equal(np.sort(state["index"]), np.sort(self.index)):
            raise ModelFormatError("a checkpoint has an order that is none of these rows; train anew")
        check_generator_state(state["random"])
        self.index = state["index"]
        self.random.set_state(state["random"])


@passing_stop_iteration
def train(
    e: MLPAttributes, problem: Problem, incremental: bool, callbacks: Callbacks, resumption: Resumption
) -> None:
    """Train the estimator `e`, one epoch if `incremental`; its fitted attributes tell how it went."""
    first, before = e._params(), e.n_iter_
    state = TrainingState(1 if incremental else e.max_iter, first, History(), None)
    course, group = Course(state, communicator=problem.communicator), problem.communicator
    e.n_iter_, e.stopped_early_ = 0, False
    loop = begin(e, problem, incremental, course, callbacks.ours, resumption)
    with failing_together(group):
        callbacks.begin(state)
        load_states(callbacks.ours, resumption.states if is_first(group) else ())
    agree_to_stop(group, state)
    try:
        epochs = iter(loop)
        while not course.is_over and e.n_iter_ < state.epochs:
            callbacks.begin_iteration()
            epoch = next(epochs)
            check_finite(e, epoch, incremental, state.history)
            e._set_params(epoch.params)
            e._optimizer.state = epoch.optimizer_state
            record(e, epoch, problem, course)
            state.params, state.optimizer_state = epoch.params, epoch.optimizer_state
            if callbacks.end_iteration(state) or ends(e, course, incremental):
                break
    except KeyboardInterrupt:
        if group is not None:
            raise
        warn("Training interrupted by user.", UserWarning)
        state.snapshot = None  # an epoch is half done
        if incremental and state.epoch == 0:  # nothing has been learned: all is as before this call
            e.n_iter_ = before
    if e.early_stopping and (not incremental or e.stopped_early_):
        settle(e, first, course.is_finite, state)
        state.params = e._params()
        if incremental:
            e._no_improvement_count = 0
    state.history.stopped_by = state.stopped or "epochs"
    callbacks.end(state)


def ends(e: MLPAttributes, course: Course, incremental: bool) -> bool:
    """Whether the training ends here; a warning says why, where it might still improve."""
    if not course.is_finite:
        warn(f"Stochastic Optimizer: the training diverged in iteration {e.n_iter_}.")
    if course.is_over or incremental:
        return True
    if course.is_late(e.max_time):
        warn(f"Stochastic Optimizer: Maximum time ({e.max_time} s) reached{NOT_YET}")
        return True
    if e.n_iter_ == e.max_iter:
        warn(f"Stochastic Optimizer: Maximum iterations ({e.max_iter}) reached{NOT_YET}")
    return False


def settle(e: MLPAttributes, first: Parameters, finite: bool, state: TrainingState) -> None:
    """Go back to the weights that scored best in this call of fit; where none did, keep the last."""
    scores = e.validation_scores_[len(e.validation_scores_) - state.epoch :]
    if e._best is not None:
        e._set_params(e._best)
    elif not finite:
        e._set_params(first)  # the training has diverged
    elif scores and np.isnan(scores).all():
        warn("No validation score was a number: the weights of the last epoch are kept.")


def begin(
    e: MLPAttributes,
    problem: Problem,
    incremental: bool,
    course: Course,
    callbacks: Sequence[Any],
    resumption: Resumption,
) -> Loop:
    """The epochs to come, from the estimator's parameters, from where it left off if `incremental`, or
    from a checkpoint.
    """
    params, backend = e._params(), problem.backend
    training = training_of(e, problem, incremental, course.state.epochs)
    start, state = Start(params, e._optimizer.state), course.state
    if resumption.snapshot is not None:
        start = go_on(e, course, resumption.snapshot, backend)
    state.optimizer_state = e._optimizer.state
    watch = watcher(callbacks, state)
    train: Source = problem.train
    validation: Source | None = problem.validation
    group = problem.communicator
    if group is not None:
        placed = Placed(backend, problem.train.all.X.dtype)
        train = shared_source(train, group, placed)
        validation = validation and shared_source(validation, group, placed)
    loop = Loop(training, backend, start, train, validation, watch)

    def snapshot() -> Snapshot:
        kept = {"arguments": resumption.arguments, "random": problem.random_start}
        kept |= record_of(e, course, callbacks)
        return Snapshot(loop.params, loop.state, loop.position, kept, type(e).__name__)

    state.snapshot = None if incremental else snapshot
    return loop


def training_of(e: MLPAttributes, problem: Problem, incremental: bool, epochs: int) -> Training:
    """How the estimator is trained; its optimizer begins anew unless `incremental`."""
    rule, params = optimizer(e), e._params()
    last: Optimization | None = e._optimizer if incremental else None
    if last is not None:
        last.follow(e)
    if last is None or last.solver != e.solver or len(last.state.slots) != rule.slots:
        e._optimizer = Optimization(e, init_state(problem.backend.xp, rule, params))
    return Training(
        problem.net,
        rule,
        epochs,
        batch_size(e, problem.n),
        l2=e.alpha,
        clip_norm=e.clip_norm,
        dropout=e.dropout,
        schedule=rate_of(e),
        stack=e._lead,
        draws=Shuffles(e, problem),
        smoothing=problem.smoothing,
        keep_states=True,
        communicator=problem.communicator,
    )


def rate_of(e: MLPAttributes) -> Schedule:
    """The learning rate as a function of the update; for 'sgd' see also `conventions.optimizer`."""
    rate: Schedule = e._optimizer.rate if e.schedule is None else e.schedule
    networks = e._networks
    return rate if networks == 1 or e.solver != "sgd" else lambda step: rate(step) / networks


def batch_size(e: MLPAttributes, n: int) -> int:
    """Rows per batch."""
    if e.batch_size == "auto":
        return min(200, n)
    rows = int(e.batch_size)
    if rows > n:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            UserWarning,
        )
    return min(rows, n)


def check_finite(e: MLPAttributes, epoch: Epoch, incremental: bool, history: History) -> None:
    """Raise NonFiniteCostError, a ValueError, unless the best parameters will be returned to."""
    best_remain = e.early_stopping and not incremental
    if not best_remain and not epoch.is_sound:
        number = e.n_iter_ + 1
        raise NonFiniteCostError(NOT_FINITE.format(number), number, e._params(), history)


def record(e: MLPAttributes, epoch: Epoch, problem: Problem, course: Course) -> None:
    """Store the outcome of an epoch in the fitted attributes, and look whether it was the last one."""
    course.is_finite = bool(epoch.finite.all())
    e.n_iter_ += 1
    e.t_ += problem.n
    e.loss_ = mean_cost(epoch.costs[0])
    e.loss_curve_.append(e.loss_)
    prints = e._prints and is_first(problem.communicator)
    if prints:
        print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
    if problem.judge is not None:
        e.validation_loss_curve_.append(mean_cost(epoch.costs[1]))
        score = problem.judge(e, epoch.params)
        e.validation_scores_.append(agreed_score(problem.communicator, score))
        if prints:
            print(f"Validation score: {e.validation_scores_[-1]:f}")
    count_stalled_epochs(e, epoch)
    course.state.epoch = e.n_iter_
    record_history(course.state.history, epoch)
    course.is_over = halts(e, prints) or not course.is_finite


def mean_cost(cost: np.ndarray[Any, Any]) -> float:
    """The cost, or of several networks the mean of theirs."""
    return float(cost.mean() if cost.ndim else cost)


def count_stalled_epochs(e: MLPAttributes, epoch: Epoch) -> None:
    """Count the epochs without an improvement by `tol`, and remember the best one."""
    if e.early_stopping:
        score = e.validation_scores_[-1]  # may be NaN, which is no gain and no stall
        stalled = score < e.best_validation_score_ + e.tol
        if score > e.best_validation_score_ and epoch.finite.all():
            e.best_validation_score_, e._best = score, epoch.params
    else:
        stalled = e.loss_ > e.best_loss_ - e.tol
        e.best_loss_ = min(e.best_loss_, e.loss_)
    e._no_improvement_count = e._no_improvement_count + 1 if stalled else 0


def halts(e: MLPAttributes, prints: bool) -> bool:
    """Whether training is over: it no longer improves, and the learning rate is not lowered further."""
    e._optimizer.epoch_ends(e.t_)
    if e._no_improvement_count <= e.n_iter_no_change:
        return False
    is_over, word = e._optimizer.halt()
    if prints:
        what = "Validation score" if e.early_stopping else "Training loss"
        print(
            f"{what} did not improve more than tol={float(e.tol):f} for {e.n_iter_no_change} "
            f"consecutive epochs. {word}"
        )
    if not is_over:
        e._no_improvement_count = 0
    e.stopped_early_ = bool(is_over and e.early_stopping)
    return bool(is_over)
