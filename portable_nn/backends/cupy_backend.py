"""CuPy, on NVIDIA GPUs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import array_api_compat
import array_api_compat.numpy
import numpy as np

from portable_nn.backends.base import Backend
from portable_nn.backends.streaming import Relay, Sender


class CupyBackend(Backend):
    """CuPy arrays; devices by number (0, 1, ...) or as "cuda:0"."""

    name = "cupy"
    package = "cupy"
    remedy = (
        "it needs an NVIDIA GPU with its driver, and: pip install 'portable-nn[cuda13]' "
        "(or [cuda12] for CUDA 12), and the CUDA toolkit's libraries: 'cupy-cuda13x[ctk]' brings them"
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

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        host: np.ndarray[Any, Any] = x.get()
        return host

    def compile(self, step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(step)
        def run(*arguments: Any) -> Any:
            with self.device:  # CuPy allocates on the current device, which need not be this one
                return step(*arguments)

        return run

    @functools.cached_property
    def cuda(self) -> Any:
        """The device, as the programs of steps see it."""
        from portable_nn.backends.cupy_device import CupyDevice  # noqa: PLC0415

        return CupyDevice(self.device)

    def scan(self, step: Callable[..., Any]) -> Callable[..., Any]:
        from portable_nn.compiler.cuda import Steps, way  # noqa: PLC0415

        how = way()
        if how == "eager":
            return super().scan(step)
        as_it_stands = self.compile(functools.partial(step, self.xp))
        traced = functools.partial(step, array_api_compat.numpy)
        return Steps(traced, as_it_stands, self.cuda, replay=how == "replayed")

    def ready(self, *arrays: Any) -> None:
        import cupy  # noqa: PLC0415

        with self.device:
            cupy.cuda.get_current_stream().synchronize()

    def sender(self) -> Sender:
        from portable_nn.backends.cuda_streams import CupyLanes  # noqa: PLC0415

        return Relay(CupyLanes(self.device))


def missing_library() -> str | None:
    """What of the CUDA toolkit CuPy needs and does not find; else it would show at the first product."""
    try:
        from cupy.cuda import cublas, nvrtc  # noqa: F401, PLC0415

        nvrtc.getVersion()
    except Exception as error:  # ImportError, or one of CuPy's own, as the library may be
        return f"a library of the CUDA toolkit is missing: {str(error).partition(chr(10))[0]}"
    return None
