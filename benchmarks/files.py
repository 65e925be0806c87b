"""``files.py [FOLDER] [ROUNDS]``: saving and loading 100 MB of float32, against safetensors' library.

A line of JSON. All ways take turns; a ratio is the median of the ratios by round. Files are new each
time. fsync waits for the disk: the library leaves it out, so that a crash may leave half a file; both
are measured with and without it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import safetensors
import safetensors.numpy
from record import cores, processor, versions

import portable_nn as pnn

MODEL = pnn.Network((2500, 3500, 3500, 1000), ("relu", "relu", "softmax"), "categorical_cross_entropy")


def filesystem(folder: Path) -> str:
    """The kind of the file system that a folder is on, where the system tells it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    above = [(place, kind) for place, kind in mounts if folder.resolve().is_relative_to(place)]
    return max(above, key=lambda mount: len(mount[0]), default=("", ""))[1]


def synchronized(path: Path) -> None:
    """What a save that is to survive a crash does last."""
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


def main() -> None:
    """Measure, and print the line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    params = MODEL.initialize(seed=0)
    arrays = {
        f"params.{l}.{k}": a for l, p in enumerate(params, 1) for k, a in zip("Wb", p, strict=True)
    }
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        mine, other = Path(inner, "mine"), Path(inner, "other")

        def unsynchronized() -> None:
            with mock.patch("os.fsync", return_value=None):
                pnn.save(mine, (MODEL, params))

        def other_synchronized() -> None:
            safetensors.numpy.save_file(arrays, other)
            synchronized(other)

        ways: dict[str, tuple[Path | None, Callable[[], Any]]] = {
            "save": (mine, lambda: pnn.save(mine, (MODEL, params))),
            "safetensors save, fsync": (other, other_synchronized),
            "save without fsync": (mine, unsynchronized),
            "safetensors save": (other, lambda: safetensors.numpy.save_file(arrays, other)),
            "load": (None, lambda: pnn.load(mine)),
            "safetensors load": (None, lambda: safetensors.numpy.load_file(other)),
            "load, mmap": (None, lambda: pnn.load(mine, mmap=True)),
        }
        for turn in range(rounds + 1):
            for name, (fresh, way) in ways.items():
                if fresh is not None:
                    fresh.unlink(missing_ok=True)
                os.sync()  # nobody pays for what another has left to be written
                start = time.perf_counter()
                found = way()
                taken = time.perf_counter() - start
                del found
                if turn:
                    seconds.setdefault(name, []).append(taken)
        size = mine.stat().st_size

    def ratio(one: str, its: str) -> float:
        pairs = zip(seconds[one], seconds[its], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 2)

    line = {
        "machine": {"processor": processor(), "cores": cores(), "filesystem": filesystem(folder)},
        "load average": round(os.getloadavg()[0], 1),
        "versions": {**versions(), "safetensors": safetensors.__version__, "numpy": np.__version__},
        "bytes": size,
        "milliseconds": {name: round(1e3 * statistics.median(s), 1) for name, s in seconds.items()},
        "ratios": {
            "save, both with fsync": ratio("save", "safetensors save, fsync"),
            "save, both without": ratio("save without fsync", "safetensors save"),
            "save with, theirs without": ratio("save", "safetensors save"),
            "load": ratio("load", "safetensors load"),
        },
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
