"""CuPy, on NVIDIA GPUs."""

from __future__ import annotations

import functools
import math
import operator
from typing import TYPE_CHECKING, Any

import array_api_compat
import array_api_compat.numpy

from portable_nn.backends.base import Backend
from portable_nn.backends.namespaces import namespace_with
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
        return lean_namespace()

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
        host: HostArray = x.get(order="A")  # in columns where it is, as other libraries have it
        return host

    def all_finite(self, x: Any) -> Any:
        with self.device:
            return finite(x, x.ndim) if is_real(x) else super().all_finite(x)

    def finite_matrices(self, *arrays: Any) -> Any:
        each = [finite(x, 2) if is_real(x) else super().finite_matrices(x) for x in arrays]
        return functools.reduce(operator.and_, each)

    def duplicate(self, x: Any) -> Any:
        with self.device:
            return x.copy(order="K")  # a deep copy would be in rows

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


def is_real(x: Any) -> bool:
    """Whether CUDA C's isfinite takes the elements."""
    return x.dtype.name in ("float32", "float64")


def finite(x: Any, axes: int) -> Any:
    """Whether no element is NaN or infinite, over so many last axes."""
    return all_true("isfinite(x)", x, axes)


@functools.cache
def lean_namespace() -> Any:
    """array_api_compat.cupy, with an `all` of bools over the last axes that is a kernel of ours.

    CuPy's makes use of CUB, whose compilation takes ten seconds where no process has run it before.
    """
    import array_api_compat.cupy as compat  # noqa: PLC0415

    def all_of(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        given = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        last = [*range(x.ndim - len(given), x.ndim)]
        from_the_end = sorted(a + x.ndim if a < 0 else a for a in given)
        if x.dtype != bool or keepdims or from_the_end != last:
            return compat.all(x, axis=axis, keepdims=keepdims)
        return all_true("x", x, len(last))

    return namespace_with(compat, "cupy", all=all_of)


def all_true(condition: str, x: Any, axes: int) -> Any:
    """Whether a condition in CUDA C holds for all elements `x` over so many last axes, in one pass."""
    import cupy  # noqa: PLC0415

    shape = x.shape[: x.ndim - axes]
    found = cupy.ones(shape, dtype=bool)
    if shape:
        each_of_a_stack(condition)(x, math.prod(x.shape[x.ndim - axes :]), found)
    else:
        is_whole = x.flags.c_contiguous or x.flags.f_contiguous
        each(condition)(x.ravel(order="K") if is_whole else x, found)  # one axis has no divisions
    return found


@functools.cache
def each(condition: str) -> Any:
    """The kernel that looks at each element; without a division, which would take longer than that."""
    import cupy  # noqa: PLC0415

    return cupy.ElementwiseKernel("T x", "raw bool y", f"if (!({condition})) y[0] = false", "each")


@functools.cache
def each_of_a_stack(condition: str) -> Any:
    """The same for stacks of arrays with `n` elements each."""
    import cupy  # noqa: PLC0415

    body = f"if (!({condition})) y[i / n] = false"
    return cupy.ElementwiseKernel("T x, int64 n", "raw bool y", body, "each_of_a_stack")


def missing_library() -> str | None:
    """The library of the CUDA toolkit that CuPy lacks; else the first matrix product would fail."""
    try:
        from cupy.cuda import cublas, nvrtc  # noqa: F401, PLC0415

        nvrtc.getVersion()
    except Exception as error:  # ImportError, or an error of CuPy's own
        return f"a library of the CUDA toolkit is missing: {str(error).partition(chr(10))[0]}"
    return None
