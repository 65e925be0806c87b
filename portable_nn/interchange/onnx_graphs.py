"""ONNX graphs of dense layers and normalizations, of which parts are carried out.

Exporters write an activation as one node or as many. What is between two layers is therefore
not read but carried out, by the reference implementation of ONNX, and compared with the activations.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import ACTIVATIONS, Activation
from portable_nn.interchange.onnx_normalizations import NORMALIZATIONS, normalization_of
from portable_nn.interchange.onnx_parts import Part, dense, named
from portable_nn.interchange.recognition import erf_form, is_close, is_unchanged, probes, recognized

DENSE = ("Gemm", "MatMul")
HARMLESS = ("Identity", "Dropout", "Cast", "Flatten", "Reshape")  # before the first dense layer
FEW = 16  # numbers of an array are probed around
CLEAR = 60.0  # a logit whose class is beyond doubt
ACCEPTED = (
    "accepted: dense layers (Gemm, or MatMul and Add), BatchNormalization and LayerNormalization, with "
    f"one of {', '.join(sorted(ACTIVATIONS))} between them"
)


class Graph:
    """An ONNX graph, of which parts can be carried out."""

    def __init__(self, proto: Any) -> None:
        onnx = importlib.import_module("onnx")
        self.onnx, self.proto, self.nodes = onnx, proto, list(proto.graph.node)
        self.evaluator: Any = importlib.import_module("onnx.reference").ReferenceEvaluator
        self.functions = {(each.domain, each.name): each for each in proto.functions}
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

    def layers(self) -> list[Part]:
        """The layers in their order; ValueError if there is none."""
        found = []
        for node in self.nodes:
            if node.op_type in (*DENSE, *NORMALIZATIONS) and self.is_computed & set(node.output):
                found.append(self.dense(node) if node.op_type in DENSE else self.normalization(node))
        if not found:
            raise ValueError(f"the model has no node Gemm or MatMul; {ACCEPTED}")
        return found

    def attributes(self, node: Any) -> dict[str, Any]:
        """The attributes of a node by name."""
        return {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}

    def normalization(self, node: Any) -> Part:
        """A node BatchNormalization or LayerNormalization, with its arrays (n,)."""
        arrays = [self.constant(name) for name in node.input[1:] if name]
        layer = normalization_of(named(node), node.op_type, self.attributes(node), arrays)
        given = [array for array in arrays if array is not None]
        if len(given) == 1:  # a LayerNormalization without B
            given.append(np.zeros_like(given[0]))
        return Part(node.input[0], node.output[0], layer, len(given[0]), tuple(given), node)

    def dense(self, node: Any) -> Part:
        """W and b of a node Gemm or MatMul, with the node Add after it."""
        given, W = node.input[0], self.constant(node.input[1])
        attributes = self.attributes(node)
        if W is None or W.ndim != 2 or attributes.get("transA"):
            raise ValueError(f"{named(node)} multiplies by what is no matrix of weights; {ACCEPTED}")
        if node.op_type == "Gemm":
            W = W if attributes.get("transB") else W.T
            b = self.bias(node, node.input[2], W) if len(node.input) > 2 and node.input[2] else None
            b = None if b is None else b * np.asarray(attributes.get("beta", 1.0), b.dtype)
            W = W * np.asarray(attributes.get("alpha", 1.0), W.dtype)
            return dense(given, node.output[0], W, b, node)
        users = [each for each in self.nodes if node.output[0] in each.input]
        if len(users) == 1 and users[0].op_type == "Add":
            name = next((each for each in users[0].input if self.constant(each) is not None), None)
            if name is not None:
                return dense(given, users[0].output[0], W.T, self.bias(users[0], name, W.T), node)
        return dense(given, node.output[0], W.T, None, node)

    def bias(self, node: Any, name: str, W: HostArray) -> HostArray:
        """The biases (n_out,) that a node adds: a number alone stands for all of them."""
        b, n = self.constant(name), W.shape[0]
        if b is None or b.shape not in ((), (1,), (1, 1), (n,), (1, n)):
            what = "what depends on the input" if b is None else f"an array of shape {b.shape}"
            raise ValueError(
                f"{named(node)} adds {what} to its {n} units; accepted: a bias for each, of shape "
                f"({n},) or (1, {n})"
            )
        return np.broadcast_to(np.ravel(b), (n,))

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
        dtype = self.dtype_of_input() or first.dtype
        X = probes(first.n, dtype, self.numbers(self.input, first.given))
        kinds = [node for node in self.between(self.input, first.given) if node.op_type not in HARMLESS]
        found = self.tried(lambda: self.run({self.input: X}, first.given))
        if not is_unchanged(X, found):
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

    def numbers(self, begin: str, end: str) -> list[float]:
        """The finite numbers, but 0, that the nodes between two arrays compute with: bounds, perhaps."""
        found = [np.zeros(0)]
        for node in self.between(begin, end):
            found += [v for name in node.input if (v := self.constant(name)) is not None]
            found += self.written([node])
        several = [np.unique(np.abs(v[np.isfinite(v)])) for v in map(as_numbers, found)]
        # of many it is the smallest, the largest, and some in between
        few = [v[np.linspace(0, len(v) - 1, min(len(v), FEW)).astype(int)] for v in several]
        numbers = np.unique(np.concatenate(few))
        return [float(x) for x in numbers[numbers > 0]]

    def written(self, nodes: Any) -> Iterator[HostArray]:
        """The numbers in attributes of nodes, and in the functions and graphs that they lead to."""
        for node in nodes:
            function = self.functions.get((node.domain, node.op_type))
            if function is not None:
                yield from self.written(function.node)
            for attribute in node.attribute:
                value = self.onnx.helper.get_attribute_value(attribute)
                if isinstance(value, self.onnx.GraphProto):
                    yield from map(self.onnx.numpy_helper.to_array, value.initializer)
                    yield from self.written(value.node)
                elif isinstance(value, self.onnx.TensorProto):
                    yield self.onnx.numpy_helper.to_array(value)
                else:
                    yield np.asarray(value)

    def activation(self, part: Part, after: Part, n: int) -> Activation:
        """What is between two dense layers; ValueError where it is none of our activations."""
        Z = probes(n, part.dtype, self.numbers(part.found, after.given))
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

    def last_activation(self, last: Part) -> Activation:
        """What the output of numbers is of the last dense layer's Z; ValueError where it is not one."""
        n, outputs = last.width, self.outputs()
        found: dict[str, tuple[HostArray, Any]] = {}
        for name in outputs:
            Z = probes(n, last.dtype, self.numbers(last.found, name))
            A = self.tried(functools.partial(self.run, {last.found: Z}, name))
            if A is None or A.dtype.kind == "f":  # what cannot be computed may be numbers
                found[name] = Z, A
        if len(found) > 1:
            raise ValueError(
                f"the model gives numbers in the outputs {list(found)}; accepted: one such output, "
                "beside one of labels; remove the others"
            )
        for Z, A in found.values():
            if A is None:
                continue
            column = of_second_class(A) if n == 1 else A
            # skl2onnx writes several predicted values one below the other
            g = recognized(Z, column.reshape(Z.shape)) if column.size == Z.size else None
            if g is not None:
                return g
        raise ValueError(f"{self.culprits(last.found, [*found, *outputs][0])}; {ACCEPTED}")

    def labels(self, last: Part) -> HostArray | None:
        """The label of each class, as the model gives it where that class is beyond doubt; or None."""
        n = last.width
        if n == 1:
            Z = np.asarray([[-CLEAR], [CLEAR]], last.dtype)
        else:
            Z = (CLEAR * (2 * np.eye(n) - 1)).astype(last.dtype)
        for name in self.outputs():
            found = self.tried(functools.partial(self.run, {last.found: Z}, name))
            if found is not None and found.dtype.kind in "iUSOb" and found.shape == (len(Z),):
                labels: HostArray = found.astype(str) if found.dtype.kind in "SO" else found
                return labels[:1] if n == 1 and labels[0] == labels[1] else labels  # of the only class
        return None


def of_second_class(A: HostArray) -> HostArray:
    """The probabilities (N, 1) of the second class where A holds those of both; else A."""
    if A.ndim == 2 and A.shape[1] == 2:
        other = 1 - A[:, 1].astype(np.float64)
        return A[:, 1:] if is_close(A[:, 0], A[:, 0], other, is_rounded=False) else A
    return A


def as_numbers(values: HostArray) -> HostArray:
    """Those of any shape as one row of float64; none where they are no numbers."""
    return np.ravel(values).astype(np.float64) if values.dtype.kind in "fiu" else np.zeros(0)
