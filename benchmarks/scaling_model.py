"""What many machines would gain, by an alpha-beta model: MODELLED, from what two processes here took.

A step of R processes takes work(rows of each) + sum(parameters, R). The sum is a reduce-scatter by
halving and an all-gather by doubling (Thakur, Rabenseifner, Gropp 2005): 2 log2 R messages and
2 (R - 1) / R of the bytes. What two processes of one machine take for it, copies and additions, is added
for CPUs. There are no stragglers, no other traffic, one link for each rank, and nothing is sent while
gradients are computed: our steps wait.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from configurations import Configuration
from matplotlib.figure import Figure
from tables import table

RANKS = (1, 2, 4, 8, 16, 64, 256, 1024)
COLOURS = ("#c8501e", "#3b6ea5", "#4c8c4a")


class Link(NamedTuple):
    """Seconds a message, and bytes a second, that such links typically have: assumed, not measured."""

    name: str
    alpha: float
    bandwidth: float


TEN, HUNDRED = Link("10 Gb/s", 25e-6, 1.1e9), Link("100 Gb/s", 2e-6, 11e9)
NVLINK = Link("NVLink", 5e-6, 360e9)  # of 450e9 each way of an H100 or H200, by NVIDIA's data sheets


class Work(NamedTuple):
    """What a rank computes in a step: its processor, the network, and seconds by its rows."""

    processor: str
    sizes: tuple[int, ...]
    of_rows: Callable[[float], float]
    host: float  # seconds a byte of a sum, beside the link
    weak: int  # rows of each rank
    strong: int | None  # rows of a batch in all
    links: tuple[Link, ...]

    @property
    def name(self) -> str:
        """The sizes."""
        return "-".join(map(str, self.sizes))

    def sum(self, link: Link, ranks: int) -> float:
        """Seconds of the sum of all gradients over the ranks."""
        if ranks == 1:
            return 0.0
        nbytes = 4 * Configuration(self.sizes, 1, 1).parameters
        messages = 2 * math.ceil(math.log2(ranks))
        sent = 2 * (ranks - 1) / ranks * nbytes
        return messages * link.alpha + sent * (1 / link.bandwidth + self.host)

    def efficiency(self, link: Link, ranks: int) -> float:
        """Weak scaling: how much of the samples a second of so many single ranks is left."""
        alone = self.of_rows(self.weak)
        return alone / (alone + self.sum(link, ranks))

    def speed_up(self, link: Link, ranks: int) -> float:
        """Strong scaling: over one rank, with the same batch."""
        assert self.strong is not None
        together = self.of_rows(self.strong / ranks) + self.sum(link, ranks)
        return self.of_rows(self.strong) / together


def by_rows(points: dict[int, float]) -> Callable[[float], float]:
    """Seconds by rows: straight lines between the measured points, and on beyond both ends."""
    rows = sorted(points)
    times = [points[b] for b in rows]

    def seconds(b: float) -> float:
        ends = {True: (0, 1), False: (-2, -1)}
        if rows[0] <= b <= rows[-1]:
            return float(np.interp(b, rows, times))
        i, j = ends[b < rows[0]]
        slope = (times[j] - times[i]) / (rows[j] - rows[i])
        return times[i] + slope * (b - rows[i])

    return seconds


def works(results: list[dict[str, Any]]) -> list[Work]:
    """What is modelled: one core of this machine, and a GPU by results/2026-11-26-h200.jsonl."""
    sums = [result for result in results if result["suite"] == "sums"]
    largest = max(sums, key=lambda result: result["numbers"])
    host = statistics.median(largest["seconds"]["ours"]) / (4 * largest["numbers"])
    measured: dict[tuple[int, ...], dict[int, float]] = {}
    for result in results:
        if result["suite"] == "work":
            times = measured.setdefault(tuple(result["sizes"]), {})
            times[result["rows"]] = statistics.median(result["seconds"])
    found = [
        Work("one core", sizes, by_rows(times), host, 128, 8192, (TEN, HUNDRED))
        for sizes, times in measured.items()
    ]
    gpu: list[tuple[tuple[int, ...], Callable[[float], float], int, int | None]] = [
        ((784, 256, 128, 10), lambda b: 128 / 1_946_964, 128, None),
        ((1024, 2048, 2048, 100), lambda b: 256 / 564_157, 256, None),
        # products 93.2 ms of 8,192 rows, the rest of the step 4.1 whatever they are
        ((4096, 8192, 8192, 1000), lambda b: 93.2e-3 * b / 8192 + 4.1e-3, 8192, 8192),
    ]
    for sizes, of_rows, weak, strong in gpu:
        found.append(Work("H200", sizes, of_rows, 0.0, weak, strong, (HUNDRED, NVLINK)))
    return found


def show_model(results: list[dict[str, Any]]) -> None:
    """Print the model's tables."""
    each = works(results)
    head = ("rank, network, rows of a rank, link", *map(str, RANKS))
    weak = [
        (
            f"{w.processor}, {w.name}, {w.weak}, {link.name}",
            *(f"{w.efficiency(link, ranks):.0%}" for ranks in RANKS),
        )
        for w in each
        for link in w.links
    ]
    table("MODELLED: weak scaling, samples a second over those of as many single ranks", head, weak)
    strong = [
        (
            f"{w.processor}, {w.name}, {w.strong} in all, {link.name}",
            *(f"{w.speed_up(link, ranks):.3g}" for ranks in RANKS),
        )
        for w in each
        if w.strong is not None
        for link in w.links
    ]
    table("MODELLED: strong scaling, times as fast as one rank", head, strong)


def draw(results: list[dict[str, Any]], path: str) -> None:
    """A picture: weak and strong scaling of each, and what was measured with two ranks."""
    each = works(results)
    figure = Figure(figsize=(10, 7), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = dict(zip(dict.fromkeys(w.sizes for w in each), ("-", "--", ":"), strict=True))
    for w in each:
        for link in w.links:
            colour = COLOURS[(TEN, HUNDRED, NVLINK).index(link)]
            label = f"{w.processor}, {w.name}, {link.name}"
            marker = "o" if w.processor == "H200" else "s"
            look = {"color": colour, "linestyle": styles[w.sizes], "marker": marker, "label": label}
            left.plot(RANKS, [100 * w.efficiency(link, r) for r in RANKS], markersize=4, **look)
            if w.strong is not None:
                right.plot(RANKS, [w.speed_up(link, r) for r in RANKS], markersize=4, **look)
    right.plot(RANKS, RANKS, color="black", linewidth=0.6, label="as many times as ranks")
    for result in results:
        if result["suite"] == "trainings":
            pairs = zip(result["seconds"]["one"], result["seconds"]["two"], strict=True)
            gain = statistics.median(a / b for a, b in pairs)
            right.plot(
                [2],
                [gain],
                "*",
                markersize=11,
                label=f"MEASURED on one machine: {result['configuration']}",
            )
    left.set_title("Weak scaling: % of as many single ranks", loc="left", fontsize=10)
    right.set_title("Strong scaling: times as fast as one rank", loc="left", fontsize=10)
    right.set_yscale("log", base=2)
    right.set_yticks(RANKS, [str(r) for r in RANKS])
    left.set_ylim(0, 105)
    for panel in (left, right):
        panel.set_xscale("log", base=2)
        panel.set_xticks(RANKS, [str(r) for r in RANKS])
        panel.set_xlabel("ranks")
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)
    figure.suptitle("MODELLED from steps of one rank and typical links; only the stars were measured")
    figure.savefig(path, dpi=110)
