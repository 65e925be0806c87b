"""What a training draws at random, on the host: the order of the rows, and dropout masks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Host = np.ndarray[Any, Any]


# where in its numbers a generator is, and how many there are: NumPy does not check what it is given
PLACES = {"MT19937": (("state", "pos"), 624), "Philox": (("buffer_pos",), 4)}


GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "SFC64", "Philox")  # those of numpy.random


def check_generator_state(state: dict[str, Any]) -> None:
    """Raise unless a generator can be put into this state, and reads no memory but its own there.

    The errors are ValueError, or those of NumPy.
    """
    names, most = PLACES.get(state["bit_generator"], ((), 0))
    place: Any = state
    for name in names:
        place = place[name]
    if names and not (type(place) is int and 0 <= place <= most):
        raise ValueError(f"the state of the generator {state['bit_generator']} has the place {place!r}")
    if state["bit_generator"] in GENERATORS:  # else it is a user's own, and the one that was given
        getattr(np.random, state["bit_generator"])(0).state = state


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
        check_generator_state(state)
        self.random.bit_generator.state = state
