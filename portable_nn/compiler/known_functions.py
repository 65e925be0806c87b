"""The functions of NumPy that a step may call, apart from ufuncs.

They do the same each time, and the shape and the dtype of the result depend on shapes, dtypes and Python
values alone. A table says which they are: trials with some values could not tell what other values give.
Whatever is not in it makes the step run eagerly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn.compiler.graph import Placeholder

REDUCTIONS = {np.sum: np.add, np.max: np.maximum, np.min: np.minimum, np.all: np.logical_and}

# functions that return a view of their first argument, by name: NumPy 2.0 lacks some
_VIEWS = (
    "transpose matrix_transpose permute_dims swapaxes moveaxis rollaxis expand_dims squeeze flip fliplr "
    "flipud rot90 real diagonal broadcast_to atleast_1d atleast_2d atleast_3d"
)
# functions by the number of arguments, the first ones, that may be arrays (or lists of arrays)
_CALLS = {
    1: (
        "sum prod mean std var max min amax amin any all argmax argmin count_nonzero ptp "
        "cumsum cumprod cumulative_sum cumulative_prod diff sort argsort "
        "reshape ravel roll repeat tile pad tril triu copy round around nan_to_num trace "
        "concatenate concat stack vstack hstack dstack column_stack "
        "zeros_like ones_like linalg.norm linalg.vector_norm linalg.matrix_norm"
    ),
    2: "full_like take take_along_axis searchsorted tensordot outer cross isclose",
    3: "clip",
}

FOLLOWS_VIEWS = np.lib.NumpyVersion(np.__version__) >= "2.2.0"
if not FOLLOWS_VIEWS:  # NumPy adds up what views read in other orders, which are not followed here
    _VIEWS = "transpose matrix_transpose permute_dims swapaxes moveaxis expand_dims"
    _CALLS = {1: "zeros_like ones_like"}


def _found(names: str) -> list[Callable[..., Any]]:
    functions = []
    for name in names.split():
        place: Any = np
        for part in name.split("."):
            place = getattr(place, part, None)
        functions += [place] if place is not None else []
    return functions


VIEWS = frozenset(_found(_VIEWS))
CALLS = {function: count for count, names in _CALLS.items() for function in _found(names)}
VIEWS_OF_ROW_MAJOR = frozenset((np.reshape, np.ravel))  # of others they may return a copy


def is_python_value(x: Any) -> bool:
    """Whether `x` is what its `repr` says: a number, a string, a dtype, or a tuple or list of such."""
    if type(x) in (list, tuple):
        return all(map(is_python_value, x))
    if isinstance(x, type):
        return x in (bool, int, float) or issubclass(x, np.generic)
    plain = (type(None), bool, int, float, str, slice, np.dtype)
    return type(x) in plain or isinstance(x, (np.generic, np.dtype))


def is_basic_index(part: Any) -> bool:
    """Whether an index, or a part of one, makes a view that its `repr` describes."""
    if type(part) is slice:
        return all(type(x) in (int, type(None)) for x in (part.start, part.stop, part.step))
    return part is None or part is Ellipsis or type(part) is int


def without_placeholders(template: Any) -> Any:
    """The values of a template, those in its lists too, that stand for no array."""
    for x in template:
        if type(x) in (list, tuple):
            yield from without_placeholders(x)
        elif not isinstance(x, Placeholder):
            yield x
