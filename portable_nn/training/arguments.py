"""The arguments of a training as plain values: two trainings that differ have different ones."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import zlib
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import owner, streaming, to_host
from portable_nn.checks.host_arrays import is_foreign_store
from portable_nn.layers import Layer
from portable_nn.network import Network
from portable_nn.optimizers import Optimizer
from portable_nn.stores import StoredRows
from portable_nn.training.description import Training, schedule_of

MOST_BYTES = 1 << 26  # of an array that are looked at: more would take seconds
DEEPEST = 8  # values within values
KIND = "kind"  # the name of a class or a function, among the parts of a value
MOST_SHOWN, LONGEST = 6, 80  # differences, and characters of a value, in a message
PACKAGE = __name__.partition(".")[0]
FREE = ("epochs", "callbacks", "seed", "stack", "draws", "keep_states", "communicator", "can_look_ahead")


def described(value: Any, depth: int = 0) -> Any:
    """Numbers, strings, lists and dicts that tell `value` from others.

    Of a function of this package that is its name; of any other its code, and what it closes over, too.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) or owner(value) is not None:
        return to_host(value).tolist()
    if isinstance(value, FunctionType) and depth < DEEPEST:
        return function_described(value, depth)
    if isinstance(value, (FunctionType, BuiltinFunctionType, MethodType, type)) or depth >= DEEPEST:
        return name_of(value if hasattr(value, "__qualname__") else type(value))
    if isinstance(value, (list, tuple)):
        return [described(part, depth + 1) for part in value]
    parts = {name: described(part, depth + 1) for name, part in parts_of(value).items()}
    return {KIND: name_of(type(value))} | parts


def name_of(value: Any) -> str:
    """The module and the name of a function or a class."""
    return f"{value.__module__ or ''}.{value.__qualname__}"


def function_described(function: FunctionType, depth: int) -> Any:
    """See `described`; what a function reads of global variables is not looked at."""
    if (function.__module__ or "").partition(".")[0] == PACKAGE:  # there is none where exec defined it
        return name_of(function)
    cells = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # it is empty still
            cells.append(described(cell.cell_contents, depth + 1))
    text = repr([*code_parts(function.__code__)]).encode()
    return {
        KIND: name_of(function),
        "code": zlib.crc32(text),
        "closure": cells,
        "defaults": described([function.__defaults__, function.__kwdefaults__], depth + 1),
    }


def code_parts(code: CodeType) -> Iterator[Any]:
    """What a function does, whatever its file and its lines are."""
    yield code.co_code, code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_parts(constant)
        else:
            yield constant


