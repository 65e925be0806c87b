"""Our estimators in pipelines that skl2onnx converts."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np

from portable_nn.interchange.models import Model, model_of, written
from portable_nn.interchange.onnx_operators import STRING, Nodes
from portable_nn.interchange.onnx_outputs import add_outputs, outputs_of, prediction
from portable_nn.interchange.onnx_protos import require_onnx, tensor

OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}


def register_with_skl2onnx() -> None:
    """Let ``skl2onnx.to_onnx`` convert pipelines with MLPClassifier and MLPRegressor of portable_nn.

    To be called once in a process, before the conversion. It is not called by itself: whether a pipeline
    can be converted is not to depend on what was imported first.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    The nodes are those of `to_onnx`, in the dtype of the pipeline's input: for float32 the parameters
    are rounded. As for scikit-learn's own classifiers probabilities come as dictionaries, unless
    ``options={"zipmap": False}`` is passed. With inputs of float64 pass it: onnxruntime makes
    dictionaries of float32 alone, and does not load the model otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import portable_nn as pnn
    >>> X = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    >>> mlp = pnn.MLPRegressor(hidden_layer_sizes=(4,), tol=1.0, random_state=0)
    >>> model = make_pipeline(StandardScaler(), mlp).fit(X, X[:, 0])
    >>> pnn.interchange.register_with_skl2onnx()
    >>> [each.name for each in skl2onnx.to_onnx(model, X[:1]).graph.output]
    ['variable']
    """
    try:
        skl2onnx = importlib.import_module("skl2onnx")
        shapes = importlib.import_module("skl2onnx.common.shape_calculator")
    except ImportError as error:
        raise ImportError("skl2onnx is not installed: pip install skl2onnx") from error
    estimators = importlib.import_module("portable_nn.estimators")
    skl2onnx.update_registered_converter(
        estimators.MLPClassifier,
        "PortableNNMLPClassifier",
        classifier_shapes,
        convert,
        options=OPTIONS,
    )
    skl2onnx.update_registered_converter(
        estimators.MLPRegressor,
        "PortableNNMLPRegressor",
        shapes.calculate_linear_regressor_output_shapes,
        convert,
    )


def classifier_shapes(operator: Any) -> None:
    """Say the types and shapes of the labels and the probabilities."""
    model, given = model_of(operator.raw_operator), operator.inputs[0].type
    types = importlib.import_module("skl2onnx.common.data_types")
    n = operator.inputs[0].get_first_dimension()
    (kind, shape), (_, wide) = outputs_of(model).values()
    label = types.StringTensorType if kind == STRING else types.Int64TensorType
    numbers = types.DoubleTensorType if is_double(given) else types.FloatTensorType
    operator.outputs[0].set_type(label([n, *shape[1:]]))
    operator.outputs[1].set_type(numbers([n, *wide[1:]]))


def is_double(given: Any) -> bool:
    """Whether the input of the estimator is float64."""
    return type(given).__name__ == "DoubleTensorType"


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator to the container; what skl2onnx calls."""
    given = operator.inputs[0]
    dtype = np.dtype("float64" if is_double(given.type) else "float32")
    found = model_of(operator.raw_operator)
    layers = tuple((W.astype(dtype), b.astype(dtype)) for W, b in found.params)
    model = replace(found, params=layers)
    outputs = [output.full_name for output in operator.outputs]
    opset = container.target_opset_any_domain("")

    def write(one: Model) -> Nodes:
        nodes, X = Nodes(scope.get_unique_variable_name), given.full_name
        if type(given.type).__name__ not in ("DoubleTensorType", "FloatTensorType"):
            X = nodes.add("Cast", X, to=1)  # to float32
        add_outputs(one, nodes, prediction(one, nodes, X, opset), outputs[: len(outputs_of(one))])
        return nodes

    nodes = written(model, "ONNX", write)
    helper = require_onnx()
    container.initializers.extend(tensor(helper, name, x) for name, x in nodes.constants.items())
    for one in nodes.operations:
        attributes = {
            key: tensor(helper, "value", x) if key == "value" else x for key, x in one.attributes.items()
        }
        name = scope.get_unique_operator_name(one.operator)
        container.add_node(one.operator, list(one.inputs), [one.output], name=name, **attributes)
