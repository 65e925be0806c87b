"""Trainings of estimators that are gathered, to be carried out together: who gathers them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from portable_nn import trees
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.sparse import SparseRows
from portable_nn.training.resuming import Resumption

# how often arrays are there: measured, and a bound for small nets and large, few rows and many
OF_TRAINING = 12  # parameters: the first ones, those of the stack, gradients, slots, the last epoch's
OF_ROWS = 2.5  # rows: those learned from, those to be scored on, and what all networks share
OF_BATCH = 7  # activations of a batch: Z, A, Delta, and temporaries


@dataclass(eq=False)
class Member:
    """An estimator that is ready to be trained, and what its training is about.

    `error` is what its training ended with, and `fit` has to raise; None if all went well.
    """

    estimator: Any
    problem: Problem
    error: Exception | None = None

    @property
    def nbytes(self) -> int:
        """About how much memory its training takes, its rows included."""
        problem, e = self.problem, self.estimator
        size, sizes = trees.leaves(e._params())[0].dtype.itemsize, problem.net.sizes
        weights = sum((n + 1) * m for n, m in pairwise(sizes))
        rows = problem.train.n * (sizes[0] + problem.train.all.Y.shape[-1])
        batch = min(200 if e.batch_size == "auto" else int(e.batch_size), problem.n) * sum(sizes)
        return int(size * (OF_TRAINING * weights + OF_ROWS * rows + OF_BATCH * batch))


Gather = Callable[[Member], None]  # returns once the member has been trained
GATHERER: ContextVar[Gather | None] = ContextVar("GATHERER", default=None)


@contextlib.contextmanager
def gathering(gather: Gather) -> Iterator[None]:
    """Within it each `fit` of this thread hands its training to `gather`, where it can."""
    token = GATHERER.set(gather)
    try:
        yield
    finally:
        GATHERER.reset(token)


def gatherer_of(
    e: Any, problem: Problem, incremental: bool, callbacks: Callbacks, resumption: Resumption
) -> Gather | None:
    """Who gathers this training; None where it is to be carried out alone.

    Alone is what is a stack already, what callbacks watch, what is measured by the clock, what goes on
    from a checkpoint, what learns from sparse rows, and what several processes train.
    """
    is_watched = bool(callbacks.ours) or callbacks.context is not None or e.max_time is not None
    is_usual = not (e._lead or incremental or is_watched or resumption.arguments or resumption.snapshot)
    is_dense = not isinstance(problem.train.all.X, SparseRows)
    is_usual = is_usual and is_dense and problem.communicator is None
    return GATHERER.get() if is_usual else None
