"""What is asked of a GPU: memory, kernels, products, and a stream on which all of it is put in line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from portable_nn.compiler.cuda.products import Product
from portable_nn.compiler.layout import Layout

HOW = "PORTABLE_NN_CUDA_STEPS"  # the environment variable that says how steps are made
WAYS = ("eager", "fused", "replayed")
OPTIONS = ("--std=c++17", "--fmad=false")  # a product and a sum are rounded one after the other
Work = Callable[[], None]


def way() -> str:
    """How the user wants the steps of training made on a CUDA device.

    "eager", the default: each as it stands; "fused": by its program, a kernel for all that can be done
    at once; "replayed": by the program, captured once and replayed as a CUDA graph.
    """
    asked = os.environ.get(HOW) or WAYS[0]
    if asked not in WAYS:
        raise ValueError(f"{HOW} is {asked!r}; accepted: {', '.join(WAYS)}")
    return asked


class Look(NamedTuple):
    """What is to be known of an array before it is used; the strides are counted in elements."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]


def look(array: Any) -> Look:
    """The look of an array of NumPy, or of a library that names these things alike."""
    size = array.dtype.itemsize
    if any(stride % size for stride in array.strides):
        raise TypeError(f"an array of strides {array.strides} and dtype {array.dtype}")
    return Look(array.shape, array.dtype, tuple(stride // size for stride in array.strides))


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

    def look(self, array: Any) -> Look:
        """What is to be known of an array; raises TypeError for a dtype that NumPy lacks."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array whose elements lie in one row."""

    def array(self, host: np.ndarray[Any, Any]) -> Any:
        """The values of a host array, in one row."""

    def address(self, array: Any) -> int:
        """Where the array begins."""

    def seen(self, array: Any, dtype: np.dtype[Any], layout: Layout) -> Any:
        """The array's memory, seen as an array of this dtype and layout."""

    def copy(self, target: Any, source: Any) -> None:
        """Put copying from `source` in line."""

    def kernels(self, source: str, names: Sequence[str]) -> list[Any]:
        """Compile; ``kernel(blocks, threads, arrays)`` puts one in line."""

    def product(self, product: Product, left: Any, right: Any, out: Any) -> Work:
        """A function that puts a product in line."""

    def capture(self, work: Work) -> Work:
        """A function that puts all that `work` puts in line there at once."""
