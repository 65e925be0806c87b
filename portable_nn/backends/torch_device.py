"""The GPU of a program, as torch has it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.device import OPTIONS, Look, Work
from portable_nn.compiler.cuda.products import Product
from portable_nn.compiler.layout import Layout


class TorchDevice:
    """See `Device`. Products are torch's own, which its graphs can capture."""

    can_capture = True

    def __init__(self, device: Any) -> None:
        import torch  # noqa: PLC0415

        self.torch, self.device = torch, device
        self.lock = threading.RLock()
        self.users: list[Any] = []
        self.stream = torch.cuda.Stream(device)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        callers = self.torch.cuda.current_stream(self.device)
        self.stream.wait_stream(callers)
        try:
            with self.torch.cuda.stream(self.stream):
                yield
        finally:
            callers.wait_stream(self.stream)

    def look(self, array: Any) -> Look:
        dtype = np.dtype(str(array.dtype).removeprefix("torch."))
        return Look(tuple(array.shape), dtype, tuple(array.stride()))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.torch.empty(shape, dtype=self.dtype(dtype), device=self.device)

    def dtype(self, dtype: Any) -> Any:
        """torch's dtype of this name."""
        return getattr(self.torch, np.dtype(dtype).name)

    def array(self, host: np.ndarray[Any, Any]) -> Any:
        return self.torch.from_numpy(np.array(host, order="C")).to(self.device)

    def address(self, array: Any) -> int:
        return int(array.data_ptr())

    def seen(self, array: Any, dtype: np.dtype[Any], layout: Layout) -> Any:
        if array.dtype == self.torch.uint8:  # memory set aside; all other is seen in its own dtype
            array = array.view(self.dtype(dtype))
        start = array.storage_offset() + layout.offset
        return array.as_strided(layout.shape, layout.strides, start)

    def copy(self, target: Any, source: Any) -> None:
        target.copy_(source)

    def kernels(self, source: str, names: Sequence[str]) -> list[Any]:
        from torch.cuda import _utils as compiler  # noqa: PLC0415

        code, _ = compiler._nvrtc_compile(source, names[0], nvcc_options=list(OPTIONS))
        found = compiler._cuda_load_module(code, list(names))
        return [functools.partial(launch, found[name]) for name in names]

    def product(self, product: Product, left: Any, right: Any, out: Any) -> Work:
        return functools.partial(self.torch.matmul, left, right, out=out)

    def capture(self, work: Work) -> Work:
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph, stream=self.stream):
            work()
        replay: Work = graph.replay
        return replay


def launch(kernel: Any, blocks: int, threads: int, arrays: Sequence[Any]) -> None:
    """Put a kernel of torch in line."""
    kernel((blocks, 1, 1), (threads, 1, 1), list(arrays))
