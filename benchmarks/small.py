"""Small data, where most people are: scikit-learn's own sets, in a warm process and in a fresh one.

In a warm process ours and theirs take turns, as everything of the machine is then alike for both; each
set has a process of its own. BLAS has the threads that a user's has.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from configurations import Configuration
from goals import Goal
from record import Record
from rounds import FOLDER, Contender, Result, environment, interleave, notes
from small_sets import OURS, PLAIN, SETS, THEIRS
from tables import table

BOUNDS = {"adam": 1.5, "lbfgs": 1.2}
CLOCKS = ("wall", "CPU")
WARM, AT_LEAST = 1.5, 0.2  # seconds: of fits before any counts; of a turn
LONGEST = 45.0  # seconds, after which no more rounds of a set begin
USER_DEFINED = Configuration((2, 5, 2, 1), batch=64, batches=5, epochs=200, rows=300)
BUILT_IN, FORMS = "built in", ("def", "lambda", "method")


def ratio(result: Result, one: str, other: str) -> float | None:
    """How many times `other` is `one`: the median of the ratios by round."""
    if not result.rounds:
        return None
    return statistics.median(b / a for a, b in zip(result.all(one), result.all(other), strict=True))


def apart(
    label: str, function: str, c: Configuration, rounds: int, is_quick: bool, **options: str
) -> Result:
    """Rounds in a process of its own, where everybody who is compared takes turns."""
    clock = {"warm": 0.0, "at_least": 0.0} if is_quick else {"warm": WARM, "at_least": AT_LEAST}
    contender = Contender(label, function, clock | options, ("sklearn",))
    until = time.monotonic() + LONGEST
    return interleave({label: contender}, c, rounds, warm_up=0, until=until)[label]


def warm(rounds: int, record: Record, is_quick: bool) -> list[Goal]:
    """`fit` of ours and of scikit-learn's in one process, by wall and CPU time, with two solvers."""
    goals, rows, failed = [], [], []
    for name, c in SETS.items():
        result = apart(name, "small_sets:estimators", c, rounds, is_quick, name=name)
        failed.extend(notes({name: result}))
        for solver, bound in BOUNDS.items():
            ours, theirs = (f"{solver} {who}" for who in (OURS, THEIRS))
            ratios = {clock: ratio(result, f"{ours} {clock}", f"{theirs} {clock}") for clock in CLOCKS}
            went = [result.median(f"{who} iterations") for who in (ours, theirs)]
            ms = [in_ms(result.median(f"{who} wall")) for who in (ours, theirs)]
            rows.append((name, solver, *map(whole, went), *ms, *ratios.values()))
            for clock, found in ratios.items():
                what = f"fit on {name}, {solver}, {clock}: ours / scikit-learn"
                goals.append(Goal(what, None, found, bound))
        record.write(
            "small",
            set=name,
            sizes=c.sizes,
            state=result.state,
            rounds=result.rounds,
            pools=result.about.get("pools", []),
        )
    head = ["fit in a warm process", "solver", "iterations", "theirs", "ms", "theirs", *CLOCKS]
    table(f"Ours over scikit-learn, speed, medians of {rounds} rounds", head, rows, failed)
    return goals


def whole(number: float | None) -> int | None:
    """A median of counts that do not differ."""
    return None if number is None else round(number)


def in_ms(seconds: float | None) -> float | None:
    """Milliseconds, of what has not failed."""
    return None if seconds is None else 1000 * seconds


def fresh(names: tuple[str, ...], rounds: int, record: Record) -> list[Goal]:
    """Whole processes with their imports and one fit by Adam, interleaved: wall time."""
    goals, rows = [], []
    for name in names:
        seconds: dict[str, list[float]] = {who: [] for who in (OURS, PLAIN, THEIRS)}
        for turn in range(rounds + 1):
            for who, times in seconds.items():
                start = time.perf_counter()
                command = [sys.executable, str(FOLDER / "small_sets.py"), name, who]
                subprocess.run(command, check=True, env=environment())
                if turn:  # the first has filled the system's file cache, and ours
                    times.append(time.perf_counter() - start)
        theirs = seconds[THEIRS]
        ratios = {
            who: statistics.median(b / a for a, b in zip(seconds[who], theirs, strict=True))
            for who in (OURS, PLAIN)
        }
        rows.append((name, *map(statistics.median, seconds.values()), *ratios.values()))
        for who, found in ratios.items():
            goals.append(Goal(f"fresh process, fit on {name}: {who} / scikit-learn", None, found, 1.0))
        record.write("fresh", set=name, sizes=SETS[name].sizes, seconds=seconds, ratios=ratios)
    head = ["a fresh process, s", OURS, PLAIN, THEIRS, "speed over theirs", "without fast"]
    table(f"Imports and one fit by Adam, medians of {rounds} processes each", head, rows)
    return goals


def user_defined(rounds: int, record: Record, is_quick: bool) -> list[Goal]:
    """The time of a training with a user-defined relu, over that with the one that is built in."""
    c = USER_DEFINED
    result = apart("pnn.fit", "small_sets:activations", c, rounds, is_quick)
    goals, rows = [], []
    for form in (BUILT_IN, *FORMS):
        ratios = [ratio(result, f"{BUILT_IN} {clock}", f"{form} {clock}") for clock in CLOCKS]
        ms = in_ms(result.median(f"{form} wall"))
        rows.append((f"relu, {form}", ms, *ratios))
        if form != BUILT_IN:
            what = f"time of a fit, user-defined relu ({form}) / built in"
            goals.append(Goal(what, None, ratios[0], 1.3, at_most=True))
    record.write("user_defined", sizes=c.sizes, batch=c.batch, state=result.state, rounds=result.rounds)
    head = [f"{c.epochs} epochs of {c.n} rows", "ms", *(f"over the built-in's, {k}" for k in CLOCKS)]
    table(f"{c.name}: a user-defined activation", head, rows, notes({"pnn.fit": result}))
    return goals


def measure(rounds: int, few: int, record: Record, is_quick: bool) -> list[Goal]:
    """All of them."""
    goals = warm(rounds, record, is_quick)
    goals += user_defined(rounds, record, is_quick)
    return goals + fresh(tuple(SETS)[: 1 if is_quick else None], few, record)
