"""Dropout: masks drawn on the host, so that they are the same on every backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

Masks = list[Array | None]
Uniform = Callable[[tuple[int, ...]], np.ndarray[Any, Any]]  # a shape: numbers in [0, 1)


class Rates:
    """The rates of the hidden layers in each update: numbers, or schedules of them."""

    def __init__(self, given: Sequence[Any], stack: tuple[int, ...] = ()) -> None:
        self.given, self.stack = tuple(given), stack
        self.drops = [is_schedule(rate) or not is_zero(rate) for rate in given]  # at some step, maybe
        self.are_constant = not any(map(is_schedule, given))
        self.constant = [along_stack(rate) for rate in given] if self.are_constant else []

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
    if not any(rates.drops):
        return None

    def draw(k: int, B: int, step: int) -> Masks:
        dropped = [rates.at(step + i) for i in range(k)]
        kept = [  # batch after batch, and in each of them layer after layer
            [
                uniform((*shape, B)) >= rate
                for shape, rate, drops in zip(shapes, of_batch, rates.drops, strict=True)
                if drops
            ]
            for of_batch in dropped
        ]
        of_layer = (np.stack(those) for those in zip(*kept, strict=True))
        return [
            backend.asarray(next(of_layer), dtype=dtype) * scale(those) if drops else None
            for those, drops in zip(zip(*dropped, strict=True), rates.drops, strict=True)
        ]

    def scale(of_layer: Sequence[Any]) -> Any:
        """What the kept units are multiplied by, of one batch after the other."""
        factors = [1 / (1 - rate) for rate in of_layer]
        if rates.are_constant:
            return backend.asarray(factors[0], dtype) if np.ndim(factors[0]) else factors[0]
        whole = np.stack(np.broadcast_arrays(*factors))
        wide = whole.reshape(len(factors), *whole.shape[1:], *(() if whole.ndim > 1 else one_each))
        return backend.asarray(wide, dtype)

    one_each = (1,) * (len(shapes[0]) + 1)
    return draw
