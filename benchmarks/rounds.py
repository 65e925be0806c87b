"""The rounds of all contenders, interleaved, and what is taken from them: medians, of ratios by round.

Cores are shared and clocks drift: only what ran within the same seconds can be compared. So the
contenders take turns (A B C A B C ...), and a ratio is the median over the rounds of the ratios within.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from configurations import Configuration

FOLDER = Path(__file__).parent
WARM = 8.0  # seconds; loops of ours are compiled once a step has run for 5
PAUSE = 0.05  # seconds; OpenBLAS's and OpenMP's threads spin for a while after the work is done


@dataclass(frozen=True)
class Contender:
    """Who takes part: `function` is "module:name", called with the configuration and the options.

    `is_first_at_once`: its first round is run as it is set up, perhaps while others are: not for one
    whose compiler tries out what is fastest.
    """

    label: str
    function: str
    options: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    by_default: bool = True
    env: dict[str, str] = field(default_factory=dict)
    is_first_at_once: bool = False


@dataclass
class Result:
    """What a contender's rounds gave: `rounds` holds the replies, each with its seconds."""

    label: str
    state: str
    about: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def all(self, key: str = "seconds") -> list[float]:
        """One number of every round."""
        return [one[key] for one in self.rounds]

    def median(self, key: str = "seconds") -> float | None:
        """The median of one number over the rounds; None if it has failed."""
        return statistics.median(self.all(key)) if self.rounds else None

    @property
    def first_call(self) -> float | None:
        """How much longer the first round took than the others: imports left over, compilers, caches."""
        usual = self.median()
        return None if usual is None else max(0.0, self.about["first_round"] - usual)


@dataclass(frozen=True)
class Circumstances:
    """How workers are run: what their environment has besides, and what is waited for.

    `warm` is how many seconds of rounds each runs before any counts; one that says nothing for
    `patience` seconds is ended; `log`: where everything that they print goes, tracebacks too.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    warm: float = WARM
    patience: float = 3600.0
    log: str | None = None


class Worker:
    """A contender's process; `result` is there when it has been set up."""

    result: Result

    def __init__(
        self,
        contender: Contender,
        c: Configuration,
        at_least: float = 0.0,
        how: Circumstances = Circumstances(),
        **options: Any,
    ) -> None:
        spec = {
            "function": contender.function,
            "options": contender.options | options,
            "needs": contender.needs,
            "hide": contender.hide,
            "at_least": at_least,
            "warm": how.warm,
            "is_first_at_once": contender.is_first_at_once,
            "configuration": asdict(c),
        }
        command = [sys.executable, str(FOLDER / "worker.py"), json.dumps(spec)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        env = environment() | dict(how.env) | contender.env
        self.label, self.patience = contender.label, how.patience
        with open(how.log or os.devnull, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, env=env, stderr=log, **pipes)

    def set_up(self) -> None:
        """Wait until it could start with its rounds."""
        self.result = Result(self.label, self.read()["state"])

    def read(self) -> dict[str, Any]:
        """The worker's next reply; one that has died has failed, and one that is silent is ended."""
        assert self.process.stdout is not None
        guard, asked = threading.Timer(self.patience, self.process.kill), time.monotonic()
        guard.daemon = True
        guard.start()
        line = self.process.stdout.readline()
        guard.cancel()
        if line:
            return dict(json.loads(line))
        if time.monotonic() - asked >= self.patience:
            return {"state": f"failed: no answer for {self.patience:g} s"}
        return {"state": f"failed: its process ended with code {self.process.wait()}"}

    def go(self, keep: bool) -> None:
        """One round, unless it has failed before."""
        if self.result.state != "ok":
            return
        assert self.process.stdin is not None
        time.sleep(PAUSE)
        with contextlib.suppress(BrokenPipeError):  # it has ended: the reply will tell
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        reply = self.read()
        self.result.about |= reply.pop("about", {})
        if not math.isfinite(reply.get("cost", 0.0)):  # what trains to nothing is not fast
            reply["state"] = f"failed: its cost is {reply['cost']}"
        if "state" in reply:
            self.result.state, self.result.rounds = reply["state"], []
        elif keep:
            self.result.rounds.append(reply)

    def dismiss(self) -> None:
        """Have the process end: it leaves when its stdin does."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def close(self) -> None:
        """Dismiss it, and wait until it is gone."""
        assert self.process.stdout is not None
        self.dismiss()
        self.process.wait()
        self.process.stdout.close()


def environment() -> dict[str, str]:
    """The user's own, without what would force OpenBLAS's kernels or cuBLAS's precision."""
    # the last: an installed package has its bytecode, and so must ours have it after the first import
    blas = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NVIDIA_TF32_OVERRIDE")
    forced = (*blas, "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in forced}


def interleave(
    contenders: Mapping[str, Contender],
    c: Configuration,
    rounds: int,
    warm_up: int = 1,
    at_least: float = 0.0,
    how: Circumstances = Circumstances(),
    at_once: bool = False,
    until: float = math.inf,
    **options: Any,
) -> dict[str, Result]:
    """Each contender's result, of `rounds` rounds after the first call and `warm_up` more.

    What takes less than `at_least` seconds is repeated within a round, and its mean taken. `at_once`:
    all are set up at the same time; their rounds take turns as ever. Once `time.monotonic()` is past
    `until`, no turn begins but the first that counts.
    """
    workers: dict[str, Worker] = {}
    try:
        for key, contender in contenders.items():
            workers[key] = Worker(contender, c, at_least, how, **options)
            if not at_once:
                workers[key].set_up()
        for worker in workers.values() if at_once else ():
            worker.set_up()
        for turn in range(warm_up + rounds):
            if turn > warm_up and time.monotonic() > until:
                break
            for worker in workers.values():
                worker.go(keep=turn >= warm_up)
    finally:
        for worker in workers.values():
            worker.dismiss()
        for worker in workers.values():
            worker.close()
    return {key: worker.result for key, worker in workers.items()}


def notes(results: Mapping[str, Result]) -> list[str]:
    """A line for each contender that has not run, and why."""
    return [f"{one.label}: {one.state}" for one in results.values() if one.state != "ok"]


def speed_ratio(results: Mapping[str, Result], one: str, other: str) -> float | None:
    """How many times as fast as `other` `one` is: the median over the rounds; None if either failed."""
    if not all(key in results and results[key].rounds for key in (one, other)):
        return None
    pairs = zip(results[one].all(), results[other].all(), strict=True)
    return statistics.median(theirs / ours for ours, theirs in pairs)
