"""Fixtures of the compiler's tests: training compiled for NumPy, for a GPU that is none, and eagerly."""

from __future__ import annotations

from pathlib import Path

import pytest
from cuda_helpers import scan_on
from fake_cuda import FakeDevice

import portable_nn as pnn
from portable_nn.backends.numpy_backend import NumpyBackend
from portable_nn.compiler.cuda.scan import CudaScan
from portable_nn.compiler.numpy import CompiledStep, loop_cache, program, steps
from portable_nn.training.steps import evaluation_step, summary_step, training_steps

NUMBA = loop_cache.installed()
MODES = ["blocks", pytest.param("loops", marks=pytest.mark.skipif(not NUMBA, reason="no numba here"))]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Nothing here depends on the backend that is tested, so a session collects what is its own."""
    asked = config.getoption("--backend") or ["cupy"] * config.getoption("--gpu")
    theirs = {"test_gpu.py": "cupy", "test_cuda_torch.py": "torch"}
    is_test = collection_path.name.startswith("test_")
    return True if asked and is_test and theirs.get(collection_path.name, "numpy") not in asked else None


def forget_steps() -> None:
    """Make `fit` compile its steps anew."""
    for cached in (training_steps, evaluation_step, summary_step):
        cached.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Activations that say what is traced need no right derivative."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:.*would follow a wrong gradient"))


@pytest.fixture
def forget():
    """``forget()`` makes `fit` compile its steps anew, as it is done at the end of the test."""
    yield forget_steps
    forget_steps()


@pytest.fixture(params=MODES)
def mode(request, monkeypatch, forget):
    """Compiled for NumPy at the first call: as blocks by NumPy, or as loops by numba."""
    forget()
    monkeypatch.setattr(steps, "FEW_STEPS", 0)
    patience = (0.0, 0.0) if request.param == "loops" else (1e9, 1e9)
    monkeypatch.setattr(program, "PATIENCE", patience)
    return request.param


@pytest.fixture
def compiled_at_once(monkeypatch, forget) -> None:
    """Compiled for NumPy at the first call, by calls of NumPy alone: nothing waits for numba."""
    forget()
    monkeypatch.setattr(steps, "FEW_STEPS", 0)
    monkeypatch.setattr(program, "PATIENCE", (1e9, 1e9))


@pytest.fixture
def fit_eagerly(monkeypatch):
    """`pnn.fit`, with eager steps."""

    def fit(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(CompiledStep, "program", lambda *_, **__: None)
            patch.setattr(steps.CompiledScan, "run_small", lambda *_: None)
            return pnn.fit(*arguments, **options)

    return fit


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Where kernels are compiled to, by all tests and workers of a session."""
    root = tmp_path_factory.getbasetemp()
    found = (root.parent if root.name.startswith("popen") else root) / "kernels"
    found.mkdir(exist_ok=True)
    return found


@pytest.fixture
def replay() -> bool:
    """By graphs; they give the bits of launches one by one, which is tested."""
    return True


@pytest.fixture
def device(folder) -> FakeDevice:
    return FakeDevice(folder)


@pytest.fixture
def train(device, replay, monkeypatch):
    """`pnn.fit` with NumPy's arrays for those of a GPU; `train.scans` are the scans that it made."""
    scans: list[CudaScan] = []

    def fit(*arguments, on=device, by_graph=replay, **options):
        def scan(self, step):
            scans.append(scan_on(on, by_graph, step))
            return scans[-1]

        training_steps.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(NumpyBackend, "scan", scan)
            found = pnn.fit(*arguments, **options)
        training_steps.cache_clear()
        programs = [program for one in scans for program in one.programs.values()]
        assert programs
        assert None not in programs, "a step ran eagerly"
        return found

    fit.scans = scans
    return fit
