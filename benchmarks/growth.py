"""How the cost grows with width, depth, batch and rows, two decades or more each, and with many classes
or inputs: against the floor and against torch's module.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

from configurations import Configuration
from record import Record
from rounds import Circumstances, Contender, interleave, notes, speed_ratio
from tables import table
from training import CONTENDERS, FLOOR

WIDTHS = (16, 64, 256, 1024, 4096)
DEPTHS = (1, 3, 10, 30, 100, 300, 1000)
BATCHES = (1, 8, 64, 512, 4096, 65536)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
ON_DISK = ("float32", "uint8")
SECONDS = 0.15  # about what a round of the points with few rows is to take
WARM = 0.5  # seconds of rounds before any counts; the loops are compiled in the first
OURS, PEER = "numpy", "torch-module"
GROWING = Contender("ours, numpy", "growing:training")


def points(is_quick: bool) -> Iterator[tuple[str, int, Configuration]]:
    """What grows, how far it has, and the net that is trained there."""
    part = slice(1, 2) if is_quick else slice(None)
    for width in WIDTHS[part]:
        yield "width", width, sized((64, width, width, 10), 128)
    for depth in DEPTHS[part]:
        yield "depth", depth, sized((64, *[64] * depth, 10), 128)
    for batch in BATCHES[part]:
        yield "batch", batch, sized((64, 256, 256, 10), batch)
    for rows in ROWS[part]:
        epochs = max(1, 10_000 // rows)
        yield "rows", rows, Configuration((20, 32, 3), 128, 0, epochs, rows)
    if not is_quick:
        yield "classes", 10_000, sized((64, 128, 10_000), 128)
        yield "inputs", 20_000, sized((20_000, 256, 10), 128)


def sized(sizes: tuple[int, ...], batch: int) -> Configuration:
    """As many batches as take about SECONDS, by a rough guess at what a core of today does."""
    operations = 6 * batch * sum(k * m for k, m in pairwise(sizes))
    step = 60e-6 * len(sizes) + operations / 1e11
    return Configuration(sizes, batch, max(2, math.ceil(SECONDS / step)))


def measure(
    names: Iterable[str], rounds: int, record: Record, is_quick: bool, rows_on_disk: int = 0
) -> None:
    """Every point, and a table for each of those that grow.

    `rows_on_disk`: so many rows of 20 numbers are streamed from a memory map, too.
    """
    wanted = set(names) | {FLOOR} | (set() if is_quick else {PEER})
    known = CONTENDERS if is_quick else CONTENDERS | {OURS: GROWING}
    at_least = 0.0 if is_quick else SECONDS
    contenders = {key: one for key, one in known.items() if key in wanted}
    lines: dict[str, list[tuple[object, ...]]] = {}
    for axis, value, c in points(is_quick):
        measure_point(contenders, (axis, value, c), rounds, at_least, record, lines)
    if rows_on_disk:
        c = Configuration((20, 32, 3), 1024, 0, 1, rows_on_disk)
        streamed = {FLOOR: contenders[FLOOR]} | {
            dtype: Contender(
                f"ours, numpy, {dtype} from the disk", "growing:from_disk", {"dtype": dtype}
            )
            for dtype in ON_DISK
        }
        measure_point(streamed, ("rows on the disk", c.n, c), 1, SECONDS, record, lines)
    for axis, rows in lines.items():
        table(f"How it grows with {axis}", [axis, "", "samples/s", "of the floor"], rows)


def measure_point(
    contenders: dict[str, Contender],
    point: tuple[str, int, Configuration],
    rounds: int,
    at_least: float,
    record: Record,
    lines: dict[str, list[tuple[object, ...]]],
) -> None:
    """One point: a line of the record for each contender, and the lines of its table."""
    axis, value, c = point
    how = Circumstances(warm=WARM)
    results = interleave(contenders, c, rounds, warm_up=0, at_least=at_least, how=how)
    print(*notes(results), sep="\n", end="\n" if notes(results) else "")
    for key, result in results.items():
        seconds, share = result.median(), speed_ratio(results, key, FLOOR)
        speed = None if seconds is None else c.samples / seconds
        record.write(
            "growth",
            axis=axis,
            value=value,
            sizes=c.sizes,
            batch=c.batch,
            rows=c.n,
            contender=key,
            label=result.label,
            state=result.state,
            samples_per_second=None if speed is None else round(speed),
            of_the_floor=share,
            seconds=result.all(),
        )
        if key != FLOOR:
            lines.setdefault(axis, []).append((f"{value:,}", result.label, speed, share))
