"""The benchmarks, all in one run: tables out, and a line of JSON for each result.

python benchmarks/run.py --out results.jsonl --chart chart.png --data mnist.npz
"""

from __future__ import annotations

import argparse
import time

import goals
import growth
import inference
import memory
import mnist
import record
import repeated
import small
import startup
import training
from configurations import CONFIGURATIONS, TINY, quick
from rounds import WARM

SUITES = (
    "small",
    "training",
    "repeated",
    "inference",
    "mnist",
    "memory",
    "startup",
    "growth",
)
DEFAULT = [name for name, one in training.CONTENDERS.items() if one.by_default]
GROWING = ["numpy"]


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--chart", metavar="FILE.png", help="and a picture of them (needs --out)")
    parser.add_argument("--data", metavar="PATH", help="mnist.npz: train_x, train_y, test_x, test_y")
    parser.add_argument("--only", default=",".join(SUITES), help=f"some of: {','.join(SUITES)}")
    parser.add_argument(
        "--rows-on-disk", type=int, default=0, metavar="N", help="growth: stream so many, too; 10000000"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of small and training; 5")
    parser.add_argument(
        "--contender",
        nargs="+",
        choices=tuple(training.CONTENDERS),
        metavar="NAME",
        help=f"some of: {', '.join(training.CONTENDERS)}",
    )
    given = parser.parse_args()
    given.only = given.only.split(",")
    unknown = set(given.only) - set(SUITES)
    if unknown:
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; known: {', '.join(SUITES)}")
    if given.chart and not given.out:
        parser.error("--chart draws what --out has recorded: give both")
    return given


def measure(given: argparse.Namespace, out: record.Record) -> list[goals.Goal]:
    """Every suite asked for, one after the other."""
    names, is_quick = given.contender or DEFAULT, given.quick
    growing = given.contender or GROWING
    chosen = CONFIGURATIONS
    rounds, fresh, few, warm = given.rounds, 7, 3, WARM
    if is_quick:
        chosen, rounds, fresh, few, warm = quick((TINY,)), 2, 3, 1, 0.2
    suites = {
        "small": lambda: small.measure(rounds, few, out, is_quick),
        "repeated": lambda: repeated.measure(out),
        "training": lambda: training.measure(chosen, names, rounds, out, warm),
        "inference": lambda: inference.measure(chosen, names, min(rounds, few), out, warm / 2),
        "mnist": lambda: mnist.measure(given.data, min(few, 2), out, is_quick),
        "memory": lambda: memory.measure(1, out, is_quick),
        "startup": lambda: startup.measure(growing if is_quick else names, fresh, out),
        "growth": lambda: growth.measure(growing, min(few, 2), out, is_quick, given.rows_on_disk),
    }
    found: list[goals.Goal] = []
    for suite in given.only:
        start = time.perf_counter()
        found.extend(suites[suite]() or [])
        print(f"({suite}: {time.perf_counter() - start:.0f} s)", flush=True)
    return found


def main() -> None:
    """Measure, say what was reached, draw."""
    given = arguments()
    out = record.Record(given.out)
    print(f"{out.short}; {', '.join(f'{k} {v}' for k, v in record.versions().items())}")
    try:
        goals.report(measure(given, out), out)
    finally:
        out.close()
    if given.chart:
        import chart  # noqa: PLC0415  (matplotlib is not needed to measure)

        chart.draw(given.out, given.chart)


if __name__ == "__main__":
    main()
