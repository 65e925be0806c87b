"""Nodes as the protocol buffers of ONNX."""

from __future__ import annotations

import importlib
import json
from typing import Any, NamedTuple

from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.models import Model
from portable_nn.interchange.onnx_operators import STRING, TENSOR_TYPES, Nodes
from portable_nn.interchange.onnx_outputs import OPSET, Values
from portable_nn.version import __version__

IR_VERSION = 9  # of ONNX 1.15
ML, ML_OPSET = "ai.onnx.ml", 3
DOMAINS = {"LabelEncoder": ML}  # of the operators that are not of ONNX itself


class Written(NamedTuple):
    """A graph before it is protocol buffers; `notes` are the metadata."""

    nodes: Nodes
    inputs: Values
    outputs: Values
    notes: dict[str, str]


def require_onnx() -> Any:
    """onnx.helper; ImportError that says how to get it."""
    try:
        return importlib.import_module("onnx.helper")
    except ImportError as error:
        raise ImportError("this needs the package onnx: pip install onnx") from error


def make_model(helper: Any, found: Written) -> Any:
    """The ModelProto."""
    opsets = [helper.make_opsetid("", OPSET)]
    if any(one.operator in DOMAINS for one in found.nodes.operations):
        opsets.append(helper.make_opsetid(ML, ML_OPSET))
    proto = helper.make_model(
        make_graph(helper, found),
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="portable_nn",
        producer_version=__version__,
    )
    helper.set_model_props(proto, found.notes)
    return proto


def make_graph(helper: Any, found: Written) -> Any:
    """The GraphProto."""
    return helper.make_graph(
        [
            helper.make_node(
                one.operator,
                list(one.inputs),
                [one.output],
                domain=DOMAINS.get(one.operator),
                **{
                    key: tensor(helper, "value", x) if key == "value" else x
                    for key, x in one.attributes.items()
                },
            )
            for one in found.nodes.operations
        ],
        "portable_nn",
        [helper.make_tensor_value_info(name, *rest) for name, rest in found.inputs.items()],
        [helper.make_tensor_value_info(name, *rest) for name, rest in found.outputs.items()],
        [tensor(helper, name, array) for name, array in found.nodes.constants.items()],
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
