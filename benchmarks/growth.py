"""How the cost grows with width, depth, batch and rows, over two decades each, against the floor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

from configurations import Configuration
from record import Record
from rounds import interleave, notes, speed_ratio
from tables import table
from training import CONTENDERS, FLOOR

WIDTHS = (16, 64, 256, 1024, 4096)
DEPTHS = (1, 3, 10, 30, 100)
BATCHES = (8, 32, 128, 512, 2048)
ROWS = (1_000, 10_000, 100_000)
SECONDS = 0.15  # about what a round of the points with few rows is to take


def points(is_quick: bool) -> Iterator[tuple[str, int, Configuration]]:
    """What grows, how far it has, and the net that is trained there."""
    part = slice(None, None, 2) if is_quick else slice(None)
    for width in WIDTHS[part]:
        yield "width", width, sized((64, width, width, 10), 128)
    for depth in DEPTHS[part]:
        yield "depth", depth, sized((64, *[64] * depth, 10), 128)
    for batch in BATCHES[part]:
        yield "batch", batch, sized((64, 256, 256, 10), batch)
    for rows in ROWS[part]:
        epochs = max(1, 10_000 // rows)
        yield "rows", rows, Configuration((784, 256, 128, 10), 128, 0, epochs, rows)


def sized(sizes: tuple[int, ...], batch: int) -> Configuration:
    """As many batches as take about SECONDS, by a rough guess at what a core of today does."""
    operations = 6 * batch * sum(k * m for k, m in pairwise(sizes))
    step = 60e-6 * len(sizes) + operations / 1e11
    return Configuration(sizes, batch, max(2, math.ceil(SECONDS / step)))


def measure(names: Iterable[str], rounds: int, record: Record, is_quick: bool) -> None:
    """Every point, and a table for each of the four that grow."""
    wanted = set(names) | {FLOOR}
    contenders = {key: one for key, one in CONTENDERS.items() if key in wanted}
    failed: list[str] = []
    lines: dict[str, list[tuple[object, ...]]] = {}
    for axis, value, c in points(is_quick):
        results = interleave(contenders, c, rounds)
        failed.extend(notes(results))
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
    for axis, rows in lines.items():
        table(f"How it grows with {axis}", [axis, "", "samples/s", "of the floor"], rows)
    print(*failed, sep="\n")
