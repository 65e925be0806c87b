"""The loop around the one compiled step: epochs of mini-batches. Its caller decides when to end it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend
from portable_nn.backends.padding import of_steps
from portable_nn.checks import Value
from portable_nn.distributed.agreement import of_root
from portable_nn.distributed.summing import summed
from portable_nn.equations import Array, Parameters
from portable_nn.network.objective import Batch
from portable_nn.optimizers import OptimizerState
from portable_nn.training.callbacks import Watch
from portable_nn.training.data import Source
from portable_nn.training.description import Training
from portable_nn.training.dropout import Rates, batches_at_once, mask_drawer
from portable_nn.training.hyperparameters import StepNumbers
from portable_nn.training.padded_data import with_few_lengths
from portable_nn.training.same_in_all import agreed_rows, check_same_params
from portable_nn.training.shared_data import Columns, SharedSource, columns_of
from portable_nn.training.snapshots import Position, Start
from portable_nn.training.steps import evaluation_step, summary_step, training_steps

P = ParamSpec("P")
R = TypeVar("R")
EVALUATED_ROWS = 1024  # at a time: memory stays bounded
LONG = 0.5  # seconds of an epoch that is watched in parts
WATCHED_PARTS = 20


def passing_stop_iteration(train: Callable[P, R]) -> Callable[P, R]:
    """A decorator: a StopIteration that a function of the user's raises reaches them as it is.

    Within a generator, as the loop and its chunks are, Python makes a RuntimeError of it.
    """

    @functools.wraps(train)
    def run(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return train(*arguments, **named)
        except RuntimeError as error:
            if type(error.__cause__) is StopIteration and str(error) == "generator raised StopIteration":
                raise error.__cause__ from None
            raise

    return run


class Epoch(NamedTuple):
    """The outcome of an epoch.

    `costs` (on the host) is the mean cost of its batches and, with validation data, their cost at its
    end; `metrics` has the metrics by name; `finite` says whether the parameters and the optimizer's
    arrays are finite, one bool for each network of a stack.
    """

    params: Parameters
    optimizer_state: OptimizerState
    costs: np.ndarray[Any, Any]
    metrics: dict[str, np.ndarray[Any, Any]]
    finite: np.ndarray[Any, Any]
    learning_rate: Value
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether the costs and the parameters, of all networks of a stack, are finite."""
        return bool((self.finite & np.isfinite(self.costs)).all())


class Chunk(NamedTuple):
    """Several batches of one size, ready for the step: everything is on the device."""

    data: Batch
    rows: Any  # (batches, batch size), or that of each network, (batches, K, batch size): see the step
    numbers: Array  # (batches, how many, ...): l2, the limit of the norm, the coefficients
    learning_rate: Value  # of the last batch
    columns: Columns | None = None  # the examples of a batch that this process has; None: all


class Plan(NamedTuple):
    """An epoch before it is trained: the rows in their order, and its chunks."""

    rows: np.ndarray[Any, Any]  # (n,), or those of each network, (K, n)
    chunks: Iterable[Chunk]


