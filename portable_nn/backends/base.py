"""The interface of a backend: a small object with what the array API standard lacks."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from portable_nn.backends.dtype_names import dtype_name
from portable_nn.backends.lookup import Lookup
from portable_nn.backends.scans import Exchange, First, Second, scan, scan_in_halves
from portable_nn.backends.streaming import Sender
from portable_nn.compiler.signatures import HostArray, Prepared, Scan, ScanStep, Step
from portable_nn.equations import Array, Namespace
from portable_nn.errors import BackendUnavailableError
from portable_nn.trees import Tree


class Backend:
    """One array library on one of its devices.

    `portable_nn.backends.get` returns backends; there is one object for each library and device. To
    support another library, `register` a subclass. It has to define the class attributes `name` and
    `package` and the class methods `namespace` and `owns`; all other methods have defaults that hold
    for any library of the array API standard. A backend holds no equations.

    Parameters
    ----------
    device : optional
        A device of the library, or its name as a string; None for the library's default.

    Attributes
    ----------
    name : str
        The name under which the backend is registered.
    package : str
        The module that is imported to see whether the library works.
    remedy, dtype_remedy : str
        What to do if it does not work, or about a dtype that the device lacks: ends of error messages.
    host : bool
        Whether the arrays are NumPy's, in the memory of the host.
    padded_bytes : int
        Up to which size arrays pass through the host, where each shape would be compiled for.
    is_shared : bool
        Whether several processes compute together: each has to do the same, whatever its clock says.
    xp : namespace
        The library's namespace of the Python array API standard.
    device : object
        The device, as the library has it.

    Raises
    ------
    BackendUnavailableError, ValueError
        If the library or the device is missing; if there is no device of that name.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> backend = pnn.backends.get("numpy")
    >>> backend.asarray([1, 2], dtype="float32")
    array([1., 2.], dtype=float32)
    >>> backend.xp.sum(backend.asarray([1, 2])).item(), backend.device
    (3, 'cpu')
    """

    lookup: ClassVar[Lookup]  # set by the registry, which imports this module and knows every backend
    xp: Namespace
    device: Any
    name: ClassVar[str]
    package: ClassVar[str]
    remedy: ClassVar[str] = ""
    host: ClassVar[bool] = False
    dtype_remedy: ClassVar[str] = "cast the array to a dtype of this list"
    padded_bytes: int = 0
    is_shared: bool = False

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

    def __reduce__(self) -> tuple[Any, ...]:  # it unpickles as the one object of its device
        return self.lookup.get, (self.name, self.device_name())

    # -- what a subclass has to define -----------------------------------------------------------

    @classmethod
    def namespace(cls) -> Namespace:
        """The library's array API namespace.

        It may be that of array_api_compat, if the library's own lacks something of the standard. The
        library may be imported here, and not before.

        Returns
        -------
        namespace
            Becomes `xp`.

        Raises
        ------
        NotImplementedError
            If the subclass defines none.
        """
        raise NotImplementedError

    @classmethod
    def owns(cls, x: object) -> bool:
        """Whether `x` is an array of this library. It must not import the library to find out.

        Parameters
        ----------
        x : object
            Anything.

        Returns
        -------
        bool

        Raises
        ------
        NotImplementedError
            If the subclass defines none.
        """
        raise NotImplementedError

    # -- is it available? ------------------------------------------------------------------------

    @classmethod
    def problem(cls) -> str | None:
        """Why this backend does not work.

        Returns
        -------
        str or None
            The reason, for messages; None if it works.
        """
        try:
            importlib.import_module(cls.package)
        except ModuleNotFoundError as error:
            if error.name == cls.package:
                return f"the package {cls.package} is not installed"
            return f"the package {cls.package} cannot be imported: {error}"
        except (Exception, SystemExit) as error:  # is reported in the table, without a traceback
            return f"the package {cls.package} cannot be imported: {type(error).__name__}: {error}"
        return None

    @classmethod
    def version(cls) -> str:
        """The version of the library.

        Returns
        -------
        str
            "" if it is unknown.
        """
        try:
            return str(importlib.import_module(cls.package).__version__)
        except (Exception, SystemExit):
            return ""

    # -- devices, and their dtypes ---------------------------------------------------------------

    def find_device(self, device: Any) -> Any:
        """The library's device object.

        Parameters
        ----------
        device : str, device object or None
            None is the default device.

        Returns
        -------
        device
            An object of the library.

        Raises
        ------
        ValueError
            If the library has no such device.
        BackendUnavailableError
            If it cannot be used.
        """
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
        """The error to raise for a device that is not among the known ones.

        Parameters
        ----------
        device : object
            What was given.
        known : iterable
            What is accepted.

        Returns
        -------
        ValueError
        """
        return ValueError(
            f"backend {self.name!r} has no device {device!r}; accepted: {', '.join(map(str, known))}"
        )

    def device_name(self) -> str:
        """The device as a short string, which `find_device` accepts.

        Returns
        -------
        str
        """
        return self.name_device(self.device)

    @classmethod
    def name_device(cls, device: Any) -> str:
        """A device of this library as a short string; each device has its own.

        Parameters
        ----------
        device : device
            An object of the library.

        Returns
        -------
        str
        """
        return str(device)

    @classmethod
    def device_of(cls, x: Any) -> Any:
        """The device of an array.

        Parameters
        ----------
        x : array
            Of this library.

        Returns
        -------
        device or None
            None if it is unknown, as for an array that is being traced.
        """
        return getattr(x, "device", None)

    @classmethod
    def values_known(cls, x: Any) -> bool:
        """Whether the values of an array can be read now.

        Parameters
        ----------
        x : array
            Of this library.

        Returns
        -------
        bool
            False while a function is being traced.
        """
        return True

    @classmethod
    @contextlib.contextmanager
    def own_settings(cls) -> Iterator[None]:
        """The library's settings while this package computes: none that refuse what a formula needs.

        Yields
        ------
        None
            After the ``with`` the settings are as before.
        """
        yield

    def ready(self, *arrays: Array) -> None:
        """Wait until arrays have been computed. By default a library computes before it returns.

        Parameters
        ----------
        *arrays : array
            Of this library.
        """

    def dtypes(self) -> dict[str, Any]:
        """The dtypes that this device supports.

        Returns
        -------
        dict of str to dtype
            The library's dtypes, by name.
        """
        return dict(self.xp.__array_namespace_info__().dtypes(device=self.device))

    def dtype(self, dtype: Any) -> Any:
        """The library's dtype.

        Parameters
        ----------
        dtype : str or dtype
            A name ("float32"), or a dtype of any library.

        Returns
        -------
        dtype
            An object of this library.

        Raises
        ------
        TypeError
            If the device does not support it: nothing is narrowed silently.
        """
        name, here = dtype_name(dtype), self.dtypes()
        if name not in here:
            raise TypeError(
                f"backend {self.name!r} on {self.device_name()} has no dtype {name!r}; "
                f"accepted: {', '.join(sorted(here))}; {self.dtype_remedy}"
            )
        return getattr(self.xp, name)

    def widest_float(self) -> Any:
        """The dtype of sums over an epoch.

        Returns
        -------
        dtype
            float64 if this device supports it, else float32.
        """
        here = self.dtypes()
        return here.get("float64", here["float32"])

    def check_usable(self, x: Array) -> None:
        """Check that the library, as it is set now, can compute with an array.

        Parameters
        ----------
        x : array
            Of this library.

        Raises
        ------
        TypeError
            If it cannot.
        """

    def index_dtype(self) -> Any:
        """The dtype that this library wants for indices.

        Returns
        -------
        dtype
        """
        return self.xp.__array_namespace_info__().default_dtypes(device=self.device)["indexing"]

    # -- arrays ----------------------------------------------------------------------------------

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """`x` as an array on this device: the same object if it is there already, else a copy.

        Parameters
        ----------
        x : array-like
            An array of any registered backend, or anything that `numpy.asarray` accepts.
        dtype : str or dtype, optional
            A name or a dtype of any library; by default that of `x`.

        Returns
        -------
        array

        Raises
        ------
        TypeError
            For what has no numeric dtype, or one that this device does not support.
        """
        if self.owns(x) and self.device_of(x) == self.device:
            return self.xp.astype(x, self.dtype(x.dtype if dtype is None else dtype), copy=False)
        host = self.lookup.to_host(x)
        if host.dtype.kind not in "biufc":
            raise TypeError(f"an array of dtype {host.dtype} was given; accepted: numbers or booleans")
        wanted = self.dtype(host.dtype if dtype is None else dtype)
        return self.from_host(host.astype(host.dtype.newbyteorder("="), copy=False), wanted)

    def from_host(self, host: HostArray, dtype: Any) -> Array:
        """A copy of a host array on this device.

        Parameters
        ----------
        host : numpy.ndarray
            The values.
        dtype : dtype
            Of this library.

        Returns
        -------
        array
        """
        return self.xp.asarray(host, dtype=dtype, device=self.device, copy=True)

    def to_numpy(self, x: Array) -> HostArray:
        """The values of an array on the host.

        Parameters
        ----------
        x : array
            Of this library.

        Returns
        -------
        numpy.ndarray
            It may share memory with `x`.
        """
        return np.asarray(x)

    def duplicate(self, x: Array) -> Array:
        """A deep copy of an array, in the same memory order.

        Parameters
        ----------
        x : array
            Of this library.

        Returns
        -------
        array
        """
        return copy.deepcopy(x)

    def all_finite(self, x: Array) -> Array:
        """Whether no element of an array is NaN or infinite.

        Parameters
        ----------
        x : array
            Of this library.

        Returns
        -------
        0-d array
            A boolean of this library.
        """
        return self.xp.all(self.xp.isfinite(x))

    def finite_matrices(self, *arrays: Array) -> Array:
        """Whether each matrix of the stacks is finite in all of them.

        Parameters
        ----------
        *arrays : array (..., m, n)
            Of this library; m and n may differ from array to array.

        Returns
        -------
        array (...,)
            Booleans.
        """
        each = [self.xp.all(self.xp.isfinite(x), axis=(-2, -1)) for x in arrays]
        return functools.reduce(lambda one, other: one & other, each)

    def row_shards(self, x: Array) -> int:
        """Over how many devices the rows of an array are split.

        Parameters
        ----------
        x : array (..., rows, columns)
            Of this library.

        Returns
        -------
        int
            1 by default.
        """
        return 1

    def laid_out(self, x: Array, like: Array) -> Array:
        """An array, split over devices as another is; by default `x` itself.

        Parameters
        ----------
        x : array
            Of this library, on this device.
        like : array
            How it is to be split.

        Returns
        -------
        array
        """
        return x

    # -- steps -----------------------------------------------------------------------------------

    def compile(self, step: Step) -> Step:
        """A step, compiled if this library can; by default `step` itself.

        A step that depends on nothing but its arguments can say so by ``step.steady = True``; it is then
        never traced again for arguments of the same shapes and dtypes. One that depends on nothing else
        but on what certain functions read can say so by ``step.functions``; it is then traced again
        where that has changed.

        Parameters
        ----------
        step : callable
            Its arguments and results are trees of arrays.

        Returns
        -------
        callable
            Called as `step` is.
        """
        return step

    def prepare(self, step: Step, first: Tree, at_once: bool = False) -> Prepared | None:
        """A short way to ``step(first, x)``, if there is one, of a step that depends on these alone.

        Parameters
        ----------
        step : callable
            What `compile` takes.
        first : tree of arrays
            Its first argument, in every call.
        at_once : bool
            Whether the short way is to be there from the first x on.

        Returns
        -------
        callable or None
            It takes x, and gives None for one that it does not take: the first ones, unless `at_once`.
        """
        return None

    def scan(self, step: ScanStep) -> Scan:
        """A function that runs many steps in a row.

        Parameters
        ----------
        step : callable
            ``step(xp, carry, fixed, one)`` gives the next carry.

        Returns
        -------
        callable
            ``run(carry, fixed, each, owned)`` computes ``carry = step(xp, carry, fixed, one)`` for each
            `one` of `each` and returns the last carry. All are trees of arrays; the first axis of those
            in `each` is the steps. `owned` says which parts of the carry may be overwritten.
        """
        return scan(self, step)

    def scan_in_halves(self, first: First, second: Second, exchange: Exchange) -> Scan:
        """As `scan`, with an exchange of arrays in the middle of each step.

        Parameters
        ----------
        first : callable
            Takes the arguments of a step of a scan, and gives a list of arrays.
        second : callable
            ``second(*arguments, flat)`` gives the next carry; `flat` (n,) has the arrays of `first`.
        exchange : callable
            Overwrites `flat` between the two, with the sum over several processes say.

        Returns
        -------
        callable
            Called as that of `scan`.
        """
        return scan_in_halves(self, first, second, exchange)

    def networks_at_once(self, bytes_of_one: int) -> int | None:
        """How many networks of a stack are best trained as one.

        Parameters
        ----------
        bytes_of_one : int
            What a step of one network touches: parameters, the optimizer's arrays, a batch.

        Returns
        -------
        int or None
            None is all of them.
        """
        return None

    def threads(self) -> int:
        """How many stacks may be trained at the same time, each by a thread of its own.

        Returns
        -------
        int
            1 by default.
        """
        return 1

    def sender(self) -> Sender:
        """An object that moves rows of host arrays to this device, chunk by chunk.

        Returns
        -------
        Sender
            See `portable_nn.backends.streaming`.
        """
        return Sender(self)
