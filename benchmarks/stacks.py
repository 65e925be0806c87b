"""Many networks in one stack, beside one network after another: a script of its own.

python benchmarks/stacks.py [--out FILE.jsonl] [--library numpy torch jax] [--networks 64] [--quick]

`pnn.fit` of 64 networks in one stack, over a loop of fits of one network each, over such a loop in two
processes (joblib), and over itself where each network has a learning rate, rows or a seed of its own.
Float32, Adam; rounds in turns. A speed is rows times networks in a second.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from configurations import Configuration, one_hot, quick
from goals import Goal, report
from ours import fits
from record import Record, versions
from rounds import Circumstances, Contender, Result, interleave, notes, speed_ratio
from tables import table

import portable_nn as pnn

CONFIGURATIONS = (
    Configuration((20, 32, 3), batch=32, batches=64),
    Configuration((64, 64, 10), batch=64, batches=32),
    Configuration((30, 100, 1), batch=200, batches=10),
    Configuration((784, 128, 10), batch=128, batches=8),
)
EPOCHS = 4  # of a round: so many that beginning a training counts for little
LOOPED = 4  # networks of a round of the loop, whose time is proportional to their number
PROCESSES = 2
LIBRARIES = ("numpy", "torch", "jax")
GOALS: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {  # for each configuration, by library
    ("stack", "loop"): {"numpy": (12, 4, 4, 1.8), "torch": (11, 3.4, 2.5), "jax": (11, 3.4, 2.5)},
    ("stack", "processes"): {"numpy": (6, 2.2, 2.2, 0.95)},
}
COSTS = {"rates": 1.1, "rows": 1.2}  # over a stack that shares them, at most
HERE = "stacks"


def network(c: Configuration) -> pnn.Network:
    """The configuration's network: a regressor where it has one output."""
    hidden = ["relu"] * (len(c.sizes) - 2)
    if c.sizes[-1] == 1:
        return pnn.Network(c.sizes, [*hidden, "identity"], "squared_error")
    return pnn.Network(c.sizes, [*hidden, "softmax"], "categorical_cross_entropy")


def data(c: Configuration) -> tuple[Any, Any]:
    """X and Y, float32, on the host."""
    X, labels = c.data()
    return X, X[:, :1] if c.sizes[-1] == 1 else one_hot(labels, c.sizes[-1])


def training(
    c: Configuration, backend: str, networks: int | None = None, own: str = ""
) -> Callable[[], dict[str, Any]]:
    """A stack of networks, or a few one after another; `own`: what each network has of its own."""
    library, net = pnn.backends.get(backend), network(c)
    X, Y = map(library.asarray, data(c))
    stack = () if networks is None else (networks,)
    params = net.initialize(seed=0, backend=library, dtype="float32", stack=stack)
    if not own:
        return fits(c, library, net, params, X, Y, times=LOOPED if networks is None else 1)
    assert networks is not None
    random, seeds = np.random.default_rng(0), count(step=networks)
    rates = np.geomspace(1e-4, 1e-2, networks)
    rows = [random.integers(0, c.n, size=c.n) for _ in range(networks)]

    def run() -> dict[str, Any]:
        first = next(seeds)
        every: dict[str, dict[str, Any]] = {
            "rates": {"optimizer": pnn.Adam(rates), "seed": first},
            "rows": {"rows": rows, "seed": first},
            "seeds": {"seed": list(range(first, first + networks))},
        }
        trained, history = pnn.fit(net, params, X, Y, epochs=c.epochs, batch_size=c.batch, **every[own])
        library.ready(*(array for layer in trained for array in layer))
        return {"cost": float(np.mean(history.cost[-1]))}

    return run


def one_fit(c: Configuration, X: Any, Y: Any, seed: int) -> float:
    """One network trained in a process of joblib's; its last cost."""
    net = network(c)
    params = net.initialize(seed=seed, dtype="float32")
    _, history = pnn.fit(net, params, X, Y, epochs=c.epochs, batch_size=c.batch, seed=seed)
    return float(history.cost[-1])


