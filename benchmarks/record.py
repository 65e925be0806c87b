"""What a result is worth nothing without: machine, versions, thread pools. JSON lines out."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "portable-nn",
    "numpy",
    "array-api-compat",
    "numba",
    "scikit-learn",
    "torch",
    "jax",
    "jaxlib",
    "optax",
    "keras",
    "cupy-cuda12x",
    "cupy-cuda13x",
)


def versions() -> dict[str, str]:
    """The version of every library that takes part and is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The model of the CPU, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pools() -> list[dict[str, Any]]:
    """The BLAS and OpenMP libraries of this process, by threadpoolctl if it is there."""
    try:
        from threadpoolctl import threadpool_info  # noqa: PLC0415
    except ImportError:
        return []
    keys = ("internal_api", "version", "num_threads", "architecture", "threading_layer")
    return [{key: pool[key] for key in keys if pool.get(key)} for pool in threadpool_info()]


def machine() -> dict[str, Any]:
    """The machine in one record."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions(),
        "pools": pools(),
    }


class Record:
    """Writes each result as a line of JSON, with the time and the machine in short; None: nowhere."""

    def __init__(self, path: str | None) -> None:
        self.file = open(path, "w", encoding="utf-8") if path else None  # noqa: SIM115  (closed by close)
        self.short = f"{processor()}, {cores()} cores"
        self.write("machine", **machine())

    def write(self, suite: str, **result: Any) -> None:
        """Add one result."""
        if self.file is not None:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = {"suite": suite, "when": when, "machine": self.short} | result
            print(json.dumps(line), file=self.file, flush=True)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
