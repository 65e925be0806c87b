"""The stand-in for an array while a step is traced.

NumPy's own protocols (NEP 13, NEP 18) hand every operation on a `TracedArray` to it, to be recorded on a
`Tape`. What asks for a value (``if x > 0``), what has a shape that depends on one, and whatever else is
not known to give the same bits when it is compiled, is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from portable_nn.compiler.graph import Node, Placeholder, apply_call, base
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
    have_inner_size_1,
    product,
    reduction,
    sample,
    stand_in,
    stand_in_for,
)
from portable_nn.compiler.tape import Tape

POWERS = {
    2: np.square,
    1: np.positive,
    0.5: np.sqrt,
    -1: np.reciprocal,
}  # NumPy computes ``x ** p`` by these


def traced(tape: Tape, x: Any) -> Any:
    """A traced array as it is, another array as a constant; a Python number as it is."""
    if isinstance(x, TracedArray) or type(x) in (bool, int, float):
        return x
    if (type(x) is np.ndarray or isinstance(x, np.generic)) and x.dtype.kind in "biuf":
        return TracedArray(tape, *tape.constant(x))
    tape.refuse(f"an operand of type {type(x).__name__}")


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

    def _record(
        self, kind: str, sources: Sequence[Any], detail: Any, key: Hashable, compute: Callable[[], Any]
    ) -> TracedArray:
        return TracedArray(self.tape, *self.tape.record(kind, sources, detail, key, compute))

    def _view(self, function: Callable[[Any], Any], key: Hashable) -> TracedArray:
        return self._record("view", (self.node,), function, key, lambda: function(self.value))

    def astype(self, dtype: Any, copy: bool = True) -> TracedArray:
        dtype = np.dtype(dtype)
        if dtype == self.dtype and not copy:
            return self
        return self._record(
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
        operands = [traced(self.tape, x) for x in inputs]
        nodes, values = [node_of(x) for x in operands], [value_of(x) for x in operands]
        if ufunc is np.matmul and self.tape.to_the_bit and have_inner_size_1(*values):
            return self._product_of_elements(nodes, values)
        if ufunc is np.matmul:
            return self._record("matmul", nodes, None, None, lambda: product(*values))
        if ufunc.signature is not None:
            self.tape.refuse(ufunc.__name__)
        return self._record("elementwise", nodes, ufunc, ufunc, lambda: elementwise(ufunc, values))

    def __array_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if function is np.where and len(arguments) == 3 and not options:
            operands = [traced(self.tape, x) for x in arguments]
            nodes, values = [node_of(x) for x in operands], [value_of(x) for x in operands]
            return self._record(
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
            # numbers of rows that the step was given, or a view of them, have been checked
            is_input = isinstance(rows, TracedArray) and base(rows.node).kind == "input"
            is_plain = isinstance(x, TracedArray) and x.ndim in (1, 2)
            if is_input and is_plain and options["axis"] in (0, -x.ndim):
                return self._take(x, rows)
        return self._call(function, arguments, options)

    def _product_of_elements(self, nodes: Sequence[Any], values: Sequence[Any]) -> TracedArray:
        """A @ B with one term in each sum, which is elementwise, and fused with what is around it.

        NumPy adds the term to 0, so that no element is -0.0.
        """
        terms = self._record("elementwise", nodes, np.multiply, np.matmul, lambda: product(*values))
        return self._record("elementwise", (terms.node, 0.0), np.add, np.matmul, lambda: terms.value)

    def _reduce(self, function: Any, x: TracedArray, axis: Any, keepdims: bool) -> TracedArray:
        ufunc = REDUCTIONS[function]
        key = (function, repr(axis), keepdims)
        detail = (ufunc, axis, keepdims)
        return self._record(
            "reduce", (x.node,), detail, key, lambda: reduction(ufunc, x.value, axis, keepdims)
        )

    def _take(self, x: TracedArray, rows: TracedArray) -> TracedArray:
        shape = (*rows.shape, *x.shape[1:])
        return self._record("take", (x.node, rows.node), None, None, lambda: stand_in(shape, x.dtype))

    def _call(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> TracedArray:
        """Record another function of NumPy; it will be called with the arrays of the step."""
        nodes: list[Node] = []

        def with_placeholders(x: Any) -> Any:
            if type(x) in (list, tuple):
                return type(x)(with_placeholders(y) for y in x)
            if isinstance(x, TracedArray) or type(x) is np.ndarray:
                nodes.append(traced(self.tape, x).node)
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

        return self._record("call", nodes, detail, key, compute)
