"""The registry of backends: by name, and by the array that one owns. No library is imported unused."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from portable_nn.backends.base import Backend
from portable_nn.backends.lookup import Lookup
from portable_nn.compiler.locks import Lock
from portable_nn.compiler.signatures import HostArray
from portable_nn.errors import BackendUnavailableError, UnknownBackendError, unknown_name

HERE = __name__.rpartition(".")[0]
BUILT_IN = {
    "array_api_strict": f"{HERE}.strict_backend:StrictBackend",
    "cupy": f"{HERE}.cupy_backend:CupyBackend",
    "jax": f"{HERE}.jax_backend:JaxBackend",
    "numpy": f"{HERE}.numpy_backend:NumpyBackend",
    "torch": f"{HERE}.torch_backend:TorchBackend",
}
LIBRARIES = (*BUILT_IN, "jaxlib")  # the packages whose types are the built-in backends' arrays
F = TypeVar("F", bound=Callable[..., Any])
ENTRY_POINTS = "portable_nn.backends"

_registered: dict[str, str | type[Backend]] = {}
_instances: dict[tuple[type[Backend], str], Backend] = {}
_owners: dict[type, type[Backend]] = {}
_changing: list[type[Backend]] = []  # those in use with settings of their own
_lock = Lock()


@functools.cache
def entry_points() -> dict[str, str]:
    """The backends that installed packages declare; the names of built-in ones are ignored."""
    import importlib.metadata  # noqa: PLC0415  (a third of the time of importing this package)

    found = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.name in BUILT_IN:
            warnings.warn(
                f"the entry point {point.name!r} = {point.value!r} in the group {ENTRY_POINTS!r} is "
                "ignored: a built-in backend has that name",
                stacklevel=2,
            )
        else:
            found[point.name] = point.value
    return found


def known() -> dict[str, str | type[Backend]]:
    """Each backend by its name: its class, or the location of its class."""
    return {**entry_points(), **BUILT_IN, **_registered}


def register(name: str, backend: str | type[Backend]) -> None:
    """Register a backend under `name`.

    An installed package can register its backend by an entry point in the group ``portable_nn.backends``
    instead.

    Parameters
    ----------
    name : str
        A new name, or one that was registered by this function before: the backend is replaced.
    backend : str or type
        A subclass of `portable_nn.backends.Backend`, or ``"package.module:Class"``, which is imported
        when it is first used.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of that form, or `name` is the name of a built-in backend.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> pnn.backends.register("mine", "my_package.backends:MyBackend")
    >>> "mine" in pnn.backends.names()
    True
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"`name` is {name!r}; accepted: a non-empty string")
    if name in BUILT_IN:
        raise ValueError(f"the name {name!r} is built in; register your backend under another one")
    if isinstance(backend, str):
        module, colon, attribute = backend.partition(":")
        if not (module and colon and attribute):
            raise ValueError(f"`backend` is {backend!r}; accepted: 'package.module:Class', or the class")
    else:
        check_name(name, check_class(backend))
    with _lock:
        _registered[name] = backend
        _owners.clear()


@functools.cache
def import_class(location: str) -> type[Backend]:
    """The class at the location ``"package.module:Class"``."""
    module, _, attribute = location.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, SystemExit) as error:
        reason = f"it ends the process ({error!r})" if isinstance(error, SystemExit) else str(error)
        raise BackendUnavailableError(
            f"the backend at {location!r} cannot be imported: {reason}"
        ) from error
    return check_class(found)


def check_class(found: Any) -> type[Backend]:
    """`found`, if it is a subclass of Backend that defines what it has to; else raise TypeError."""
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise TypeError(
            f"`backend` is {found!r}; accepted: 'package.module:Class', or the class, a subclass of "
            "portable_nn.backends.Backend"
        )
    missing = [name for name in ("name", "package") if not hasattr(found, name)]
    missing += [n for n in ("namespace", "owns") if inspect.getattr_static(found, n) is vars(Backend)[n]]
    if missing:
        raise TypeError(f"`backend` is {found!r}; it lacks {', '.join(missing)}: define it in the class")
    return found


def check_name(name: str, cls: type[Backend]) -> type[Backend]:
    """`cls`, if its own name is the one under which it is registered; else raise ValueError."""
    if cls.name != name:
        raise ValueError(
            f"{cls!r} calls itself {cls.name!r}; accepted: the name it is registered under, {name!r}"
        )
    return cls


def backend_class(name: str) -> type[Backend]:
    """The class of the backend called `name`. This imports no array library."""
    places = known()
    if not isinstance(name, str) or name not in places:
        raise UnknownBackendError(unknown_name("backend", name, places))
    place = places[name]
    return check_name(name, import_class(place)) if isinstance(place, str) else place


def names() -> tuple[str, ...]:
    """The names of all known backends, available or not.

    Returns
    -------
    tuple of str
        Sorted.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> {"array_api_strict", "cupy", "jax", "numpy", "torch"} <= set(pnn.backends.names())
    True
    """
    return tuple(sorted(known()))


def available() -> tuple[str, ...]:
    """The names of the backends that work here. Their libraries are imported to find out.

    Returns
    -------
    tuple of str
        Sorted.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> "numpy" in pnn.backends.available()
    True
    """
    return tuple(name for name in names() if failure(name) is None)


def failure(name: str) -> str | None:
    """Why the backend `name` does not work here; None if it does."""
    try:
        return backend_class(name).problem()
    except (Exception, SystemExit) as error:  # a registered module that cannot be imported
        return f"{type(error).__name__}: {error}"


