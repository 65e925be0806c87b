"""The GPU of a program, as CuPy has it."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.cublas import WORKSPACE, Cublas, mapped_library
from portable_nn.compiler.cuda.device import OPTIONS, Look, Work, look
from portable_nn.compiler.cuda.products import Product
from portable_nn.compiler.layout import Layout


class CupyDevice:
    """See `Device`. Products go through a handle of our own: CuPy's refuse to be captured."""

    def __init__(self, device: Any) -> None:
        import cupy  # noqa: PLC0415

        self.cupy, self.device = cupy, device
        self.lock = threading.RLock()
        self.users: list[Any] = []
        with device:
            self.stream = cupy.cuda.Stream(non_blocking=True)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        with self.device:
            callers = self.cupy.cuda.get_current_stream()
            self.stream.wait_event(callers.record())
            try:
                with self.stream:
                    yield
            finally:
                callers.wait_event(self.stream.record())

    def look(self, array: Any) -> Look:
        return look(array)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        with self.device:
            return self.cupy.empty(shape, dtype)

    def array(self, host: np.ndarray[Any, Any]) -> Any:
        with self.device:
            return self.cupy.array(host, order="C")

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def seen(self, array: Any, dtype: np.dtype[Any], layout: Layout) -> Any:
        start = array.data + layout.offset * dtype.itemsize
        strides = [s * dtype.itemsize for s in layout.strides]
        return self.cupy.ndarray(layout.shape, dtype, start, strides)

    def copy(self, target: Any, source: Any) -> None:
        self.cupy.copyto(target, source)

    def kernels(self, source: str, names: Sequence[str]) -> list[Any]:
        with self.device:
            module = self.cupy.RawModule(code=source, options=OPTIONS)
            functions = [module.get_function(name) for name in names]
        return [functools.partial(launch, function) for function in functions]

    @functools.cached_property
    def cublas(self) -> Cublas | None:
        """Our own handle; None where the library that CuPy uses cannot be told."""
        small = self.cupy.ones((2, 2), "float32")
        small @ small  # CuPy loads the library when it first needs it
        library = mapped_library()
        if library is None:
            return None
        self.workspace = self.cupy.empty(WORKSPACE, "uint8")
        tf32 = os.environ.get("CUPY_TF32", "0") not in ("", "0")  # as CuPy's own products have it
        return Cublas(library, self.stream.ptr, self.address(self.workspace), tf32)

    @property
    def can_capture(self) -> bool:
        return self.cublas is not None

    def product(self, product: Product, left: Any, right: Any, out: Any) -> Work:
        if self.cublas is None:
            return functools.partial(self.cupy.matmul, left, right, out=out)
        where = (self.address(array) for array in (left, right, out))
        return self.cublas.prepared(product, *where)

    def capture(self, work: Work) -> Work:
        self.stream.begin_capture()
        try:
            work()
        finally:
            graph = self.stream.end_capture()
        return functools.partial(graph.launch, self.stream)


def launch(function: Any, blocks: int, threads: int, arrays: Sequence[Any]) -> None:
    """Put a kernel of CuPy in line."""
    function((blocks,), (threads,), tuple(arrays))
