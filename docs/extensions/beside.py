"""The directive `beside`: a formula beside the lines of the package's source that are it.

    .. beside:: portable_nn.equations.forward
       :line: Z[l] = W[l] @ A[l - 1] + b[l]

       Z^{[l]} = W^{[l]} A^{[l-1]} + b^{[l]}

The argument names a module, class or function. `line` is a text that exactly one line of its source
contains, `count` how many lines are shown from there on; without `line` the whole source is shown, less
its docstring. The build takes the lines from the source: where the text is not found, or found more than
once, it warns, and fails under ``-W``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

logger = getLogger(__name__)

FOR_THE_TYPE_CHECKER = re.compile(r"  # type: ignore.*")


class Excerpt(NamedTuple):
    """Lines of a source file, and where they stand."""

    code: str
    file: Path
    place: str  # such as "portable_nn/equations/__init__.py, line 104"


def excerpt(name: str, line: str | None = None, count: int = 1) -> Excerpt:
    """The lines of the source of `name`; ValueError if there are none, or other ones too."""
    found = named(name)
    try:
        file = Path(inspect.getsourcefile(found) or "")
        source, number = inspect.getsourcelines(found)
    except (TypeError, OSError) as error:
        raise ValueError(f"{name} has no source: {error}") from None
    if line is None:
        shown, last = without_docstring(source), len(source)
        first = 0
    else:
        first = only_line(name, source, line)
        last = first + count
        if last > len(source):
            raise ValueError(
                f"{name} has {len(source) - first} lines from {line!r} on; `count` is {count}"
            )
        shown = source[first:last]
    first, last = (max(number, 1) + place for place in (first, last - 1))  # a module's number is 0
    lines = f"line {first}" if first == last else f"lines {first}-{last}"
    code = textwrap.dedent(FOR_THE_TYPE_CHECKER.sub("", "".join(shown))).rstrip()
    return Excerpt(code, file, f"{path_in_project(name, file)}, {lines}")


def named(name: str) -> Any:
    """The module, class or function of this dotted name; ValueError if there is none."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise  # a module that it imports is missing
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                raise ValueError(f"{name} does not exist: there is no {part!r} in {module}")
            found = getattr(found, part)
        return inspect.unwrap(found.fget if isinstance(found, property) else found)
    raise ValueError(f"{name} does not exist")


def only_line(name: str, source: list[str], text: str) -> int:
    """Where the one line with this text is, counted from 0; ValueError if there is none, or several."""
    places = [place for place, line in enumerate(source) if text in line]
    if len(places) != 1:
        raise ValueError(f"{len(places)} lines of {name} contain {text!r}; accepted: exactly one")
    return places[0]


def without_docstring(source: list[str]) -> list[str]:
    """The lines of a function or class, or of a module, less its docstring."""
    tree = ast.parse(textwrap.dedent("".join(source)))
    node: Any = tree.body[0] if len(tree.body) == 1 else tree
    if ast.get_docstring(node) is None:
        return source
    docstring = node.body[0]
    return source[: docstring.lineno - 1] + source[docstring.end_lineno :]


def path_in_project(name: str, file: Path) -> str:
    """The path from the folder that holds the package: that of no machine."""
    package = Path(named(name.partition(".")[0]).__file__).parent
    return file.relative_to(package.parent).as_posix() if package in file.parents else file.name


class Beside(SphinxDirective):
    """The formula on the left, the code on the right, its file and line below it."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "line": directives.unchanged_required,
        "count": directives.positive_int,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        try:
            self.assert_has_content()
            found = excerpt(name, self.options.get("line"), self.options.get("count", 1))
        except ValueError as error:
            logger.warning("beside: %s", error, location=self.get_location(), type="beside")
            return []
        self.env.note_dependency(str(found.file))
        formula = "\n".join(self.content)
        math = nodes.math_block(formula, formula, nowrap=False, number=None, label=None)
        code = nodes.literal_block(found.code, found.code, language="python")
        place = nodes.paragraph(found.place, found.place, classes=["beside-place"])
        left = nodes.container("", math, classes=["beside-formula"])
        right = nodes.container("", code, place, classes=["beside-code"])
        self.set_source_info(math)
        self.set_source_info(code)
        return [nodes.container("", left, right, classes=["beside"])]


def setup(app: Any) -> dict[str, Any]:
    app.add_directive("beside", Beside)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