class Loop:
    """The epochs of a training, one after the other.

    The host reads from the device once an epoch. No array that is passed in is changed, except for those
    of the optimizer's state where `start` owns it. `watch`, if it is given, is called after parts of a
    long epoch, and where it wants a pause, when so many of the batches have been sent to the device. The
    first epoch is planned in the constructor, so that an error in its order, or in the first learning
    rate, is raised before anything is trained.

    Between two chunks `params` and `state` are what has been learned so far, and `position` says where
    the training is: a loop that starts from there goes on as this one does.
    """

    def __init__(
        self,
        training: Training,
        backend: Backend,
        start: Start,
        data: Source,
        validation: Source | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.training, self.backend = training, backend
        self.params, self.state, self.owns_state, position, first = start
        self.watch, self.in_parts = watch, watch is not None
        self.dtype = trees.leaves(self.params)[0].dtype
        self.numbers = StepNumbers(training)
        objective = training.net.objective
        own_means = isinstance(data, SharedSource) and data.own_means
        kind = self.numbers.kind_of_step(training, own_means)
        self.run = training_steps(backend, kind, training.communicator)  # type: ignore[arg-type]
        self.names = [name for name, _ in training.metrics]
        self.metrics = tuple(metric for _, metric in training.metrics)
        self.evaluate = evaluation_step(backend, objective, self.metrics)
        self.summarize = summary_step(backend, self.metrics)
        self.units = shapes = [(*training.stack, n) for n in training.net.sizes[1:-1]]
        rates = Rates(training.dropout, training.stack)
        rates.at(self.state.t)
        self.draw_masks = mask_drawer(backend, rates, shapes, self.dtype, training.draws.uniform)
        self.zero = self.zeros(training.stack)
        drops_units = self.draw_masks is not None
        data, validation = (
            with_few_lengths(backend, training, source, self.dtype, drops_units)
            for source in (data, validation)
        )
        self.data, self.validation = data, validation
        self.judged = data if validation is None and self.metrics else validation
        self.origin = self.first_target(self.judged) if self.metrics and self.judged else None
        self.numbers.row(self.state.t, training.learning_rate(self.state.t))
        # what is complete, and the part of an epoch
        self.epoch, self.done, self.total = first, 0, self.zero
        self.before: dict[str, Any] = {}
        if position is not None:
            self.epoch, self.done, self.total, self.before, now = position
            training.draws.restore(self.before)
        has_more = self.epoch < training.epochs
        self.next_plan: Plan | Exception | None = self.plan(self.epoch) if has_more else None
        if self.done:
            training.draws.restore(now)

    @property
    def position(self) -> Position:
        """Where the training is, between two chunks or two epochs."""
        now = self.training.draws.state()
        return Position(self.epoch, self.done, self.total, self.before if self.done else now, now)

    def __iter__(self) -> Iterator[Epoch]:
        looks_ahead = self.training.can_look_ahead and self.data.is_resident
        for epoch in range(self.epoch, self.training.epochs):
            started = time.perf_counter()
            plan = self.plan(epoch) if self.next_plan is None else self.next_plan
            if isinstance(plan, Exception):
                raise plan
            self.next_plan = None
            total, rate = self.train(plan)
            sums, weight = [(total, plan.rows.shape[-1])], None
            measured: list[Any] = []
            if self.judged is not None:
                (judged, *measured), weight = self.judge(self.judged)
                if self.judged is self.validation:
                    sums.append((judged, self.judged.n))
            summed = self.summarize((self.params, self.state.slots), measured, weight, *sums)
            self.epoch, self.done, self.total = epoch + 1, 0, self.zero
            if looks_ahead and epoch + 1 < self.training.epochs:
                self.next_plan = self.prepared(epoch + 1)
            report = self.backend.to_numpy(summed)  # the one read of the epoch, where it trains alone
            check_same_params(self.training.communicator, epoch + 1, self.backend, self.params)
            costs, metrics, finite = report[: len(sums)], report[len(sums) : -1], report[-1].astype(bool)
            named, seconds = dict(zip(self.names, metrics, strict=True)), time.perf_counter() - started
            self.in_parts = self.watch is not None and (seconds > LONG or self.backend.is_shared)
            yield Epoch(self.params, self.state, costs, named, finite, rate, seconds)

    def plan(self, epoch: int) -> Plan:
        """The epoch, from the batch on that the training is at."""
        if self.watch is not None:
            self.before = self.training.draws.state()
        rows = agreed_rows(self.training, epoch, self.data.n, self.state.t)
        return Plan(rows, self.chunks(rows, self.state.t))

    def prepared(self, epoch: int) -> Plan | Exception:
        """The epoch with its chunks on the device already, or the error that its turn has to raise."""
        try:
            plan = self.plan(epoch)
            return plan._replace(chunks=list(plan.chunks))
        except Exception as error:
            return error

    def chunks(self, order: np.ndarray[Any, Any], t: int) -> Iterator[Chunk]:
        """The chunks of an epoch that are to come; t updates have been made before."""
        backend, training = self.backend, self.training
        as_index = functools.partial(of_steps, backend, dtype=backend.index_dtype())
        n = order.shape[-1]
        size = training.batch_size or n
        most = -(-self.count_batches(n) // (WATCHED_PARTS if self.in_parts else 1))
        if self.draw_masks:
            most = min(most, batches_at_once(self.units, size))
        start = self.done * size
        while start < n:
            stop = n
            if self.watch is not None:
                stop = min(stop, start + size * self.watch.steps_to_pause(t))
            part: list[Columns]
            for data, batches, *part in self.data.chunks(order[..., start:stop], size, most):
                steps = range(t, t + trees.length(batches))
                rates = [training.learning_rate(step) for step in steps]
                # a tuple: of X, of Y and of the weights
                rows = tuple(map(as_index, batches)) if isinstance(batches, tuple) else as_index(batches)
                host = self.numbers.rows(steps, rates)
                numbers = of_steps(backend, host, self.dtype)
                yield Chunk(data, rows, numbers, rates[-1], *part)
                t = steps.stop
            start = stop

    def train(self, plan: Plan) -> tuple[Array, Value]:
        """Make the updates of an epoch; the sum of its batches' J B, and the last learning rate."""
        (t, slots), rate = self.state, 0.0
        carry, owned = (self.params, slots, self.total), (False, self.owns_state, False)
        batches = self.count_batches(plan.rows.shape[-1])
        for chunk in plan.chunks:
            k = trees.length(chunk.rows)
            masks = self.masks(k, plan.rows.shape[-1], t, chunk.columns)
            carry = self.run(carry, chunk.data, (chunk.rows, masks, chunk.numbers), owned)
            owned = (True, True, True)
            self.data.used(carry)
            t, self.done, rate = t + k, self.done + k, chunk.learning_rate
            self.params, slots, self.total = carry
            self.state = OptimizerState(t, slots)
            if self.watch is not None:
                self.watch(self.done, batches, t, self.in_parts)
        self.owns_state = not self.training.keep_states
        return self.total, rate

    def masks(self, k: int, n: int, t: int, columns: Columns | None) -> Any:
        """The dropout masks of the next k batches of an epoch of n rows, or those columns of them."""
        if self.draw_masks is None:
            return None
        size = self.training.batch_size or n
        drawn = self.draw_masks(k, min(size, n - self.done * size), t)
        return drawn if columns is None else columns_of(drawn, columns, self.backend)

    def judge(self, data: Source) -> tuple[tuple[Any, ...], Any]:
        """The sum of J B over the rows of `data`, the sums of the metrics, and the total weight."""
        totals: tuple[Any, ...] = (self.zero, *self.no_sums())
        for batch in data.slices(EVALUATED_ROWS):
            totals = self.evaluate(self.params, totals, batch, self.origin)
            data.used(totals)
        arrays, form = trees.flatten(totals)
        totals = trees.unflatten(form, summed(self.backend, self.training.communicator, arrays))
        return totals, data.n if data.mean_weight is None else data.mean_weight * data.n

    def no_sums(self) -> list[tuple[Array, ...]]:
        """The sums of each metric before any example."""
        stack, n_outputs = self.training.stack, self.training.net.sizes[-1]
        return [
            tuple(self.zeros((*stack, width)) for width in metric.widths(n_outputs))
            for metric in self.metrics
        ]

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Zeros in the dtype of sums over an epoch."""
        backend = self.backend
        return backend.xp.zeros(shape, dtype=backend.widest_float(), device=backend.device)

    def first_target(self, data: Source) -> Array:
        """The first row of the targets, (..., 1, n_L)."""
        whole = data.source if isinstance(data, SharedSource) else data
        first = next(iter(whole.slices(1))).in_floats(self.backend.xp, self.params)
        if isinstance(data, SharedSource):
            Y = of_root(data.communicator, self.backend.to_numpy(first.Y))
            return self.backend.asarray(Y, first.Y.dtype)
        return self.backend.xp.asarray(first.Y, copy=True)  # a source may use its memory again

    def count_batches(self, n: int) -> int:
        """How many batches n rows make."""
        return -(-n // min(self.training.batch_size or n, n))
