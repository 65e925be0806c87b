"""`to_onnx`: a model as an ONNX graph, with labels and probabilities laid out as skl2onnx does it."""

from __future__ import annotations

import importlib
import itertools
import json
import os
from collections import Counter
from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.models import Model, model_of, written
from portable_nn.interchange.onnx_nodes import PredictionNodes
from portable_nn.interchange.onnx_normalizations import add_normalization, operator_of
from portable_nn.interchange.onnx_operators import TENSOR_TYPES, Nodes
from portable_nn.interchange.parts import traced
from portable_nn.storage.atomic import replace_file
from portable_nn.version import __version__

OPSET, IR_VERSION = 20, 9  # of ONNX 1.15, November 2023: the first opset with Gelu
INT64, STRING = 7, 8
ARRAYS = {"W": "weights_", "b": "bias_"}  # of a dense network


def to_onnx(model: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """A model as an ONNX graph, which is also written to a file if a path is given.

    Parameters
    ----------
    model : (net, params), or a fitted MLPClassifier or MLPRegressor
        On any backend.
    path : path-like, optional
        The file, which is replaced as a whole.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError, ValueError
        For what is no such model, a stack of networks, and a user-defined layer or activation with
        operations that ONNX has no operators for.
    OSError
        If the file cannot be written; what was there is unchanged.

    Notes
    -----
    The input is ``X`` (n, n_features), in the dtype of the parameters, for any number n of rows. The
    outputs are:

    - of a classifier ``label`` (n,) and ``probabilities`` (n, n_classes), of two classes too. Labels are
      int64, booleans and whole floats also, or strings. With many labels a row ``label`` is (n,
      n_labels), of 0 and 1;
    - of a regressor ``variable`` (n, n_outputs);
    - of a network ``A`` (n, n_L).

    Classes and names of inputs stand in the metadata, as JSON under ``classes`` and ``feature_names``.
    The graph has opset 20 and IR version 9: ONNX 1.15, onnxruntime 1.17 and later read it. Operators are
    those that onnxruntime has for the dtype: with float64 some activations become several nodes, and
    LayerNorm. An embedding is a Gather, by codes that stand in X as numbers; a code that is none gives
    NaN.
    onnxruntime's predictions are within 1e-6 (float32) or 1e-12 (float64) of the largest one here; its
    own functions of float32 lose digits where all predictions of a network are small.
    """
    helper = require_onnx()
    found = model_of(model)
    counts: Counter[str] = Counter()

    def unique(name: str) -> str:
        counts[name] += 1
        return name if counts[name] == 1 else f"{name}_{counts[name]}"

    def write(one: Model) -> Nodes:
        counts.clear()
        counts.update(["X", *outputs_of(one)])
        nodes = Nodes(unique)
        add_outputs(one, nodes, prediction(one, nodes, "X", OPSET), list(outputs_of(one)))
        return nodes

    graph = make_graph(helper, found, written(found, "ONNX", write))
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="portable_nn",
        producer_version=__version__,
    )
    helper.set_model_props(proto, metadata(found))
    if path is not None:
        replace_file(path, proto.SerializeToString(deterministic=True))
    return proto


def require_onnx() -> Any:
    """onnx.helper; ImportError that says how to get it."""
    try:
        return importlib.import_module("onnx.helper")
    except ImportError as error:
        raise ImportError("this needs the package onnx: pip install onnx") from error


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


def outputs_of(model: Model) -> dict[str, tuple[int, list[Any]]]:
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


def make_graph(helper: Any, model: Model, nodes: Nodes) -> Any:
    """The GraphProto."""
    kind = TENSOR_TYPES[model.dtype.name]
    return helper.make_graph(
        [
            helper.make_node(
                one.operator,
                list(one.inputs),
                [one.output],
                **{
                    key: tensor(helper, "value", x) if key == "value" else x
                    for key, x in one.attributes.items()
                },
            )
            for one in nodes.operations
        ],
        "portable_nn",
        [helper.make_tensor_value_info("X", kind, ["n", model.sizes[0]])],
        [helper.make_tensor_value_info(name, *rest) for name, rest in outputs_of(model).items()],
        [tensor(helper, name, array) for name, array in nodes.constants.items()],
    )


def tensor(helper: Any, name: str, array: HostArray) -> Any:
    """A TensorProto."""
    if array.dtype == object:
        return helper.make_tensor(name, STRING, array.shape, [text.encode("utf-8") for text in array])
    kind = TENSOR_TYPES[array.dtype.name]
    little = array.astype(array.dtype.newbyteorder("<"))
    return helper.make_tensor(name, kind, array.shape, little.tobytes(), raw=True)


def metadata(model: Model) -> dict[str, str]:
    """What the metadata say."""
    found: dict[str, str] = {"task": model.task}
    if model.classes is not None:
        found["classes"] = json.dumps(model.classes.tolist(), default=str)
    if model.feature_names is not None:
        found["feature_names"] = json.dumps(model.feature_names)
    return found
