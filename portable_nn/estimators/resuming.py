"""What a checkpoint holds of an estimator's training, and how the estimator goes on from it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portable_nn.backends import Backend
from portable_nn.distributed import Communicator
from portable_nn.equations import Parameters
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.callbacks import sort_callbacks
from portable_nn.estimators.conventions import STOCHASTIC
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.sparse import SparseRows
from portable_nn.estimators.targets import Targets
from portable_nn.network.objective import Batch
from portable_nn.network.parameters import layers_as_values
from portable_nn.training.arguments import described, fingerprint
from portable_nn.training.callbacks import TrainingState
from portable_nn.training.checkpoints import Checkpoint
from portable_nn.training.resuming import (
    Resumption,
    believing,
    by_place,
    check_callbacks_remember,
    check_same_training,
    moved,
    placed,
    states_of,
)
from portable_nn.training.snapshots import Snapshot, Start

# parameters that change no result, or may be others when a training is resumed
FREE = ("max_iter", "callbacks", "verbose", "max_time", "backend", "device")
ATTRIBUTES = (
    *("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "best_validation_score_"),
    *("validation_scores_", "validation_loss_curve_", "_no_improvement_count", "stopped_early_"),
)


@dataclass
class Course:
    """How far a call of `fit` has come: whether it is over, and what callbacks are shown."""

    state: TrainingState
    is_over: bool = False
    is_finite: bool = True
    seconds_before: float = 0.0
    communicator: Communicator | None = None
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """How long it has taken, the time before it was interrupted included."""
        return self.seconds_before + time.perf_counter() - self.started

    def is_late(self, limit: float | None) -> bool:
        """Whether it has taken longer than the limit, in any of several processes."""
        if limit is None:
            return False
        is_late = self.seconds >= limit
        return is_late if self.communicator is None else bool(self.communicator.max(int(is_late)))


def check_resumable(e: MLPAttributes, incremental: bool, resume: Any) -> None:
    """Raise ValueError where checkpoints are asked for of a training that cannot be resumed."""
    ours, _ = sort_callbacks(e.callbacks)
    has_checkpoint = any(isinstance(callback, Checkpoint) for callback in ours)
    if (has_checkpoint or resume is not None) and (incremental or e.solver not in STOCHASTIC):
        what = "partial_fit" if incremental else f"the solver {e.solver!r}"
        given = "`callbacks` holds a Checkpoint" if has_checkpoint else "`resume` is given"
        raise ValueError(
            f"{given}, and {what} cannot be resumed; accepted: fit with one of the solvers "
            f"{', '.join(STOCHASTIC)}; portable_nn.save keeps a fitted estimator"
        )


def resumption_of(
    e: Any, problem: Problem, targets: Targets, params: Parameters | None, snapshot: Snapshot | None
) -> Resumption:
    """What a fit goes on from; raises unless the snapshot, if there is one, is of this fit.

    `params` are those that it begins with; None: the fitted ones.
    """
    ours, _ = sort_callbacks(e.callbacks)
    if snapshot is None and not any(isinstance(callback, Checkpoint) for callback in ours):
        return Resumption()
    first = e._params() if params is None else params
    arguments = arguments_of_fit(e, problem, targets.attributes.get("classes_"), first)
    if snapshot is not None:
        check_same_training(snapshot, arguments, e.max_iter)
        check_callbacks_remember(ours, snapshot.record["callbacks"])
    return Resumption(arguments, snapshot)


def arguments_of_fit(e: Any, problem: Problem, classes: Any, first: Parameters) -> dict[str, Any]:
    """The parameters and the data of a fit, as plain values; see `training.arguments`."""
    plain = {name: described(value) for name, value in e.get_params(deep=False).items()}
    data, judged = problem.train.all, problem.validation
    return {name: value for name, value in plain.items() if name not in FREE} | {
        "X": fingerprint(rows_of(data)),
        "y": fingerprint([data.Y]),
        "sample_weight": fingerprint([data.weight]),
        "X_val and y_val": None
        if judged is None
        else fingerprint([*rows_of(judged.all), judged.all.Y, judged.all.weight]),
        "classes_": described(classes),
        "coefs_ and intercepts_": fingerprint(first),
    }


def values_of(state: dict[str, Any]) -> list[Any]:
    """The state of a generator in plain values."""
    inner = state["state"]
    plain = {name: v.tobytes() if hasattr(v, "tobytes") else v for name, v in inner.items()}
    return [plain, *(value for name, value in sorted(state.items()) if name != "state")]


def rows_of(data: Batch) -> list[Any]:
    """The arrays that the rows are made of."""
    X = data.X
    return [X.matrix.data, X.matrix.indices, X.matrix.indptr] if isinstance(X, SparseRows) else [X]


def record_of(e: MLPAttributes, course: Course, callbacks: Sequence[Any]) -> dict[str, Any]:
    """What the estimator knows of its training, on the host."""
    known = {name: vars(e).get(name) for name in ATTRIBUTES}
    return {
        "attributes": {k: np.asarray(v) if isinstance(v, list) else v for k, v in known.items()},
        "best_params": None if e._best is None else layers_as_values(e._best),
        "learning_rate": e._optimizer.learning_rate,
        "history": course.state.history.state(),
        "is_over": course.is_over,
        "is_finite": course.is_finite,
        "seconds": course.seconds,
        "stopped": course.state.stopped,
        "callbacks": states_of(callbacks),
    }


def go_on(e: MLPAttributes, course: Course, snapshot: Snapshot, backend: Backend) -> Start:
    """Put back what `record_of` kept; what the loop starts from, on the device."""
    first, state, record = e._params(), course.state, snapshot.record
    with believing(snapshot.path):
        start = placed(backend, snapshot, first)
        found = {name: record["attributes"][name] for name in ATTRIBUTES}
        vars(e).update({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in found.items()})
        e._set_params(start.params)
        best = record["best_params"]
        e._best = None if best is None else moved(backend, by_place(best), first)
        e._optimizer.state, e._optimizer.learning_rate = start.optimizer_state, record["learning_rate"]
        state.epoch, state.params, state.stopped = e.n_iter_, start.params, record["stopped"]
        state.history.restore(record["history"])
        course.is_finite, course.seconds_before = record["is_finite"], record["seconds"]
        is_late = course.is_late(e.max_time) and not snapshot.position.batches
        course.is_over = record["is_over"] or bool(state.stopped) or is_late
        return start
