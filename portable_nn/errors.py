"""The exceptions of this package, and the message for an unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["BackendUnavailableError", "NonFiniteCostError", "UnknownBackendError", "unknown_name"]


class UnknownBackendError(ValueError):
    """No backend is registered under this name."""


class BackendUnavailableError(ImportError):
    """A known backend does not work here: its library or the requested device is missing."""


class NonFiniteCostError(ValueError):
    """The cost or a parameter became NaN or infinite during training.

    Attributes
    ----------
    epoch : int
        The epoch (1, 2, ...) in which it happened.
    params : list of (W, b)
        The parameters before that epoch: the last ones known to be finite.
    history : History
        The record up to the epoch before.
    """

    def __init__(self, message: str, epoch: int, params: Any, history: Any) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.params = params
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (*self.args, self.epoch, self.params, self.history)


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """The message for a name that is not among `known`, with the nearest match if there is one."""
    known = sorted(known)
    text = f"unknown {kind} {name!r}; known: {', '.join(known)}"
    near = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"{text} (did you mean {near[0]!r}?)" if near else text
