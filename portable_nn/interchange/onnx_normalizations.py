"""Normalizations that are operators of ONNX, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.onnx_operators import Nodes
from portable_nn.interchange.parts import Part
from portable_nn.layers import BatchNorm, Layer, LayerNorm

NORMALIZATIONS = ("BatchNormalization", "LayerNormalization")
EPSILON, MOMENTUM = 1e-5, 0.9  # of the specification, where a node says nothing


def operator_of(part: Part, dtype: np.dtype[Any]) -> str | None:
    """The operator that is this layer; None for one that is written as arithmetic.

    LayerNormalization adds an epsilon of float32: with float64 it would lose digits.
    """
    if type(part.layer) is BatchNorm:
        return "BatchNormalization"
    is_operator = type(part.layer) is LayerNorm and dtype == np.float32
    return "LayerNormalization" if is_operator else None


def add_normalization(operator: str, part: Part, nodes: Nodes, X: str) -> str:
    """Add the node of a normalization; the name of its output."""
    layer, named = part.layer, part.named()
    assert isinstance(layer, (BatchNorm, LayerNorm))
    epsilon = float(np.float32(layer.epsilon))
    more: dict[str, Any] = {"axis": 1}
    if isinstance(layer, BatchNorm):
        more = {"momentum": 1 - layer.momentum}
        # what float32 takes from epsilon goes to the variance: their sum is as exact as before
        named["variance"] = named["variance"] + (layer.epsilon - epsilon)
    arrays = [nodes.constant(x[:, 0].copy(), f"{name}_{part.number}") for name, x in named.items()]
    return nodes.add(operator, X, *arrays, epsilon=epsilon, **more)


def normalization_of(
    where: str, operator: str, attributes: dict[str, Any], arrays: Sequence[HostArray | None]
) -> Layer:
    """The layer that a node is; ValueError for arrays and settings that have no counterpart."""
    is_batch = operator == "BatchNormalization"
    n = 0 if not arrays or arrays[0] is None else arrays[0].size
    if len(arrays) not in ((4,) if is_batch else (1, 2)) or not all(
        array is not None and array.shape == (n,) for array in arrays
    ):
        raise ValueError(f"{where} has arrays that are not constants for each unit; accepted: (n,)")
    if attributes.get("training_mode") or attributes.get("axis", -1) not in (-1, 1):
        raise ValueError(f"{where} is of training, or along another axis; accepted: axis=-1")
    epsilon = attributes.get("epsilon", EPSILON)
    if arrays[0].dtype == np.float32:  # type: ignore[union-attr]
        epsilon = shortest(epsilon)
    if not is_batch:
        return LayerNorm(epsilon=epsilon)
    return BatchNorm(
        momentum=round(1 - shortest(attributes.get("momentum", MOMENTUM)), 7), epsilon=epsilon
    )


def shortest(x: float) -> float:
    """The number that was meant by one of float32: that with the fewest digits."""
    return float(str(np.float32(x)))
