"""CuPy, on NVIDIA GPUs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import array_api_compat
import array_api_compat.numpy

from portable_nn.backends.base import Backend
from portable_nn.backends.streaming import OverlappingSender, Sender
from portable_nn.compiler.signatures import HostArray, Scan, ScanStep, Step
from portable_nn.trees import Tree

if TYPE_CHECKING:
    from portable_nn.backends.cupy_device import CupyDevice


class CupyBackend(Backend):
    """CuPy arrays; devices by number (0, 1, ...) or as "cuda:0"."""

    name = "cupy"
    package = "cupy"
    remedy = (
        "it needs an NVIDIA GPU with its driver, and: pip install 'cupy-cuda13x[ctk]' (cupy-cuda12x for "
        "CUDA 12); [ctk] brings the libraries of the CUDA toolkit"
    )

    @classmethod
    def problem(cls) -> str | None:
        missing = super().problem()
        if missing is not None:
            return missing
        import cupy  # noqa: PLC0415

        return missing_library() if cupy.is_available() else "no CUDA device"

    @classmethod
    def namespace(cls) -> Any:
        import array_api_compat.cupy  # noqa: PLC0415

        return array_api_compat.cupy

    @classmethod
    def owns(cls, x: object) -> bool:
        return bool(array_api_compat.is_cupy_array(x))

    def find_device(self, device: Any) -> Any:
        import cupy  # noqa: PLC0415

        if device is None:
            return cupy.cuda.Device()  # the current one
        if isinstance(device, cupy.cuda.Device):
            return device
        count = cupy.cuda.runtime.getDeviceCount()
        numbers = {"cuda": 0} | {f"cuda:{i}": i for i in range(count)}
        if isinstance(device, int) and not isinstance(device, bool):
            device = f"cuda:{device}"
        if not isinstance(device, str) or device not in numbers:
            raise self.unknown_device(device, numbers)
        return cupy.cuda.Device(numbers[device])

    @classmethod
    def name_device(cls, device: Any) -> str:
        return f"cuda:{device.id}"

    def to_numpy(self, x: Any) -> HostArray:
        host: HostArray = x.get()
        return host

    def compile(self, step: Step) -> Step:
        @functools.wraps(step)
        def run(*arguments: Tree) -> Tree:
            with self.device:  # CuPy allocates on the current device, which may be another one
                return step(*arguments)

        return run

    @functools.cached_property
    def cuda(self) -> CupyDevice:
        """The device as CUDA programs use it."""
        from portable_nn.backends.cupy_device import CupyDevice  # noqa: PLC0415

        return CupyDevice(self.device)

    def scan(self, step: ScanStep) -> Scan:
        from portable_nn.compiler.cuda import CudaScan, StepMode, step_mode  # noqa: PLC0415

        mode = step_mode()
        if mode is StepMode.EAGER:
            return super().scan(step)
        eager = self.compile(functools.partial(step, self.xp))
        traced = functools.partial(step, array_api_compat.numpy)
        return CudaScan(traced, eager, self.cuda, replay=mode is StepMode.REPLAYED)

    def ready(self, *arrays: Any) -> None:
        import cupy  # noqa: PLC0415

        with self.device:
            cupy.cuda.get_current_stream().synchronize()

    def sender(self) -> Sender:
        from portable_nn.backends.cuda_streams import CupyStreams  # noqa: PLC0415

        return OverlappingSender(CupyStreams(self.device))


def missing_library() -> str | None:
    """The library of the CUDA toolkit that CuPy lacks; else the first matrix product would fail."""
    try:
        from cupy.cuda import cublas, nvrtc  # noqa: F401, PLC0415

        nvrtc.getVersion()
    except Exception as error:  # ImportError, or an error of CuPy's own
        return f"a library of the CUDA toolkit is missing: {str(error).partition(chr(10))[0]}"
    return None
