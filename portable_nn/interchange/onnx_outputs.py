"""The nodes of a prediction and of its outputs: labels and probabilities as skl2onnx has them."""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.models import Model
from portable_nn.interchange.onnx_nodes import PredictionNodes
from portable_nn.interchange.onnx_normalizations import add_normalization, operator_of
from portable_nn.interchange.onnx_operators import STRING, TENSOR_TYPES, Nodes
from portable_nn.interchange.parts import traced

Values: TypeAlias = dict[str, tuple[int, list[Any]]]  # the type and the shape of each, by name
OPSET = 20  # of ONNX 1.15, November 2023: the first one with Gelu
INT64 = TENSOR_TYPES["int64"]
ARRAYS = {"W": "weights_", "b": "bias_"}  # of a dense network


def prediction(model: Model, nodes: Nodes, X: str, opset: int) -> str:
    """Add the nodes of the prediction for the rows X; the name of A[L] (n, n_L)."""
    if not model.listed:
        graph, given = model.trace()
        names = [ARRAYS[name[0]] + name[1:] for name in given]
        return PredictionNodes(graph, names, nodes, X, opset).output()
    for operator, parts in itertools.groupby(model.parts, lambda part: operator_of(part, model.dtype)):
        if operator is None:
            X = PredictionNodes(*traced([*parts], model.dtype), nodes, X, opset).output()
        else:
            for part in parts:
                X = add_normalization(operator, part, nodes, X)
    return X


def outputs_of(model: Model) -> Values:
    """The outputs: the type and the shape of each, by name."""
    kind, n = TENSOR_TYPES[model.dtype.name], model.n_outputs
    if model.classes is None:
        return {"variable" if model.task == "regression" else "A": (kind, ["n", n])}
    if model.task == "multilabel":
        return {"label": (INT64, ["n", model.sizes[-1]]), "probabilities": (kind, ["n", n])}
    label = STRING if label_values(model).dtype == object else INT64
    return {"label": (label, ["n"]), "probabilities": (kind, ["n", n])}


def label_values(model: Model) -> HostArray:
    """The labels as ONNX has them: int64, or strings as objects.

    Raises ValueError for whole numbers that int64 does not hold.
    """
    classes = np.asarray(model.classes)
    if classes.dtype.kind not in "biuf":
        return np.asarray([str(label) for label in classes.tolist()], dtype=object)
    whole = np.asarray([int(label) for label in classes.tolist()], dtype=object)
    if any(not -(2**63) <= label < 2**63 for label in whole):
        raise ValueError(f"`classes_` holds {max(whole, key=abs)}; accepted: labels that int64 holds")
    return whole.astype(np.int64)


def add_outputs(model: Model, nodes: Nodes, A: str, outputs: list[str]) -> None:
    """Add the nodes from A[L] to the outputs, of which these are the names."""
    *label, values = outputs
    known = {one.output for one in nodes.operations}
    if model.has_one_probability:
        other = nodes.add("Sub", nodes.number(1.0, model.dtype), A)
        probabilities = nodes.add("Concat", other, A, axis=1)
    else:
        probabilities = A if A in known else nodes.add("Identity", A)
    if label:
        nodes.renamed(add_label(model, nodes, A, probabilities), label[0])
    nodes.renamed(probabilities, values)


def add_label(model: Model, nodes: Nodes, A: str, probabilities: str) -> str:
    """Add the nodes of the labels; the name of their output."""
    if model.task == "multilabel":
        return nodes.add("Cast", nodes.add("Greater", A, nodes.number(0.5, model.dtype)), to=INT64)
    labels = label_values(model)
    if len(labels) < model.n_outputs:  # the one class that there was, whatever its probability
        labels = np.repeat(labels, model.n_outputs)
    best = nodes.add("ArgMax", probabilities, axis=1, keepdims=0)
    return nodes.add("Gather", nodes.constant(labels, "classes"), best)
