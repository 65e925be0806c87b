"""Sites that tests build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="session")
def playground(tmp_path_factory):
    """A site of this page, one it links to, and a front page, built as the whole site is."""
    for name in ("sphinx", "math_core", "myst_parser", "pydata_sphinx_theme"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    folder = tmp_path_factory.mktemp("site")
    source, out = folder / "source", folder / "html"
    shutil.copytree(DOCS / "playground", source / "playground")
    (source / "how_it_works").mkdir()
    (source / "how_it_works" / "index.md").write_text("# How it works\n\nBy tracing.\n")
    pages = "playground/index\nhow_it_works/index"
    (source / "index.md").write_text(f"# Front page\n\n```{{toctree}}\n{pages}\n```\n")
    extensions = "extensions=mathml,myst_parser,outside,playground"
    command = ["-m", "sphinx", "-W", "-q", "-b", "html", "-c", DOCS, "-D", extensions, source, out]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out
