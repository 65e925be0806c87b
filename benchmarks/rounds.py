"""The rounds of all contenders, interleaved, and what is taken from them: medians, of ratios by round.

Cores are shared and clocks drift: only what ran within the same seconds can be compared. So the
contenders take turns (A B C A B C ...), and a ratio is the median over the rounds of the ratios within.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from configurations import Configuration

FOLDER = Path(__file__).parent
PAUSE = 0.05  # seconds; OpenBLAS's and OpenMP's threads spin for a while after the work is done


@dataclass(frozen=True)
class Contender:
    """Who takes part: `function` is "module:name", called with the configuration and the options."""

    label: str
    function: str
    options: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    by_default: bool = True


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


class Worker:
    """A contender's process."""

    def __init__(
        self,
        contender: Contender,
        c: Configuration,
        at_least: float = 0.0,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        spec = {
            "function": contender.function,
            "options": contender.options | options,
            "needs": contender.needs,
            "hide": contender.hide,
            "at_least": at_least,
            "configuration": asdict(c),
        }
        command = [sys.executable, str(FOLDER / "worker.py"), json.dumps(spec)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(
            command, env=environment() | dict(env or {}), stderr=subprocess.DEVNULL, **pipes
        )
        reply = self.read()
        self.result = Result(contender.label, reply.pop("state"), reply)

    def read(self) -> dict[str, Any]:
        """The worker's next reply; one that has died has failed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return dict(json.loads(line))
        return {"state": f"failed: its process ended with code {self.process.wait()}"}

    def go(self, keep: bool) -> None:
        """One round, unless it has failed before."""
        if self.result.state != "ok":
            return
        assert self.process.stdin is not None
        time.sleep(PAUSE)
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        reply = self.read()
        if "state" in reply:
            self.result.state, self.result.rounds = reply["state"], []
        elif keep:
            self.result.rounds.append(reply)

    def close(self) -> None:
        """End the process: it leaves when its stdin does."""
        self.process.communicate()


def environment() -> dict[str, str]:
    """The user's own, without what would force OpenBLAS's kernels."""
    # the last: an installed package has its bytecode, and so must ours have it after the first import
    forced = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in forced}


def interleave(
    contenders: Mapping[str, Contender],
    c: Configuration,
    rounds: int,
    warm_up: int = 1,
    at_least: float = 0.0,
    **options: Any,
) -> dict[str, Result]:
    """Each contender's result, of `rounds` rounds after the first call and `warm_up` more.

    What takes less than `at_least` seconds is repeated within a round, and its mean taken.
    """
    workers: dict[str, Worker] = {}
    try:
        for key, contender in contenders.items():
            workers[key] = Worker(contender, c, at_least, **options)
        for turn in range(warm_up + rounds):
            for worker in workers.values():
                worker.go(keep=turn >= warm_up)
    finally:
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
