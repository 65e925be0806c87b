"""Tracing: a function of NumPy arrays is run once on stand-ins, and its operations are recorded.

The stand-ins have a shape and a dtype and no values. NumPy's own protocols (NEP 13, NEP 18) hand every
operation on them to `TracedArray`, which records it on a `Tape`. What asks for a value (``if x > 0``) or
cannot be recorded raises `UntraceableError`; such a function runs eagerly.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from portable_nn.compiler.graph import Graph, Node, Placeholder, UntraceableError, apply_call
from portable_nn.compiler.signatures import HostArray

REDUCTIONS = {np.sum: np.add, np.max: np.maximum, np.min: np.minimum, np.all: np.logical_and}
VIEWS = (np.transpose, np.matrix_transpose, np.permute_dims, np.swapaxes, np.moveaxis, np.expand_dims)
POWERS = {
    2: np.square,
    1: np.positive,
    0.5: np.sqrt,
    -1: np.reciprocal,
}  # NumPy computes ``x ** p`` by these


@dataclass
class Tape:
    """What has been recorded; the same operation on the same arrays is recorded once."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[Hashable, tuple[Node, HostArray]] = field(default_factory=dict)
    refused: str = ""  # why tracing failed: the function may have caught the error and gone on

    def refuse(self, why: str) -> NoReturn:
        """Raise UntraceableError, and remember why."""
        self.refused = why
        raise UntraceableError(why)

    def record(
        self, kind: str, sources: Sequence[Any], detail: Any, key: Hashable, compute: Callable[[], Any]
    ) -> TracedArray:
        """Record an operation; ``compute()`` makes a stand-in for its result."""
        names = tuple(
            ("node", s.number) if isinstance(s, Node) else (type(s).__name__, repr(s)) for s in sources
        )
        full = (kind, names, key)
        if full not in self.known:
            with np.errstate(all="ignore"):
                value = compute()
            node = Node(kind, tuple(sources), detail, value.shape, value.dtype, len(self.nodes))
            self.nodes.append(node)
            self.known[full] = node, value
        node, value = self.known[full]
        return TracedArray(self, node, value)

    def add(self, kind: str, detail: Any, array: HostArray) -> TracedArray:
        """Record an array that is an input or a constant."""
        node = Node(kind, (), detail, array.shape, array.dtype, len(self.nodes))
        self.nodes.append(node)
        return TracedArray(self, node, stand_in(array.shape, array.dtype))

    def node_of(self, x: Any) -> Any:
        """The node of a traced array, or of another array as a constant; a Python number as it is."""
        if isinstance(x, TracedArray):
            return x.node
        if isinstance(x, (bool, int, float)) and not isinstance(x, np.generic):
            return x
        if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biuf":
            return self.add("constant", np.array(x), np.asarray(x)).node
        self.refuse(f"an operand of type {type(x).__name__}")


def stand_in(shape: tuple[int, ...], dtype: Any) -> HostArray:
    """An array of ones that takes no memory."""
    return np.broadcast_to(np.ones((), dtype), shape)


def value_of(x: Any) -> Any:
    """The stand-in of a traced array; anything else as it is."""
    return x.value if isinstance(x, TracedArray) else x


def elementwise(function: Callable[..., Any], values: Sequence[Any]) -> HostArray:
    """A stand-in for ``function(*values)``, computed from one element."""
    one = function(*(np.ones((), v.dtype) if hasattr(v, "dtype") else v for v in values))
    return stand_in(np.broadcast_shapes(*(np.shape(v) for v in values)), one.dtype)


def product(A: HostArray, B: HostArray) -> HostArray:
    """A stand-in for ``A @ B``, computed from one row and one column."""
    if A.ndim < 2 or B.ndim < 2 or A.shape[-1] != B.shape[-2]:
        raise UntraceableError(f"a product of {A.shape} and {B.shape}")
    one = np.ones((1, 1), A.dtype) @ np.ones((1, 1), B.dtype)
    stack = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return stand_in((*stack, A.shape[-2], B.shape[-1]), one.dtype)


