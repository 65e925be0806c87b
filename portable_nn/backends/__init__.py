"""The array libraries: a registry, and one short file per library with what the standard lacks."""

from portable_nn.backends.base import Backend
from portable_nn.backends.dtype_names import dtype_name
from portable_nn.backends.registry import (
    available,
    get,
    names,
    of,
    own_settings,
    owner,
    register,
    to_host,
    with_own_settings,
)
from portable_nn.backends.table import show_backends

__all__ = [
    "Backend",
    "available",
    "dtype_name",
    "get",
    "names",
    "of",
    "own_settings",
    "owner",
    "register",
    "show_backends",
    "to_host",
    "with_own_settings",
]
