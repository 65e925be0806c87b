"""Shared fixtures: every backend (and a device of each that is not the default), every dtype."""

from __future__ import annotations

import os
from typing import Any

# before any library is imported: float64 on JAX; products in float32, no less, on GPUs; and none of
# them takes the whole card for itself
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ |= {
    "JAX_DEFAULT_MATMUL_PRECISION": "float32",
    "CUPY_TF32": "0",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}

import numpy as np
import pytest

import portable_nn as pnn

CASES = {
    "numpy": [None],
    "array_api_strict": [None, "device1"],
    "torch": [None],
    "jax": [None],
    "cupy": [None],
}
ON_A_GPU = {"cupy": [None], "torch": ["cuda:0"], "jax": ["cuda:0"]}
MARGINS = pytest.StashKey[dict[tuple[str, str], float]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        choices=sorted(CASES),
        help="test this backend only, and fail if it is missing (may be given several times)",
    )
    parser.addoption(
        "--gpu", action="store_true", help="test the CUDA devices of CuPy, torch and JAX instead"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        known = ON_A_GPU if metafunc.config.getoption("--gpu") else CASES
        asked = metafunc.config.getoption("--backend") or list(known)
        cases = [(name, device) for name in asked for device in known.get(name, [])]
        ids = [name if device is None else f"{name}@{device}" for name, device in cases]
        metafunc.parametrize("backend", cases, ids=ids, indirect=True)


def why_not(name: str, device: str | None = None) -> str | None:
    """Why a backend does not work here, in the words of a test report; None if it does."""
    try:
        pnn.backends.get(name)
        if device is not None:
            pnn.backends.get(name, device)
    except pnn.BackendUnavailableError as error:
        is_about_cuda = "no CUDA device" in str(error) or (device or "").startswith("cuda")
        return f"no CUDA device: not run ({name})" if is_about_cuda else str(error)
    except ValueError:  # the library works, and has no such device
        return f"no CUDA device: not run ({name})"
    return None


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> pnn.backends.Backend:
    name, device = request.param
    problem = why_not(name, device)
    if problem is not None:
        if request.config.getoption("--backend"):
            pytest.fail(f"--backend {name} was asked for: {problem}")
        pytest.skip(problem)
    return pnn.backends.get(name, device)


@pytest.fixture
def host_only(request: pytest.FixtureRequest) -> None:
    """For tests of what happens on the host alone: once is enough, where NumPy is asked for."""
    asked = request.config.getoption("--backend")
    if (asked and "numpy" not in asked) or request.config.getoption("--gpu"):
        pytest.skip("on the host alone: run with --backend numpy")


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(12345)


@pytest.fixture
def margin(request: pytest.FixtureRequest) -> Any:
    """``margin(what, backend, difference)`` keeps the largest difference, printed when all is done."""
    table = request.config.stash.setdefault(MARGINS, {})

    def keep(what: str, where: str, difference: float) -> float:
        table[what, where] = max(difference, table.get((what, where), 0.0))
        return difference

    return keep


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    table = config.stash.get(MARGINS, {})
    if table:
        terminalreporter.section("largest relative differences met")
        width = max(len(what) for what, _ in table)
        for (what, where), difference in sorted(table.items()):
            terminalreporter.write_line(f"{what:{width}}  {where:26} {difference:.1e}")
