"""Links of pages to files of the repository, which are right there, become links within the site.

Pages are read on the web and in the repository. There ``../../examples/search.py`` is the program; on
the web it is the program's page.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

LINK = re.compile(r"\]\((?P<path>[^)#\s:]+?)(?P<place>#[^)\s]*)?\)")
PAGES = {
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "project/security.md",
    "examples": "auto_gallery/index.rst",
    "examples/README.md": "auto_gallery/index.rst",
}


def within_site(docname: str, text: str, home: str | None = None) -> str:
    """The text of a page with its links turned; `home` is the folder that they are written for."""
    here = posixpath.dirname(docname)
    base = posixpath.join("docs", here) if home is None else home

    def turned(found: re.Match[str]) -> str:
        path, place = found["path"], found["place"] or ""
        target = posixpath.normpath(posixpath.join(base, path))
        if target.startswith("docs/"):
            page = target.removeprefix("docs/")
        elif target in PAGES:
            page = PAGES[target]
        elif re.fullmatch(r"examples/\w+\.py", target):
            page = f"auto_gallery/{posixpath.basename(target).removesuffix('.py')}.rst"
        else:
            return found[0] if home is None else f"]({in_repository(here, target)}{place})"
        return f"]({posixpath.relpath(page, here or '.')}{place})"

    return LINK.sub(turned, text)


def in_repository(here: str, target: str) -> str:
    """The path from a page to a file of the repository."""
    return posixpath.relpath(posixpath.join("..", target), here or ".")


INCLUDED = {  # pages that are files of the repository, and the folder that their links are written for
    "benchmarks": ("benchmarks/README.md", "benchmarks"),
    "project/changelog": ("CHANGELOG.md", ""),
    "project/contributing": ("CONTRIBUTING.md", ""),
    "project/security": ("SECURITY.md", ""),
}


def turn_links(app: Any, docname: str, source: list[str]) -> None:
    """What Sphinx calls with each page that it has read."""
    if docname in INCLUDED:
        path, home = INCLUDED[docname]
        file = app.srcdir.parent / path
        app.env.note_dependency(str(file))
        source[0] = within_site(docname, file.read_text(encoding="utf-8"), home)
    else:
        source[0] = within_site(docname, source[0])


def setup(app: Any) -> dict[str, Any]:
    app.connect("source-read", turn_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
