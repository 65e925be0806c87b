"""The lanes of a CUDA device (see `Lanes`), in CuPy's words and in torch's: its streams."""

from __future__ import annotations

from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]


class CupyLanes:
    """A device by CuPy; the side lane is a stream of its own that waits for no other by itself."""

    def __init__(self, device: Any) -> None:
        import cupy  # noqa: PLC0415
        import cupyx  # noqa: PLC0415

        self.cupy, self.device, self.empty_pinned = cupy, device, cupyx.empty_pinned
        with device:
            self.side = cupy.cuda.Stream(non_blocking=True)

    def staging(self, count: int, dtype: Any) -> Host:
        with self.device:
            array: Host = self.empty_pinned(count, dtype=dtype)
        return array

    def buffer(self, count: int, dtype: Any) -> Any:
        with self.device:
            return self.cupy.empty(count, dtype=dtype)

    def copy(self, buffer: Any, staging: Host) -> None:
        buffer.set(staging, stream=self.side)

    def mark_current(self) -> Any:
        with self.device:
            return self.mark(self.cupy.cuda.get_current_stream())

    def mark_side(self) -> Any:
        return self.mark(self.side)

    def mark(self, stream: Any) -> Any:
        """An event on this stream."""
        with self.device:
            event = self.cupy.cuda.Event(disable_timing=True)
            event.record(stream)
        return event

    def current_waits(self, mark: Any) -> None:
        with self.device:
            self.cupy.cuda.get_current_stream().wait_event(mark)

    def side_waits(self, mark: Any) -> None:
        with self.device:
            self.side.wait_event(mark)

    def host_waits(self, mark: Any) -> None:
        mark.synchronize()


class TorchLanes:
    """A device of the type "cuda" by torch."""

    def __init__(self, device: Any) -> None:
        import torch  # noqa: PLC0415

        self.torch, self.device = torch, device
        self.side = torch.cuda.Stream(device)

    def staging(self, count: int, dtype: Any) -> Host:
        kind = getattr(self.torch, dtype.name)
        array: Host = self.torch.empty(count, dtype=kind, device="cpu", pin_memory=True).numpy()
        return array

    def buffer(self, count: int, dtype: Any) -> Any:
        return self.torch.empty(count, dtype=getattr(self.torch, dtype.name), device=self.device)

    def copy(self, buffer: Any, staging: Host) -> None:
        with self.torch.cuda.stream(self.side):
            buffer.copy_(self.torch.from_numpy(staging), non_blocking=True)

    def mark_current(self) -> Any:
        return self.mark(self.torch.cuda.current_stream(self.device))

    def mark_side(self) -> Any:
        return self.mark(self.side)

    def mark(self, stream: Any) -> Any:
        """An event on this stream."""
        event = self.torch.cuda.Event()
        event.record(stream)
        return event

    def current_waits(self, mark: Any) -> None:
        self.torch.cuda.current_stream(self.device).wait_event(mark)

    def side_waits(self, mark: Any) -> None:
        self.side.wait_event(mark)

    def host_waits(self, mark: Any) -> None:
        mark.synchronize()
