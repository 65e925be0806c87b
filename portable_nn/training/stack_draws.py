"""TEMPORARY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class StackDraws:
    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self.generators = list(generators)

    def order(self, epoch: int, n: int) -> Any:
        return np.stack([g.permutation(n) for g in self.generators])

    def uniform(self, shape: tuple[int, ...]) -> Any:
        return np.stack([g.random(shape[1:]) for g in self.generators])

    def of(self, members: Any) -> StackDraws:
        return StackDraws([self.generators[k] for k in members])

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass
