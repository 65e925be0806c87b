"""An estimator of tables as an ONNX graph: its encoding, its networks, and what follows their mean."""

from __future__ import annotations

from typing import Any

from portable_nn import trees
from portable_nn.estimators.overriding import check_predicts_as_ours
from portable_nn.interchange.models import Model, Task, described, on_host, written
from portable_nn.interchange.onnx_columns import DOUBLE, encoded
from portable_nn.interchange.onnx_operators import (
    STRING,
    TENSOR_TYPES,
    Nodes,
    SharedNodes,
    unique_names,
)
from portable_nn.interchange.onnx_outputs import OPSET, Values, add_label, outputs_of, prediction
from portable_nn.interchange.onnx_protos import Written, metadata
from portable_nn.network.parameters import check_parameters
from portable_nn.tabular.calibration import SMALLEST
from portable_nn.tabular.fitted import FittedTabular


def written_table(estimator: FittedTabular) -> Written:
    """The graph of a fitted TabularClassifier or TabularRegressor.

    Raises TypeError for a subclass that predicts in a way of its own; ValueError for one that is not
    fitted, and as `encoded`.
    """
    if "params_" not in vars(estimator):
        raise ValueError(f"`model`, {described(estimator)}, is not fitted; call fit first")
    check_predicts_as_ours(estimator)
    networks = networks_of(estimator)
    first = networks[0]
    outputs: Values = {
        name: (kind if name == "label" else TENSOR_TYPES[DOUBLE.name], shape)
        for name, (kind, shape) in outputs_of(first).items()
    }
    inputs = inputs_of(estimator, outputs)
    nodes = SharedNodes(unique_names([*inputs, *outputs]))
    X = encoded(estimator.encoding_, list(inputs), nodes, first.dtype)
    A = mean(networks, nodes, X)
    if first.classes is None:
        nodes.renamed(add_values(estimator, nodes, A), "variable")
    else:
        P = add_probabilities(estimator, nodes, A)
        nodes.renamed(add_label(first, nodes, P, P), "label")
        nodes.renamed(P, "probabilities")
    return Written(nodes, inputs, outputs, metadata(first))


def networks_of(estimator: Any) -> list[Model]:
    """The networks on the host, each with what is known of them all."""
    net = estimator.network_
    checked = check_parameters(net.described, net.loss, estimator.params_)
    checked.check_values()
    host = on_host(estimator.params_, net.described)
    names = getattr(estimator, "feature_names_in_", None)
    features = None if names is None else tuple(map(str, names))
    classes = getattr(estimator, "classes_", None)
    task: Task = "regression"
    if classes is not None:
        task = "binary" if len(classes) == 2 else "multiclass"
    return [
        Model(net.sizes, net.g, member(host, k), task, classes, features, net.listed)
        for k in range(*checked.stack)
    ]


def member(params: Any, k: int) -> Any:
    """The arrays of network k of a stack; what they share has no axis for the networks."""
    return trees.map(lambda array: array[k] if array.ndim > 2 else array, params)


def inputs_of(estimator: Any, outputs: Values) -> Values:
    """The inputs: one for each column of the table, whose names no output has."""
    is_number = estimator.encoding_.is_number
    numbered = [f"x{j}" for j in range(len(is_number))]
    given = [str(name) for name in getattr(estimator, "feature_names_in_", numbered)]
    unique = unique_names([*outputs, *given])
    names = [
        unique(name or other) if name in outputs or not name else name
        for name, other in zip(given, numbered, strict=True)
    ]
    double = TENSOR_TYPES[DOUBLE.name]
    kinds = [double if one else STRING for one in is_number]
    return {name: (kind, ["n", 1]) for name, kind in zip(names, kinds, strict=True)}


def mean(networks: list[Model], nodes: Nodes, X: str) -> str:
    """Add the nodes of all networks for the rows X; the name of the mean of their outputs, float64."""
    found = [
        nodes.add(
            "Cast",
            written(network, "ONNX", lambda one: prediction(one, nodes, X, OPSET)),
            to=TENSOR_TYPES[DOUBLE.name],
        )
        for network in networks
    ]
    total = found[0] if len(found) == 1 else nodes.add("Sum", *found)
    return nodes.add("Div", total, nodes.number(len(found), DOUBLE))


def add_probabilities(estimator: Any, nodes: Nodes, P: str) -> str:
    """Add the nodes of the temperature: p^(1/T), divided by their sum; the name of their output."""
    log = nodes.add("Log", nodes.add("Max", P, nodes.number(SMALLEST, DOUBLE)))
    logits = nodes.add("Div", log, nodes.number(estimator.temperature_, DOUBLE))
    return nodes.add("Softmax", logits, axis=1)


def add_values(estimator: Any, nodes: Nodes, A: str) -> str:
    """Add the nodes that make values in the unit of y, within its range; the name of their output."""
    scale = nodes.constant(estimator.target_scale_, "target_scale")
    center = nodes.constant(estimator.target_mean_, "target_mean")
    low, high = (nodes.constant(one, "target_range") for one in estimator.target_range_)
    values = nodes.add("Add", nodes.add("Mul", A, scale), center)
    return nodes.add("Min", nodes.add("Max", values, low), high)
