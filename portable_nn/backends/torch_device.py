"""The device of CUDA programs by torch."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.cublas import WORKSPACE, Cublas, library_of
from portable_nn.compiler.cuda.device import OPTIONS, ArrayInfo, Enqueue, EnqueueKernel
from portable_nn.compiler.cuda.products import MatrixProduct
from portable_nn.compiler.layout import Layout, Shape
from portable_nn.compiler.signatures import HostArray


class TorchDevice:
    """See `Device`. Products go through our own handle of cuBLAS, as far as torch's library is found."""

    can_capture = True

    def __init__(self, device: Any) -> None:
        import torch  # noqa: PLC0415

        self.torch, self.device = torch, device
        self.lock = threading.RLock()
        self.memory_users: list[Any] = []
        self.stream = torch.cuda.Stream(device)

    @contextlib.contextmanager
    def own_stream(self) -> Iterator[None]:
        outer = self.torch.cuda.current_stream(self.device)
        self.stream.wait_stream(outer)
        try:
            with self.torch.cuda.stream(self.stream):
                yield
        finally:
            outer.wait_stream(self.stream)

    def info(self, array: Any) -> ArrayInfo:
        dtype = np.dtype(str(array.dtype).removeprefix("torch."))
        return ArrayInfo(tuple(array.shape), dtype, tuple(array.stride()))

    def empty(self, shape: Shape, dtype: Any) -> Any:
        return self.torch.empty(shape, dtype=self.dtype(dtype), device=self.device)

    def dtype(self, dtype: Any) -> Any:
        """torch's dtype of this name."""
        return getattr(self.torch, np.dtype(dtype).name)

    def to_device(self, host: HostArray) -> Any:
        return self.torch.from_numpy(np.array(host, order="C")).to(self.device)

    def address(self, array: Any) -> int:
        return int(array.data_ptr())

    def view(self, array: Any, dtype: np.dtype[Any], layout: Layout) -> Any:
        if array.dtype == self.torch.uint8:  # a buffer; other arrays have their own dtype
            array = array.view(self.dtype(dtype))
        start = array.storage_offset() + layout.offset
        return array.as_strided(layout.shape, layout.strides, start)

    def copy(self, target: Any, source: Any) -> None:
        target.copy_(source)

    def compile(self, source: str, names: Sequence[str]) -> list[EnqueueKernel]:
        from torch.cuda import _utils as compiler  # noqa: PLC0415

        code, _ = compiler._nvrtc_compile(source, names[0], nvcc_options=list(OPTIONS))
        found = compiler._cuda_load_module(code, list(names))
        return [functools.partial(enqueue_kernel, found[name]) for name in names]

    @functools.cached_property
    def cublas(self) -> Cublas | None:
        """Our own handle; None if it is unclear which library torch uses."""
        library = library_of(self.torch._C)
        if library is None:
            return None
        self.workspace = self.empty((WORKSPACE,), "uint8")
        return Cublas(library, self.stream.cuda_stream, self.address(self.workspace))

    @property
    def tf32(self) -> bool:
        setting = getattr(self.torch.backends.cuda.matmul, "fp32_precision", None)
        if setting is None:  # before torch 2.9
            return bool(self.torch.get_float32_matmul_precision() != "highest")
        return bool(setting == "tf32")

    def product(self, product: MatrixProduct, left: Any, right: Any, out: Any) -> Enqueue:
        if self.cublas is None:
            return functools.partial(self.torch.matmul, left, right, out=out)
        return self.cublas.prepared(product, [self.address(x) for x in (left, right, out)], self.tf32)

    def capture(self, work: Enqueue) -> Enqueue:
        graph = self.torch.cuda.CUDAGraph()
        # other threads may allocate and copy meanwhile: it is no business of theirs that we capture
        with self.torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            work()
        replay: Enqueue = graph.replay
        return replay


def can_compile() -> bool:
    """Whether torch compiles CUDA C: since 2.8, and not where it is built for AMD's cards."""
    import torch  # noqa: PLC0415
    from torch.cuda import _utils  # noqa: PLC0415

    return hasattr(_utils, "_nvrtc_compile") and torch.version.hip is None


def enqueue_kernel(kernel: Any, blocks: int, threads: int, arrays: Sequence[Any]) -> None:
    """Enqueue a kernel of torch."""
    kernel((blocks, 1, 1), (threads, 1, 1), list(arrays))
