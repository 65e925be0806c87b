"""What a backend asks of all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from portable_nn.compiler.signatures import HostArray


class Lookup(NamedTuple):
    """The backend of a name and device, and the values of an array of any backend on the host."""

    get: Callable[[str, Any], Any]
    to_host: Callable[[Any], HostArray]
