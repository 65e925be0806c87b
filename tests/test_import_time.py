"""What `import portable_nn` offers, and when it is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
LIST = "import sys; print(*sorted(m for m in sys.modules if m.startswith(('portable_nn', 'numpy'))))"


def test_type_checkers_are_told_of_the_same_names():
    found = {}
    for node in ast.walk(ast.parse(Path(pnn.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("portable_nn"):
            for each in node.names:
                assert each.asname == each.name
                found[each.name] = node.module.removeprefix("portable_nn").removeprefix(".")
    assert found.pop("__version__") == "version"
    rooms = dict.fromkeys(("backends", "distributed", "interchange", "model_selection", "schedules"), "")
    assert found == pnn.ROOM_OF | rooms


def test_every_name_is_there_and_the_same_each_time():
    for name in (*pnn.__all__, *pnn.ROOMS):
        if name in pnn.__all__ or name not in (*pnn.WITH_SCIKIT_LEARN, "model_selection"):
            assert getattr(pnn, name) is getattr(pnn, name)
    assert sorted(set(pnn.__all__)) == pnn.__all__


def test_nothing_is_imported_before_it_is_asked_for():
    run = [sys.executable, "-c", f"import portable_nn; {LIST}"]
    there = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert there == ["portable_nn", "portable_nn.version"]
