"""What is asked of a GPU: memory, kernels, products, and a stream on which all of it is put in line."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from portable_nn.backends.cuda.geometry import Geometry
from portable_nn.backends.cuda.products import WORKSPACE, Cublas, Product, mapped_library

OPTIONS = ("--std=c++17", "--fmad=false")  # a product and a sum are rounded one after the other
Work = Callable[[], None]


class Device(Protocol):
    """A GPU, as the program of a step sees it; a test may put something else in its place.

    Whoever puts work in line holds its `lock`; its `users` are what keeps memory there, the latest last.
    """

    lock: Any
    users: list[Any]

    @property
    def can_capture(self) -> bool:
        """Whether all that is put in line can become part of a graph."""

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Within it work goes to the device's own stream, after what the caller has put in line; what
        the caller puts in line afterwards comes after it.
        """

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array whose elements lie in one row."""

    def array(self, host: np.ndarray[Any, Any]) -> Any:
        """The values of a host array, in one row."""

    def address(self, array: Any) -> int:
        """Where the array begins."""

    def seen(self, array: Any, dtype: np.dtype[Any], geometry: Geometry) -> Any:
        """The array's memory, seen as an array of this dtype and geometry."""

    def copy(self, target: Any, source: Any) -> None:
        """Put copying from `source` in line."""

    def kernels(self, source: str, names: Sequence[str]) -> list[Any]:
        """Compile; ``kernel(blocks, threads, arrays)`` puts one in line."""

    def product(self, product: Product, left: Any, right: Any, out: Any) -> Work:
        """A function that puts a product in line."""

    def capture(self, work: Work) -> Work:
        """A function that puts all that `work` puts in line there at once."""


class CupyDevice:
    """A device of CuPy."""

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

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        with self.device:
            return self.cupy.empty(shape, dtype)

    def array(self, host: np.ndarray[Any, Any]) -> Any:
        with self.device:
            return self.cupy.array(host, order="C")

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def seen(self, array: Any, dtype: np.dtype[Any], geometry: Geometry) -> Any:
        start = array.data + geometry.offset * dtype.itemsize
        strides = [s * dtype.itemsize for s in geometry.strides]
        return self.cupy.ndarray(geometry.shape, dtype, start, strides)

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
