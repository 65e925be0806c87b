"""Several processes on one machine, measured, and many machines, modelled: a script of its own.

python benchmarks/scaling.py [--out FILE.jsonl] [--chart FILE.png] [--rounds N] [--quick]
python benchmarks/scaling.py --from FILE.jsonl [--chart FILE.png]      # the model alone

Starts itself by `mpiexec -n 2`, each process with one thread, float32, Adam. "one" is `fit` in one of
them while the other sleeps, "group of one" the same with a communicator, "two" both of them, and "two,
silent" both without any sum: what the machine's second core gives. Ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
os.environ.update(ONE_THREAD)

import numpy as np  # noqa: E402
from configurations import Configuration, one_hot  # noqa: E402
from ours import network  # noqa: E402
from record import Record  # noqa: E402
from scaling_model import draw, show_model  # noqa: E402
from tables import table  # noqa: E402

import portable_nn as pnn  # noqa: E402

SMALL, WIDE = (784, 256, 128, 10), (1024, 2048, 2048, 100)
CONFIGURATIONS = (Configuration(SMALL, 4096, 6, epochs=8), Configuration(WIDE, 1024, 4, epochs=3))
ROWS = {SMALL: (16, 64, 256, 1024, 4096), WIDE: (16, 64, 256, 1024)}  # of a batch, for the model
NUMBERS = (1, 1_000, 10_000, 235_146, 1_000_000, 6_500_000)
WARM = 8.0  # seconds before any counts: by then the loops are compiled
HEAD = ("network", "one, ms", "group of one", "two", "two, silent", "gain", "silent", "one's overhead")


class Silent:
    """A group of processes that adds nothing up: each trains on its own part."""

    def __init__(self, group: Any) -> None:
        self.rank, self.size = group.rank, group.size
        self.broadcast_, self.max, self.abort = group.broadcast_, group.max, group.abort

    def sum_(self, flat: Any) -> None:
        """Nothing."""


def seconds(function: Callable[[], Any], warm: float = 0.0) -> float:
    """How long a call takes, the last one after so many seconds of calls."""
    until = time.perf_counter() + warm
    while True:
        started = time.perf_counter()
        function()
        ended = time.perf_counter()
        if ended >= until:
            return ended - started


class Measurement:
    """What one of the two processes does; the first one prints a line of JSON for each result."""

    def __init__(self, rounds: int, warm: float) -> None:
        self.group, self.rounds, self.warm = pnn.distributed.mpi(), rounds, warm
        self.is_first = self.group.rank == 0

    def wait(self) -> None:
        """Until the other process is here too, without taking its core's time."""
        request = self.group.comm.Ibarrier()
        while not request.Test():
            time.sleep(0.001)

    def report(self, suite: str, **result: Any) -> None:
        """Print a result."""
        if self.is_first:
            print("RESULT", json.dumps({"suite": suite} | result), flush=True)

    def trainings(self, c: Configuration) -> None:
        """A configuration, alone and together."""
        net, (X, labels) = network(c), c.data()
        params, Y = net.initialize(seed=0), one_hot(labels, c.sizes[-1])
        steps = c.batches * c.epochs

        def fit(group: Any) -> Callable[[], Any]:
            options = {"epochs": c.epochs, "batch_size": c.batch, "communicator": group}
            return lambda: pnn.fit(net, params, X, Y, pnn.Adam(), **options)

        alone = {"one": fit(None), "group of one": fit(pnn.distributed.Alone())}
        both = {"two": fit(self.group), "two, silent": fit(Silent(self.group))}
        found: dict[str, list[float]] = {name: [] for name in (*alone, *both)}
        for k in range(self.rounds + 1):
            warm = self.warm if k == 0 else 0.0
            for name, one in alone.items():
                if self.is_first:
                    found[name].append(seconds(one, warm) / steps)
                self.wait()
            for name, one in both.items():
                for _ in range(self.calls(one, warm)):
                    one()
                found[name].append(seconds(one) / steps)
                self.wait()
        times = {name: each[1:] for name, each in found.items()}
        self.report("trainings", configuration=c.name, sizes=c.sizes, batch=c.batch, seconds=times)

    def calls(self, one: Callable[[], Any], warm: float) -> int:
        """How many calls take so many seconds, the same number in both processes."""
        return 0 if not warm else self.group.max(1 + int(warm / seconds(one)))

    def sums(self) -> None:
        """The sum over the processes of arrays of several lengths, beside mpi4py's own."""
        from mpi4py import MPI  # noqa: PLC0415

        for n in NUMBERS:
            flat = np.zeros(n, np.float32)
            ways = {
                "ours": lambda flat=flat: self.group.sum_(flat),
                "mpi4py": lambda flat=flat: self.group.comm.Allreduce(MPI.IN_PLACE, flat),
            }
            calls = max(3, min(200, int(1e6 / (n + 1))))
            times: dict[str, list[float]] = {name: [] for name in ways}
            for k in range(6 * self.rounds + 2):
                for name in (*ways, *reversed(ways))[k % 2 * 2 :][:2]:
                    self.group.comm.Barrier()
                    started = time.perf_counter()
                    for _ in range(calls):
                        ways[name]()
                    if k > 1:
                        times[name].append((time.perf_counter() - started) / calls)
            self.report("sums", numbers=n, seconds=times)

    def work(self, sizes: tuple[int, ...]) -> None:
        """A training step of one process by the rows of its batch; the other one sleeps."""
        if self.is_first:
            for rows in ROWS[sizes]:
                c = Configuration(sizes, rows, max(4, 2048 // rows))
                net, (X, labels) = network(c), c.data()
                params, Y = net.initialize(seed=0), one_hot(labels, sizes[-1])
                one = lambda: pnn.fit(net, params, X, Y, pnn.Adam(), epochs=4, batch_size=c.batch)  # noqa: B023, E731
                first = seconds(one, self.warm)
                times = [first, *(seconds(one) for _ in range(self.rounds))]
                self.report("work", sizes=sizes, rows=rows, seconds=[t / c.batches / 4 for t in times])
        self.wait()

    def run(self) -> None:
        """All of it."""
        for c in CONFIGURATIONS:
            self.trainings(c)
        self.sums()
        for sizes in ROWS:
            self.work(sizes)


def measured(rounds: int, warm: float) -> list[dict[str, Any]]:
    """The results of two processes."""
    beside = Path(sys.executable).with_name("mpiexec")
    command = [str(beside) if beside.exists() else "mpiexec", "-n", "2", sys.executable, __file__]
    command += ["--part", str(warm), "--rounds", str(rounds)]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("RESULT "):
                found.append(json.loads(line.partition(" ")[2]))
    if process.returncode:
        sys.exit(process.returncode)
    return found


def ratio(times: dict[str, list[float]], over: str, under: str) -> float:
    """The median of the ratios by round."""
    pairs = zip(times[over], times[under], strict=True)
    return statistics.median(a / b for a, b in pairs)


def show(results: list[dict[str, Any]]) -> None:
    """What was measured, as tables."""
    rows, sums = [], []
    for result in results:
        t = result["seconds"]
        if result["suite"] == "trainings":
            each = [f"{1e3 * statistics.median(t[name]):.1f}" for name in t]
            gains = [f"{ratio(t, 'one', name):.2f}" for name in ("two", "two, silent")]
            rows.append(
                (result["configuration"], *each, *gains, f"{ratio(t, 'group of one', 'one'):.3f}")
            )
        if result["suite"] == "sums":
            each = [f"{1e6 * statistics.median(t[name]):,.1f}" for name in t]
            sums.append((f"{result['numbers']:,}", *each, f"{ratio(t, 'ours', 'mpi4py'):.3f}"))
    table(
        "Measured: milliseconds of a step; how many times as fast as one two processes are", HEAD, rows
    )
    head = ("numbers", "ours", "mpi4py", "ours over mpi4py's")
    table("Measured: microseconds of a sum of so many float32 over two processes", head, sums)


def main() -> None:
    """Measure, model, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out")
    parser.add_argument("--chart")
    parser.add_argument("--from", dest="given")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        Measurement(options.rounds, options.part).run()
        return
    if options.given:
        lines = Path(options.given).read_text(encoding="utf-8").splitlines()
        results = [json.loads(line) for line in lines][1:]
    else:
        record = Record(options.out)
        results = measured(2 if options.quick else options.rounds, 0.5 if options.quick else WARM)
        for result in results:
            record.write(**result)
        record.close()
    show(results)
    show_model(results)
    if options.chart:
        draw(results, options.chart)


if __name__ == "__main__":
    main()
