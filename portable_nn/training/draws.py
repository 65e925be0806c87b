"""What a training draws at random, on the host: the order of the rows, and dropout masks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Host = np.ndarray[Any, Any]


class Draws(Protocol):
    """Where the orders and the masks of a training come from; it can be put back to an earlier state."""

    def order(self, epoch: int, n: int) -> Host:
        """The rows of epoch 0, 1, ... in their order, out of n."""

    def uniform(self, shape: tuple[int, ...]) -> Host:
        """Numbers in [0, 1), for masks."""

    def state(self) -> dict[str, Any]:
        """What decides all further draws, in plain values and arrays."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as from that state; ValueError where it is none of this generator."""


class GeneratorDraws:
    """See `Draws`: from one generator, in the order in which they are asked for."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random

    def order(self, epoch: int, n: int) -> Host:
        return self.random.permutation(n)

    def uniform(self, shape: tuple[int, ...]) -> Host:
        return self.random.random(shape)

    def state(self) -> dict[str, Any]:
        return dict(self.random.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        self.random.bit_generator.state = state
