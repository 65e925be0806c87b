"""Docstrings as the site shows them, which are written to be read in an editor too.

Names in single backticks are code; links to other projects' pages are words; the norm bars of formulas,
and attributes such as ``classes_``, are no markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

ROLES = "ref|term|class|func|meth|mod|doc|obj|attr|user|pr|issue|sup|exc|data"
ROLE = re.compile(rf":(?:{ROLES}):`[~!]?([^`<]+?)\s*(?:<[^`>]*>)?`")
VERSION = re.compile(r"(\.\. (?:versionadded|versionchanged|deprecated)::) v?(?=\d)")  # scikit-learn's
SINGLE = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_\w])")
CODE = re.compile(r"(``.+?``|`[^`]+`_{0,2})", re.DOTALL)
ATTRIBUTE = re.compile(r"(?<![\w*])(\w+_)(?![\w{^])")
NAMED = re.compile(r"^( *\w+_(?:, \w+_)*)(?= : )", re.M)  # where a section begins to describe attributes
VERBATIM = (">>>", "...", "..", "+", "|")  # examples, directives, tables


def shown(lines: list[str]) -> list[str]:
    """The lines of a docstring in the markup of reStructuredText."""
    text = VERSION.sub(r"\1 scikit-learn-", ROLE.sub(words_of, "\n".join(lines)))
    found: list[str] = []
    for is_prose, some in groupby(marked(text.split("\n")), key=itemgetter(0)):
        part = "\n".join(line for _, line in some)
        found += (prose(part) if is_prose else part).split("\n")
    return found


def words_of(found: re.Match[str]) -> str:
    """A link to another project's page as words."""
    words = " ".join(found[1].split())
    return "scikit-learn's gallery" if words.startswith("sphx_glr_") else f"``{words}``"


def marked(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """Each line, and whether it is prose: no code, no table."""
    literal: int | None = None  # the indentation of the paragraph before a block of code
    is_example = False  # from a prompt to the end of what is printed
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        is_example = bool(line.strip()) and (is_example or line.lstrip().startswith(">>>"))
        is_code = is_example or literal is not None or line.lstrip().startswith(VERBATIM)
        yield not is_code, line
        if literal is None and line.rstrip().endswith("::"):
            literal = indent


def prose(text: str) -> str:
    """Prose with what is no markup made literal."""
    parts = CODE.split(CODE.sub(apart, SINGLE.sub(r"``\1``", text)))
    return "".join(part if part.startswith("`") else outside_code(part) for part in parts)


def apart(code: re.Match[str]) -> str:
    """A piece of code, with a space between it and a word before it."""
    before = code.string[: code.start()]
    return f" {code[0]}" if before[-1:].isalnum() else code[0]


def outside_code(part: str) -> str:
    """Text between pieces of code."""
    named = NAMED.sub(lambda found: re.sub(r"_(?!\w)", r"\\_", found[1]), part)
    return ATTRIBUTE.sub(r"``\1``", named).replace("|", r"\|").replace("(*", r"(\*")


def change(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """What Sphinx calls with each docstring."""
    lines[:] = shown(lines)


def skip(app: Any, what: str, name: str, thing: Any, is_skipped: bool, options: Any) -> bool | None:
    """What Sphinx calls with each member: fields of a NamedTuple are described as its parameters."""
    is_field = str(getattr(thing, "__doc__", "")).startswith("Alias for field number")
    return True if is_field else None


def setup(app: Any) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")  # whose event it is
    app.connect("autodoc-process-docstring", change, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
