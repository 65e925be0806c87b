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

OF_TRAINING = 6  # parameters, gradients, two slots, and what a step computes of them


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
        problem, batch = self.problem, self.problem.train.all
        size = trees.leaves(self.estimator._params())[0].dtype.itemsize
        sizes = problem.net.sizes
        weights = sum((n + 1) * m for n, m in pairwise(sizes))
        rows = problem.train.n * (sizes[0] + batch.Y.shape[-1])
        at_once = min(problem.train.n, 1024) * 4 * sum(sizes)
        return int(size) * (OF_TRAINING * weights + rows + at_once)


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

    Alone is what callbacks watch, what is measured by the clock, what goes on from a checkpoint, and
    what learns from sparse rows.
    """
    is_watched = bool(callbacks.ours) or callbacks.context is not None or e.max_time is not None
    is_usual = not (incremental or is_watched or resumption.arguments or resumption.snapshot)
    is_dense = not isinstance(problem.train.all.X, SparseRows)
    return GATHERER.get() if is_usual and is_dense else None
