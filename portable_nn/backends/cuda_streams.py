"""The streams of a CUDA device, by CuPy and by torch: see `CopyStreams`."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray


class CupyStreams:
    """The streams of a device by CuPy; the copy stream does not synchronize with the default one."""

    def __init__(self, device: Any) -> None:
        import cupy  # noqa: PLC0415
        import cupyx  # noqa: PLC0415

        self.cupy, self.device, self.empty_pinned = cupy, device, cupyx.empty_pinned
        with device:
            self.copy_stream = cupy.cuda.Stream(non_blocking=True)

    def host_buffer(self, count: int, dtype: np.dtype[Any]) -> HostArray:
        with self.device:
            array: HostArray = self.empty_pinned(count, dtype=dtype)
        return array

    def device_buffer(self, count: int, dtype: np.dtype[Any]) -> Any:
        with self.device:
            return self.cupy.empty(count, dtype=dtype)

    def copy(self, target: Any, source: HostArray) -> None:
        target.set(source, stream=self.copy_stream)

    def record_current(self) -> Any:
        with self.device:
            return self.record(self.cupy.cuda.get_current_stream())

    def record_copies(self) -> Any:
        return self.record(self.copy_stream)

    def record(self, stream: Any) -> Any:
        """A new event, recorded on this stream."""
        with self.device:
            event = self.cupy.cuda.Event(disable_timing=True)
            event.record(stream)
        return event

    def current_waits(self, event: Any) -> None:
        with self.device:
            self.cupy.cuda.get_current_stream().wait_event(event)

    def copies_wait(self, event: Any) -> None:
        with self.device:
            self.copy_stream.wait_event(event)

    def host_waits(self, event: Any) -> None:
        event.synchronize()


class TorchStreams:
    """The streams of a device of the type "cuda" by torch."""

    def __init__(self, device: Any) -> None:
        import torch  # noqa: PLC0415

        self.torch, self.device = torch, device
        self.copy_stream = torch.cuda.Stream(device)

    def host_buffer(self, count: int, dtype: np.dtype[Any]) -> HostArray:
        kind = getattr(self.torch, dtype.name)
        array: HostArray = self.torch.empty(count, dtype=kind, device="cpu", pin_memory=True).numpy()
        return array

    def device_buffer(self, count: int, dtype: np.dtype[Any]) -> Any:
        return self.torch.empty(count, dtype=getattr(self.torch, dtype.name), device=self.device)

    def copy(self, target: Any, source: HostArray) -> None:
        with self.torch.cuda.stream(self.copy_stream):
            target.copy_(self.torch.from_numpy(source), non_blocking=True)

    def record_current(self) -> Any:
        return self.record(self.torch.cuda.current_stream(self.device))

    def record_copies(self) -> Any:
        return self.record(self.copy_stream)

    def record(self, stream: Any) -> Any:
        """A new event, recorded on this stream."""
        event = self.torch.cuda.Event()
        event.record(stream)
        return event

    def current_waits(self, event: Any) -> None:
        self.torch.cuda.current_stream(self.device).wait_event(event)

    def copies_wait(self, event: Any) -> None:
        self.copy_stream.wait_event(event)

    def host_waits(self, event: Any) -> None:
        event.synchronize()
