"""Dropout: masks drawn on the host, so that they are the same on every backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portable_nn.backends import Backend
from portable_nn.checks import BELOW_ONE, Value, along_stack, check_stack, check_value, is_zero
from portable_nn.equations import Array

Masks = list[Array | None]
Uniform = Callable[[tuple[int, ...]], np.ndarray[Any, Any]]  # a shape: numbers in [0, 1)


def check_dropout(given: Any, hidden: int, stack: tuple[int, ...] = ()) -> tuple[Value, ...]:
    """One rate in [0, 1) for each hidden layer, or for each network of a stack in each.

    `given` is a number for all layers; a list with an entry for each layer; or, for a stack, numbers of
    the stack's shape for all layers.
    """
    if isinstance(given, np.ndarray) and given.ndim and not stack:
        given = given.tolist()
    is_list = isinstance(given, (tuple, list))
    if is_list and len(given) == hidden:
        rates = tuple(check_value(f"dropout[{l}]", rate, BELOW_ONE) for l, rate in enumerate(given))
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
        rates = (check_value("dropout", given, BELOW_ONE),) * hidden
    for rate in rates:
        check_stack("dropout", rate, stack)
    return rates


def mask_drawer(
    backend: Backend,
    rates: Sequence[Value],
    shapes: Sequence[tuple[int, ...]],
    dtype: Any,
    uniform: Uniform,
) -> Callable[[int, int], Masks] | None:
    """A function that draws the masks of k batches of B rows; None where no unit is ever dropped.

    The units of hidden layer l have the shape ``shapes[l - 1]``, (*stack, n_l). One is dropped with the
    probability rates[l - 1]; what is kept is divided by 1 - rate (Srivastava et al., 2014). Each network
    of a stack has masks of its own.
    """
    if all(is_zero(rate) for rate in rates):
        return None
    dropped = [along_stack(rate) for rate in rates]
    scales = [
        backend.asarray(1 / (1 - rate), dtype) if np.ndim(rate) else 1 / (1 - rate) for rate in dropped
    ]

    def draw(k: int, B: int) -> Masks:
        kept = [  # batch after batch, and in each of them layer after layer
            [
                uniform((*shape, B)) >= rate
                for shape, rate in zip(shapes, dropped, strict=True)
                if not is_zero(rate)
            ]
            for _ in range(k)
        ]
        of_layer = (np.stack(those) for those in zip(*kept, strict=True))
        return [
            backend.asarray(next(of_layer), dtype=dtype) * scale if not is_zero(rate) else None
            for rate, scale in zip(rates, scales, strict=True)
        ]

    return draw
