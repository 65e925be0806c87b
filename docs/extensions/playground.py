"""The playground: a page on which a network trains, by steps that the compiler writes for it.

The directive `playground` stands for the file `application.html` beside the page, its formulas turned
from LaTeX into MathML. The scripts of the page are loaded on it alone. One of them, `steps.js`, is
written when the site is built: it has the gradients and the predictions of networks of each depth and
activation that the page offers, and the updates by its optimizers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from mathml import mathml
from sphinx.util.docutils import SphinxDirective

import portable_nn as pnn
from portable_nn.compiler.javascript import NamedStep
from portable_nn.interchange.javascript_steps import (
    gradients,
    javascript,
    numbers,
    predictions,
    update,
)
from portable_nn.training.description import Training

PAGE = "playground/index"
FOLDER = "playground"  # within _static
STEPS = "steps.js"
SCRIPTS = (
    "random.js",
    "data.js",
    "training.js",
    "colors.js",
    "plane.js",
    "diagram.js",
    "charts.js",
    "formulas.js",
    "controls.js",
    "keyboard.js",
    "status.js",
    "main.js",
)
ACTIVATIONS = ("tanh", "relu", "leaky_relu", "sigmoid")  # those of the course
DEEPEST = 4  # hidden layers
OPTIMIZERS = {
    "sgd": pnn.SGD(0.1),
    "momentum": pnn.SGD(0.1, momentum=0.9),
    "rmsprop": pnn.RMSprop(0.01),
    "adam": pnn.Adam(0.01),
}
FORMULA = re.compile(r"\\\((.+?)\\\)", re.S)


def described(activation: str, depth: int, optimizer: Any = OPTIMIZERS["sgd"]) -> Training:
    """The training of a network of any widths, with a penalty and, in hidden layers, dropout."""
    g = (*(activation,) * depth, "sigmoid")
    net = pnn.Network((2, *(4,) * depth, 1), g, "binary_cross_entropy")
    return Training(net, optimizer, l2=0.1, dropout=0.1 if depth else 0.0)


def named_steps() -> dict[str, NamedStep]:
    """All that the page computes with, by the names that its scripts call it."""
    steps = {}
    networks = {"0": described("tanh", 0)}  # has no activation
    for activation in ACTIVATIONS:
        depths = range(1, DEEPEST + 1)
        networks |= {f"{activation}_{depth}": described(activation, depth) for depth in depths}
    for name, training in networks.items():
        steps[f"gradients_{name}"] = gradients(training, shows=True)
        steps[f"predictions_{name}"] = predictions(training.net)
    for name, optimizer in OPTIMIZERS.items():
        training = described("tanh", 1, optimizer)
        steps[f"update_{name}"] = update(training)
        steps[f"numbers_{name}"] = numbers(training)
    return steps


def script(steps: Mapping[str, NamedStep]) -> str:
    """The text of a script that makes an object of the steps, `STEPS`, and nothing else."""
    text = javascript(steps, is_module=False)
    text = re.sub(r"^(?:  )+", lambda found: "\t" * (len(found[0]) // 2), text, flags=re.M)
    first, rest = text.split("\n", 1)
    names = ",\n\t".join(steps)
    return f"{first}\nconst STEPS = (() => {{\n{rest}\nreturn {{\n\t{names},\n}};\n}})();\n"


def write_steps(app: Any) -> None:
    """What Sphinx calls first: the script is there before the pages are written, which name its hash."""
    if app.builder.format == "html":
        folder = Path(app.outdir, "_static", FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STEPS).write_text(script(named_steps()), encoding="utf-8")


def load_scripts(app: Any, pagename: str, *rest: Any) -> None:
    """What Sphinx calls with each page that it writes."""
    if pagename == PAGE:
        app.add_css_file(f"{FOLDER}/playground.css")
        for name in (STEPS, *SCRIPTS):
            app.add_js_file(f"{FOLDER}/{name}", loading_method="defer")


class Playground(SphinxDirective):
    """The application, with its formulas as MathML."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir, FOLDER, "application.html")
        self.env.note_dependency(str(path))

        def converted(found: re.Match[str]) -> str:
            node = nodes.math(found[1], found[1])
            self.set_source_info(node)
            return mathml(node, is_block=False)

        return [nodes.raw("", FORMULA.sub(converted, path.read_text(encoding="utf-8")), format="html")]


def setup(app: Any) -> dict[str, Any]:
    app.add_directive("playground", Playground)
    app.connect("builder-inited", write_steps)
    app.connect("html-page-context", load_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
