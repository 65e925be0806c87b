"""Formulas as MathML, made from LaTeX when the pages are built: browsers show it without a script."""

from __future__ import annotations

import functools
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util.logging import getLogger
from sphinx.util.math import get_node_equation_number

logger = getLogger(__name__)


@functools.cache
def converter() -> LatexToMathML:
    """What makes MathML of LaTeX; one for all formulas."""
    return LatexToMathML(annotation=False, fancy_error=False)


def mathml(node: nodes.Element, is_block: bool) -> str:
    """The formula of a node as MathML; as its LaTeX, with a warning, where that is wrong."""
    latex = node.astext().strip()
    if is_block and r"\\" in latex and not latex.startswith(r"\begin"):
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    try:
        made = converter().convert_with_local_state(latex, displaystyle=is_block)
    except LatexError as error:
        logger.warning("mathml: %s in the formula %s", error, latex, location=node, type="mathml")
        return latex
    return made.replace('<mover accent="true">', "<mover>")  # in which Chromium puts hats too low


def visit_inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(mathml(node, is_block=False))
    raise nodes.SkipNode


def visit_block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(writer.starttag(node, "div", CLASS="math-block"))
    if node["number"]:
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<span class="eqno">({number})</span>')
    writer.body.append(mathml(node, is_block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
