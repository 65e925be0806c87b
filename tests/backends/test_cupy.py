"""CuPy's part of CUDA programs, as far as it can be tested without a GPU."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import array_api_compat.numpy
import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.backends import cupy_backend
from portable_nn.backends.cupy_device import CupyDevice
from portable_nn.compiler.cuda import CudaScan
from portable_nn.compiler.cuda.device import MODE_VARIABLE, OPTIONS
from portable_nn.compiler.layout import Layout

pytestmark = pytest.mark.usefixtures("host_only")


class Recorder:
    """A stand-in for CuPy that records in which order streams and events are used."""

    def __init__(self):
        self.said: list[str] = []
        self.current = ["the caller's"]
        outer = self

        class OurStream:
            def __init__(self, non_blocking=False, name="ours"):
                self.name, self.ptr = name, 1

            def record(self):
                outer.said.append(f"{self.name} records")
                return self.name

            def wait_event(self, event):
                outer.said.append(f"{self.name} waits for {event}")

            def __enter__(self):
                outer.current.append(self.name)

            def __exit__(self, *_):
                outer.current.pop()

        class Cuda:
            @staticmethod
            def Stream(non_blocking):
                assert non_blocking
                return OurStream()

            @staticmethod
            def get_current_stream():
                return OurStream(name=outer.current[-1])

        self.cuda = Cuda


class NoDevice:
    """A context that does nothing, in the place of CuPy's device."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_our_stream_waits_for_the_callers_and_the_caller_for_ours(monkeypatch):
    cupy = Recorder()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    device = CupyDevice(NoDevice())

    def work():
        with device.own_stream():
            cupy.said.append(f"work on {cupy.current[-1]}")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert cupy.said == [
        "the caller's records",
        "ours waits for the caller's",
        "work on ours",
        "ours records",
        "the caller's waits for ours",
    ]


@pytest.mark.parametrize("how", ["eager", "fused", "replayed", None, "fast"])
def test_the_user_chooses_how_steps_run_on_cupy(how, monkeypatch):
    if how is None:
        monkeypatch.delenv(MODE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(MODE_VARIABLE, how)
    backend = object.__new__(cupy_backend.CupyBackend)
    backend.xp, backend.device, backend.__dict__["cuda"] = array_api_compat.numpy, NoDevice(), None
    if how == "fast":
        with pytest.raises(ValueError, match="'fast'; accepted: eager, fused, replayed"):
            backend.scan(lambda xp, *_: None)
        return
    steps = backend.scan(lambda xp, *_: None)
    assert isinstance(steps, CudaScan) == (how != "eager")
    assert not isinstance(steps, CudaScan) or steps.replay == (how != "fused")


def test_cupy_has_the_interface_that_is_used():
    """As far as it can be tested without a GPU: views of memory that is never read."""
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    memory = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(4096, 8 * 600, None, 0), 0)
    device = object.__new__(CupyDevice)
    device.cupy, device.device = cupy, NoDevice()
    whole = cupy.ndarray((8 * 600,), "uint8", memory)
    seen = device.view(whole, np.dtype("float32"), Layout((2, 3), (1, 10), 7))
    assert (seen.shape, seen.strides, seen.dtype) == ((2, 3), (4, 40), np.dtype("float32"))
    assert device.address(seen) == 4096 + 7 * 4
    assert device.view(whole, np.dtype("float64"), Layout((), ())).shape == ()
    module = cupy.RawModule(code="", options=OPTIONS)
    assert callable(module.get_function)
    for name in ("begin_capture", "end_capture", "wait_event", "record"):
        assert hasattr(cupy.cuda.Stream, name)
    assert callable(cupy.cuda.Graph.launch)


def test_the_namespace_of_cupy_has_all_functions_that_the_package_uses():
    pytest.importorskip("cupy", reason="cupy is not installed")
    import array_api_compat.cupy as xp

    folder = Path(pnn.__file__).parent
    rooms = [path for path in folder.rglob("*.py") if "backends" not in path.parts]
    names = {name for path in rooms for name in re.findall(r"\bxp\.(\w+)", path.read_text())}
    assert {"take", "maximum", "sum"} <= names
    assert [name for name in sorted(names) if not hasattr(xp, name)] == []


@pytest.mark.parametrize("goes_well", [True, False])
def test_a_capture_ends_even_if_it_fails(goes_well):
    said = []

    class OurStream:
        def begin_capture(self):
            said.append("begin")

        def end_capture(self):
            said.append("end")
            return types.SimpleNamespace(launch=said.append)

    def work():
        said.append("work")
        if not goes_well:
            raise KeyError

    device = object.__new__(CupyDevice)
    device.stream = OurStream()
    if goes_well:
        device.capture(work)()
        assert said == ["begin", "work", "end", device.stream]
    else:
        with pytest.raises(KeyError):
            device.capture(work)
        assert said == ["begin", "work", "end"]
