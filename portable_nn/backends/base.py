"""What a backend is: a small object with only what the array API standard lacks.

A subclass says which package it needs, how to reach its namespace, and which arrays it owns; the rest
has a default here that holds for any library of the standard. No equation lives in a backend.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from portable_nn import trees
from portable_nn.backends.streaming import Sender
from portable_nn.equations import Array, Namespace
from portable_nn.errors import BackendUnavailableError


class Backend:
    """One array library on one of its devices.

    Parameters
    ----------
    device : optional
        A device of the library, or its name as a string; None for the library's default.

    Attributes
    ----------
    name : str
        The name it is registered under.
    xp : namespace
        The library's namespace of the Python array API standard.
    device
        The device, as an object of the library.

    Raises
    ------
    BackendUnavailableError
        If the library or the device is missing here.
    ValueError
        If there is no device of that name.
    """

    xp: Namespace
    device: Any
    name: ClassVar[str]
    package: ClassVar[str]  # the module to import
    remedy: ClassVar[str] = ""  # what to do when it does not work
    host: ClassVar[bool] = False  # whether its arrays are NumPy's, in the host's memory
    dtype_remedy: ClassVar[str] = "cast the array to a dtype of this list"

    def __init__(self, device: Any = None) -> None:
        problem = self.problem()
        if problem is not None:
            raise BackendUnavailableError(
                f"backend {self.name!r} is unavailable: {problem}; {self.remedy}".rstrip("; ")
            )
        self.xp = self.namespace()
        self.device = self.find_device(device)

    def __repr__(self) -> str:
        return f"<backend {self.name!r} on {self.device_name()}>"

    def __reduce__(self) -> tuple[Any, ...]:  # there is one object for each library and device
        from portable_nn.backends.registry import get  # noqa: PLC0415

        return get, (self.name, self.device_name())

    # -- what a subclass must say ----------------------------------------------------------------

    @classmethod
    def namespace(cls) -> Any:
        """The library's array API namespace, as array_api_compat has it where the library's own lacks
        something of the standard; importing the library is allowed here, not before.
        """
        raise NotImplementedError

    @classmethod
    def owns(cls, x: object) -> bool:
        """Whether `x` is an array of this library. Must not import the library."""
        raise NotImplementedError

    # -- what holds for any library of the standard, unless a subclass knows better ---------------

    @classmethod
    def problem(cls) -> str | None:
        """Why this backend does not work here; None if it does."""
        try:
            importlib.import_module(cls.package)
        except ModuleNotFoundError as error:
            if error.name == cls.package:
                return f"the package {cls.package} is not installed"
            return f"the package {cls.package} cannot be imported: {error}"
        except Exception as error:  # a broken library is reported, never a traceback in a table
            return f"the package {cls.package} cannot be imported: {type(error).__name__}: {error}"
        return None

    @classmethod
    def version(cls) -> str:
        """The library's version, or "" where it cannot be told."""
        try:
            return str(importlib.import_module(cls.package).__version__)
        except Exception:
            return ""

    def find_device(self, device: Any) -> Any:
        """The library's device object for a name, an object, or None (the default device)."""
        info = self.xp.__array_namespace_info__()
        if device is None:
            return info.default_device()
        known = {str(d): d for d in info.devices()}
        if device in known.values():
            return device
        if str(device) in known:
            return known[str(device)]
        raise self.unknown_device(device, known)

    def unknown_device(self, device: Any, known: Any) -> ValueError:
        """The error for a device that this library does not have."""
        return ValueError(
            f"backend {self.name!r} has no device {device!r}; accepted: {', '.join(map(str, known))}"
        )

    def device_name(self) -> str:
        """The device as a short string that `find_device` understands."""
        return self.name_device(self.device)

    @classmethod
    def name_device(cls, device: Any) -> str:
        """A device of this library as a short string, one per device."""
        return str(device)

    @classmethod
    def device_of(cls, x: Any) -> Any:
        """The device on which `x` lies; None where it cannot be told (an array being traced)."""
        return getattr(x, "device", None)

    @classmethod
    def values_known(cls, x: Any) -> bool:
        """Whether the values of `x` can be looked at now; not so while a function is being traced."""
        return True

    def dtypes(self) -> dict[str, Any]:
        """The dtypes that this device has, by name."""
        here: dict[str, Any] = self.xp.__array_namespace_info__().dtypes(device=self.device)
        return here

    def dtype(self, dtype: Any) -> Any:
        """The library's dtype for a name ("float32") or a dtype of any library.

        Raises TypeError if the library lacks it on this device: nothing is narrowed silently.
        """
        name, here = dtype_name(dtype), self.dtypes()
        if name not in here:
            raise TypeError(
                f"backend {self.name!r} on {self.device_name()} has no dtype {name!r}; "
                f"accepted: {', '.join(sorted(here))}; {self.dtype_remedy}"
            )
        return getattr(self.xp, name)

    def widest_float(self) -> Any:
        """float64 where this device has it, else float32: sums over an epoch are kept in it."""
        here = self.dtypes()
        return here.get("float64", here["float32"])

    def index_dtype(self) -> Any:
        """The dtype in which this library wants indices."""
        return self.xp.__array_namespace_info__().default_dtypes(device=self.device)["indexing"]

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """`x` on this backend's device: the same object if it is there, else a copy of the values.

        `x` may be an array of any registered backend, or anything that `numpy.asarray` takes.
        Raises TypeError for what has no numeric dtype, or one that this device lacks.
        """
        if self.owns(x) and self.device_of(x) == self.device:
            return self.xp.astype(x, self.dtype(x.dtype if dtype is None else dtype), copy=False)
        host = to_host(x)
        if host.dtype.kind not in "biufc":
            raise TypeError(f"an array of dtype {host.dtype} was given; accepted: numbers or booleans")
        wanted = self.dtype(host.dtype if dtype is None else dtype)
        return self.from_host(host.astype(host.dtype.newbyteorder("="), copy=False), wanted)

    def from_host(self, host: np.ndarray[Any, Any], dtype: Any) -> Array:
        """A copy of a host array on this device, as `dtype`, a dtype of this library."""
        return self.xp.asarray(host, dtype=dtype, device=self.device, copy=True)

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        """The values of `x` as a NumPy array on the host; it may share memory with `x`."""
        return np.asarray(x)

    def all_finite(self, x: Any) -> Any:
        """Whether no value of `x` is NaN or infinite, as an array of no axis."""
        return self.xp.all(self.xp.isfinite(x))

    def compile(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The step as fast as this library can make it; here: as it is.

        A step that does the same at any time may say so by an attribute: ``step.steady = True``.
        """
        return step

    def scan(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Many steps in a row: ``run(carry, fixed, each, owned)``.

        It makes ``carry = step(xp, carry, fixed, one)`` for every `one` of `each`, and gives the last
        carry. They are nested lists and tuples of arrays; those of `each` have the steps as their first
        axis. `owned` says of each part of the carry whether it may be written over.
        """
        compiled = self.compile(functools.partial(step, self.xp))

        def run(carry: Any, fixed: Any, each: Any, owned: Sequence[bool]) -> Any:
            for i in range(trees.length(each)):
                carry = compiled(carry, fixed, trees.at(each, i))
            return carry

        return run

    def fuse(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """An elementwise ``function(xp, *arrays)`` made one kernel of that signature; here: as it is."""
        return function

    def ready(self, *arrays: Any) -> None:
        """Wait until `arrays` are computed; here they are when they are returned."""

    def sender(self) -> Sender:
        """What sends rows of host arrays to this device, one chunk after the other: see `Sender`."""
        return Sender(self)


def dtype_name(dtype: Any) -> str:
    """The name of a dtype of any library, or of a string or NumPy type: "float32"."""
    try:
        return str(np.dtype(dtype).name)
    except TypeError:
        return str(dtype).rsplit(".", maxsplit=1)[-1]


def to_host(x: Any) -> np.ndarray[Any, Any]:
    """The values of `x`, an array of any registered backend or what `numpy.asarray` takes."""
    from portable_nn.backends.registry import owner  # noqa: PLC0415  (the registry knows the classes)

    backend = owner(x)
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            "a masked array was given; accepted: one without a mask: x.filled(value) has none"
        )
    return np.asarray(x) if backend is None else backend.to_numpy(x)
