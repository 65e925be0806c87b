"""The nodes of ONNX that compute a prediction, written from its graph.

Every tensor has the rows as its first axis and is (n, m), whatever the array of the equations is: there
examples are columns. So a transposed view costs nothing, and W A + b is a Gemm (with float64 a MatMul
and an Add).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from portable_nn.compiler.expressions import FILL_VALUES
from portable_nn.compiler.graph import Node, UntraceableError, apply_views, axis_given, base
from portable_nn.compiler.instructions import users_of
from portable_nn.compiler.layout import layout_of
from portable_nn.compiler.promotion import operand_dtypes
from portable_nn.compiler.rows import RowGraph
from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.onnx_operators import COMPOSED, REDUCTIONS, TENSOR_TYPES, UFUNCS, Nodes
from portable_nn.interchange.onnx_patterns import match, patterns

# onnxruntime 1.17 fuses Gemm with activations, and 1.23 x Sigmoid(x), to functions that they have for
# float32 alone: with these nodes a model in float64 could not be loaded. With float32 x Sigmoid(x) and
# Gelu are off by up to 1e-6 where x is negative, which shows where their result is what is predicted.
NOT_IN_PRODUCTS = ("Sigmoid",)
NOT_AT_THE_END = ("Gelu",)


class PredictionNodes:
    """Writes the nodes of a prediction; `names` are those of its shared arrays, `X` that of the rows."""

    def __init__(self, rows: RowGraph, names: list[str], nodes: Nodes, X: str, opset: int) -> None:
        self.rows, self.names, self.nodes, self.opset = rows, names, nodes, opset
        self.tensors: dict[Node, str] = {rows.row: X}
        self.users = users_of(rows.graph)

    def output(self) -> str:
        """The name of the predictions (n, n_L)."""
        output = self.rows.output
        if output not in self.rows.axis:
            raise UntraceableError("its result does not depend on the rows")
        return self.tensor(output)

    def tensor(self, node: Node) -> str:
        """The name of the tensor of a node that has rows; adds the operations that are missing."""
        if node not in self.tensors:
            if len(node.shape) > 2:
                raise UntraceableError(f"no nodes for arrays of {len(node.shape)} axes")
            self.tensors[node] = self._operator(node) or self._written(node)
        return self.tensors[node]

    def _operator(self, node: Node) -> str | None:
        """The output of an operator that computes a whole group of operations."""
        for pattern in patterns(self.rows.row.dtype, self.opset):
            name = pattern.operator.name
            if name in NOT_IN_PRODUCTS and self._is_factor(node):
                continue
            if name in NOT_AT_THE_END and self._is_at_the_end(node):
                continue
            found = match(pattern, node)
            if found is not None and self.rows.axis.get(found[0]) == 1:
                argument, attributes = found
                return self.nodes.add(name, self.tensor(argument), **attributes)
        return None

    def _is_factor(self, node: Node) -> bool:
        """Whether it is multiplied by something, with float64, or to give the predictions."""
        products = [user for user in self.users[node] if user.detail is np.multiply]
        return any(node.dtype == np.float64 or self._is_at_the_end(user) for user in products)

    def _is_at_the_end(self, node: Node) -> bool:
        """Whether it is the predictions."""
        return node is base(self.rows.output)

    def _written(self, node: Node) -> str:
        if node.kind == "view":
            return self._view(node)
        if node.kind == "matmul":
            return self._product(node, None)
        if node.kind == "reduce":
            return self._reduction(node)
        if node.kind == "elementwise":
            return self._elementwise(node)
        return self._call(node)

    def _view(self, node: Node) -> str:
        """A view of the same elements of each row is the same tensor, one of some of them a slice."""
        (source,) = node.sources
        (n, step, offset), (m, step_of_all, offset_of_all) = self._units(node), self._units(source)
        start, rest = divmod(offset - offset_of_all, step_of_all or 1)
        if rest or start < 0 or start + n > m or (n > 1 and step != step_of_all):
            raise UntraceableError("no nodes for a view of a part of a row")
        if n == m:
            return self.tensor(source)
        ends = (self.nodes.constant(np.asarray([i]), "place") for i in (start, start + n, 1))
        return self.nodes.add("Slice", self.tensor(source), *ends)

    def _units(self, node: Node) -> tuple[int, int, int]:
        """How many elements each row has, the step from one to the next, and where the first one is."""
        layout, axis = layout_of(node), self.rows.axis.get(node)
        if axis is None or len(node.shape) > 2:
            raise UntraceableError("no nodes for a view of a part of a row")
        pairs = [*zip(node.shape, layout.strides, strict=True)]
        width, step = next((pair for d, pair in enumerate(pairs) if d != axis), (1, 1))
        return width, step if width > 1 else 1, layout.offset

    def _call(self, node: Node) -> str:
        """Rows beside one another, vectors by codes, or an array of one number."""
        function, arguments, options = node.detail if node.kind == "call" else (np.take, (), {})
        if function in FILL_VALUES:
            value = np.full(1, float(FILL_VALUES[function]), node.dtype)
            shape = self.nodes.add("Shape", self.tensor(node.sources[0]))
            return self.nodes.add("ConstantOfShape", shape, value=value)
        columns = len(node.shape) == 2 and self.rows.axis.get(node) == 1
        is_of_rows = all(source in self.rows.axis for source in node.sources)
        is_below = axis_given(arguments[1:], options) in (0, -2)
        if function is np.concatenate and columns and is_below and is_of_rows:
            return self.nodes.add("Concat", *map(self.tensor, node.sources), axis=1)
        if function is np.take and columns and axis_given(arguments[2:], options) in (1, -1):
            table, codes = node.sources
            axis = self.nodes.constant(np.asarray([1]), "axis")
            picked = self.nodes.add("Squeeze", self.tensor(codes), axis)
            return self.nodes.add("Gather", self.constant(table, self.value(table).T), picked, axis=0)
        raise UntraceableError(f"no nodes for {getattr(function, '__name__', function)}")

    def _product(self, node: Node, bias: Node | None) -> str:
        """Rows times a matrix, W A or A W; with a bias it is a Gemm."""
        left, right = node.sources
        of_columns = right in self.rows.axis
        rows, matrix = (right, left) if of_columns else (left, right)
        W = self.value(matrix)
        if W.ndim != 2:
            raise UntraceableError(f"no nodes for products of {W.ndim} axes")
        if bias is not None:
            b = self.value(bias).reshape(-1)
            weights, biases = self.constant(matrix, W), self.constant(bias, b)
            return self.nodes.add("Gemm", self.tensor(rows), weights, biases, transB=int(of_columns))
        return self.nodes.add(
            "MatMul", self.tensor(rows), self.constant(matrix, W.T if of_columns else W)
        )

    def _reduction(self, node: Node) -> str:
        """A reduction over the elements of each row; it keeps its axis."""
        (source,), (ufunc, over, _) = node.sources, node.detail
        axes = normalize_axis_tuple(
            range(len(source.shape)) if over is None else over, len(source.shape)
        )
        if ufunc not in REDUCTIONS or len(axes) != 1:
            raise UntraceableError(f"no nodes for {ufunc.__name__}.reduce over the axes {axes}")
        if self.opset < 18:
            raise UntraceableError(f"{REDUCTIONS[ufunc]} needs opset 18 or later")
        axis = self.nodes.constant(np.asarray([1]), "axis")
        return self.nodes.add(REDUCTIONS[ufunc], self.tensor(source), axis, keepdims=1)

    # ---- elementwise operations -----------------------------------------------------------------------

    def _elementwise(self, node: Node) -> str:
        function = node.detail
        if function is np.add and node.sources[0] in self.rows.axis and self._is_bias(node):
            product, bias = node.sources
            is_alone = product.kind == "matmul" and len(self.users[product]) == 1
            if is_alone and node.dtype == np.float32:
                return self._product(product, bias)
        if function == "astype":
            source = self.tensor(node.sources[0])
            return self.nodes.add("Cast", source, to=TENSOR_TYPES[node.dtype.name])
        operands = [self.operand(node, i) for i in range(len(node.sources))]
        if function in COMPOSED:
            return COMPOSED[function](self.nodes, node.dtype, *operands)
        if function not in UFUNCS:
            raise UntraceableError(f"no nodes for {function.__name__}")
        return self.nodes.add(UFUNCS[function], *operands)

    def _is_bias(self, node: Node) -> bool:
        """Whether the second operand is one number for each unit, the same for all rows."""
        _, other = node.sources
        if not isinstance(other, Node) or other in self.rows.axis:
            return False
        return other.dtype == node.dtype and other.shape == node.shape

    def operand(self, node: Node, position: int) -> str:
        """The tensor of a source, in the dtype in which it enters the operation."""
        source, dtype = node.sources[position], operand_dtypes(node)[position]
        if not isinstance(source, Node):
            return self.nodes.number(source, dtype)
        if source not in self.rows.axis:
            value = self.value(source).astype(dtype)
            if self.rows.axis[node] == 1 and value.ndim == 2:
                value = value.T
            return self.constant(source, value)
        if self.rows.axis[source] - len(source.shape) != self.rows.axis[node] - len(node.shape):
            raise UntraceableError("no nodes for operands whose rows are other axes")
        tensor = self.tensor(source)
        if source.dtype == dtype:
            return tensor
        return self.nodes.add("Cast", tensor, to=TENSOR_TYPES[dtype.name])

    def value(self, node: Node) -> HostArray:
        """The array of a node that is the same for all rows."""
        root = base(node)
        found = self.rows.value(root)
        if root.kind == "call" and root.detail[0] in FILL_VALUES:
            found = np.full(root.shape, float(FILL_VALUES[root.detail[0]]), root.dtype)
        if found is None:
            if root.kind != "elementwise" or isinstance(root.detail, str):
                raise UntraceableError(f"no nodes for a {root.kind} of constants")
            with np.errstate(all="ignore"):
                found = np.asarray(
                    root.detail(*(self.value(s) if isinstance(s, Node) else s for s in root.sources))
                )
        array: HostArray = apply_views(node, found)
        return array

    def constant(self, node: Node, value: HostArray) -> str:
        """The name of a constant that is the array of a node."""
        root = base(node)
        is_parameter = root.kind == "input" and root.detail
        name = self.names[root.detail - 1] if is_parameter else "constant"
        return self.nodes.constant(np.ascontiguousarray(value), name)
