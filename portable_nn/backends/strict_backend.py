"""array_api_strict, for tests: the standard and nothing more, on several pretended devices."""

from __future__ import annotations

import functools
from typing import Any

import array_api_compat
import numpy as np

from portable_nn.backends.base import Backend
from portable_nn.compiler.signatures import HostArray, Step
from portable_nn.trees import Tree

NEEDED = "2024.12"  # of the standard: functions of an array and a Python number


class StrictBackend(Backend):
    """array_api_strict arrays; devices "CPU_DEVICE", "device1", "device2", "no_float64", ..."""

    xp: Any  # it has a class `Device` too
    name = "array_api_strict"
    package = "array_api_strict"
    remedy = "install it with: pip install array-api-strict"

    @classmethod
    def problem(cls) -> str | None:
        return super().problem() or too_old()

    def check_usable(self, x: Any) -> None:
        problem = too_old()
        if problem is not None:
            raise TypeError(f"backend {self.name!r} cannot be used now: {problem}")

    @classmethod
    def namespace(cls) -> Any:
        import array_api_strict  # noqa: PLC0415

        return array_api_strict

    @classmethod
    def owns(cls, x: object) -> bool:
        import sys  # noqa: PLC0415

        library = sys.modules.get("array_api_strict")
        return library is not None and type(x) is type(library.empty(0))

    def find_device(self, device: Any) -> Any:
        if device is None:
            return self.xp.Device()
        known = {self.name_device(d): d for d in self.xp.__array_namespace_info__().devices()}
        for name, found in known.items():
            if device in (name, found):
                return found
        raise self.unknown_device(device, known)

    @classmethod
    def name_device(cls, device: Any) -> str:
        return str(device).partition("'")[2].rstrip("')")  # array_api_strict.Device('device1')

    def to_numpy(self, x: Any) -> HostArray:
        return np.asarray(array_api_compat.to_device(x, self.xp.Device("CPU_DEVICE")))

    def compile(self, step: Step) -> Step:
        return quiet(step)


def too_old() -> str | None:
    """Why array_api_strict, as it is set now, does not do; None if it does."""
    import array_api_strict  # noqa: PLC0415

    version = array_api_strict.get_array_api_strict_flags()["api_version"]
    if version >= NEEDED:
        return None
    return (
        f"its api_version is set to {version!r}; accepted: {NEEDED!r} or later: "
        f"array_api_strict.set_array_api_strict_flags(api_version={NEEDED!r})"
    )


def quiet(step: Step) -> Step:
    """`step` without NumPy's floating-point warnings: training reports a non-finite cost itself."""

    @functools.wraps(step)
    def run(*arguments: Tree) -> Tree:
        with np.errstate(all="ignore"):
            return step(*arguments)

    return run