def in_processes(c: Configuration, networks: int) -> Callable[[], dict[str, Any]]:
    """All networks one by one in two processes, which stay between rounds."""
    from joblib import Parallel, delayed

    X, Y = data(c)
    pool = Parallel(n_jobs=PROCESSES)

    def run() -> dict[str, Any]:
        costs = pool(delayed(one_fit)(c, X, Y, seed) for seed in range(networks))
        return {"cost": float(np.mean(costs))}

    return run


def contenders(library: str, networks: int) -> dict[str, Contender]:
    """Who takes part on a library."""
    of_all = {"backend": library, "networks": networks}
    function, needs = f"{HERE}:training", (library,)
    found = {
        "stack": Contender("one stack", function, of_all, needs),
        "loop": Contender("one after another", function, {"backend": library}, needs),
    }
    if library == "numpy":
        found["processes"] = Contender(
            f"one by one in {PROCESSES} processes",
            f"{HERE}:in_processes",
            {"networks": networks},
            ("joblib",),
        )
    for own, words in {"rates": "learning rates", "rows": "rows", "seeds": "seeds"}.items():
        found[own] = Contender(f"one stack, own {words}", function, of_all | {"own": own}, needs)
    return found


def scale_the_loop(loop: Result, networks: int) -> None:
    """Give the loop the seconds of all networks, of which its rounds train a few."""
    for one in loop.rounds:
        one["seconds"] *= networks / LOOPED


def goals_of(place: int, c: Configuration, library: str, results: dict[str, Result]) -> list[Goal]:
    """What was to be reached with a configuration on a library, and what was."""
    found = []
    for (one, other), bounds in GOALS.items():
        if place < len(bounds.get(library, ())):
            ratio = speed_ratio(results, one, other)
            found.append(Goal(f"{library}: {one} / {other}", c.sizes, ratio, bounds[library][place]))
    for own, bound in COSTS.items():
        cost = speed_ratio(results, "stack", own)  # how many times as long it takes
        found.append(Goal(f"{library}: time with own {own}", c.sizes, cost, bound, at_most=True))
    return found


def measure(
    place: int,
    c: Configuration,
    library: str,
    given: argparse.Namespace,
    how: Circumstances,
    record: Record,
) -> list[Goal]:
    """The rounds of a configuration on a library: its table, a line for each contender, its goals."""
    known = contenders(library, given.networks)
    results = interleave(known, c, given.rounds, at_least=0.2, how=how)
    scale_the_loop(results["loop"], given.networks)
    rows = []
    for key, result in results.items():
        seconds, over = result.median(), speed_ratio(results, "stack", key)
        speed = None if seconds is None else c.samples * given.networks / seconds
        rows.append((result.label, speed, over))
        record.write(
            "stacks",
            library=library,
            configuration=c.name,
            networks=given.networks,
            contender=key,
            label=result.label,
            state=result.state,
            samples_per_second=speed,
            stack_over_it=over,
            first_call_seconds=result.first_call,
            seconds=result.all(),
            cost=result.rounds[-1]["cost"] if result.rounds else None,
            pools=result.about.get("pools", []),
        )
    title = f"{given.networks} networks {c.name}, {library}, {given.rounds} rounds"
    table(title, ("", "samples x networks / s", "stack over it"), rows, notes(results))
    return goals_of(place, c, library, results)


def main() -> int:
    """Measure each configuration on each library."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--log", metavar="FILE", help="where what the contenders print goes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warm", type=float, default=8.0, help="seconds before any round counts; 8")
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--library", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    given = parser.parse_args()
    record, goals = Record(given.out), []
    print(f"{record.short}; {', '.join(f'{k} {v}' for k, v in versions().items())}")
    those = quick(CONFIGURATIONS) if given.quick else CONFIGURATIONS
    those = tuple(replace(c, epochs=1 if given.quick else EPOCHS) for c in those)
    how = Circumstances(warm=0.2 if given.quick else given.warm, log=given.log)
    try:
        for library in given.library:
            for place, c in enumerate(those):
                goals += measure(place, c, library, given, how, record)
        report(goals, record, those)
    finally:
        record.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
