"""The exceptions of this package, and how arguments are named in messages and signatures."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "BackendUnavailableError",
    "ModelFormatError",
    "NonFiniteCostError",
    "OtherProcessError",
    "SignatureOfInit",
    "UnknownBackendError",
    "missing_attribute",
    "naming_ours",
    "unknown_name",
]

P = ParamSpec("P")
R = TypeVar("R")

# what other libraries call it, and our names, of which the one that is known where it was given counts
ELSEWHERE = {
    "bce": ("binary_cross_entropy",),
    "binary_crossentropy": ("binary_cross_entropy",),
    "log_loss": ("categorical_cross_entropy", "binary_cross_entropy"),
    "cross_entropy": ("categorical_cross_entropy",),
    "crossentropy": ("categorical_cross_entropy",),
    "categorical_crossentropy": ("categorical_cross_entropy",),
    "sparse_categorical_crossentropy": ("categorical_cross_entropy",),
    "nll": ("categorical_cross_entropy",),
    "mse": ("squared_error", "mean_squared_error"),
    "mean_squared_error": ("squared_error",),
    "l2": ("squared_error",),
    "mae": ("absolute_error", "mean_absolute_error"),
    "mean_absolute_error": ("absolute_error",),
    "l1": ("absolute_error",),
    "smooth_l1": ("huber",),
    "quantile": ("pinball",),
    "swish": ("silu",),
    "linear": ("identity",),
    "logistic": ("sigmoid",),
    "expit": ("sigmoid",),
    "leakyrelu": ("leaky_relu",),
    "xavier": ("glorot",),
    "kaiming": ("he",),
    "lecun": ("glorot",),
    "acc": ("accuracy",),
    "r2_score": ("r2",),
    "keras": ("jax", "torch"),
    "pytorch": ("torch",),
    "np": ("numpy",),
}


class UnknownBackendError(ValueError):
    """No backend is registered under this name; the message has the known ones and the nearest.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> pnn.backends.get("tourch")
    Traceback (most recent call last):
        ...
    portable_nn.errors.UnknownBackendError: unknown backend 'tourch'; ...(did you mean 'torch'?)
    """


class BackendUnavailableError(ImportError):
    """A known backend does not work here: its library or the requested device is missing.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> try:
    ...     backend = pnn.backends.get("cupy")
    ... except pnn.BackendUnavailableError:  # the message says what is missing
    ...     backend = pnn.backends.get("numpy")
    >>> backend.name in ("cupy", "numpy")
    True
    """


class ModelFormatError(ValueError):
    """A file holds no model that can be read: it is damaged, or something else, or from the future.

    The message has the path, the cause, and what to do.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> with open("model.safetensors", "w") as file:
    ...     count = file.write("this is no model")
    >>> pnn.load("model.safetensors")
    Traceback (most recent call last):
        ...
    portable_nn.errors.ModelFormatError: model.safetensors: it is no safetensors file...
    """


class NonFiniteCostError(ValueError):
    """The cost, a parameter, or what the optimizer keeps became NaN or infinite during training.

    Attributes
    ----------
    epoch : int
        The epoch (1, 2, ...) in which it happened.
    params : list of (W, b)
        The parameters before that epoch: the last ones known to be finite.
    history : History
        The record up to the epoch before.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.array([[100.0]])
    >>> try:
    ...     pnn.fit(net, net.initialize(dtype="float64"), X, X, pnn.SGD(1e3), epochs=1000)
    ... except pnn.NonFiniteCostError as error:
    ...     W = error.params[0][0]
    >>> bool(np.isfinite(W).all())
    True
    """

    def __init__(self, message: str, epoch: int, params: Any, history: Any) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.params = params
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (*self.args, self.epoch, self.params, self.history)


class OtherProcessError(RuntimeError):
    """Another process of a group has failed; the message has its number and its error.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> group = pnn.distributed.Alone()  # or mpi(), or torch()
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.ones((4, 1), "float32")
    >>> try:
    ...     params, history = pnn.fit(net, net.initialize(), X, X, epochs=2, communicator=group)
    ... except pnn.OtherProcessError as error:
    ...     raise SystemExit(str(error))
    """


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """The message for a name that is not among `known`, with the nearest match if there is one."""
    known = sorted(known)
    text = f"unknown {kind} {name!r}; known: {', '.join(known)}"
    if not isinstance(name, str):
        return text
    near = [ours for ours in ELSEWHERE.get(name.lower(), ()) if ours in known]
    near += difflib.get_close_matches(name.lower(), known, n=1)
    return f"{text} (did you mean {near[0]!r}?)" if near else text


def missing_attribute(owner: object, name: str, ours: Mapping[str, str]) -> AttributeError:
    """The error for an attribute that `owner` has not; `ours` says what it is called here, if it is."""
    text = f"{type(owner).__name__!r} object has no attribute {name!r}"
    if name in ours:
        text += f"; here: {ours[name]}"
    return AttributeError(text, name=name, obj=owner)


def naming_ours(**ours: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: arguments under the names of other libraries give a TypeError that tells ours."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        what = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def checked(*arguments: P.args, **named: P.kwargs) -> R:
            for name in ours.keys() & named.keys():
                raise TypeError(f"{what} has no argument `{name}`; here: {ours[name]}")
            return function(*arguments, **named)

        return checked

    return decorate


class SignatureOfInit:
    """A descriptor: ``inspect.signature`` of a class is that of its ``__init__``.

    Of a class with a ``__new__`` that looks at the arguments it would be that of ``__new__``, without a
    name and a default.
    """

    def __get__(self, thing: Any, kind: type) -> Any:
        import inspect  # noqa: PLC0415  (few ask)

        if kind.__init__ is object.__init__:  # type: ignore[misc]
            return inspect.Signature()
        of_init = inspect.signature(kind.__init__)  # type: ignore[misc]
        return of_init.replace(parameters=[*of_init.parameters.values()][1:])
