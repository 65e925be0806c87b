"""NumPy, on the CPU: the default."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import array_api_compat.numpy
import numpy as np

from portable_nn.backends.base import Backend
from portable_nn.backends.processor import cores, networks_in_cache
from portable_nn.backends.scans import Exchange, First, Second, as_one_step
from portable_nn.compiler.signatures import Prepared, Scan, ScanStep, Step
from portable_nn.trees import Tree

FEW = 2**16  # elements of arrays that are copied to be summed


class NumpyBackend(Backend):
    """NumPy arrays (memory maps included) on the CPU."""

    name = "numpy"
    package = "numpy"
    host = True

    @classmethod
    def namespace(cls) -> Any:
        return array_api_compat.numpy

    @classmethod
    def owns(cls, x: object) -> bool:
        # `*` of np.matrix is the matrix product, and a masked array would lose its mask
        return isinstance(x, np.ndarray) and not isinstance(x, (np.matrix, np.ma.MaskedArray))

    @classmethod
    def device_of(cls, x: Any) -> Any:
        return "cpu"

    @classmethod
    @contextlib.contextmanager
    def own_settings(cls) -> Iterator[None]:
        with np.errstate(all="ignore"):  # as on every other library: results say what happened
            yield

    def all_finite(self, x: Any) -> Any:
        with np.errstate(all="ignore"):  # a finite sum is the rule, and it makes no array
            return np.isfinite(np.add.reduce(x, axis=None)) or np.all(np.isfinite(x))

    def finite_matrices(self, *arrays: Any) -> Any:
        # of small networks calls are the time, so there are few
        if type(arrays[0]) is np.ndarray and sum(x.size if x.ndim == 2 else FEW for x in arrays) < FEW:
            total = np.add.reduce(np.concatenate(arrays, axis=None))
            if math.isfinite(total):
                return np.True_
        return super().finite_matrices(*arrays)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        # of NumPy's own: other libraries warn where a dtype of theirs is compared with NumPy's
        if type(x) is np.ndarray and isinstance(dtype, np.dtype) and x.dtype == dtype:
            return x  # without a question about dtypes, which takes longer than a step
        return super().asarray(x, dtype)

    def index_dtype(self) -> Any:
        return np.dtype(np.intp)

    def compile(self, step: Step) -> Step:
        from portable_nn.compiler.numpy import CompiledStep  # noqa: PLC0415  (a fast import)

        return CompiledStep(step)

    def prepare(self, step: Step, first: Tree, at_once: bool = False) -> Prepared:
        from portable_nn.compiler.numpy import CompiledStep, PreparedStep  # noqa: PLC0415

        return PreparedStep(
            step if isinstance(step, CompiledStep) else CompiledStep(step), first, at_once
        )

    def scan(self, step: ScanStep) -> Scan:
        from portable_nn.compiler.numpy import CompiledScan  # noqa: PLC0415

        return CompiledScan(step, self.xp)

    def scan_in_halves(self, first: First, second: Second, exchange: Exchange) -> Scan:
        return self.scan(as_one_step(first, second, exchange))

    def networks_at_once(self, bytes_of_one: int) -> int | None:
        return networks_in_cache(bytes_of_one)

    def threads(self) -> int:
        return cores()
