"""The pictures of executed pages: each in two inks, for light and for dark pages, without background."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

INK, INK_ON_DARK = "#22272e", "#ced6dd"  # texts, axes and ticks; no page uses these for anything else
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"]  # Okabe and Ito

STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "axes.titlecolor", "legend.labelcolor"), INK),
    "axes.facecolor": "none",
    "axes.prop_cycle": mpl.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.size": 11,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "svg.hashsalt": "portable_nn",  # the same names in every build
}


def set_style(gallery: dict[str, Any], page: str) -> None:
    """What sphinx-gallery calls before each page."""
    mpl.rcdefaults()
    mpl.use("Agg")
    mpl.rcParams.update(STYLE)


def scrape(block: Any, variables: dict[str, Any], gallery: dict[str, Any]) -> str:
    """Save the figures that a block of code has drawn; return the lines that show them."""
    shown: list[str] = []
    for number in plt.get_fignums():
        figure = plt.figure(number)
        path = Path(next(variables["image_path_iterator"])).with_suffix(".svg")
        dark = path.with_name(f"{path.stem}_dark.svg")
        with io.StringIO() as buffer:
            figure.savefig(buffer, format="svg", metadata={"Date": None})
            drawn = buffer.getvalue()
        path.write_text(drawn, encoding="utf-8")
        dark.write_text(drawn.replace(INK, INK_ON_DARK), encoding="utf-8")
        shown += [".. container:: picture", ""]
        for file, theme in ((path, "only-light"), (dark, "only-dark")):
            place = file.relative_to(gallery["src_dir"]).as_posix()
            shown += [f"   .. image:: /{place}", f"      :alt: {description(figure)}"]
            shown += [f"      :class: {theme}", ""]
    plt.close("all")
    return "\n".join(shown)


def description(figure: Any) -> str:
    """The titles of a figure and of its panels, for those who do not see it."""
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    return "; ".join(title.replace("\n", " ") for title in titles if title) or "picture"
