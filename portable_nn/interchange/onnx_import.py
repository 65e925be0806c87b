"""Networks in ONNX files: chains of dense layers, whoever wrote them.

Exporters write an activation as one node or as many. What is between two dense layers is therefore
not read but carried out, by the reference implementation of ONNX, and compared with the activations.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import ACTIVATIONS, Activation, Loss, Parameters
from portable_nn.interchange.layers import Chain
from portable_nn.interchange.onnx_export import require_onnx
from portable_nn.interchange.recognition import ROWS, erf_form, probes, recognized
from portable_nn.network import Network

DENSE = ("Gemm", "MatMul")
HARMLESS = ("Identity", "Dropout", "Cast", "Flatten", "Reshape")  # before the first dense layer
CLEAR = 60.0  # a logit whose class is beyond doubt


class Part(NamedTuple):
    """A dense layer in the graph: where its input and its output are."""

    given: str
    found: str
    W: HostArray
    b: HostArray | None
    node: Any


def from_onnx(
    model: Any, loss: str | Loss | None = None, output: str | None = None, backend: Any = "numpy"
) -> tuple[Network, Parameters, HostArray | None]:
    """The network in an ONNX model that is a chain of dense layers, and its labels.

    Read are models by torch.onnx, skl2onnx, Keras and `to_onnx`, and others that are made of Gemm, or
    MatMul and Add, with one of our activations between them, however it is written.

    Parameters
    ----------
    model : path, or onnx.ModelProto
    loss, output, backend
        As for `from_torch`.

    Returns
    -------
    net : Network
    params : list of (W, b)
    classes : array (n_classes,), or None
        The labels, where the model gives labels for its rows.

    Raises
    ------
    TypeError, ValueError
        For a model that is no such chain; the message names the node.
    ImportError
        If onnx is not installed.
    """
    require_onnx()
    onnx = importlib.import_module("onnx")
    proto = onnx.load(os.fspath(model)) if isinstance(model, (str, os.PathLike)) else model
    if not isinstance(proto, onnx.ModelProto):
        raise TypeError(f"`model` is {type(model)}; accepted: the path of an ONNX file, or a ModelProto")
    graph = Graph(proto)
    parts = graph.dense_layers()
    chain = Chain()
    graph.check_unchanged(parts[0])
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        chain.add_dense(named(part.node), part.W, part.b)
        n = part.W.shape[0]
        if after is not None:
            chain.add_activation(f"what follows {named(part.node)}", graph.activation(part, after, n))
    outputs = graph.outputs()
    classes = graph.labels(parts[-1], outputs)
    chain.add_activation("the end of the graph", graph.last_activation(parts[-1], outputs))
    return *chain.network(loss, output, backend), classes


def named(node: Any) -> str:
    """A node, for messages."""
    return f"the node {node.name or node.output[0]!r}, a {node.op_type},"


class Graph:
    """An ONNX graph, of which parts can be carried out."""

    def __init__(self, proto: Any) -> None:
        onnx = importlib.import_module("onnx")
        self.onnx, self.proto, self.nodes = onnx, proto, list(proto.graph.node)
        self.evaluator: Any = importlib.import_module("onnx.reference").ReferenceEvaluator
        self.values: dict[str, HostArray] = {
            each.name: onnx.numpy_helper.to_array(each) for each in proto.graph.initializer
        }
        for node in self.nodes:
            if node.op_type == "Constant":
                self.values[node.output[0]] = self.evaluator(node).run(None, {})[0]
        inputs = [each.name for each in proto.graph.input if each.name not in self.values]
        if len(inputs) != 1:
            raise ValueError(f"the model has the inputs {inputs}; accepted: one")
        self.input = inputs[0]
        self.maker = {name: node for node in self.nodes for name in node.output}
        self.is_computed = self.depending_on_input()

    def depending_on_input(self) -> set[str]:
        """The names of the arrays that the input decides."""
        found = {self.input}
        for node in self.nodes:
            if found & set(node.input):
                found |= set(node.output)
        return found

    def constant(self, name: str) -> HostArray | None:
        """The value of an array that does not depend on the input; None of one that does."""
        if name in self.values or not name or name in self.is_computed:
            return self.values.get(name)
        found: HostArray = self.run({}, name)
        return found

    def dense_layers(self) -> list[Part]:
        """The dense layers in their order; ValueError if there is none."""
        found = []
        for node in self.nodes:
            if node.op_type in DENSE and self.is_computed & set(node.output):
                found.append(self.dense(node))
        if not found:
            raise ValueError(f"the model has no node Gemm or MatMul; {ACCEPTED}")
        return found

    def dense(self, node: Any) -> Part:
        """W and b of a node Gemm or MatMul, with the node Add after it."""
        given, W = node.input[0], self.constant(node.input[1])
        attributes = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        if W is None or W.ndim != 2 or attributes.get("transA"):
            raise ValueError(f"{named(node)} multiplies by what is no matrix of weights; {ACCEPTED}")
        if node.op_type == "Gemm":
            W = W if attributes.get("transB") else W.T
            b = self.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
            b = None if b is None else np.ravel(b) * np.asarray(attributes.get("beta", 1.0), b.dtype)
            W = W * np.asarray(attributes.get("alpha", 1.0), W.dtype)
            return Part(given, node.output[0], W, spread(b, W), node)
        users = [each for each in self.nodes if node.output[0] in each.input]
        if len(users) == 1 and users[0].op_type == "Add":
            b = next((v for name in users[0].input if (v := self.constant(name)) is not None), None)
            if b is not None:
                return Part(given, users[0].output[0], W.T, spread(np.ravel(b), W.T), node)
        return Part(given, node.output[0], W.T, None, node)

    # ---- carrying out parts ------------------------------------------------------------------------

    def run(self, given: dict[str, HostArray], wanted: str) -> Any:
        """The array of this name, from those of the names in `given`."""
        if wanted in given:
            return given[wanted]
        helper, proto = self.onnx.helper, self.proto
        nodes: list[Any] = []
        needed = {wanted}
        for node in reversed(self.nodes):
            if needed & set(node.output):
                nodes.insert(0, node)
                needed |= set(node.input) - given.keys()
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in given.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(wanted)]
        constants = [each for each in proto.graph.initializer if each.name in needed]
        graph = helper.make_graph(nodes, "part", inputs, outputs, constants)
        part = helper.make_model(graph, opset_imports=proto.opset_import, functions=proto.functions)
        part.ir_version = proto.ir_version
        return self.evaluator(part).run([wanted], given)[0]

    def check_unchanged(self, first: Part) -> None:
        """Raise ValueError unless the rows reach the first dense layer as they are."""
        dtype = self.dtype_of_input() or first.W.dtype
        X = np.random.default_rng(0).normal(size=(ROWS, first.W.shape[1])).astype(dtype)
        kinds = [node for node in self.between(self.input, first.given) if node.op_type not in HARMLESS]
        found = self.tried(lambda: self.run({self.input: X}, first.given))
        if found is None or found.shape != X.shape or not np.allclose(found, X, rtol=1e-6, atol=1e-6):
            what = named(kinds[0]) if kinds else "something"
            raise ValueError(
                f"{what} changes the rows before the first dense layer; accepted: a network alone; "
                "scale the data before they are passed on"
            )

    def dtype_of_input(self) -> Any:
        """The dtype of the rows."""
        infos = {each.name: each for each in self.proto.graph.input}
        kind = infos[self.input].type.tensor_type.elem_type
        return self.onnx.helper.tensor_dtype_to_np_dtype(kind) if kind else None

    def tried(self, compute: Callable[[], Any]) -> Any:
        """What is computed; None where the reference implementation cannot."""
        try:
            with np.errstate(all="ignore"):
                return compute()
        except Exception:  # whatever it is: the nodes are none of ours, which the caller says
            return None

    def between(self, begin: str, end: str) -> list[Any]:
        """The nodes that lead from one array to another, `end`'s maker last."""
        found: list[Any] = []
        needed = {end}
        for node in reversed(self.nodes):
            if needed & set(node.output) - {begin} and self.is_computed & set(node.output):
                found.insert(0, node)
                needed |= set(node.input)
        return found

    def activation(self, part: Part, after: Part, n: int) -> Activation:
        """What is between two dense layers; ValueError where it is none of our activations."""
        Z = probes(n, part.W.dtype)
        A = self.tried(lambda: self.run({part.found: Z}, after.given))
        found = None if A is None else recognized(Z, A)
        if found is None:
            raise ValueError(f"{self.culprits(part.found, after.given)}{erf_form(Z, A)}; {ACCEPTED}")
        return found

    def culprits(self, begin: str, end: str) -> str:
        """The nodes between two arrays, for a message."""
        names = [
            f"{node.name or node.output[0]!r} ({node.op_type})" for node in self.between(begin, end)
        ]
        inner = names[-5:] if names else ["nothing"]
        return f"what the nodes {', '.join(inner)} compute is none of our activations"

    # ---- outputs ------------------------------------------------------------------------------------

    def outputs(self) -> list[str]:
        """The outputs that are arrays: what a node ZipMap makes dictionaries of, instead of these."""
        found = []
        for each in self.proto.graph.output:
            node = self.maker.get(each.name)
            found.append(node.input[0] if node is not None and node.op_type == "ZipMap" else each.name)
        return found

    def last_activation(self, last: Part, outputs: list[str]) -> Activation:
        """What the outputs are of the last dense layer's Z."""
        n = last.W.shape[0]
        Z = probes(n, last.W.dtype)
        for name in outputs:
            A = self.tried(functools.partial(self.run, {last.found: Z}, name))
            if A is None or A.dtype.kind != "f":
                continue
            if n == 1 and A.shape == (len(Z), 2):  # the probabilities of both classes
                A = A[:, 1:]
            found = recognized(Z, A.reshape(Z.shape)) if A.size == Z.size else None
            if found is not None:
                return found
        raise ValueError(f"{self.culprits(last.found, outputs[-1])}; {ACCEPTED}")

    def labels(self, last: Part, outputs: list[str]) -> HostArray | None:
        """The label of each class, as the model gives it where that class is beyond doubt; or None."""
        n = last.W.shape[0]
        if n == 1:
            Z = np.asarray([[-CLEAR], [CLEAR]], last.W.dtype)
        else:
            Z = (CLEAR * (2 * np.eye(n) - 1)).astype(last.W.dtype)
        for name in outputs:
            found = self.tried(functools.partial(self.run, {last.found: Z}, name))
            if found is not None and found.dtype.kind in "iUSOb" and found.shape == (len(Z),):
                labels: HostArray = found.astype(str) if found.dtype.kind in "SO" else found
                return labels
        return None


ACCEPTED = (
    f"accepted: dense layers (Gemm, or MatMul and Add) with one of {', '.join(sorted(ACTIVATIONS))} "
    "between them"
)


def spread(b: HostArray | None, W: HostArray) -> HostArray | None:
    """The biases, one for each unit: a number alone stands for all of them."""
    return None if b is None else np.broadcast_to(b, (W.shape[0],))
