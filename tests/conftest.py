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
from helpers import network, problem

import portable_nn as pnn

CASES = {
    "numpy": [None],
    "array_api_strict": [None, "device1"],
    "torch": [None],
    "jax": [None],
    "cupy": [None],
}
ON_A_GPU = {"cupy": [None], "torch": ["cuda:0"], "jax": ["cuda:0"]}
LIBRARIES = {"torch": "torch", "jax": "jax", "strict": "array_api_strict", "cupy": "cupy"}
MARGINS = pytest.StashKey[dict[tuple[str, str], float]]()
COUNTS = pytest.StashKey[dict[tuple[str, str], int]]()


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


def applies(item: pytest.Item, asked: list[str], gpu: bool) -> bool:
    """Whether a test can say anything about the backends asked for (all where none is named)."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if "backend" in fixtures:
        return "[numpy" not in item.name or item.get_closest_marker("device_only") is None
    needed = {LIBRARIES[name] for name in fixtures & set(LIBRARIES)}
    if not needed and "host_only" in fixtures:
        needed = {"numpy"}
    can_apply = needed <= ({"cupy"} if gpu else {*CASES})
    return not needed or (can_apply and (not asked or bool(needed & set(asked))))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what does not apply, so that a skipped test is one that another machine could run."""
    asked, gpu = config.getoption("--backend") or [], config.getoption("--gpu")
    chosen = [item for item in items if applies(item, asked, gpu)]
    if len(chosen) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


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
def host_only() -> None:
    """For tests of the host alone: they run where NumPy is tested, unless they take `backend`."""


@pytest.fixture
def torch() -> Any:
    """torch, for tests that need it beside NumPy: they run where torch is tested."""
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def jax() -> Any:
    """jax, for tests that need it beside NumPy: they run where JAX is tested."""
    return pytest.importorskip("jax", reason="jax is not installed")


@pytest.fixture
def strict() -> Any:
    """array_api_strict, for tests that need it beside NumPy: they run where it is tested."""
    return pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(12345)


@pytest.fixture
def training_problem(random: np.random.Generator) -> tuple[Any, ...]:
    """A network, its parameters, 40 examples and their targets."""
    net = network("tanh")
    return net, *problem(net, random, n=40)


@pytest.fixture
def margin(request: pytest.FixtureRequest) -> Any:
    """``margin(what, backend, difference)`` keeps the largest difference, printed when all is done."""
    table = request.config.stash.setdefault(MARGINS, {})

    def keep(what: str, where: str, difference: float) -> float:
        table[what, where] = max(difference, table.get((what, where), 0.0))
        return difference

    return keep


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Any:
    """``count(what, kind)`` counts one more of this kind; the counts are printed when all is done."""
    table = request.config.stash.setdefault(COUNTS, {})

    def one_more(what: str, kind: str) -> None:
        table[what, kind] = table.get((what, kind), 0) + 1

    return one_more


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist sends its tables to the process that prints them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        table = session.config.stash.get(MARGINS, {})
        output["margins"] = [(*where, difference) for where, difference in table.items()]
        output["counts"] = [(*of, n) for of, n in session.config.stash.get(COUNTS, {}).items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the tables of a worker that is done."""
    table = node.config.stash.setdefault(MARGINS, {})
    for what, where, difference in getattr(node, "workeroutput", {}).get("margins", ()):
        table[what, where] = max(difference, table.get((what, where), 0.0))
    counts = node.config.stash.setdefault(COUNTS, {})
    for what, kind, n in getattr(node, "workeroutput", {}).get("counts", ()):
        counts[what, kind] = counts.get((what, kind), 0) + n


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    table = config.stash.get(MARGINS, {})
    if table:
        terminalreporter.section("largest relative differences met")
        width = max(len(what) for what, _ in table)
        for (what, where), difference in sorted(table.items()):
            terminalreporter.write_line(f"{what:{width}}  {where:26} {difference:.1e}")
    counts = config.stash.get(COUNTS, {})
    for what in dict.fromkeys(what for what, _ in sorted(counts)):
        found = [f"{kind} {n}" for (of, kind), n in sorted(counts.items()) if of == what]
        terminalreporter.section(what)
        terminalreporter.write_line(", ".join(found))
