"""What a training draws at random, on the host: the order of the rows, and dropout masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

Host: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
# an index into arrays (batches, *stack, ...), and for each of several arrays the numbers that belong
# there, or None
Piece: TypeAlias = tuple[tuple[slice | int, ...], list[Host | None]]

PIECE = 2**15  # numbers drawn at a time: they are still in the cache when they are compared

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

    def uniform(self, batches: int, shapes: Sequence[Shape], drops: Sequence[Host]) -> Iterator[Piece]:
        """Numbers in [0, 1) for arrays (batches, *shape), such as the masks of several layers.

        They come in pieces, and a piece is overwritten when the next one is asked for. Each generator
        draws batch after batch, and in each of them array after array. A shape is (*stack, n, B);
        ``drops[i]`` (*stack,) says which networks of a stack have any use for numbers of array i.
        """

    def state(self) -> dict[str, Any]:
        """What decides all further draws, in plain values and arrays."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as from that state; ValueError where it is none of this generator."""


class Buffer:
    """Memory for numbers, used again and again: new memory costs more than drawing numbers into it."""

    def __init__(self) -> None:
        self.memory = np.empty(0)

    def first(self, n: int) -> Host:
        """So many numbers (n,), without values."""
        if len(self.memory) < n:
            self.memory = np.empty(n)
        return self.memory[:n]


class GeneratorDraws:
    """See `Draws`: from one generator, in the order in which they are asked for."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random, self.buffer = random, Buffer()

    def order(self, epoch: int, n: int) -> Host:
        return self.random.permutation(n)

    def uniform(self, batches: int, shapes: Sequence[Shape], drops: Sequence[Host]) -> Iterator[Piece]:
        return joint_pieces(filled_by(self.random), self.buffer, batches, shapes)

    def state(self) -> dict[str, Any]:
        return dict(self.random.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        check_generator_state(state)
        self.random.bit_generator.state = state


class ShardDraws(GeneratorDraws):
    """See `Draws`: the rows of each shard in an order of its own, and of each its part in every batch.

    `shards` holds the shard of each row of an epoch, as `shards_in_order` gives it.
    """

    def __init__(self, random: np.random.Generator, shards: Host) -> None:
        super().__init__(random)
        self.lengths = np.bincount(shards)
        self.places = np.argsort(shards, kind="stable")

    def order(self, epoch: int, n: int) -> Host:
        found, start = np.empty(n, dtype=np.intp), 0
        for length in self.lengths.tolist():
            mine = self.places[start : start + length]
            found[mine] = start + self.random.permutation(length)
            start += length
        return found


class StackDraws:
    """See `Draws`: each network of a stack (K,) has a generator, and draws what it would draw alone."""

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self.generators, self.buffer = list(generators), Buffer()

    def order(self, epoch: int, n: int) -> Host:
        """The order of each network, (K, n)."""
        return np.stack([random.permutation(n) for random in self.generators])

    def uniform(self, batches: int, shapes: Sequence[Shape], drops: Sequence[Host]) -> Iterator[Piece]:
        fills = list(map(filled_by, self.generators))
        return separate_pieces(fills, self.buffer, batches, shapes, drops)

    def of(self, members: Sequence[int] | Host) -> StackDraws:
        """The draws of some of the networks, from the same generators."""
        return StackDraws([self.generators[k] for k in members])

    def state(self) -> dict[str, Any]:
        return {"networks": [dict(random.bit_generator.state) for random in self.generators]}

    def restore(self, state: dict[str, Any]) -> None:
        states = state["networks"]
        if len(states) != len(self.generators):
            raise ValueError(
                f"there are states of {len(states)} generators for {len(self.generators)} networks"
            )
        for random, one in zip(self.generators, states, strict=True):
            check_generator_state(one)
            own, given = random.bit_generator.state["bit_generator"], one["bit_generator"]
            if given != own:
                raise ValueError(f"there is a state of {given}, and the generator is {own}")
        for random, one in zip(self.generators, states, strict=True):
            random.bit_generator.state = one


Fill: TypeAlias = Callable[[Host], Any]  # overwrites an array (n,) of float64 with the next n numbers


def filled_by(random: np.random.Generator) -> Fill:
    """The numbers of a generator of NumPy."""
    return lambda out: random.random(out=out)


def joint_pieces(fill: Fill, buffer: Buffer, batches: int, shapes: Sequence[Shape]) -> Iterator[Piece]:
    """As `Draws.uniform`, from one generator for all networks of a stack."""
    for some, numbers in pieces(fill, buffer, batches, shapes):
        yield (some,), [*numbers]


def separate_pieces(
    fills: Sequence[Fill],
    buffer: Buffer,
    batches: int,
    shapes: Sequence[Shape],
    drops: Sequence[Host],
) -> Iterator[Piece]:
    """As `Draws.uniform`, from a generator for each network of a stack (K,).

    A network that never drops a unit of a layer draws nothing for it, as it would alone.
    """
    for k, fill in enumerate(fills):
        drawn = [shape[1:] for shape, of in zip(shapes, drops, strict=True) if of[k]]
        for some, numbers in pieces(fill, buffer, batches, drawn) if drawn else ():
            left = iter(numbers)
            yield (some, k), [next(left) if of[k] else None for of in drops]


def pieces(
    fill: Fill, buffer: Buffer, batches: int, shapes: Sequence[Shape]
) -> Iterator[tuple[slice, list[Host]]]:
    """The batches, some at a time, and their numbers (some, *shape) for each of the shapes."""
    sizes = [math.prod(shape) for shape in shapes]
    total = sum(sizes)
    most = min(batches, max(1, PIECE // max(1, total)))
    for start in range(0, batches, most):
        some = slice(start, min(start + most, batches))
        k, at, numbers = some.stop - start, 0, []
        drawn = buffer.first(k * total)
        fill(drawn)
        table = drawn.reshape(k, total)
        for shape, size in zip(shapes, sizes, strict=True):
            numbers.append(table[:, at : at + size].reshape(k, *shape))
            at += size
        yield some, numbers
