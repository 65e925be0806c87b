"""The members of an ensemble: which rows each has, and how all of them are prepared and trained."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement

from portable_nn.errors import NonFiniteCostError
from portable_nn.estimators.callbacks import Callbacks, sort_callbacks
from portable_nn.estimators.fitting import SEEN, BaseMLP
from portable_nn.estimators.gathering import Member, gathering
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.targets import Targets
from portable_nn.estimators.together import train_together
from portable_nn.estimators.validation import try_scorer
from portable_nn.estimators.warning import warn
from portable_nn.training.checkpoints import Checkpoint
from portable_nn.training.resuming import Resumption

Rows = np.ndarray[Any, Any]
LARGEST_SEED = np.iinfo(np.int32).max


def seeds_of_members(random: np.random.RandomState, known: Sequence[Any], more: int) -> list[int]:
    """The seeds that scikit-learn's BaggingClassifier draws for more estimators than the `known` ones.

    Where known ones have been taken away, theirs come first: no two members have one seed.
    """
    used = {member.random_state for member in known}
    drawn = [int(seed) for seed in random.randint(LARGEST_SEED, size=len(known) + more)]
    if used.isdisjoint(map(random_state_of, drawn[: len(known)])):  # of another generator
        return drawn[len(known) :]
    found = [seed for seed in drawn if random_state_of(seed) not in used]
    while len(found) < more:
        seed = int(random.randint(LARGEST_SEED))
        if random_state_of(seed) not in used:
            found.append(seed)
    return found[:more]


def random_state_of(seed: int) -> int:
    """The `random_state` that scikit-learn gives an estimator of this seed."""
    return int(check_random_state(seed).randint(LARGEST_SEED))


def rows_of(seed: int, n: int, count: int | None, bootstrap: bool) -> Rows | None:
    """The rows that the member of this seed learns from, as BaggingClassifier draws them; None: all."""
    if count is None and not bootstrap:
        return None
    random = check_random_state(seed)
    count = n if count is None else count
    if bootstrap:
        return np.asarray(random.randint(0, n, count))
    return np.asarray(sample_without_replacement(n, count, random_state=random))


def count_of_rows(max_samples: Any, n: int) -> int | None:
    """How many of n rows each member has; None: all."""
    if max_samples is None:
        return None
    if isinstance(max_samples, Integral):
        if int(max_samples) > n:
            raise ValueError(
                f"`max_samples` is {max_samples}, and X has {n} rows; accepted: at most {n}, a share in "
                "(0, 1], or None for all"
            )
        return int(max_samples)
    return max(1, int(max_samples * n))


def check_members_can_be_watched(callbacks: Any) -> None:
    """Raise ValueError for checkpoints, which all members would write to one place."""
    ours, _ = sort_callbacks(callbacks)
    if any(isinstance(callback, Checkpoint) for callback in ours):
        raise ValueError(
            "`callbacks` holds a Checkpoint, which is of one training, and each member has its own; "
            "accepted: other callbacks; portable_nn.save keeps a fitted ensemble"
        )


class Trainings:
    """The trainings of some members on the same data, which has been checked and placed once.

    `problem` and `targets` are what the member `first` found when it looked at the data.
    """

    def __init__(self, first: BaseMLP, problem: Problem, targets: Targets, takes_host: bool) -> None:
        self.first, self.problem, self.targets, self.takes_host = first, problem, targets, takes_host
        self.prepared: list[tuple[BaseMLP, Problem, Any]] = []

    def prepare(self, member: BaseMLP, rows: Rows | None, incremental: bool) -> None:
        """Draw what the member draws before its training, from the rows that it has."""
        for name in SEEN:
            if hasattr(self.first, name):
                setattr(member, name, getattr(self.first, name))
        problem = replace(self.problem, rows=rows)
        problem.draw_from(check_random_state(member.random_state))
        params = member._draw(problem, self.targets, incremental)
        if problem.judge is not None and member.scoring is not None:
            try_scorer(member, problem, self.targets, params)
        self.prepared.append((member, problem, params))

    def train(self, data: tuple[Any, Any, Any], incremental: bool) -> list[Exception | None]:
        """Train all of them, in one pass where that can be; what each ended with.

        `data` are X, y and the weights, as callbacks are shown them.
        """
        gathered: list[Member] = []
        members = [member for member, *_ in self.prepared]
        errors: list[Exception | None] = [None] * len(members)
        for member, problem, params in self.prepared:
            member._take_up(problem, self.targets, params, self.takes_host, incremental)
        for k, (member, problem, _) in enumerate(self.prepared):
            callbacks = Callbacks(member, *data, member.max_iter, member._task(incremental))
            with gathering(gathered.append), contextlib.closing(callbacks):
                try:
                    member._train(problem, incremental, callbacks, Resumption())
                except NonFiniteCostError as error:
                    errors[k] = error
        train_together(gathered)
        for one in gathered:
            errors[members.index(one.estimator)] = one.error
        return errors


def without_diverged(
    members: Sequence[BaseMLP], errors: Sequence[Exception | None], first: int
) -> list[BaseMLP]:
    """The members whose training has not diverged; a warning names the others.

    Their numbers count from `first`. The error of a member is raised where it says something else, or
    where all have diverged.
    """
    for error in errors:
        if error is not None and not isinstance(error, NonFiniteCostError):
            raise error
    sound = [m for m, error in zip(members, errors, strict=True) if error is None]
    lost = [k for k, error in enumerate(errors, start=first) if error is not None]
    if lost:
        found = next(error for error in errors if error is not None)
        if not sound:
            raise found
        warn(
            f"{len(lost)} of {len(members)} members have diverged and are left out of `estimators_`: "
            f"{lost[:5]}{' and more' if len(lost) > 5 else ''}. The first of them: {found}"
        )
    return sound
