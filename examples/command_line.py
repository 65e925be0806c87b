"""What the examples share on their command line: where to compute, and where pictures go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import portable_nn as pnn


def parser(description: str, pictures: bool = True) -> argparse.ArgumentParser:
    """A parser of --backend and --device, and where there are `pictures` --output."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--backend", default="numpy", help=", ".join(pnn.backends.names()))
    found.add_argument("--device", help="such as cuda:0; by default the backend's own")
    if pictures:
        found.add_argument("--output", type=Path, default=Path("output"), help="folder for pictures")
    return found


def get_backend(name: str, device: str | None) -> pnn.backends.Backend:
    """The backend; where there is none of that name, device or here, say so and exit with status 2."""
    try:
        return pnn.backends.get(name, device)
    except (pnn.BackendUnavailableError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
