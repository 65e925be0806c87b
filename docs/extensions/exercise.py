"""The directive `exercise`: a question; what follows it, code and its output too, is its answer.

    .. exercise::

       What is the cost of a network that has learned nothing?

The answer reaches to the next exercise, or to the end of the section, and is folded away.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

OPENING = '<details class="answer"><summary>Answer</summary>\n<div class="answer-body">'
CLOSING = "</div>\n</details>"


class Exercise(SphinxDirective):
    """A box with the question, numbered on its page."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        number = self.env.temp_data["exercises"] = self.env.temp_data.get("exercises", 0) + 1
        title = f"Exercise {number}"
        box = nodes.admonition("", nodes.title(title, title), classes=["exercise"])
        self.set_source_info(box)
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class FoldAnswers(SphinxTransform):
    """Put what follows each exercise into an element that opens at a click."""

    default_priority = 700

    def apply(self, **kwargs: Any) -> None:
        for box in list(self.document.findall(is_exercise)):
            siblings = box.parent.children
            first = box.parent.index(box) + 1
            last = first
            while last < len(siblings) and not ends_answer(siblings[last]):
                last += 1
            if last > first:
                box.parent.insert(last, nodes.raw("", CLOSING, format="html"))
                box.parent.insert(first, nodes.raw("", OPENING, format="html"))


def is_exercise(node: nodes.Node) -> bool:
    """Whether the node is the box of an exercise."""
    return isinstance(node, nodes.admonition) and "exercise" in node["classes"]


def ends_answer(node: nodes.Node) -> bool:
    """Whether an answer stops before this node: an exercise, a section, or the foot of the page."""
    is_foot = isinstance(node, nodes.paragraph) and "sphx-glr-timing" in node["classes"]
    return is_exercise(node) or isinstance(node, nodes.section | nodes.target) or is_foot


def setup(app: Any) -> dict[str, Any]:
    app.add_directive("exercise", Exercise)
    app.add_transform(FoldAnswers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
