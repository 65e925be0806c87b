"""The device of CUDA programs by CuPy."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.cublas import WORKSPACE, Cublas, library_of
from portable_nn.compiler.cuda.device import OPTIONS, ArrayInfo, Enqueue, EnqueueKernel, array_info
from portable_nn.compiler.cuda.products import MatrixProduct
from portable_nn.compiler.layout import Layout, Shape
from portable_nn.compiler.signatures import HostArray


class CupyDevice:
    """See `Device`. Products go through our own handle of cuBLAS, because CuPy's cannot be captured."""

    def __init__(self, device: Any) -> None:
        import cupy  # noqa: PLC0415

        self.cupy, self.device = cupy, device
        self.lock = threading.RLock()
        self.memory_users: list[Any] = []
        with device:
            self.stream = cupy.cuda.Stream(non_blocking=True)

    @contextlib.contextmanager
    def own_stream(self) -> Iterator[None]:
        with self.device:
            outer = self.cupy.cuda.get_current_stream()
            self.stream.wait_event(outer.record())
            try:
                with self.stream:
                    yield
            finally:
                outer.wait_event(self.stream.record())

    def info(self, array: Any) -> ArrayInfo:
        return array_info(array)

    def empty(self, shape: Shape, dtype: Any) -> Any:
        with self.device:
            return self.cupy.empty(shape, dtype)

    def to_device(self, host: HostArray) -> Any:
        with self.device:
            return self.cupy.array(host, order="C")

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def view(self, array: Any, dtype: np.dtype[Any], layout: Layout) -> Any:
        start = array.data + layout.offset * dtype.itemsize
        strides = [s * dtype.itemsize for s in layout.strides]
        return self.cupy.ndarray(layout.shape, dtype, start, strides)

    def copy(self, target: Any, source: Any) -> None:
        self.cupy.copyto(target, source)

    def compile(self, source: str, names: Sequence[str]) -> list[EnqueueKernel]:
        with self.device:
            module = self.cupy.RawModule(code=source, options=OPTIONS)
            functions = [module.get_function(name) for name in names]
        return [functools.partial(enqueue_kernel, function) for function in functions]

    @functools.cached_property
    def cublas(self) -> Cublas | None:
        """Our own handle; None if it is unclear which library CuPy uses."""
        from cupy.cuda import cublas  # noqa: PLC0415

        library = library_of(cublas)
        if library is None:
            return None
        with self.device:
            self.workspace = self.cupy.empty(WORKSPACE, "uint8")
            return Cublas(library, self.stream.ptr, self.address(self.workspace))

    @property
    def can_capture(self) -> bool:
        return self.cublas is not None

    @property
    def tf32(self) -> bool:
        return os.environ.get("CUPY_TF32", "0") not in ("", "0")  # as for CuPy's own products

    def product(self, product: MatrixProduct, left: Any, right: Any, out: Any) -> Enqueue:
        if self.cublas is None:
            return functools.partial(self.cupy.matmul, left, right, out=out)
        return self.cublas.prepared(product, [self.address(x) for x in (left, right, out)], self.tf32)

    def capture(self, work: Enqueue) -> Enqueue:
        self.stream.begin_capture()
        try:
            work()
        finally:
            graph = self.stream.end_capture()
        return functools.partial(graph.launch, self.stream)


def enqueue_kernel(function: Any, blocks: int, threads: int, arrays: Sequence[Any]) -> None:
    """Enqueue a kernel of CuPy."""
    function((blocks,), (threads,), tuple(arrays))
