"""How a network is shown: in a line, and as a table."""

from __future__ import annotations

import math
from typing import Any

from portable_nn.equations import Activation, Loss
from portable_nn.layers.base import Layer
from portable_nn.layers.described import Described, Layers, is_plain
from portable_nn.optimizers.array_names import KINDS

BYTES = {"float32": 4, "float64": 8}
TITLES = ("layer", "units", "arrays", "parameters", "bytes")


def in_brief(sizes: tuple[int, ...], g: tuple[Activation, ...], listed: Layers, loss: Loss) -> str:
    """The call that makes it, with activations by name."""
    if not listed:
        return f"Network({sizes}, activations={tuple(each.name for each in g)}, loss={loss.name!r})"
    layers = ", ".join([str(sizes[0]), *map(shown, listed)])
    return f"Network(({layers}), loss={loss.name!r})"


def shown(layer: Any) -> str:
    """A layer as it is given to a Network."""
    if isinstance(layer, Activation):
        return repr(layer.name)
    return str(layer.units) if is_plain(layer) else repr(layer)


def table(net: Described, layers: Layers, loss: Loss, dtype: str) -> str:
    """A line for each layer, and their sum."""
    rows, total, size = [TITLES, ("inputs", str(net.sizes[0]), "", "", "")], 0, BYTES[dtype]
    number = 0
    for layer, n, width in zip(layers, net.widths, net.widths[1:], strict=False):
        arrays = layer.parameters(n) if isinstance(layer, Layer) else ()
        number += bool(arrays)
        shapes = ", ".join(f"{a.symbol}[{number}] {a.shape[0]} x {a.shape[1]}" for a in arrays)
        trained = sum(math.prod(a.shape) for a in arrays if a.kind in KINDS)
        held = size * sum(math.prod(a.shape) for a in arrays)
        total += trained
        counts = (f"{trained:,}", f"{held:,}") if arrays else ("", "")
        name = layer.name if isinstance(layer, Activation) else type(layer).__name__
        rows.append((name, str(width), shapes, *counts))
    every = size * sum(math.prod(a.shape) for each in net.layers for a in each.arrays)
    rows.append(("in all", "", "", f"{total:,}", f"{every:,}"))
    columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_number = (False, True, False, True, True)
    lines = [
        "  ".join(
            cell.rjust(w) if right else cell.ljust(w)
            for cell, w, right in zip(row, columns, is_number, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([f"Network with the loss {loss.name}, {dtype}", *lines])
