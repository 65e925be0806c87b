"""What a CUDA program needs of a GPU: memory, kernels, matrix products, and a stream for all of it."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from portable_nn.compiler.cuda.products import MatrixProduct
from portable_nn.compiler.layout import Layout, Shape, Strides
from portable_nn.compiler.signatures import HostArray

MODE_VARIABLE = "PORTABLE_NN_CUDA_STEPS"
OPTIONS = ("--std=c++17", "--fmad=false")  # products and sums are rounded one by one, as in NumPy
DeviceArray: TypeAlias = Any  # of the library that drives the GPU
Enqueue: TypeAlias = Callable[[], None]  # enqueues work on the device's stream
EnqueueKernel: TypeAlias = Callable[[int, int, Sequence[DeviceArray]], None]  # (blocks, threads, arrays)


class StepMode(enum.Enum):
    """How the steps of training run on a CUDA device."""

    EAGER = "eager"
    FUSED = "fused"  # compiled: few kernels, launched one after the other
    REPLAYED = "replayed"  # compiled, captured once and replayed as a CUDA graph


def step_mode() -> StepMode:
    """The mode that the environment variable PORTABLE_NN_CUDA_STEPS asks for; replayed by default.

    Raises ValueError for any other value.
    """
    asked = os.environ.get(MODE_VARIABLE) or StepMode.REPLAYED.value
    modes = {mode.value: mode for mode in StepMode}
    if asked not in modes:
        raise ValueError(f"{MODE_VARIABLE} is {asked!r}; accepted: {', '.join(modes)}")
    return modes[asked]


class ArrayInfo(NamedTuple):
    """What a program depends on of an array; the strides are in elements."""

    shape: Shape
    dtype: np.dtype[Any]
    strides: Strides


def array_info(array: Any) -> ArrayInfo:
    """The info of an array of NumPy, or of a library with the same attributes."""
    size = array.dtype.itemsize
    if any(stride % size for stride in array.strides):
        raise TypeError(f"an array of strides {array.strides} and dtype {array.dtype}")
    return ArrayInfo(array.shape, array.dtype, tuple(stride // size for stride in array.strides))


class Device(Protocol):
    """A GPU, as a CUDA program uses it.

    Whoever enqueues work holds its `lock`. `memory_users` are the scans that keep memory on the device,
    the one that was used last at the end.
    """

    lock: Any
    memory_users: list[Any]

    @property
    def can_capture(self) -> bool:
        """Whether all work can be captured into a CUDA graph."""

    @property
    def tf32(self) -> bool:
        """Whether the library, as it is set now, multiplies float32 in TF32."""

    def own_stream(self) -> AbstractContextManager[None]:
        """A context in which work goes to the device's own stream.

        It starts after all work on the stream that is current outside, and later work there starts
        after it.
        """

    def info(self, array: DeviceArray) -> ArrayInfo:
        """The shape, dtype and strides; raises TypeError for a dtype that NumPy lacks."""

    def empty(self, shape: Shape, dtype: Any) -> DeviceArray:
        """A new contiguous array."""

    def to_device(self, host: HostArray) -> DeviceArray:
        """A contiguous copy of a host array."""

    def address(self, array: DeviceArray) -> int:
        """The address of the first element."""

    def view(self, array: DeviceArray, dtype: np.dtype[Any], layout: Layout) -> DeviceArray:
        """The memory of the array as an array of this dtype and layout."""

    def copy(self, target: DeviceArray, source: DeviceArray) -> None:
        """Enqueue a copy of `source` to `target`."""

    def compile(self, source: str, names: Sequence[str]) -> list[EnqueueKernel]:
        """The kernels of these names, as functions that enqueue them."""

    def product(
        self, product: MatrixProduct, left: DeviceArray, right: DeviceArray, out: DeviceArray
    ) -> Enqueue:
        """A function that enqueues a matrix product."""

    def capture(self, work: Enqueue) -> Enqueue:
        """A function that enqueues at once, as a graph, all that `work` enqueues."""
