"""The pictures of a results file: python benchmarks/chart.py results.jsonl chart.png."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

OURS, OTHERS, AXES = "#c8501e", "#9aa7b4", ("width", "depth", "batch", "rows")
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # the dotted line ends there
Lines = list[dict[str, Any]]


def read(path: str) -> Lines:
    """The results of a file; what failed or is not installed has no speed, and no bar."""
    lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line.get("state", "ok") == "ok"]


def is_ours(line: dict[str, Any]) -> bool:
    """Whether a bar is to stand out."""
    return str(line["label"]).startswith("ours")


def bars(lines: Lines) -> Figure:
    """A panel for each configuration: samples a second as shares of the floor, the fastest on top."""
    names = list(dict.fromkeys(line["configuration"] for line in lines))
    most = max(sum(line["configuration"] == name for line in lines) for name in names)
    figure = Figure(figsize=(9, len(names) * (0.9 + 0.27 * most)), layout="constrained")
    panels = figure.subplots(len(names), squeeze=False)[:, 0]
    for name, panel in zip(names, panels, strict=True):
        here = [line for line in lines if line["configuration"] == name]
        here = [line for line in here if line["contender"] != "floor-numpy"]
        here.sort(key=lambda line: line["of_the_floor"])
        labels = [line["label"] for line in here]
        shares = [100 * line["of_the_floor"] for line in here]
        colours = [OURS if is_ours(line) else OTHERS for line in here]
        drawn = panel.barh(labels, shares, color=colours, height=0.72)
        texts = [
            f"{share:.3g} %  ({line['samples_per_second']:,}/s)"
            for share, line in zip(shares, here, strict=True)
        ]
        panel.bar_label(drawn, texts, padding=4, fontsize=8, zorder=3, bbox=ON_WHITE)
        panel.axvline(100, color="black", linewidth=0.8, linestyle=":")
        panel.set_xlim(0, max(*shares, 100) * 1.25)
        panel.set_title(name, loc="left", fontsize=11)
        panel.tick_params(labelsize=9)
        for label in panel.get_yticklabels():
            if label.get_text().startswith("ours"):
                label.set_color(OURS)
                label.set_fontweight("bold")
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel(
        "% of the floor (dotted: the step's matrix products alone, NumPy); in brackets: samples/s"
    )
    figure.suptitle(f"Training, float32, Adam. {lines[0]['machine']}", fontsize=10)
    return figure


def curves(lines: Lines) -> Figure:
    """How the speed and its share of the floor go with width, depth, batch and rows."""
    axes = [axis for axis in AXES if any(line["axis"] == axis for line in lines)]
    figure = Figure(figsize=(3 * len(axes) + 1, 6), layout="constrained")
    panels = figure.subplots(2, len(axes), squeeze=False, sharex="col")
    for column, axis in enumerate(axes):
        here = [line for line in lines if line["axis"] == axis]
        for key in dict.fromkeys(line["contender"] for line in here):
            points = [line for line in here if line["contender"] == key]
            style: dict[str, Any] = {"label": points[0]["label"], "marker": "o", "markersize": 4}
            if key == "floor-numpy":
                style |= {"color": "black", "linestyle": ":"}
            elif key == "numpy":
                style["color"] = OURS
            values = [line["value"] for line in points]
            panels[0, column].plot(values, [line["samples_per_second"] for line in points], **style)
            panels[1, column].plot(values, [100 * line["of_the_floor"] for line in points], **style)
        panels[0, column].set(xscale="log", yscale="log", title=axis)
        panels[1, column].set(xscale="log", xlabel=axis)
        panels[1, column].set_ylim(bottom=0)
        for panel in panels[:, column]:
            panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("samples/s")
    panels[1, 0].set_ylabel("% of the floor")
    panels[0, 0].legend(fontsize=8)
    figure.suptitle(f"How training speed grows. {lines[0]['machine']}", fontsize=10)
    return figure


def draw(results: str, picture: str) -> None:
    """Write FILE.png and, of the growth, FILE-growth.png: what of them the results hold."""
    lines, path = read(results), Path(picture)
    training = [line for line in lines if line["suite"] == "training"]
    growth = [line for line in lines if line["suite"] == "growth"]
    if training:
        bars(training).savefig(path, dpi=130)
    if growth:
        curves(growth).savefig(path.with_name(f"{path.stem}-growth{path.suffix}"), dpi=130)


if __name__ == "__main__":
    draw(*sys.argv[1:3])
