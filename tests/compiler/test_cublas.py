"""Matrix products by cuBLAS: which operands it takes, which library is called, and its errors."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from cuda_helpers import needs_gcc
from fake_cuda import CUBLAS, compiled

from portable_nn.backends import cupy_device
from portable_nn.backends.cupy_device import CupyDevice
from portable_nn.compiler.cuda.cublas import Cublas, library_of
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


def test_without_a_library_there_is_no_handle_and_no_capture(monkeypatch, folder):
    other = compiled("int nothing() { return 0; }", folder)._name
    for path in (other, str(folder / "missing.so")):
        assert library_of(types.SimpleNamespace(__file__=path)) is None
    monkeypatch.setattr(cupy_device, "library_of", lambda module: None)
    monkeypatch.setitem(sys.modules, "cupy.cuda", types.SimpleNamespace(cublas=None))
    device = object.__new__(CupyDevice)
    device.cupy = types.SimpleNamespace(matmul=np.matmul)
    assert not device.can_capture
    left, right, out = np.ones((2, 3)), np.ones((3, 2)), np.zeros((2, 2))
    device.product(None, left, right, out)()
    assert (out == 3).all()


def test_the_library_is_the_one_that_a_module_is_linked_to(folder):
    libraries = [folder / f"{place}/libcublas.so.13" for place in ("other", "own")]
    for path in libraries:  # both are loaded; only the second one is what the module calls
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(Path(compiled(CUBLAS, folder)._name).read_bytes())
    ctypes.CDLL(str(libraries[0]))
    module = folder / "module.so"
    source = 'extern "C" int cublasLtMatmul(); extern "C" int f() { return cublasLtMatmul(); }'
    (folder / "module.cpp").write_text(source)
    command = ["g++", "-shared", "-fPIC", "-o", str(module), str(folder / "module.cpp")]
    subprocess.run([*command, str(libraries[1]), f"-Wl,-rpath,{libraries[1].parent}"], check=True)
    found = library_of(types.SimpleNamespace(__file__=str(module)))
    own = ctypes.CDLL(str(libraries[1]))
    assert address(found.cublasLtMatmul) == address(own.cublasLtMatmul)


def address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


@pytest.fixture
def library(folder):
    """The fake library; it suggests algorithms that split a sum into 264, 132, 33 and 1 parts."""
    return compiled(CUBLAS, folder)


def product(k=2):
    return product_of(Layout((2, k), (k, 1)), Layout((k, 2), (2, 1)), Layout((2, 2), (2, 1)), F64)


F64 = np.dtype("float64")


def test_a_failed_call_of_cublas_raises(library):
    cublas = Cublas(library, 0, 1)  # no stream: the fake refuses
    with pytest.raises(RuntimeError, match="cuBLAS gave status 1; accepted: 0, success"):
        cublas.prepared(product(), [1, 1, 1])()


@pytest.mark.parametrize(
    ("suggested", "terms", "parts"),
    [
        ([264, 132, 33, 1], 128, 1),  # parts of less than a term, or of four: none is worth while
        ([264, 4, 1], 128, 4),  # the first that is sensible, not the one that splits least
        ([264, 132, 33], 128, 33),  # none is: the one that splits least
        ([12, 1], 784, 12),
        ([2, 1], 64, 2),
        ([1 << 16 | 1, 2], 64, 2),  # one with a state that says that it cannot be used
    ],
)
def test_no_sum_is_split_into_parts_that_are_too_short(library, suggested, terms, parts):
    library.suggest((ctypes.c_int * len(suggested))(*suggested), len(suggested))
    try:
        left, right, out = np.ones((2, terms)), np.ones((terms, 2)), np.zeros((2, 2))
        Cublas(library, 1, 1).prepared(product(terms), [x.ctypes.data for x in (left, right, out)])()
        assert library.last_parts() == parts
        assert (out == terms).all()
    finally:
        library.suggest((ctypes.c_int * 4)(264, 132, 33, 1), 4)


def test_without_any_suggestion_there_is_no_product(library):
    library.suggest((ctypes.c_int * 1)(1 << 16 | 1), 1)
    try:
        with pytest.raises(RuntimeError, match="suggests no algorithm"):
            Cublas(library, 1, 1).prepared(product(), [1, 1, 1])
    finally:
        library.suggest((ctypes.c_int * 4)(264, 132, 33, 1), 4)


def test_the_alignment_of_the_arrays_is_told(library):
    Cublas(library, 1, 1).prepared(product(), [4, 1024, 16 * 5])
    assert [library.alignment(i) for i in range(4)] == [256, 4, 16, 16]  # right, left, out, out


def test_what_a_product_described_is_destroyed_with_it(library):
    gc.collect()  # what other tests have left
    before = library.living_objects()
    run = Cublas(library, 1, 1).prepared(product(), [8, 8, 8])
    assert library.living_objects() == before + 4
    del run
    gc.collect()
    assert library.living_objects() == before
