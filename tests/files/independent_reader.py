"""A reader of the file format, after docs/reference/file_format.md alone: no line of the package."""

from __future__ import annotations

import itertools
import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {
    **{"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4"},
    **{"I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8", "C64": "<c8"},
}
OF_METADATA = ("portable_nn_format", "portable_nn_version", "kind", "values", "checksums")


def read(path: Path) -> tuple[str, Any]:
    """The kind and the values of a file."""
    content = path.read_bytes()
    (n,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + n].decode("ascii")), content[8 + n :]
    metadata = header.pop("__metadata__")
    assert metadata["portable_nn_format"] == "1"
    lines = "".join(metadata[key] + "\n" for key in OF_METADATA)
    assert f"{zlib.crc32(lines.encode()):08x}" == metadata["checksum"]
    checksums, arrays = json.loads(metadata["checksums"]), {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        label = f"{entry['dtype']}[{','.join(map(str, entry['shape']))}]"
        assert f"{zlib.crc32(label.encode() + data[first:last]):08x}" == checksums[name]
        flat = np.frombuffer(data[first:last], DTYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"])
    return metadata["kind"], value_of(json.loads(metadata["values"]), arrays)


def value_of(node: Any, arrays: dict[str, Any]) -> Any:
    """The value of a JSON value; networks, activations and losses stay dicts of what makes them."""
    if isinstance(node, list):
        return [value_of(part, arrays) for part in node]
    if not isinstance(node, dict):
        return node
    key, content = next(iter(node.items()), ("", None))
    if not key.startswith("$"):
        return {name: value_of(part, arrays) for name, part in node.items()}
    if key in ("$array", "$array_by_columns"):
        return arrays[content]
    if key in ("$floats", "$ints"):
        return arrays[content].tolist()
    inner = value_of(content, arrays)
    if key == "$labels":
        inner = np.array(inner["values"], inner["dtype"]).reshape(inner["shape"])
    elif key == "$dict":
        inner = {tuple(k) if isinstance(k, list) else k: v for k, v in inner}
    elif key in CONVERTED:
        inner = CONVERTED[key](inner)
    return inner


CONVERTED = {
    "$float": float,
    "$tuple": tuple,
    "$per_network": tuple,
    "$custom": lambda name: {"name": name},
}


def sigmoid(z: Any) -> Any:
    """1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z, at_zero: np.where(z > 0, z, 0),
    "leaky_relu": lambda z, slope, at_zero: np.where(z > 0, z, slope * z),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(-2, keepdims=True),
    "elu": lambda z: np.where(z >= 0, z, np.exp(z) - 1),
    "selu": lambda z: 1.0507009873554805 * np.where(z >= 0, z, 1.6732632423543772 * (np.exp(z) - 1)),
    "exp": np.exp,
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "silu": lambda z: z * sigmoid(z),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "hard_swish": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "gelu": lambda z: z * sigmoid(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)),
}


def columns_of(layer: Any, n: int) -> list[int]:
    """The columns of numbers that a layer encodes, of n."""
    return list(range(n) if layer["columns"] is None else layer["columns"])


def embedding(layer: Any, E: Any, A: Any) -> Any:
    """The other columns, then of each entry of the vectors that of every column of codes."""
    codes, start, vectors = dict(layer["levels"]), 0, []
    for column, count in codes.items():
        vectors.append(E[:, A[column].astype(int) + start])
        start += count
    entries = [vector[d] for d in range(layer["dim"]) for vector in vectors]
    return np.concatenate([np.delete(A, list(codes), axis=0), entries])


def periodic(layer: Any, w: Any, c: Any, V: Any, e: Any, A: Any) -> Any:
    """The other columns, the numbers, then the units of each."""
    columns, k, d = columns_of(layer, len(A)), layer["frequencies"], layer["dim"] - 1
    parts = [np.delete(A, columns, axis=0), A[columns]]
    for f, column in enumerate(columns):
        ks, ds = slice(f * k, f * k + k), slice(f * d, f * d + d)
        parts.append(V[ds] @ np.cos(2 * np.pi * w[ks] * A[column] + c[ks]) + e[ds])
    return np.concatenate(parts)


def piecewise_linear(layer: Any, A: Any) -> Any:
    """The other columns, then the bins of each number."""
    columns = columns_of(layer, len(A))
    parts = [np.delete(A, columns, axis=0)]
    for column, edges in zip(columns, layer["edges"], strict=True):
        for t, (low, high) in enumerate(itertools.pairwise(edges)):
            u = (A[column] - low) / (high - low)
            u = u if t == 0 else np.maximum(u, 0)
            parts.append((u if t == len(edges) - 2 else np.minimum(u, 1))[None])
    return np.concatenate(parts)


def shifted_and_scaled(Z: Any, mean: Any, variance: Any, layer: Any, gamma: Any, beta: Any) -> Any:
    """gamma (z - mean) / sqrt(variance + epsilon) + beta."""
    return gamma * (Z - mean) / np.sqrt(variance + layer["epsilon"]) + beta


LAYERS = {
    "Dense": lambda layer, a, A: a["W"] @ A + a.get("b", 0),
    "SharedDense": lambda layer, a, A: a["s"] * (a["W"] @ (a["r"] * A)) + a["b"],
    "Embedding": lambda layer, a, A: embedding(layer, a["E"], A),
    "Periodic": lambda layer, a, A: periodic(layer, *a.values(), A),
    "PiecewiseLinear": lambda layer, a, A: piecewise_linear(layer, A),
    "Scale": lambda layer, a, A: a["gamma"] * A + a.get("beta", 0),
    "LayerNorm": lambda layer, a, A: shifted_and_scaled(
        A, A.mean(-2, keepdims=True), A.var(-2, keepdims=True), layer, a["gamma"], a["beta"]
    ),
    "BatchNorm": lambda layer, a, A: shifted_and_scaled(
        A, a["mean"], a["variance"], layer, a["gamma"], a["beta"]
    ),
    "ParametricActivation": lambda layer, a, A: (
        (1 - a["alpha"]) * A + a["alpha"] * activated(layer["g"], A)
    ),
}


def activated(g: Any, Z: Any) -> Any:
    """g(z)."""
    return ACTIVATIONS[g["name"]](Z, **{key: c for key, c in g.items() if key != "name"})


def predict(values: Any, X: Any) -> Any:
    """The predictions for the rows of X."""
    A, params, network = X.T, values["params"], values["network"]
    if "layers" not in network:
        for layer, g in zip(params.values(), network["activations"], strict=True):
            A = activated(g, layer["W"] @ A + layer["b"])
        return np.swapaxes(A, -1, -2)
    arrays = iter(params.values())
    for each in network["layers"]:
        is_layer = each["name"] in LAYERS  # whose names begin with capitals, those of activations not
        A = LAYERS[each["name"]](each, next(arrays), A) if is_layer else activated(each, A)
    return np.swapaxes(A, -1, -2)
