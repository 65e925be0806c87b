"""What a result is worth nothing without: machine, versions, thread pools. JSON lines out."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
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
    "onnxruntime",
    "emlearn",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "triton",
    "jax-cuda12-plugin",
    "jax-cuda13-plugin",
    "nvidia-cuda-runtime",
    "nvidia-cuda-runtime-cu12",
    "nvidia-cublas",
    "nvidia-cublas-cu12",
)
OF_A_CARD = ("name", "driver_version", "compute_cap", "memory.total", "power.limit", "clocks.max.sm")


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


def cards() -> list[dict[str, str]]:
    """The NVIDIA GPUs that nvidia-smi knows of; none where it is missing or answers nothing."""
    command = ["nvidia-smi", f"--query-gpu={','.join(OF_A_CARD)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines()]
    return [dict(zip(OF_A_CARD, row, strict=True)) for row in rows if len(row) == len(OF_A_CARD)]


def settings() -> dict[str, Any]:
    """The CUDA of each library that this process has imported, and how it multiplies float32."""
    found: dict[str, Any] = {}
    for name, ask in {"torch": torch_settings, "jax": jax_settings, "cupy": cupy_settings}.items():
        if sys.modules.get(name) is not None:
            try:
                found[name] = ask(sys.modules[name])
            except Exception as error:  # what is asked for here is worth no round
                found[name] = f"{type(error).__name__}: {error}"
    return found


def torch_settings(torch: Any) -> dict[str, Any]:
    """The runtime that torch was built with."""
    return {"cuda": torch.version.cuda, "float32": torch.get_float32_matmul_precision()}


def jax_settings(jax: Any) -> dict[str, Any]:
    """The platform as its plugin calls it, with the version of CUDA."""
    version = " ".join(jax.devices()[0].client.platform_version.split())
    return {"cuda": version, "float32": jax.config.jax_default_matmul_precision}


def cupy_settings(cupy: Any) -> dict[str, Any]:
    """The runtime that CuPy has loaded."""
    runtime = cupy.cuda.runtime.runtimeGetVersion()
    return {"cuda": runtime, "float32": f"CUPY_TF32={os.environ.get('CUPY_TF32', '')}"}


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
    """Writes each result as a line of JSON, with the time and the machine in short; None: nowhere.

    `card` is the GPU's name where one is measured; `more` goes into the machine's own line.
    """

    def __init__(self, path: str | None, card: str | None = None, **more: Any) -> None:
        self.file = open(path, "w", encoding="utf-8") if path else None  # noqa: SIM115  (closed by close)
        self.short = ", ".join(filter(None, (card, processor(), f"{cores()} cores")))
        self.write("machine", **machine(), **more)

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