class TracedArray(NDArrayOperatorsMixin):
    """An array that records the operations on it: it has a shape and a dtype, and no values."""

    __slots__ = ("node", "tape", "value")

    def __init__(self, tape: Tape, node: Node, value: HostArray) -> None:
        self.tape, self.node, self.value = tape, node, value

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    device = "cpu"

    @property
    def mT(self) -> TracedArray:
        return self._view(operator.attrgetter("mT"), "mT")

    @property
    def T(self) -> TracedArray:
        return self._view(operator.attrgetter("T"), "T")

    def __getitem__(self, key: Any) -> TracedArray:
        parts = key if isinstance(key, tuple) else (key,)
        if not all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
            self.tape.refuse("indices that are arrays")
        if Ellipsis not in parts:  # then an element is a 0-d view, not a scalar
            parts = (*parts, Ellipsis)
        return self._view(operator.itemgetter(parts), repr(parts))

    def _view(self, function: Callable[[Any], Any], key: str) -> TracedArray:
        return self.tape.record("view", (self.node,), function, key, lambda: function(self.value))

    def astype(self, dtype: Any, copy: bool = True) -> TracedArray:
        dtype = np.dtype(dtype)
        if dtype == self.dtype and not copy:
            return self
        return self.tape.record(
            "elementwise", (self.node,), "astype", str(dtype), lambda: stand_in(self.shape, dtype)
        )

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def _unknown(self, *_: Any, **__: Any) -> Any:
        self.tape.refuse("the values are read")

    __bool__ = __float__ = __int__ = __index__ = __array__ = __complex__ = _unknown

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc.nout != 1:
            self.tape.refuse(f"{ufunc.__name__}.{method} with {sorted(options)}")
        nodes, values = [self.tape.node_of(x) for x in inputs], [value_of(x) for x in inputs]
        if ufunc is np.matmul:
            return self.tape.record("matmul", nodes, None, None, lambda: product(*values))
        if ufunc.signature is not None:
            self.tape.refuse(ufunc.__name__)
        if ufunc is np.power and isinstance(nodes[1], (int, float)) and nodes[1] in POWERS:
            ufunc = POWERS[nodes[1]]
            del nodes[1], values[1]
        return self.tape.record(
            "elementwise", nodes, ufunc, ufunc.__name__, lambda: elementwise(ufunc, values)
        )

    def __array_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if function is np.where and len(arguments) == 3 and not options:
            nodes, values = [self.tape.node_of(x) for x in arguments], [value_of(x) for x in arguments]
            return self.tape.record(
                "elementwise", nodes, "where", "where", lambda: elementwise(np.where, values)
            )
        if function in REDUCTIONS and len(arguments) == 1 and not set(options) - {"axis", "keepdims"}:
            (x,) = arguments
            if x.dtype.kind == "f" or function is not np.sum:
                return self._reduce(function, x, options.get("axis"), bool(options.get("keepdims")))
        if function is np.take and len(arguments) == 2 and set(options) == {"axis"}:
            x, rows = arguments
            if isinstance(x, TracedArray) and x.ndim in (1, 2) and options["axis"] in (0, -x.ndim):
                return self._take(x, rows)
        return self._call(function, arguments, options)

    def _reduce(self, function: Any, x: TracedArray, axis: Any, keepdims: bool) -> TracedArray:
        return self.tape.record(
            "reduce",
            (x.node,),
            (REDUCTIONS[function], axis, keepdims),
            (function.__name__, repr(axis), keepdims),
            lambda: np.asarray(function(x.value, axis=axis, keepdims=keepdims)),
        )

    def _take(self, x: TracedArray, rows: Any) -> TracedArray:
        nodes = [x.node, self.tape.node_of(rows)]
        shape = (*nodes[1].shape, *x.shape[1:])
        return self.tape.record("take", nodes, None, None, lambda: stand_in(shape, x.dtype))

    def _call(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> TracedArray:
        """Record any other function of NumPy; it will be called with the arrays of the step."""
        nodes: list[Node] = []
        values: list[Any] = []
        if "out" in options:
            self.tape.refuse(f"{function.__name__} with `out`")

        def with_placeholders(x: Any) -> Any:
            if isinstance(x, (list, tuple)):
                return type(x)(with_placeholders(y) for y in x)
            if isinstance(x, (TracedArray, np.ndarray)):
                nodes.append(self.tape.node_of(x))
                values.append(value_of(x))
                return Placeholder(len(nodes) - 1)
            return x

        template = (
            with_placeholders(arguments),
            {name: with_placeholders(x) for name, x in options.items()},
        )
        detail = (function, *template)
        key = (function, repr(template))

        def compute() -> HostArray:
            result = apply_call(detail, values)
            if not isinstance(result, (np.ndarray, np.generic)):
                self.tape.refuse(f"{function.__name__}, which gives a {type(result).__name__}")
            return np.asarray(result)

        if function in VIEWS and len(nodes) == 1:
            return self.tape.record("view", nodes, lambda x: apply_call(detail, (x,)), key, compute)

        return self.tape.record("call", nodes, detail, key, compute)


def trace(function: Callable[..., Sequence[Any]], arrays: Sequence[HostArray]) -> Graph:
    """The graph of ``function(*arrays)``, which returns a list of arrays.

    Raises UntraceableError where the function cannot be traced.
    """
    tape = Tape()
    traced = [tape.add("input", i, np.asarray(array)) for i, array in enumerate(arrays)]
    outputs = []
    results = function(*traced)
    if tape.refused:
        raise UntraceableError(tape.refused)
    for result in results:
        node = tape.node_of(result)
        if not isinstance(node, Node):
            node = tape.add("constant", np.asarray(result), np.asarray(result)).node
        outputs.append(node)
    needed = set(outputs)
    for node in reversed(tape.nodes):
        if node in needed:
            needed.update(node.inputs)
    inputs = [t.node for t in traced]
    constants = [n.detail.tobytes() for n in tape.nodes if n.kind == "constant"]
    nodes = [n for n in tape.nodes if n in needed or n.kind == "input"]
    return Graph(nodes, inputs, outputs, [*tape.known, *constants])
