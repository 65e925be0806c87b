"""A function of NumPy arrays, run once to see what it does: a list of operations on arrays.

Stand-ins, which have a shape and a dtype and no values, are handed to the function; NumPy's own
protocols (NEP 13, NEP 18) hand every operation on them to `Traced`, which writes it down. Whatever
asks for a value (``if x > 0``), or for what cannot be written down, raises `UntraceableError`: such a
function is run as it stands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Values = np.ndarray[Any, Any]
REDUCTIONS = {np.sum: np.add, np.max: np.maximum, np.min: np.minimum, np.all: np.logical_and}
VIEWS = (np.transpose, np.matrix_transpose, np.permute_dims, np.swapaxes, np.moveaxis, np.expand_dims)
POWERS = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}  # as ``x ** p`` is carried out


class UntraceableError(TypeError):
    """The function does what cannot be written down beforehand."""


@dataclass(eq=False)
class Node:
    """An operation and what it works on.

    kind is "input" (`detail`: its number), "constant" (the array), "view" (a function of the array),
    "elementwise" (the ufunc, or "astype", "where"), "matmul", "reduce" (ufunc, axis, keepdims), "take"
    (rows of a 2-d array), or "call" (a function, its arguments with `Hole` for an array, its keywords).
    `sources` are nodes, or, for an elementwise one, also Python numbers.
    """

    kind: str
    sources: tuple[Any, ...]
    detail: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    number: int = -1

    @property
    def inputs(self) -> list[Node]:
        """The nodes among the sources."""
        return [source for source in self.sources if isinstance(source, Node)]


@dataclass(frozen=True)
class Hole:
    """The place of the array number `index` in the arguments of a call."""

    index: int


@dataclass
class Tape:
    """What has been written down; the same operation on the same arrays only once."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[Hashable, tuple[Node, Values]] = field(default_factory=dict)
    refused: str = ""  # why it cannot be told; kept, for the function may catch the error and go on

    def refuse(self, why: str) -> NoReturn:
        self.refused = why
        raise UntraceableError(why)

    def write(
        self, kind: str, sources: Sequence[Any], detail: Any, key: Hashable, compute: Callable[[], Any]
    ) -> Traced:
        """The result of the operation `kind`, `detail` on `sources`; ``compute()`` gives a stand-in."""
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
        return Traced(self, node, value)

    def add(self, kind: str, detail: Any, array: Values) -> Traced:
        """An array that comes from outside."""
        node = Node(kind, (), detail, array.shape, array.dtype, len(self.nodes))
        self.nodes.append(node)
        return Traced(self, node, stand_in(array.shape, array.dtype))

    def node_of(self, x: Any) -> Any:
        """The node of a traced array, or of one that the function brought along; a number as it is."""
        if isinstance(x, Traced):
            return x.node
        if isinstance(x, (bool, int, float)) and not isinstance(x, np.generic):
            return x
        if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biuf":
            return self.add("constant", np.array(x), np.asarray(x)).node
        self.refuse(f"an operand of type {type(x).__name__}")


def stand_in(shape: tuple[int, ...], dtype: Any) -> Values:
    """An array of ones that takes no memory."""
    return np.broadcast_to(np.ones((), dtype), shape)


def value_of(x: Any) -> Any:
    return x.value if isinstance(x, Traced) else x


def elementwise(function: Callable[..., Any], values: Sequence[Any]) -> Values:
    """A stand-in for ``function(*values)``, worked out on one element."""
    one = function(*(np.ones((), v.dtype) if hasattr(v, "dtype") else v for v in values))
    return stand_in(np.broadcast_shapes(*(np.shape(v) for v in values)), one.dtype)


def product(A: Values, B: Values) -> Values:
    """A stand-in for ``A @ B``, worked out on one row and one column."""
    if A.ndim < 2 or B.ndim < 2 or A.shape[-1] != B.shape[-2]:
        raise UntraceableError(f"a product of {A.shape} and {B.shape}")
    one = np.ones((1, 1), A.dtype) @ np.ones((1, 1), B.dtype)
    stack = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return stand_in((*stack, A.shape[-2], B.shape[-1]), one.dtype)


