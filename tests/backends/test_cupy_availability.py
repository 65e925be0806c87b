"""Whether CuPy works here, why not, and its devices."""

from __future__ import annotations

import sys
import types

import pytest

import portable_nn as pnn
from portable_nn import backends
from portable_nn.backends import registry
from portable_nn.backends.cupy_backend import CupyBackend


def test_cupy_without_a_cuda_device_says_so(monkeypatch):
    class Library:
        __version__ = "14.2.0"

        @staticmethod
        def is_available():
            return False

    monkeypatch.setitem(sys.modules, "cupy", Library)
    assert CupyBackend.problem() == "no CUDA device"
    with pytest.raises(
        pnn.BackendUnavailableError, match=r"'cupy' is unavailable: no CUDA device; .*GPU"
    ):
        backends.get("cupy")


@pytest.mark.parametrize("missing", ["cublas", "nvrtc", None])
def test_cupy_without_a_library_of_the_toolkit_says_which(missing, monkeypatch):
    class Nvrtc:
        @staticmethod
        def getVersion():
            if missing == "nvrtc":
                raise RuntimeError("no libnvrtc.so.13\nand more lines")

    library, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
    library.is_available, library.cuda, cuda.nvrtc = lambda: True, cuda, Nvrtc
    if missing != "cublas":
        cuda.cublas = object()
    monkeypatch.setitem(sys.modules, "cupy", library)
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    found = CupyBackend.problem()
    if missing is None:
        assert found is None
    else:
        assert found.startswith("a library of the CUDA toolkit is missing: ")
        assert missing in found
        assert "\n" not in found


def test_cupy_names_the_real_library_that_it_lacks(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    try:
        from cupy.cuda import cublas  # noqa: F401
    except ImportError:
        monkeypatch.setattr(cupy, "is_available", lambda: True)
        assert "libcublas" in CupyBackend.problem()


def test_cupy_finds_its_devices_by_number_by_name_and_by_object(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    monkeypatch.setattr(CupyBackend, "problem", classmethod(lambda cls: None))
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 2)
    monkeypatch.setattr(registry, "_instances", {})
    second = backends.get("cupy", 1)
    assert second.device == cupy.cuda.Device(1)
    assert second.device_name() == "cuda:1"
    assert second is backends.get("cupy", "cuda:1") is backends.get("cupy", cupy.cuda.Device(1))
    assert backends.get("cupy", "cuda") is backends.get("cupy", "cuda:0") is not second

    class Array:  # what the registry asks of an array: its type and its device
        device = cupy.cuda.Device(1)

    monkeypatch.setattr(CupyBackend, "owns", classmethod(lambda cls, x: isinstance(x, Array)))
    monkeypatch.setattr(registry, "_owners", {})
    assert backends.of(Array()) is second
    for wrong in (2, "cuda:2", "gpu", True, 0.0):
        with pytest.raises(ValueError, match=r"no device .*accepted: cuda, cuda:0, cuda:1"):
            backends.get("cupy", wrong)
