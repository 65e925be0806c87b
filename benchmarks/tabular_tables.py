"""The tables and the picture of what `tabular.py` has measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata, wilcoxon
from tables import table

Lines = list[dict[str, Any]]
Scores = dict[str, dict[tuple[Any, ...], float]]  # by peer, then by set and split
RATIOS = ("error", "log_loss", "fit_cpu", "predict_wall")
REFERENCE = "catboost"
SMALLEST = 1e-3  # an error of 0 has no logarithm
OURS, OTHERS = "#c8501e", "#9aa7b4"


def by_peer(lines: Lines, measure: str) -> Scores:
    """A measure of every peer, set and split where it is known."""
    found: Scores = defaultdict(dict)
    for line in lines:
        if measure in line:
            found[line["peer"]][line["set"], line["split"]] = float(line[measure])
    return found


def ratio(one: dict[Any, float], other: dict[Any, float]) -> float | None:
    """The geometric mean, over sets, of one over the other; of each set first over its splits."""
    logarithms: dict[Any, list[float]] = defaultdict(list)
    for key in one.keys() & other.keys():
        pair = (max(one[key], SMALLEST), max(other[key], SMALLEST))
        logarithms[key[0]].append(float(np.log(pair[0] / pair[1])))
    return (
        float(np.exp(np.mean([np.mean(each) for each in logarithms.values()]))) if logarithms else None
    )


def summary(lines: Lines, title: str) -> None:
    """Each peer over the reference: errors, log losses and seconds; calibration, coverage and bytes."""
    measures = {name: by_peer(lines, name) for name in RATIOS}
    means = {name: by_peer(lines, name) for name in ("calibration", "coverage", "bytes", "fit_cpu")}
    error = measures["error"]
    peers = sorted(error, key=lambda peer: ratio(error[peer], error[REFERENCE]) or np.inf)
    rows = []
    for peer in peers:
        over = [ratio(measures[n][peer], measures[n].get(REFERENCE, {})) for n in RATIOS]
        mean = [float(np.mean([*v[peer].values()])) if v.get(peer) else None for v in means.values()]
        mean[2] = None if not mean[2] else mean[2] / 1e6
        rows.append([peer, *over, *mean, len(error[peer])])
    head = ["", "error", "log loss", "fit, CPU", "predict"]
    head += ["calibration", "coverage", "MB", "fit, CPU s", "fits"]
    notes = [
        f"The first four are geometric means over sets, over {REFERENCE}'s; the others are means over",
        "sets and splits. calibration: the expected error; coverage: of sets and intervals for 90 %.",
    ]
    table(title, head, rows, notes)


def errors(lines: Lines) -> None:
    """The error of each peer on each set, its mean over splits."""
    found = by_peer(lines, "error")
    sets = sorted({line["set"] for line in lines})
    rows = []
    for name in sets:
        of_set = {p: [v for (s, _), v in scores.items() if s == name] for p, scores in found.items()}
        rows.append([name, *(float(np.mean(v)) if v else None for v in of_set.values())])
    table("Error of each set", ["", *found], rows)


def coverages(lines: Lines) -> None:
    """Sets and intervals for 90 %: how often they hold, and how large they are, beside MAPIE's."""
    rows = []
    for name in sorted({line["set"] for line in lines}):
        row: list[Any] = [name]
        for peer in ("ours", "ours-mapie"):
            here = [one for one in lines if one["set"] == name and one["peer"] == peer]
            here = [one for one in here if "coverage" in one]
            row += [
                float(np.mean([one[key] for one in here])) if here else None
                for key in ("coverage", "width")
            ]
        rows.append(row)
    table("Coverage and width for 90 %", ["", "ours", "width", "MAPIE", "width"], rows)


def ranks(lines: Lines) -> tuple[list[str], np.ndarray]:
    """The ranks of the peers on each set, by the mean error over splits; those that did every set."""
    found, sets = by_peer(lines, "error"), sorted({line["set"] for line in lines})
    peers, columns = [], []
    for peer, scores in found.items():
        of_sets = [[v for (s, _), v in scores.items() if s == name] for name in sets]
        if all(of_sets) and peer != "ours-mapie":
            peers.append(peer)
            columns.append([np.mean(each) for each in of_sets])
    return peers, np.stack([rankdata(row) for row in np.transpose(columns)])


def picture(lines: Lines, path: Path) -> None:
    """Mean ranks on an axis; peers that a test does not tell apart are joined (Demsar, 2006).

    The test is Wilcoxon's of signed ranks, of the sets, each pair by itself at 5 %.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    peers, found = ranks(lines)
    mean = found.mean(axis=0)
    order = np.argsort(mean)
    names, mean, found = [peers[k] for k in order], mean[order], found[:, order]
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(names)), layout="constrained")
    ax = figure.subplots()
    colours = [OURS if name.startswith("ours") else OTHERS for name in names]
    ax.scatter(mean, range(len(names)), c=colours, zorder=3)
    for k, (name, value) in enumerate(zip(names, mean, strict=True)):
        ax.annotate(f"{name}  {value:.2f}", (value, k), (8, 0), textcoords="offset points", va="center")
    for first, last in joined(found):
        ax.plot([mean[first], mean[first]], [first, last], color="black", lw=1, alpha=0.5)
    ax.set(xlabel="Mean rank of the error over the sets; lines join what is not told apart", yticks=[])
    ax.set_xlim(min(mean) - 0.3, max(mean) + 1.8)
    ax.invert_yaxis()
    ax.spines[["left", "right", "top"]].set_visible(False)
    figure.savefig(path, dpi=120)


def joined(found: np.ndarray) -> Sequence[tuple[int, int]]:
    """For each peer the last one after it that the test does not tell from it."""
    pairs = []
    count = found.shape[1]
    for first in range(count - 1):
        last = first
        while last + 1 < count:
            difference = found[:, first] - found[:, last + 1]
            if difference.any() and wilcoxon(difference).pvalue < 0.05:
                break
            last += 1
        if last > first:
            pairs.append((first, last))
    return pairs


def show(lines: Lines, path: Path | None) -> None:
    """Print the tables of each number of rows and threads; draw the first."""
    groups: dict[tuple[Any, ...], Lines] = defaultdict(list)
    for line in lines:
        groups[line["part"], line["rows"], line["threads"]].append(line)
    for (part, rows, threads), here in groups.items():
        summary(here, f"At most {rows} rows, {threads} thread(s), {part}")
        failed: Callable[[Any], bool] = lambda line: "failed" in line  # noqa: E731
        for line in filter(failed, here):
            print(f"failed: {line['peer']} on {line['set']}, split {line['split']}: {line['failed']}")
        errors(here)
        coverages(here)
    if path is not None:
        picture(next(iter(groups.values())), path)
