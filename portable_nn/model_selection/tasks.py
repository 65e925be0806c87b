"""Trainings of many tasks, carried out together: in one pass, if memory allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from portable_nn.backends import own_settings
from portable_nn.estimators.gathering import Member, gathering
from portable_nn.estimators.together import train_together
from portable_nn.model_selection.progress import progress_of
from portable_nn.model_selection.turns import Turns, current

MAX_STACK_BYTES = 2**30
Task = Callable[[], list[Any]]  # what joblib makes of one or a few calls: it gives their results


@dataclass(frozen=True)
class Settings:
    """How passes are made.

    Attributes
    ----------
    max_stack_bytes : int
        About how much memory the trainings of a pass may take together.
    verbose : int
        Above 0 each pass is reported in a line.
    progress : bool
        Whether a bar is drawn of each pass.
    """

    max_stack_bytes: int = MAX_STACK_BYTES
    verbose: int = 0
    progress: bool = False


@dataclass
class Count:
    """How many stacks have been trained."""

    n_passes: int = 0


@dataclass(eq=False)
class Request:
    """A training that a task waits for, and how many seconds of its pass are due to it."""

    member: Member
    nbytes: int = field(init=False)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.nbytes = self.member.nbytes

    @property
    def work(self) -> float:
        """About how many multiplications its training took, up to a factor that all share."""
        problem, sizes = self.member.problem, self.member.problem.net.sizes
        weights = sum(n * m for n, m in pairwise(sizes))
        return float(max(1, self.member.estimator.n_iter_) * problem.n * weights)


class Tasks:
    """Tasks, such as the fits of a search, whose trainings are carried out together.

    Parameters
    ----------
    settings : Settings
    count : Count
        Is raised by the number of stacks that are trained.
    kept : dict or None
        Where trainings are kept that later ones may go on from.
    """

    def __init__(self, settings: Settings, count: Count, kept: dict[Any, Any] | None = None) -> None:
        self.settings, self.count, self.kept = settings, count, kept

    def run(self, tasks: Sequence[Task], done: Callable[[], Any]) -> list[list[Any]]:
        """The results of the tasks, in their order; calls `done` after each task."""
        functions = [Gathered(task, self.count, done) for task in tasks]
        return Turns(functions, self.carry_out, self.is_enough).run()

    def is_enough(self, requests: Sequence[Request]) -> bool:
        """Whether one more, as large as the largest, is too many."""
        sizes = [request.nbytes for request in requests]
        return bool(sizes) and sum(sizes) + max(sizes) > self.settings.max_stack_bytes

    def carry_out(self, requests: Sequence[Request]) -> None:
        """Train what the tasks wait for.

        Within a task that takes turns itself, such as a fold of a cross-validation around a search,
        that task hands them all over.
        """
        outer = this_task()
        if outer is not None:
            before = outer.count.n_passes
            outer.wait_for(requests)
            self.count.n_passes += outer.count.n_passes - before
            return
        begin = time.perf_counter()
        members = [request.member for request in requests]
        with own_settings(), progress_of([m.estimator for m in members], self.settings.progress):
            stacks = trained(members, self.kept)
        seconds = time.perf_counter() - begin
        self.count.n_passes += stacks
        total = sum(request.work for request in requests)
        for request in requests:
            request.seconds = seconds * request.work / total
        if self.settings.verbose > 0:
            print(report(requests, stacks, seconds))


class Gathered:
    """A task whose trainings are handed over; it is called in a turn of its own."""

    def __init__(self, task: Task, count: Count, done: Callable[[], Any]) -> None:
        self.task, self.count, self.done = task, count, done
        self.idle = 0.0  # how many seconds it has waited for what is not its own

    def __call__(self) -> list[Any]:
        TASK.set(self)
        with gathering(self.gather):
            results = self.task()
        self.done()
        for result in results:  # scikit-learn has taken the time from the begin to the end of `fit`
            if isinstance(result, dict) and "fit_time" in result:
                result["fit_time"] = max(0.0, result["fit_time"] - self.idle)
        return results

    def gather(self, member: Member) -> None:
        """Hand a training over; return once it has been carried out, or raise its error."""
        if this_task() is self:
            self.wait_for([Request(member)])
        else:  # a thread that the task has started, and may wait for
            trained([member], None)
        if member.error is not None:
            raise member.error

    def wait_for(self, requests: Sequence[Request]) -> None:
        """Return once they have been carried out."""
        turn, begin = current(), time.perf_counter()
        assert turn is not None
        turn.wait_for(requests)
        self.idle += time.perf_counter() - begin - sum(request.seconds for request in requests)


TASK: ContextVar[Gathered | None] = ContextVar("TASK", default=None)


def this_task() -> Gathered | None:
    """The task whose turn this thread is; None in a thread that takes no turns."""
    return None if current() is None else TASK.get()


def trained(members: list[Member], kept: dict[Any, Any] | None) -> int:
    """Train the members; how many stacks that took."""
    return train_together(members) if kept is None else train_together(members, kept)


def report(requests: Sequence[Request], stacks: int, seconds: float) -> str:
    """A line on one pass."""
    structures = dict.fromkeys(request.member.problem.net.sizes for request in requests)
    sizes = ", ".join("-".join(map(str, structure)) for structure in structures)
    networks = f"{len(requests)} network{'s' * (len(requests) > 1)}"
    return f"[pass] {networks} in {stacks} stack{'s' * (stacks > 1)} ({sizes}): {seconds:.1f} s"
