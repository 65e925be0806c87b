"""A library's namespace with some functions of our own."""

from __future__ import annotations

import types
from collections.abc import Callable

from portable_nn.equations import Namespace


def namespace_with(namespace: Namespace, library: str, **functions: Callable[..., object]) -> Namespace:
    """A copy of the array API namespace of this library, with `functions` in the place of its own."""
    found = types.ModuleType(f"portable_nn.backends.{library}_namespace", namespace.__doc__)
    vars(found).update({name: getattr(namespace, name) for name in dir(namespace) if name != "__name__"})
    vars(found).update(functions)
    return found
