"""Matrix products by cuBLAS: which operands it takes, which library is called, and its errors."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest
from cuda_helpers import needs_gcc
from fake_cuda import CUBLAS, compiled

from portable_nn.backends.cupy_device import CupyDevice
from portable_nn.compiler.cuda.cublas import Cublas, mapped_library
from portable_nn.compiler.cuda.products import operand_of, product_of
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.layout import Layout

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


def test_operands_that_cublas_does_not_take_are_refused():
    assert operand_of(Layout((2, 3), (3, 1))) == operand_of(Layout((2, 3), (3, 1), 7))
    for strides in [(6, 2), (3, -1), (0, 1)]:
        with pytest.raises(UntraceableError, match="no kernel for a product"):
            operand_of(Layout((2, 3), strides))
    with pytest.raises(UntraceableError, match="a stack"):
        operand_of(Layout((2, 2, 2, 3), (100, 6, 3, 1)))


@pytest.mark.parametrize(
    "maps", ["", "7f r-xp 0 0 1 /a/libcublas.so.13\n7f r-xp 0 0 2 /b/libcublas.so.12\n", None]
)
def test_if_libcublas_is_ambiguous_there_is_no_handle_and_no_capture(maps, monkeypatch):
    def read(path, encoding):
        assert str(path) == "/proc/self/maps"
        if maps is None:
            raise FileNotFoundError(path)
        return maps

    monkeypatch.setattr(Path, "read_text", read)
    assert mapped_library() is None
    device = object.__new__(CupyDevice)
    device.cupy = types.SimpleNamespace(ones=lambda *_: np.ones((2, 2)), matmul=np.matmul)
    assert not device.can_capture
    left, right, out = np.ones((2, 3)), np.ones((3, 2)), np.zeros((2, 2))
    device.product(None, left, right, out)()
    assert (out == 3).all()


def test_the_one_loaded_libcublas_is_found(folder, monkeypatch):
    path = folder / "libcublas.so.13"
    path.write_bytes(Path(compiled(CUBLAS, folder)._name).read_bytes())
    maps = f"7f r-xp 0 0 1 {path}\n8f r--p 0 0 1 {path}\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: maps)
    assert mapped_library()._name == str(path)


def test_a_failed_call_of_cublas_raises(folder):
    cublas = Cublas(compiled(CUBLAS, folder), 0, 1)  # no stream: the fake refuses
    layout = Layout((2, 2), (2, 1))
    product = product_of(layout, layout, layout, np.dtype("float64"))
    with pytest.raises(RuntimeError, match="cuBLAS gave status 1; accepted: 0, success"):
        cublas.prepared(product, 1, 1, 1)()
