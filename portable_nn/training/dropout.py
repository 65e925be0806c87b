"""Dropout: masks drawn on the host, so that they are the same on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from portable_nn.backends import Backend
from portable_nn.checks import (
    BELOW_ONE,
    along_stack,
    check_scheduled,
    check_stack,
    check_value,
    is_schedule,
    is_zero,
)
from portable_nn.equations import Array
from portable_nn.training.draws import Host, Piece, Shape

Masks = list[Array | None]
NUMBERS = 2**21  # drawn for a chunk of batches, so that memory stays bounded
FEWEST, MOST = 8, 64  # batches in a chunk
Uniform = Callable[[int, Sequence[Shape], Sequence[Host]], Iterator[Piece]]  # as of `Draws`


class Rates:
    """The rates of the hidden layers in each update: numbers, or schedules of them."""

    def __init__(self, given: Sequence[Any], stack: tuple[int, ...] = ()) -> None:
        self.given, self.stack = tuple(given), stack
        self.drops = [is_schedule(rate) or not is_zero(rate) for rate in given]  # at some step, maybe
        self.are_constant = not any(map(is_schedule, given))
        self.constant = [along_stack(rate) for rate in given] if self.are_constant else []

    def of_each(self, l: int) -> Host:
        """Whether each network may ever drop units of a layer, (*stack,)."""
        rate = self.given[l]
        return np.broadcast_to(is_schedule(rate) or np.not_equal(rate, 0), self.stack)

    def at(self, step: int) -> list[Any]:
        """The rate of each layer in update 0, 1, ..., a float or an array (*stack, 1, 1).

        Raises TypeError or ValueError for what a schedule gives that is no rate.
        """
        if self.are_constant:
            return self.constant
        return [
            along_stack(
                check_scheduled(f"dropout[{l}]", rate, step, BELOW_ONE, self.stack)
                if is_schedule(rate)
                else rate
            )
            for l, rate in enumerate(self.given)
        ]


def check_dropout(given: Any, hidden: int, stack: tuple[int, ...] = ()) -> tuple[Any, ...]:
    """One rate in [0, 1) for each hidden layer, or for each network of a stack in each; or a schedule.

    `given` is a number or a schedule for all layers; a list with an entry for each layer; or, for a
    stack, numbers of the stack's shape for all layers.
    """
    if isinstance(given, np.ndarray) and given.ndim and not stack:
        given = given.tolist()
    is_list = isinstance(given, (tuple, list))
    if is_list and len(given) == hidden:
        rates = tuple(check_rate(f"dropout[{l}]", rate) for l, rate in enumerate(given))
        if (hidden,) == stack and hidden > 1 and all(isinstance(rate, float) for rate in rates):
            raise ValueError(
                f"`dropout` holds {hidden} rates, and there are as many hidden layers as networks; "
                "accepted: an array of the networks' rates, or a list with a list of them for each layer"
            )
    elif is_list and not stack:
        raise ValueError(
            f"`dropout` holds {len(given)} rates; accepted: a number, or one for each of the {hidden} "
            "hidden layers"
        )
    else:
        rate = check_rate("dropout", given)
        if not hidden and (is_schedule(rate) or not is_zero(rate)):
            raise ValueError(
                f"`dropout` is {given!r}, and the network has no hidden activation, after which units "
                "could be left out; accepted: 0"
            )
        rates = (rate,) * hidden
    for rate in rates:
        if not is_schedule(rate):
            check_stack("dropout", rate, stack)
    return rates


def check_rate(name: str, given: Any) -> Any:
    """A rate in [0, 1), or one for each network of a stack; a schedule as it is."""
    return given if is_schedule(given) else check_value(name, given, BELOW_ONE)


def batches_at_once(shapes: Sequence[Shape], B: int) -> int:
    """For how many batches of B rows masks are drawn at a time; the shapes are those of `mask_drawer`.

    Each chunk costs a step a constant time, which is most of the time of a small network's step.
    """
    return min(MOST, max(FEWEST, NUMBERS // (B * sum(math.prod(shape) for shape in shapes))))


def mask_drawer(
    backend: Backend,
    rates: Rates,
    shapes: Sequence[tuple[int, ...]],
    dtype: Any,
    uniform: Uniform,
) -> Callable[[int, int, int], Masks] | None:
    """A function that draws the masks of k batches of B rows from update `step` on: draw(k, B, step).

    None where no unit is ever dropped. The units of hidden layer l have the shape ``shapes[l - 1]``,
    (*stack, n_l). One is dropped with the probability of the rate; what is kept is divided by 1 - rate
    (Srivastava et al., 2014). Each network of a stack has masks of its own. A layer with a schedule
    draws in every update, whatever its rate is then: what is drawn depends on no value.
    """
    layers = [l for l, drops in enumerate(rates.drops) if drops]
    if not layers:
        return None
    drops, stack = [rates.of_each(l) for l in layers], shapes[0][:-1]
    memory: dict[Any, Host] = {}

    def draw(k: int, B: int, step: int) -> Masks:
        dropped = [*zip(*(rates.at(step + i) for i in range(k)), strict=True)]
        by_layer = [by_batch(dropped[l]) for l in layers]
        limits = [np.broadcast_to(rate, (k, *stack, 1, 1)) for rate in by_layer]
        wanted = [(*shapes[l], B) for l in layers]
        kept = [empty(l, (k, *shape), bool) for l, shape in zip(layers, wanted, strict=True)]
        for mask, of in zip(kept, drops, strict=True):
            mask[:, ~of] = True  # what nobody may have drawn for
        for where, numbers in uniform(k, wanted, drops):
            for mask, limit, drawn in zip(kept, limits, numbers, strict=True):
                if drawn is not None:
                    np.greater_equal(drawn, limit[where], out=mask[where])
        masks: Masks = [None] * len(shapes)
        for l, mask, rate in zip(layers, kept, by_layer, strict=True):
            masks[l] = scaled(l, mask, 1 / (1 - rate))
        return masks

    def empty(use: Any, shape: Shape, of: Any) -> Host:
        """An array without values; where steps are done when they return, the one of the last chunk."""
        if not backend.host:
            return np.empty(shape, of)
        if use not in memory or memory[use].shape != shape:
            memory[use] = np.empty(shape, of)
        return memory[use]

    def by_batch(of_layer: Sequence[Any]) -> Any:
        """The rates of one layer in each batch: a number, or an array that broadcasts to the masks."""
        if rates.are_constant:
            return of_layer[0]
        whole = np.stack(np.broadcast_arrays(*of_layer))
        return whole if whole.ndim > 1 else whole.reshape(-1, *(1 for _ in (*stack, "n", "B")))

    def scaled(l: int, kept: Host, factor: Any) -> Array:
        """The mask on the device: the factor for a kept unit, 0 for another."""
        if backend.host:
            mask: Array = empty((l, "scaled"), kept.shape, dtype)
            return np.multiply(kept, np.asarray(factor, dtype), out=mask)  # type: ignore[call-overload,no-any-return]
        of_each = backend.asarray(factor, dtype) if np.ndim(factor) else factor
        return backend.asarray(kept, dtype=dtype) * of_each

    return draw
