"""What user-defined functions read, as a value: while it is the same, so is what they do.

Everything is followed: defaults, closed-over variables, globals, attributes of modules and objects,
elements of containers and arrays, and the functions that are called. Numbers are compared by value,
functions by their bytecode. Where anything remains unknown, nothing is said.

A function that has been called, and reads the same as before, cannot have changed what it reads itself.
"""

from __future__ import annotations

import builtins
import functools
import math
import random
from collections.abc import Callable, Iterable
from types import (
    BuiltinFunctionType,
    CellType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np

from portable_nn.compiler.bytecode import Chain, uses_of

HEAP_TYPE = 1 << 9  # the flag of a class that is not compiled into Python or an extension
MOST = 2000  # numbers and objects that are looked at
BY_VALUE = (bool, int, str, bytes, type(None), type(...), range)
BY_TEXT = (float, complex, slice)  # -0.0 and 0.0 are equal, and not the same
RANDOM = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)
PURE = frozenset(
    (
        *(abs, all, any, divmod, isinstance, issubclass, len, max, min, pow, round, sorted, sum),
        *(bool, complex, dict, enumerate, float, frozenset, int, list, map, range, reversed, set, slice),
        *(tuple, zip),
        *(f for f in vars(math).values() if isinstance(f, BuiltinFunctionType)),
    )
)
WITHOUT_PARTS = (BuiltinFunctionType, np.ufunc, type(np.sum))  # the last is what NumPy's functions are
PARTS: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: iter,
    list: iter,
    dict: dict.items,
    SimpleNamespace: lambda x: (vars(x),),
    MethodType: lambda x: (x.__self__, x.__func__),
    staticmethod: lambda x: (x.__func__,),
    classmethod: lambda x: (x.__func__,),
    property: lambda x: (x.fget,),
    functools.partial: lambda x: (x.func, x.args, x.keywords, vars(x)),
}
# methods of a class that a function calls without their names in its code, but for these, which make an
# object, change it, or which a dataclass writes
NEVER_CALLED = {
    *("__init__", "__new__", "__post_init__", "__setattr__", "__delattr__", "__init_subclass__"),
    *("__repr__", "__replace__", "__getstate__", "__setstate__", "__reduce__"),
}
OF_CLASSES = {
    *("__module__", "__doc__", "__qualname__", "__name__", "__dict__", "__weakref__", "__match_args__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
    *("__firstlineno__", "__static_attributes__", "__dataclass_fields__", "__dataclass_params__"),
    *("__orig_bases__", "__parameters__", "__type_params__", "__classdictcell__"),
}


class UnknownReadError(Exception):
    """A function reads something that cannot be compared."""


class StateChangeError(Exception):
    """A function may do something else each time it is called."""


def what_is_read(functions: Iterable[Callable[..., Any]]) -> list[Any] | None:
    """What is equal as long as the functions read the same; None if that is unknown.

    Raises StateChangeError where a function draws random numbers, or seems to change what outlives its
    call: it must not even be traced, which is a call too.
    """
    reader = Reader()
    try:
        found = [reader.value(function) for function in functions]
        return [*found, *reader.methods()]
    except StateChangeError:
        raise
    except Exception:  # UnknownReadError, too deep a recursion, or what a user's attribute raised
        return None


class Reader:
    """Follows what functions read; each object is entered once."""

    def __init__(self) -> None:
        self.left = MOST
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # else the number of a new object could be that of one seen
        self.attributes: set[str] = set()
        self.classes: list[type] = []

    def value(self, x: Any) -> Any:
        """What is compared for `x`."""
        kind, self.left = type(x), self.left - 1
        if self.left < 0:
            raise UnknownReadError
        if kind in BY_VALUE:
            return kind, x
        if kind in BY_TEXT or isinstance(x, np.generic):
            return kind, repr(x)
        if kind in WITHOUT_PARTS or isinstance(x, type):
            return pure(x)
        if id(x) in self.seen:
            return "seen", self.seen[id(x)]
        self.seen[id(x)] = len(self.seen)
        self.alive.append(x)
        return self.parts(x)

    def parts(self, x: Any) -> Any:
        """What is compared for an object that has parts."""
        kind = type(x)
        if isinstance(x, RANDOM):
            raise StateChangeError(f"{x!r} draws random numbers")
        if kind in PARTS:
            return kind, [self.value(part) for part in PARTS[kind](x)]
        if kind is FunctionType:
            return self.function(x)
        if kind is np.ndarray and x.dtype.kind in "biuf":
            return x.dtype, x.shape, x.strides, x.tobytes()
        return self.object(x)

    def function(self, function: FunctionType) -> Any:
        """A function of Python: its code, its attributes, and what it finds by name."""
        uses = uses_of(function.__code__)
        if uses.writes:
            raise StateChangeError(f"{function.__qualname__} changes something")
        if not uses.is_known:
            raise UnknownReadError
        self.attributes |= uses.attributes
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        found = [
            self.through(self.named(function, cells, name), chains)
            for name, chains in uses.names.items()
        ]
        unread = [self.content(cell) for name, cell in cells.items() if name not in uses.names]
        about = (function.__defaults__, function.__kwdefaults__, vars(function) or None)
        return function.__code__, found, len(unread), [self.value(each) for each in about]

    def named(self, function: FunctionType, cells: dict[str, CellType], name: str) -> Any:
        """What the function finds by a name."""
        if name in cells:
            return self.content(cells[name])
        for place in (function.__globals__, vars(builtins)):
            if name in place:
                return place[name]
        raise UnknownReadError

    def content(self, cell: CellType) -> Any:
        """The value of a closed-over variable."""
        try:
            return cell.cell_contents
        except ValueError:
            raise UnknownReadError from None

    def through(self, x: Any, chains: Iterable[Chain]) -> Any:
        """An object that is reached by name; of a module only the attributes that are read."""
        if not isinstance(x, ModuleType):
            return self.value(x)
        found = []
        for chain in sorted(chains):
            if not chain or chain[0] not in vars(x):
                raise UnknownReadError
            found.append(self.through(vars(x)[chain[0]], [chain[1:]]))
        return found

    def object(self, x: Any) -> Any:
        """An object of a class written in Python, by its attributes; its methods come later."""
        kind = type(x)
        is_python = all(owner.__flags__ & HEAP_TYPE for owner in kind.__mro__[:-1])
        if type(kind) is not type or not is_python or not hasattr(x, "__dict__"):
            raise UnknownReadError
        self.classes.append(kind)
        return kind, self.value(vars(x))

    def methods(self) -> list[Any]:
        """What the classes of the objects hold by the names that are read; that may add names."""
        found: list[Any] = []
        done: set[tuple[type, str]] = set()
        while True:
            new = [
                (owner, name)
                for kind in self.classes
                for owner in kind.__mro__[:-1]
                for name in vars(owner)
                if (owner, name) not in done and self.may_be_read(owner, name)
            ]
            if not new:
                return found
            for owner, name in dict.fromkeys(new):
                done.add((owner, name))
                found.append((id(owner), name, self.value(vars(owner)[name])))

    def may_be_read(self, owner: type, name: str) -> bool:
        """Whether a function may read the attribute `name` of a class."""
        if not name.startswith("__"):
            return name in self.attributes
        is_generated = name in ("__eq__", "__hash__") and "__dataclass_params__" in vars(owner)
        return name not in OF_CLASSES and name not in NEVER_CALLED and not is_generated


def belongs_to_numpy(x: Any) -> bool:
    """Whether `x` is a type, a ufunc or another function of NumPy, found there by its name."""
    if isinstance(x, type):
        return issubclass(x, np.generic) and x.__module__ == "numpy"
    place: Any = np
    for part in [*str(getattr(x, "__module__", "")).split(".")[1:], x.__name__]:
        place = getattr(place, part, None)
    return place is x and getattr(x, "__self__", None) is None


def pure(x: Any) -> Any:
    """A function or a class that reads nothing: it is compared by identity."""
    if isinstance(getattr(x, "__self__", None), RANDOM):
        raise StateChangeError(f"{x!r} draws random numbers")
    is_error = isinstance(x, type) and issubclass(x, Exception) and not x.__flags__ & HEAP_TYPE
    if not (is_error or any(x is one for one in PURE) or belongs_to_numpy(x)):
        raise UnknownReadError
    return "is", id(x)
