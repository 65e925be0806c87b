"""The training of the networks of a table: a stack, each network from a seed of its own, in one pass."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from portable_nn import schedules
from portable_nn.backends import Backend
from portable_nn.checks import Given
from portable_nn.equations import Array, Parameters
from portable_nn.network import Network
from portable_nn.network.parameters import check_parameters
from portable_nn.optimizers import AdamW
from portable_nn.tabular.columns import Host
from portable_nn.tabular.preset import Preset
from portable_nn.training import Callback, EarlyStopping, History, TrainingState
from portable_nn.training.data import training_data, validation_data
from portable_nn.training.description import Training
from portable_nn.training.running_stacks import Stacked, run_stack

ROWS_OF_INITIALIZATION = 1000
SHARE_OF_TIME = 0.9  # of a time limit that epochs are planned for
FEWEST_EPOCHS = 16  # if there is time for fewer, some of the rows are learned from
TRIAL_BATCHES, TRIAL_EPOCHS = 5, 3


@dataclass(frozen=True)
class Rows:
    """Encoded rows X (n, n_0), their targets Y, and their weights (n,), or None."""

    X: Host
    Y: Host
    weight: Host | None

    def some(self, which: Any) -> Rows:
        """Some of them."""
        return Rows(self.X[which], self.Y[which], None if self.weight is None else self.weight[which])

    def placed(self, backend: Backend) -> tuple[Array, Array, Array | None]:
        """These rows on a device."""
        weight = None if self.weight is None else backend.asarray(self.weight.astype(np.float32))
        return backend.asarray(self.X), backend.asarray(self.Y), weight


class Plan(NamedTuple):
    """What there is time for: `trained` of the `epochs` of the schedule, with so many `rows`."""

    epochs: int
    trained: int
    rows: int


class Deadline(Callback):
    """Ends a training before an epoch that would end after a point in time, `time.perf_counter()`.

    But not before `fewest` epochs: networks that have hardly begun say nothing.
    """

    def __init__(self, end: float, fewest: int) -> None:
        self.end, self.fewest, self.last = end, fewest, time.perf_counter()

    def on_epoch_end(self, state: TrainingState) -> None:
        now = time.perf_counter()
        if state.epoch >= self.fewest and now + (now - self.last) > self.end:
            state.stop("time_limit")
        self.last = now


def optimizer_of(preset: Preset, net: Network) -> AdamW:
    """AdamW, whose decay spares all but the weights."""
    spared = {array.kind for array in net.arrays} & {"biases", "embeddings"}
    return AdamW(
        preset.learning_rate,
        beta_2=preset.beta_2,
        weight_decay=preset.weight_decay,
        groups={kind: {"weight_decay": 0.0} for kind in spared},
    )


@dataclass(frozen=True)
class Work:
    """What is to be trained, and on what."""

    preset: Preset
    net: Network
    rows: Rows
    held_out: Rows | None
    seeds: list[int]
    backend: Backend
    progress: bool


def train(work: Work, plan: Plan, end: float = math.inf) -> tuple[Parameters, History]:
    """The parameters of the stack after a training, each network's those of its best epoch."""
    preset, net, rows, seeds, backend = work.preset, work.net, work.rows, work.seeds, work.backend
    some = rows.X[:ROWS_OF_INITIALIZATION]
    data = some if len(some) > 1 else None
    params = net.initialize(seeds, backend, stack=(len(seeds),), data=data)
    batch = min(preset.batch_size, len(rows.X))
    steps = plan.epochs * math.ceil(len(rows.X) / batch)
    training = Training(
        net,
        optimizer_of(preset, net),
        plan.trained,
        batch,
        dropout=preset.dropout,
        schedule=schedules.cosine(preset.learning_rate, steps),
        early_stopping=None if work.held_out is None else EarlyStopping(patience=plan.epochs),
        callbacks=[] if end == math.inf else [Deadline(end, min(plan.epochs, FEWEST_EPOCHS))],
        seed=seeds,  # type: ignore[arg-type]
        stack=(len(seeds),),
    )
    checked = check_parameters(net.described, net.loss, params)
    source = training_data(checked, Given(*rows.placed(backend)), False)
    judged = None
    if work.held_out is not None:
        judged = validation_data(checked, work.held_out.placed(backend), False)
    return run_stack(training, checked, Stacked(params, None, source, judged), work.progress)


def carried_out(work: Work, end: float) -> tuple[Parameters, History, Plan]:
    """The training of the preset, or as much of it as there is time for before `end`."""
    n = len(work.rows.X)
    whole = Plan(work.preset.epochs, work.preset.epochs, n)
    if end == math.inf:
        return *train(work, whole), whole
    seconds = seconds_of_epoch(work)
    left = max(0.0, SHARE_OF_TIME * (end - time.perf_counter()))
    epochs, fewest = min(whole.epochs, int(left / seconds)), min(whole.epochs, FEWEST_EPOCHS)
    if epochs < fewest:  # fewer rows say more than fewer epochs
        count = max(min(n, work.preset.batch_size), int(n * left / (seconds * fewest)))
        some = np.random.default_rng(work.seeds[0]).permutation(n)[:count]
        epochs, work = fewest, replace(work, rows=work.rows.some(some))
    plan = Plan(epochs, epochs, len(work.rows.X))
    return *train(work, plan, end), plan


def seconds_of_epoch(work: Work) -> float:
    """How long an epoch takes, by a trial with a few batches."""
    n = len(work.rows.X)
    share = min(1.0, TRIAL_BATCHES * work.preset.batch_size / n)
    held_out = work.held_out
    if held_out is not None:
        held_out = held_out.some(slice(0, math.ceil(share * len(held_out.X))))
    trial = replace(
        work, rows=work.rows.some(slice(0, math.ceil(share * n))), held_out=held_out, progress=False
    )
    _, history = train(trial, Plan(TRIAL_EPOCHS, TRIAL_EPOCHS, len(trial.rows.X)))
    return min(history.seconds) / share
