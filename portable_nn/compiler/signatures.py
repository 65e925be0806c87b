"""What is compiled: the types of steps and of the functions made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from portable_nn.equations import Namespace
from portable_nn.trees import Tree

HostArray: TypeAlias = np.ndarray[Any, Any]
Step: TypeAlias = Callable[..., Tree]  # arguments and results are trees of arrays
ScanStep: TypeAlias = Callable[[Namespace, Tree, Tree, Tree], Tree]  # (xp, carry, fixed, one) -> carry


Prepared: TypeAlias = Callable[[Tree], Tree | None]  # of a step: see `Backend.prepare`


class Scan(Protocol):
    """Many steps in a row; see `portable_nn.backends.Backend.scan`."""

    def __call__(self, carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
        """The last carry."""
