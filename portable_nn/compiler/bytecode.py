"""What a function reads from outside, and whether it changes anything there, by its bytecode."""

from __future__ import annotations

import dis
import functools
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple, TypeAlias

Chain: TypeAlias = tuple[str, ...]  # the attributes read from a name, one of another: np.linalg.norm

NO_OPERATION = {"CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "PRECALL", "PUSH_NULL", "RESUME"}
ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
WRITES = {  # perhaps to an object from outside
    *("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR"),
    *("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"),
}
UNKNOWN = {  # which find what they read in another way than by the name of a variable
    *("IMPORT_NAME", "IMPORT_FROM", "LOAD_NAME", "LOAD_LOCALS", "LOAD_BUILD_CLASS", "LOAD_SUPER_ATTR"),
    *("LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_FROM_DICT_OR_GLOBALS"),
    *("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "CONVERT_VALUE"),  # they call __repr__
}


class Uses(NamedTuple):
    """The names that code reads from outside, each with its chains, and all attributes that it reads.

    `is_known` says whether that is all it reads, `writes` whether it may change what is outside.
    """

    names: dict[str, frozenset[Chain]]
    attributes: frozenset[str]
    is_known: bool
    writes: bool


@functools.lru_cache(maxsize=1024)
def uses_of(code: CodeType) -> Uses:
    """What the code uses, and the code of the functions defined in it."""
    names: dict[str, set[Chain]] = defaultdict(set)
    attributes: set[str] = set()
    is_known, writes = True, False
    for each in (code, *nested(code)):
        steps = [i for i in dis.get_instructions(each) if i.opname not in NO_OPERATION]
        for k, step in enumerate(steps):
            name, argument = step.opname, str(step.argval)
            if name in ATTRIBUTES:
                attributes.add(argument)
            is_outside = name == "LOAD_GLOBAL" or (name == "LOAD_DEREF" and argument in code.co_freevars)
            if is_outside:
                names[argument].add(tuple(attributes_after(steps[k + 1 :])))
            writes |= name in WRITES
            writes |= name in ("STORE_DEREF", "DELETE_DEREF") and argument in code.co_freevars
            is_known &= name not in UNKNOWN
    is_known &= not any(name.startswith("__") for name in attributes)  # __dict__, __globals__, ...
    frozen = {name: frozenset(names[name]) for name in sorted(names)}
    return Uses(frozen, frozenset(attributes), is_known, writes)


def nested(code: CodeType) -> Iterator[CodeType]:
    """The code of the functions that are defined in a function."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from nested(constant)


def attributes_after(steps: list[dis.Instruction]) -> Iterator[str]:
    """The attributes that are read one after the other, first of all."""
    for step in steps:
        if step.opname not in ATTRIBUTES:
            return
        yield str(step.argval)