def parts_of(value: Any) -> dict[str, Any]:
    """What an object is made of, by name, as far as that is known."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    if isinstance(value, functools.partial):
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    if dataclasses.is_dataclass(value):
        named = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        if isinstance(value, Optimizer) and not value.groups:  # as before there were groups
            del named["groups"]
        if isinstance(value, Network) and not value.listed:  # as before there were lists of layers
            del named["listed"]
        return named | (methods_of(type(value)) if isinstance(value, Layer) else {})
    return {}


def methods_of(kind: type) -> dict[str, Any]:
    """The methods of a user-defined layer by name, those of its own base classes too."""
    own = (one for one in reversed(kind.__mro__) if one.__module__.partition(".")[0] != PACKAGE)
    return {
        name: method
        for one in own
        for name, method in vars(one).items()
        if isinstance(method, FunctionType) and not name.startswith("__")
    }


def arguments_of(training: Training, arrays: Mapping[str, trees.Tree]) -> dict[str, Any]:
    """How the network is trained, and from what, but for what may differ when a training is resumed.

    More epochs may be asked for, and other callbacks, which change no result.
    """
    fields = [each.name for each in dataclasses.fields(training) if each.name not in FREE]
    seed: Any = training.seed
    seed = type(seed.bit_generator) if isinstance(seed, np.random.Generator) else int(seed)
    found = {name: described(getattr(training, name)) for name in fields} | {"seed": described(seed)}
    if training.schedule == schedule_of(training.optimizer):  # there is none of its own
        found["schedule"] = None
    return found | {name: fingerprint(tree) for name, tree in arrays.items()}


def fingerprint(tree: trees.Tree) -> Any:
    """Shape, dtype and checksum of every array; of a large one, of evenly spaced rows.

    Rows are along the last axis but one or, where there is one axis, along that.
    """
    return [fingerprint_of(array) for array in trees.leaves(tree)]


def fingerprint_of(array: Any) -> dict[str, Any]:
    """See `fingerprint`; that of the rows of a store is the one of the same rows in memory."""
    if is_foreign_store(array):
        return fingerprint_of_store(StoredRows("X, Y or validation data", array))
    shape = tuple(int(n) for n in array.shape)
    step = -(-math.prod(shape) * int(getattr(array, "itemsize", 8)) // MOST_BYTES)
    part = array if step <= 1 else array[..., ::step, :] if len(shape) > 1 else array[::step]
    values = np.ascontiguousarray(to_host(part))
    checksum = zlib.crc32(values.tobytes())
    return {"shape": list(shape), "dtype": values.dtype.name, "checksum": checksum}


def fingerprint_of_store(rows: StoredRows) -> dict[str, Any]:
    """See `fingerprint_of`; the rows are read a chunk at a time."""
    reader, n = streaming.readable(rows), rows.shape[0]
    step = -(-rows.nbytes // MOST_BYTES) if rows.nbytes > MOST_BYTES else 1
    size = max(1, streaming.CHUNK // reader.row_bytes)
    checksum = 0
    for start in range(0, n, size * step):
        some = np.arange(start, min(start + size * step, n), step)
        checksum = zlib.crc32(reader.take(some).tobytes(), checksum)
    return {"shape": list(rows.shape), "dtype": rows.dtype.name, "checksum": checksum}


WORDS = "`{}` was {} and is {}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], words: str = WORDS) -> str:
    """What differs, in words, by the names of the arguments; "" if nothing does.

    `words` are those for a name and two values.
    """
    found: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        found += worded(name, before.get(name), now.get(name), words)
    return ", ".join(found if len(found) <= MOST_SHOWN else [*found[:MOST_SHOWN], "..."])


def worded(name: str, was: Any, is_now: Any, words: str) -> Iterator[str]:
    """What differs in an argument, or in a part of it."""
    if was == is_now:
        return
    if are_alike(was, is_now):
        for key in was:
            yield from worded(f"{name}.{key}", was[key], is_now[key], words)
    elif isinstance(was, list) and isinstance(is_now, list) and len(was) == len(is_now) != 0:
        texts = [list(worded(name, *pair, words)) for pair in zip(was, is_now, strict=True)]
        flat = [text for each in texts for text in each]
        if len(was) > 1 and not all("has other values" in text for text in flat):
            pairs = enumerate(zip(was, is_now, strict=True))
            flat = [text for k, pair in pairs for text in worded(f"{name}[{k}]", *pair, words)]
        yield from dict.fromkeys(flat)
    else:
        short, other = shown(was), shown(is_now)
        if short != other and max(len(short), len(other)) <= LONGEST:
            yield words.format(name, short, other)
        else:
            yield f"`{name}` has other values" if has_checksum(was) else f"`{name}` is another one"


def are_alike(was: Any, is_now: Any) -> bool:
    """Whether both are objects of one class and name, whose parts are worth comparing."""
    if not isinstance(was, dict) or not isinstance(is_now, dict) or "checksum" in was or "code" in was:
        return False
    same = was.get(KIND) == is_now.get(KIND) and was.get("name") == is_now.get("name")
    return same and was.keys() == is_now.keys()


def has_checksum(value: Any) -> bool:
    """Whether it describes an array."""
    return isinstance(value, dict) and "checksum" in value


def shown(value: Any) -> str:
    """A described value in a message."""
    if has_checksum(value):
        return f"{value['dtype']} of shape {tuple(value['shape'])}"
    if isinstance(value, dict):
        return repr(value["name"]) if "name" in value else value[KIND].rpartition(".")[2]
    return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else repr(value)