class Traced(NDArrayOperatorsMixin):
    """An array whose operations are written down: it has a shape and a dtype, and no values."""

    __slots__ = ("node", "tape", "value")

    def __init__(self, tape: Tape, node: Node, value: Values) -> None:
        self.tape, self.node, self.value = tape, node, value

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    device = "cpu"

    @property
    def mT(self) -> Traced:
        return self._view(operator.attrgetter("mT"), "mT")

    @property
    def T(self) -> Traced:
        return self._view(operator.attrgetter("T"), "T")

    def __getitem__(self, key: Any) -> Traced:
        parts = key if isinstance(key, tuple) else (key,)
        if not all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
            self.tape.refuse("indices that are arrays")
        if Ellipsis not in parts:  # a view in any case: an element too is an array of no axis
            parts = (*parts, Ellipsis)
        return self._view(operator.itemgetter(parts), repr(parts))

    def _view(self, function: Callable[[Any], Any], key: str) -> Traced:
        return self.tape.write("view", (self.node,), function, key, lambda: function(self.value))

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        dtype = np.dtype(dtype)
        if dtype == self.dtype and not copy:
            return self
        return self.tape.write(
            "elementwise", (self.node,), "astype", str(dtype), lambda: stand_in(self.shape, dtype)
        )

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def _unknown(self, *_: Any, **__: Any) -> Any:
        self.tape.refuse("the values are asked for")

    __bool__ = __float__ = __int__ = __index__ = __array__ = __complex__ = _unknown

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc.nout != 1:
            self.tape.refuse(f"{ufunc.__name__}.{method} with {sorted(options)}")
        nodes, values = [self.tape.node_of(x) for x in inputs], [value_of(x) for x in inputs]
        if ufunc is np.matmul:
            return self.tape.write("matmul", nodes, None, None, lambda: product(*values))
        if ufunc.signature is not None:
            self.tape.refuse(ufunc.__name__)
        if ufunc is np.power and isinstance(nodes[1], (int, float)) and nodes[1] in POWERS:
            ufunc = POWERS[nodes[1]]
            del nodes[1], values[1]
        return self.tape.write(
            "elementwise", nodes, ufunc, ufunc.__name__, lambda: elementwise(ufunc, values)
        )

    def __array_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        tape = self.tape
        if function is np.where and len(arguments) == 3 and not options:
            nodes, values = [tape.node_of(x) for x in arguments], [value_of(x) for x in arguments]
            return tape.write(
                "elementwise", nodes, "where", "where", lambda: elementwise(np.where, values)
            )
        if function in REDUCTIONS and len(arguments) == 1 and not set(options) - {"axis", "keepdims"}:
            (x,) = arguments
            axis, keepdims = options.get("axis"), bool(options.get("keepdims", False))
            if x.dtype.kind == "f" or function is not np.sum:
                detail = (REDUCTIONS[function], axis, keepdims)
                return tape.write(
                    "reduce",
                    (x.node,),
                    detail,
                    (function.__name__, repr(axis), keepdims),
                    lambda: np.asarray(function(x.value, axis=axis, keepdims=keepdims)),
                )
        if function is np.take and len(arguments) == 2 and set(options) == {"axis"}:
            x, rows = arguments
            if isinstance(x, Traced) and x.ndim in (1, 2) and options["axis"] in (0, -x.ndim):
                nodes = [x.node, tape.node_of(rows)]
                shape = (*nodes[1].shape, *x.shape[1:])
                return tape.write("take", nodes, None, None, lambda: stand_in(shape, x.dtype))
        return self._call(function, arguments, options)

    def _call(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Traced:
        """Any other function of NumPy, as it is."""
        nodes: list[Node] = []
        values: list[Any] = []
        if "out" in options:
            self.tape.refuse(f"{function.__name__} with `out`")

        def holed(x: Any) -> Any:
            if isinstance(x, (list, tuple)):
                return type(x)(holed(y) for y in x)
            if isinstance(x, (Traced, np.ndarray)):
                nodes.append(self.tape.node_of(x))
                values.append(value_of(x))
                return Hole(len(nodes) - 1)
            return x

        template = holed(arguments), {name: holed(x) for name, x in options.items()}
        detail = (function, *template)
        key = (function, repr(template))

        def compute() -> Values:
            result = call(detail, values)
            if not isinstance(result, (np.ndarray, np.generic)):
                self.tape.refuse(f"{function.__name__}, which gives a {type(result).__name__}")
            return np.asarray(result)

        if function in VIEWS and len(nodes) == 1:
            return self.tape.write("view", nodes, lambda x: call(detail, (x,)), key, compute)

        return self.tape.write("call", nodes, detail, key, compute)


def call(detail: tuple[Any, Any, Any], arrays: Sequence[Any]) -> Any:
    """The function of a call, on `arrays` in the places of the holes."""

    def filled(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(filled(y) for y in x)
        return arrays[x.index] if isinstance(x, Hole) else x

    function, arguments, options = detail
    return function(*filled(arguments), **{name: filled(x) for name, x in options.items()})


@dataclass
class Graph:
    """The operations that the outputs need, in the order they were met.

    `record` is all that was done, numbers and arrays that the function brought along included.
    """

    nodes: list[Node]
    inputs: list[Node]
    outputs: list[Node]
    record: list[Hashable]


def trace(function: Callable[..., Sequence[Any]], arrays: Sequence[Values]) -> Graph:
    """What ``function(*arrays)``, which returns a list of arrays, does with them.

    Raises UntraceableError where that cannot be told beforehand.
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