def get(name: str | Backend, device: Any = None) -> Backend:
    """The backend called `name`, on a device of its library.

    Parameters
    ----------
    name : str or Backend
        The name, or a backend of the library; without `device` that backend itself is returned.
    device : optional
        A device object of the library, or its name; None for the library's default.

    Returns
    -------
    Backend
        The one object for this library and device.

    Raises
    ------
    UnknownBackendError
        If no backend has that name; the message lists the known ones and the nearest match.
    BackendUnavailableError
        If it does not work here; the message says what is missing and how to install it.
    ValueError
        If the library has no such device.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> pnn.backends.get("numpy")
    <backend 'numpy' on cpu>
    """
    if isinstance(name, Backend):
        return name if device is None else on_device(type(name), device)
    return on_device(backend_class(name), device)


def on_device(cls: type[Backend], device: Any) -> Backend:
    """The one object for this library and device, found by name: not every device can be hashed."""
    if isinstance(device, str) and (cls, device) in _instances:
        return _instances[cls, device]
    return remembered(cls(device))


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """The settings that this package asks of the libraries in use: see `Backend.own_settings`.

    Yields
    ------
    None
        Within the ``with`` the settings hold; after it they are as before.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> with pnn.backends.own_settings():
    ...     pnn.equations.ACTIVATIONS["relu"].g(np, np.array([-1.0, 1.0]))
    array([0., 1.])
    """
    with contextlib.ExitStack() as stack:
        for cls in _changing:
            stack.enter_context(cls.own_settings())
        yield


def with_own_settings(function: F) -> F:
    """A decorator: the function is run under `own_settings`.

    Parameters
    ----------
    function : callable
        Any function.

    Returns
    -------
    callable
        A function of the same arguments and result.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> @pnn.backends.with_own_settings
    ... def relu(Z):
    ...     return pnn.equations.ACTIVATIONS["relu"].g(np, Z)
    >>> relu(np.array([-1.0, 1.0]))
    array([0., 1.])
    """

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        with own_settings():
            return function(*arguments, **options)

    return run  # type: ignore[return-value]


def remembered(backend: Backend) -> Backend:
    """The first object made for this library and device."""
    with _lock:
        cls = type(backend)
        has_settings = inspect.getattr_static(cls, "own_settings") is not vars(Backend)["own_settings"]
        if has_settings and cls not in _changing:
            _changing.append(cls)
        return _instances.setdefault((type(backend), backend.device_name()), backend)


def owner_class(x: object) -> type[Backend] | None:
    """The class of the backend that owns `x`; None if `x` is an array of no known library."""
    kind = type(x)
    if kind not in _owners:
        library = kind.__module__.partition(".")[0]
        theirs = library in LIBRARIES  # a built-in library owns its own arrays
        for name in sorted(known(), key=lambda name: (name in BUILT_IN) != theirs):
            try:
                cls = backend_class(name)
                owns = cls.owns(x)
            except (Exception, SystemExit):  # a backend that cannot be imported owns nothing
                continue
            if owns:
                _owners[kind] = cls
                break
        else:
            return None
    return _owners[kind]


def owner(x: object) -> Backend | None:
    """The backend that owns `x`, on its device.

    Parameters
    ----------
    x : object
        An array, or anything else.

    Returns
    -------
    Backend or None
        None if `x` is an array of no known library.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> pnn.backends.owner(np.ones(3)), pnn.backends.owner([1, 1, 1])
    (<backend 'numpy' on cpu>, None)
    """
    cls = owner_class(x)
    if cls is None:
        return None
    device = cls.device_of(x)
    cached = None if device is None else _instances.get((cls, cls.name_device(device)))
    return cached or remembered(cls(device))


def of(x: object) -> Backend:
    """The backend that owns the array `x`, on the device of `x`.

    Parameters
    ----------
    x : array
        Of any known library.

    Returns
    -------
    Backend

    Raises
    ------
    TypeError
        If `x` is not an array of a known library.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> pnn.backends.of(np.ones(3))
    <backend 'numpy' on cpu>
    """
    backend = owner(x)
    if backend is None:
        raise TypeError(
            f"an object of type {type(x).__module__}.{type(x).__qualname__} was given; accepted: an "
            f"array of one of the backends {', '.join(names())}; {how_to_convert(x)}"
        )
    return backend


def how_to_convert(x: object) -> str:
    """How to make an array of an object, for a message: one that keeps all that it holds."""
    if hasattr(x, "filled"):  # numpy.asarray takes what is below a mask
        return "fill its gaps, with x.filled(value)"
    return f"convert it, with {'x.toarray()' if hasattr(x, 'tocsr') else 'numpy.asarray(x)'} say"


def to_host(x: Any) -> HostArray:
    """The values of `x` as a NumPy array.

    Parameters
    ----------
    x : array-like
        An array of any registered backend, or anything that `numpy.asarray` accepts.

    Returns
    -------
    numpy.ndarray
        It may share memory with `x`.

    Raises
    ------
    TypeError
        If `x` is a masked array.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 1), ("identity",), "squared_error")
    >>> W, b = net.initialize(backend="numpy")[0]
    >>> type(pnn.backends.to_host(W)).__name__
    'ndarray'
    """
    backend = owner(x)
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            "a masked array was given; accepted: one without a mask: x.filled(value) has none"
        )
    return np.asarray(x) if backend is None else backend.to_numpy(x)


Backend.lookup = Lookup(get, to_host)
