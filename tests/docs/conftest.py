"""Sites that tests build, and the browser that reads them."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a server of this folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/favicon.ico":  # which browsers ask for by themselves
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(scope="session")
def serve():
    """What serves a folder until the tests are over, and gives the address."""
    with ExitStack() as servers:
        yield lambda site: servers.enter_context(served(site))


@pytest.fixture(scope="session")
def browser():
    """Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("Chromium is not installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()
