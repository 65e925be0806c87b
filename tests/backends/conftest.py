"""What is collected: tests that depend on no backend belong to the session that tests NumPy."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_of_the_host = collection_path.name in ("test_senders.py", "test_cupy.py")
    asked = config.getoption("--backend") or ["cupy"] * config.getoption("--gpu")
    return True if is_of_the_host and asked and "numpy" not in asked else None
