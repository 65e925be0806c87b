"""What the pages of the documentation show runs, and prints what they say it prints.

Blocks marked ``python`` are run in their order, each page in names and a folder of its own; a block
marked ``text`` right after one of them is what it prints, where ``...`` stands for anything.
"""

from __future__ import annotations

import doctest
import importlib.util
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.usefixtures("host_only")
DOCS = Path(__file__).parents[2] / "docs"
ELSEWHERE = {"guides/jax_meshes.md", "guides/tabular.md"}  # pages with a test of their own
BLOCK = re.compile(r"^```(?:\{code-block\} )?python\n(.*?)^```\n(?:\n^```text\n(.*?)^```)?", re.M | re.S)
IMPORT = re.compile(r"^\s*(?:import|from) (\w+)", re.M)
NAMED = re.compile(r'"(torch|jax|cupy|array_api_strict)"')


class Block(NamedTuple):
    """Code, where it begins on its page, and what it prints, if the page says that."""

    code: str
    line: int
    output: str


def blocks_of(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [
        Block(found[1], text.count("\n", 0, found.start(1)), found[2] or "")
        for found in BLOCK.finditer(text)
    ]


def pages() -> list[str]:
    """The pages with code, by their paths."""
    found = [path for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts]
    return [name for path in found if (name := path.relative_to(DOCS).as_posix()) and blocks_of(path)]


def needed(code: str) -> set[str]:
    """The packages that the code imports, or chooses as a backend."""
    code = re.sub(r"#.*", "", code)
    more = {"mpi4py"} if "distributed.mpi(" in code else set()
    return {*IMPORT.findall(code), *NAMED.findall(code), *more}


@pytest.mark.parametrize("page", sorted(set(pages()) - ELSEWHERE))
def test_the_code_of_a_page_runs_and_prints_what_it_says(page, capsys, tmp_path, monkeypatch):
    blocks = blocks_of(DOCS / page)
    for package in needed("".join(block.code for block in blocks)):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    with warnings.catch_warnings():  # which a page may silence for all that follows
        for block in blocks:
            exec(compile("\n" * block.line + block.code, f"docs/{page}", "exec"), names)
            shown = capsys.readouterr().out
            if block.output:
                same = doctest.OutputChecker().check_output(block.output, shown, doctest.ELLIPSIS)
                assert same, f"docs/{page}, line {block.line}: {shown}"


def test_pages_with_a_test_of_their_own_are_there():
    assert set(pages()) >= ELSEWHERE
