"""The stand-in for an array while a step is traced, and the tape of the operations on it.

NumPy's own protocols (NEP 13, NEP 18) hand every operation on a `TracedArray` to it, to be recorded on a
`Tape`. What asks for a value (``if x > 0``), what has a shape that depends on one, and whatever else is
not known to give the same bits when it is compiled, is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from portable_nn.compiler.graph import (
    Node,
    Placeholder,
    UntraceableError,
    apply_call,
    base,
)
from portable_nn.compiler.known_functions import (
    CALLS,
    REDUCTIONS,
    VIEWS,
    VIEWS_OF_ROW_MAJOR,
    is_basic_index,
    is_python_value,
    without_placeholders,
)
from portable_nn.compiler.signatures import HostArray
from portable_nn.compiler.stand_ins import (
    cast,
    elementwise,
    product,
    reduction,
    sample,
    stand_in,
    stand_in_for,
)

POWERS = {
    2: np.square,
    1: np.positive,
    0.5: np.sqrt,
    -1: np.reciprocal,
}  # NumPy computes ``x ** p`` by these
ORDERED = ("matmul", "reduce", "call")  # whose results depend on the memory order of their operands


@dataclass
class Tape:
    """What has been recorded; the same operation on the same arrays is recorded once.

    With `to_the_bit` what depends on memory orders is recorded only where they are row-major.
    """

    to_the_bit: bool = True
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
        if self.to_the_bit and kind in ORDERED and not all(base(s).row_major for s in sources):
            self.refuse(f"{kind} of an array that is in another memory order in an eager step")
        names = tuple(
            ("node", s.number) if isinstance(s, Node) else (type(s).__name__, repr(s)) for s in sources
        )
        full = (kind, names, key)
        if full not in self.known:
            try:
                value = compute()
            except Exception as error:  # the function may catch it, and would not meet it eagerly
                self.refuse(str(error))
            if value.dtype.kind not in "biuf":
                self.refuse(f"an array of {value.dtype}")
            node = Node(
                kind,
                tuple(sources),
                detail,
                value.shape,
                value.dtype,
                len(self.nodes),
                value.flags.c_contiguous,
            )
            self.nodes.append(node)
            self.known[full] = node, value
        node, value = self.known[full]
        return TracedArray(self, node, value)

    def add(self, kind: str, detail: Any, value: HostArray) -> TracedArray:
        """Record an array that is an input or a constant, with its stand-in."""
        is_row_major = value.flags.c_contiguous
        node = Node(kind, (), detail, value.shape, value.dtype, len(self.nodes), is_row_major)
        self.nodes.append(node)
        return TracedArray(self, node, value)

    def constant(self, x: Any) -> TracedArray:
        """Record an array, or a number, that is no stand-in."""
        array = np.asarray(x)
        return self.add("constant", np.array(array, order="C"), array)

    def traced(self, x: Any) -> Any:
        """A traced array as it is, another array as a constant; a Python number as it is."""
        if isinstance(x, TracedArray) or type(x) in (bool, int, float):
            return x
        if (type(x) is np.ndarray or isinstance(x, np.generic)) and x.dtype.kind in "biuf":
            return self.constant(x)
        self.refuse(f"an operand of type {type(x).__name__}")


def node_of(x: Any) -> Any:
    """The node of a traced array; a Python number as it is."""
    return x.node if isinstance(x, TracedArray) else x


def value_of(x: Any) -> Any:
    """The stand-in of a traced array; anything else as it is."""
    return x.value if isinstance(x, TracedArray) else x


class TracedArray(NDArrayOperatorsMixin):
    """An array that records the operations on it: it has a shape and a dtype, and no values.

    It does what the array of an eager step would do, or it refuses; there is no third way.
    """

    __slots__ = ("is_number", "node", "tape", "value")

    def __init__(self, tape: Tape, node: Node, value: HostArray, is_number: bool = False) -> None:
        self.tape, self.node, self.value = tape, node, value
        computed = not value.shape and node.kind not in ("input", "view", "constant")
        self.is_number = is_number or computed  # one of NumPy, and no array, in an eager step

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    device = "cpu"

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What `isinstance` is to find: the type of the array in an eager step."""
        return self.dtype.type if self.is_number else np.ndarray

    @property
    def mT(self) -> TracedArray:
        return self._view(operator.attrgetter("mT"), "mT")

    @property
    def T(self) -> TracedArray:
        return self._view(operator.attrgetter("T"), "T")

    def __getattr__(self, name: str) -> NoReturn:
        self.tape.refuse(f"the attribute `{name}`")

    def __getitem__(self, key: Any) -> TracedArray:
        parts = key if type(key) is tuple else (key,)
        if not all(is_basic_index(part) for part in parts):
            self.tape.refuse("indices that are no numbers or slices")
        if any(part is Ellipsis for part in parts):
            return self._view(operator.itemgetter(parts), repr(parts))
        parts = (*parts, Ellipsis)  # then an element is a 0-d view
        found = self._view(operator.itemgetter(parts), repr(parts))
        return TracedArray(self.tape, found.node, found.value, is_number=not found.shape)

    def _view(self, function: Callable[[Any], Any], key: Hashable) -> TracedArray:
        return self.tape.record("view", (self.node,), function, key, lambda: function(self.value))

    def astype(self, dtype: Any, copy: bool = True) -> TracedArray:
        dtype = np.dtype(dtype)
        if dtype == self.dtype and not copy:
            return self
        return self.tape.record(
            "elementwise", (self.node,), "astype", str(dtype), lambda: cast(self.value, dtype)
        )

    def __pow__(self, p: Any) -> Any:
        if self.is_number or (isinstance(p, TracedArray) and not p.shape):
            self.tape.refuse("a power of a number of NumPy, which NumPy computes by other code")
        if self.dtype.kind == "f" and type(p) in (int, float) and p in POWERS:
            return self.__array_ufunc__(POWERS[p], "__call__", self)
        return self.__array_ufunc__(np.power, "__call__", self, p)

    def __rpow__(self, p: Any) -> Any:
        if self.is_number:
            self.tape.refuse("a power of a number of NumPy, which NumPy computes by other code")
        return self.__array_ufunc__(np.power, "__call__", p, self)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def _unknown(self, *_: Any, **__: Any) -> Any:
        self.tape.refuse("the values are read, or overwritten")

    __bool__ = __float__ = __int__ = __index__ = __array__ = __complex__ = _unknown
    __repr__ = __str__ = __format__ = __hash__ = __setitem__ = __delitem__ = __contains__ = _unknown
    __round__ = __copy__ = __deepcopy__ = __reduce_ex__ = _unknown

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc.nout != 1:
            self.tape.refuse(f"{ufunc.__name__}.{method} with {sorted(options)}")
        traced = [self.tape.traced(x) for x in inputs]
        nodes, values = [node_of(x) for x in traced], [value_of(x) for x in traced]
        if ufunc is np.matmul:
            return self.tape.record("matmul", nodes, None, None, lambda: product(*values))
        if ufunc.signature is not None:
            self.tape.refuse(ufunc.__name__)
        return self.tape.record("elementwise", nodes, ufunc, ufunc, lambda: elementwise(ufunc, values))

    def __array_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if function is np.where and len(arguments) == 3 and not options:
            traced = [self.tape.traced(x) for x in arguments]
            nodes, values = [node_of(x) for x in traced], [value_of(x) for x in traced]
            return self.tape.record(
                "elementwise", nodes, "where", "where", lambda: elementwise(np.where, values)
            )
        if function in REDUCTIONS and len(arguments) == 1 and not set(options) - {"axis", "keepdims"}:
            (x,), axis = arguments, options.get("axis")
            if (
                isinstance(x, TracedArray)
                and is_python_value(axis)
                and (x.dtype.kind == "f" or function is not np.sum)
            ):
                return self._reduce(function, x, axis, bool(options.get("keepdims")))
        if function is np.take and len(arguments) == 2 and set(options) == {"axis"}:
            x, rows = arguments
            is_input = isinstance(rows, TracedArray) and rows.node.kind == "input"  # checked before
            is_plain = isinstance(x, TracedArray) and x.ndim in (1, 2)
            if is_input and is_plain and options["axis"] in (0, -x.ndim):
                return self._take(x, rows)
        return self._call(function, arguments, options)

    def _reduce(self, function: Any, x: TracedArray, axis: Any, keepdims: bool) -> TracedArray:
        ufunc = REDUCTIONS[function]
        key = (function, repr(axis), keepdims)
        detail = (ufunc, axis, keepdims)
        return self.tape.record(
            "reduce", (x.node,), detail, key, lambda: reduction(ufunc, x.value, axis, keepdims)
        )

    def _take(self, x: TracedArray, rows: TracedArray) -> TracedArray:
        shape = (*rows.shape, *x.shape[1:])
        return self.tape.record(
            "take", (x.node, rows.node), None, None, lambda: stand_in(shape, x.dtype)
        )

    def _call(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> TracedArray:
        """Record another function of NumPy; it will be called with the arrays of the step."""
        nodes: list[Node] = []

        def with_placeholders(x: Any) -> Any:
            if type(x) in (list, tuple):
                return type(x)(with_placeholders(y) for y in x)
            if isinstance(x, TracedArray) or type(x) is np.ndarray:
                nodes.append(self.tape.traced(x).node)
                return Placeholder(len(nodes) - 1)
            return x

        count = 1 if function in VIEWS else CALLS.get(function, 0)
        arrays, others = arguments[:count], arguments[count:]
        if not (count and is_python_value([*others, *options.values()])):
            self.tape.refuse(f"the function {function.__name__}, or the form in which it is called")
        template = with_placeholders(arrays)
        if not is_python_value([*without_placeholders(template)]):
            self.tape.refuse(f"what {function.__name__} is called with")
        detail = (function, (*template, *others), options)
        key = (function, repr(detail[1:]))
        (x,) = nodes if len(nodes) == 1 else (None,)
        is_view = function in VIEWS or (
            function in VIEWS_OF_ROW_MAJOR and x is not None and x.row_major and base(x).row_major
        )
        if is_view and isinstance(arguments[0], TracedArray):
            return arguments[0]._view(lambda array: apply_call(detail, (array,)), key)

        def compute() -> HostArray:
            with np.errstate(all="ignore"):
                result = apply_call(detail, [sample(node) for node in nodes])
            if not isinstance(result, (np.ndarray, np.generic)):
                raise TypeError(f"{function.__name__} gives a {type(result).__name__}")
            return stand_in_for(np.asarray(result))

        return self.tape.record("call", nodes, detail, key, compute)
