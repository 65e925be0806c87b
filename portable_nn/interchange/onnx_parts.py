"""The layers that are found in an ONNX graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.layers import Dense, Layer


class Part(NamedTuple):
    """A layer in the graph, above n units: where its input and its output are."""

    given: str
    found: str
    layer: Layer
    n: int
    arrays: tuple[HostArray, ...]
    node: Any

    @property
    def width(self) -> int:
        """How many units it gives."""
        return self.layer.width(self.n)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of its arrays."""
        found: np.dtype[Any] = self.arrays[0].dtype
        return found


def dense(given: str, found: str, W: HostArray, b: HostArray | None, node: Any) -> Part:
    """A dense layer, W (n_out, n_in)."""
    arrays = (W,) if b is None else (W, b)
    return Part(given, found, Dense(W.shape[0], b is not None), W.shape[1], arrays, node)


def named(node: Any) -> str:
    """A node, for messages."""
    return f"the node {node.name or node.output[0]!r}, a {node.op_type},"
