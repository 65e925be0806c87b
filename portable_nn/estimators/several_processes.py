"""A fit of several processes: what it takes, and what has to be the same in all of them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from portable_nn.distributed import Communicator
from portable_nn.equations import Parameters
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.conventions import STOCHASTIC
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.resuming import arguments_of_fit, values_of
from portable_nn.training.several_processes import check_same

TOO = ("max_iter", "max_time")  # may be others when a training is resumed, and not now


def check_fits_together(e: MLPAttributes, communicator: Communicator | None) -> None:
    """Raise ValueError where several processes cannot fit the estimator."""
    if communicator is None:
        return
    if e.solver not in STOCHASTIC:
        raise ValueError(
            f"`communicator` was given, and the solver {e.solver!r} takes no batches; accepted: "
            f"{', '.join(STOCHASTIC)}"
        )
    if e.random_state is None:
        raise ValueError(
            "`communicator` was given, and `random_state` is None; accepted: a number, by which all "
            "processes draw the same"
        )


def check_same_fit(e: MLPAttributes, problem: Problem, classes: Any, params: Parameters | None) -> None:
    """Raise, in all processes, where one of them fits something else than the first."""
    if problem.communicator is None:
        return
    first = e._params() if params is None else params
    arguments = arguments_of_fit(e, problem, classes, first)
    arguments |= {name: getattr(e, name) for name in TOO}
    state = repr(values_of(problem.random_start)).encode()
    arguments["random_state"] = {"dtype": "a state", "shape": [], "checksum": zlib.crc32(state)}
    check_same(problem.communicator, problem.backend, arguments)


def agreed_score(communicator: Communicator | None, score: float) -> float:
    """The score that process 0 has found: a user-defined one may differ from process to process."""
    if communicator is None:
        return score
    found = np.asarray([score])
    communicator.broadcast_(found)
    return float(found[0])
