"""NumPy, on the CPU: the default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat.numpy
import numpy as np

from portable_nn.backends.base import Backend


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
        # np.matrix multiplies otherwise, and a masked array would lose its mask on the way
        return isinstance(x, np.ndarray) and not isinstance(x, (np.matrix, np.ma.MaskedArray))

    @classmethod
    def device_of(cls, x: Any) -> Any:
        return "cpu"

    def all_finite(self, x: Any) -> Any:
        with np.errstate(all="ignore"):  # as a rule the sum is finite, and it makes no array
            return np.isfinite(np.sum(x)) or np.all(np.isfinite(x))

    def compile(self, step: Callable[..., Any]) -> Callable[..., Any]:
        from portable_nn.compiler.numpy import Compiled  # noqa: PLC0415  (for `import` to be quick)

        return Compiled(step)

    def scan(self, step: Callable[..., Any]) -> Callable[..., Any]:
        from portable_nn.compiler.numpy import Scanned  # noqa: PLC0415

        return Scanned(step, self.xp)
