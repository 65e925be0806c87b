"""Where joblib's tasks run, so that the networks that they train are trained together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import joblib
from joblib.parallel import (
    BatchedCalls,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
    get_active_backend,
)

from portable_nn.model_selection.arguments import Calls, put_back, taken_out
from portable_nn.model_selection.tasks import Count, Settings, Task, Tasks

MANY = 1024  # jobs, where each part of an estimator is to be a task


class OnePassBackend(ParallelBackendBase):
    """What ``joblib.Parallel`` finds where trainings are gathered; each such object gets an `OnePass`.

    Parameters
    ----------
    settings, count, kept
        See `Tasks`.
    outer : joblib's backend
        That of the user: where the shares of the tasks run if there are several jobs.
    threads : joblib's backend
        That of the user for tasks which prefer threads: these are no fits.
    is_wide : bool
        Whether every `n_jobs` means this process, and estimators are divided as far as they can be.
    """

    supports_sharedmem = False  # where it is required joblib takes threads

    def __init__(
        self,
        settings: Settings,
        count: Count,
        outer: Any,
        threads: Any,
        kept: dict[Any, Any] | None = None,
        is_wide: bool = False,
    ) -> None:
        super().__init__(nesting_level=outer.nesting_level)
        self.settings, self.count, self.kept = settings, count, kept
        self.outer, self.threads, self.is_wide = outer, threads, is_wide

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """What estimators ask that divide their work themselves."""
        jobs: int = self.outer.effective_n_jobs(n_jobs)
        return max(jobs, MANY) if self.is_wide else jobs

    def configure(
        self, n_jobs: int | None = 1, parallel: Any = None, prefer: str | None = None, **_: Any
    ) -> int:
        """Raise joblib's FallbackToBackend: every `Parallel` has tasks of its own."""
        if prefer == "threads":
            raise FallbackToBackend(self.threads)
        jobs = 1 if self.is_wide else self.outer.effective_n_jobs(n_jobs)
        raise FallbackToBackend(OnePass(self, jobs))

    def nested(self) -> OnePassBackend:
        """What the tasks of this process find: what they would find in a loop."""
        return OnePassBackend(self.settings, Count(), self.outer, self.threads)

    def apply_async(self, func: Task, callback: Callable[[Any], Any] | None = None) -> Any:
        raise NotImplementedError("`configure` gives every Parallel an OnePass")


class OnePass(ParallelBackendBase):
    """The tasks of one ``joblib.Parallel``; they run when the first result is asked for."""

    def __init__(self, door: OnePassBackend, jobs: int) -> None:
        super().__init__(nesting_level=door.nesting_level)
        self.door, self.jobs = door, jobs
        self.waiting: list[Job] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """More than one, whatever is asked for: a single job joblib would run itself."""
        return max(2, self.jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Ask for all tasks at once: a few at a time would be small stacks."""
        parallel.pre_dispatch = "all"
        return self.effective_n_jobs(n_jobs)

    def get_nested_backend(self) -> tuple[ParallelBackendBase, int | None]:
        return self.door.nested(), None

    def apply_async(self, func: Task, callback: Callable[[Any], Any]) -> Job:
        """Take a task; the object returned has its result in time."""
        job = Job(self, func, callback)
        self.waiting.append(job)
        return job

    submit = apply_async  # its name since joblib 1.5

    def abort_everything(self, ensure_ready: bool = True) -> None:
        self.waiting = []

    def run(self) -> None:
        """Run all tasks."""
        jobs, self.waiting = self.waiting, []
        tasks = [job.task for job in jobs]
        if self.jobs == 1:
            done = iter(jobs)
            together = Tasks(self.door.settings, self.door.count, self.door.kept)
            results = together.run(tasks, lambda: next(done).callback(None))
        else:
            results = self.run_shares(tasks)
            for job in jobs:
                job.callback(None)
        for job, result in zip(jobs, results, strict=True):
            job.result = result

    def run_shares(self, tasks: Sequence[Task]) -> list[list[Any]]:
        """Run the tasks on the user's backend: one pass, or a few, for each worker.

        Neighbours are dealt to different workers, since what is slow about a candidate it shares with
        the next.
        """
        shares = [
            [task.items for task in tasks[first :: self.jobs]]  # type: ignore[attr-defined]
            for first in range(min(self.jobs, len(tasks)))
        ]
        settings = self.door.settings
        settings = Settings(settings.max_stack_bytes // len(shares), settings.verbose)
        parallel = joblib.Parallel(self.jobs, backend=self.door.outer, pre_dispatch="all", batch_size=1)
        sent = [taken_out(share) for share in shares]
        answers = parallel(joblib.delayed(run_share)(calls, settings, *large) for calls, large in sent)
        results: list[Any] = [None] * len(tasks)
        for first, (share, n_passes) in enumerate(answers):
            results[first :: self.jobs] = share
            self.door.count.n_passes += n_passes
        return results


class Job:
    """A task that joblib has handed over, and its result."""

    def __init__(self, session: OnePass, task: Task, callback: Callable[[Any], Any]) -> None:
        self.session, self.task, self.callback = session, task, callback
        self.result: list[Any] | None = None

    def get(self, timeout: float | None = None) -> list[Any]:
        """The result; the first that is asked for brings all."""
        if self.result is None:
            self.session.run()
        assert self.result is not None
        return self.result


def run_share(share: Sequence[Calls], settings: Settings, *large: Any) -> tuple[list[list[Any]], int]:
    """In a worker: the results of its tasks, and the number of stacks that it trained.

    A task is what it calls: what joblib makes of that knows a backend, and not every one can be sent.
    Here the calls find that of the worker or, where other workers would do what they divide, none: the
    worker that they wait for may be this one.
    """
    count, (outer, n_jobs) = Count(), get_active_backend()
    if not getattr(outer, "supports_sharedmem", False):
        outer, n_jobs = SequentialBackend(nesting_level=outer.nesting_level), None
    backend = OnePassBackend(settings, Count(), outer, outer)
    tasks = [BatchedCalls(calls, (backend, n_jobs)) for calls in put_back(share, large)]
    return Tasks(settings, count).run(tasks, lambda: None), count.n_passes
