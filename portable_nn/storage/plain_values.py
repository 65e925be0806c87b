"""Nested plain values <-> JSON values and arrays by name.

What JSON has stands for itself. Anything else is an object with one key that begins with "$", such as
{"$tuple": [...]} or {"$array": name}.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from portable_nn.checks import PerNetwork
from portable_nn.storage.header import METADATA, code_of
from portable_nn.storage.known_layers import FEW_NUMBERS
from portable_nn.storage.known_objects import check_custom_object, describe, make
from portable_nn.storage.labels import (
    PLAIN,
    are_labels,
    dtype_of_labels,
    items,
    make_labels,
    width,
)
from portable_nn.storage.number_lists import KINDS, numbers_as_array, numbers_from_array
from portable_nn.storage.refusal import DEEPEST, MOST_LABEL_BYTES, Unreadable

Place = tuple[Any, ...]
MARK = "$"
NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
KNOWN = ("activation", "loss", "layer", "network", "schedule", "optimizer")
MOST_BITS = 10_000  # of an integer; Python reads no more than some thousand digits
ACCEPTED = (
    "None, bool, int, float, str, list, tuple, dict, NumPy arrays, and portable_nn's networks, layers, "
    "activations, losses, schedules and optimizers; anything else by a name of yours, "
    'custom={"a name": it}, here and where the file is read'
)


class Encoder:
    """Plain values as JSON; the arrays among them, by their names in the file, are in `arrays`."""

    def __init__(self, custom: Mapping[str, Any]) -> None:
        self.custom = custom
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.label_bytes = MOST_LABEL_BYTES

    def encode(self, value: Any, place: Place = ()) -> Any:
        """The JSON of `value`, which stands at this place among the values; TypeError if it has none."""
        if len(place) > DEEPEST:
            raise TypeError(
                f"{shown(place[:3])}... holds values within values, {DEEPEST} deep or endless"
            )
        if isinstance(value, np.generic):
            value = value.item()
        kind = type(value)
        if kind is int and value.bit_length() > MOST_BITS:
            raise TypeError(f"{shown(place)} is an integer of {value.bit_length()} bits")
        if kind is float and not math.isfinite(value):
            return {"$float": str(value)}
        if kind in PLAIN:
            return value
        if kind in (list, tuple, PerNetwork):
            return self._encode_sequence(value, place)
        if kind is dict:
            return self._encode_dict(value, place)
        if kind in (np.ndarray, np.memmap):
            return self._encode_array(value, place)
        return self._encode_object(value, place)

    def _encode_sequence(self, value: Any, place: Place) -> Any:
        numbers = numbers_as_array(value) if type(value) is list else None
        if numbers is not None:
            tag, array = numbers
            return {f"${tag}": self._named(array, place)}
        parts = [self.encode(part, (*place, i)) for i, part in enumerate(value)]
        return parts if type(value) is list else {f"${TAGS[type(value)]}": parts}

    def _encode_dict(self, value: dict[Any, Any], place: Place) -> Any:
        if all(type(key) is str and not key.startswith(MARK) for key in value):
            return {key: self.encode(part, (*place, key)) for key, part in value.items()}
        pairs = []
        for key, part in value.items():
            if type(key) not in (*PLAIN, tuple) and not isinstance(key, np.generic):
                raise TypeError(f"{shown(place)} has the key {key!r}; accepted: plain values as keys")
            pairs.append([self.encode(key, (*place, key)), self.encode(part, (*place, key))])
        return {"$dict": pairs}

    def _encode_array(self, value: np.ndarray[Any, Any], place: Place) -> Any:
        if are_labels(value):
            self.label_bytes -= width(value)
            if self.label_bytes < 0:
                raise TypeError(
                    f"{shown(place)} and the strings in other arrays take more than {MOST_LABEL_BYTES} "
                    "bytes; accepted: longer ones with dtype object"
                )
            values = [self._encode_label(label, (*place, i)) for i, label in enumerate(items(value))]
            shape = list(value.shape)
            return {"$labels": {"dtype": dtype_of_labels(value), "shape": shape, "values": values}}
        if code_of(value.dtype) is None:
            raise TypeError(f"{shown(place)} is an array of dtype {value.dtype}; accepted: {ACCEPTED}")
        return {"$array_by_columns" if is_by_columns(value) else "$array": self._named(value, place)}

    def _encode_label(self, value: Any, place: Place) -> Any:
        found = self.encode(value, place)
        if type(value) not in PLAIN and not isinstance(value, np.generic):
            raise TypeError(
                f"{shown(place)} is {value!r}, in an array; accepted there: strings, numbers"
            )
        return found

    def _named(self, array: np.ndarray[Any, Any], place: Place) -> str:
        """The name of the array: its place, joined by points; made another one if that is taken."""
        first = ".".join(map(str, place)).encode("ascii", "backslashreplace").decode()
        name, n = first, 1
        while name in self.arrays or name in ("", METADATA):
            n += 1
            name = f"{first}~{n}"
        self.arrays[name] = array
        return name

    def _encode_object(self, value: Any, place: Place) -> Any:
        described = describe(value)
        if described is not None:
            tag, named = described
            return {f"${tag}": {key: self.encode(v, (*place, key)) for key, v in named.items()}}
        for name, known in self.custom.items():
            if known is value or are_equal(known, value):
                return {"$custom": name}
        given = f"{shown(place)} is {value!r}, of type {type(value).__module__}.{type(value).__name__}"
        raise TypeError(f"{given}; accepted: {ACCEPTED}")


TAGS = {tuple: "tuple", PerNetwork: "per_network"}


def shown(place: Place) -> str:
    """A place in a message: values['params'][0]."""
    return "`values" + "".join(f"[{key!r}]" for key in place) + "`"


def are_equal(known: Any, value: Any) -> bool:
    """Whether both are frozen dataclasses, which are what they hold, and equal."""
    parameters = getattr(type(known), "__dataclass_params__", None)
    if type(known) is not type(value) or not getattr(parameters, "frozen", False):
        return False
    try:
        return bool(known == value)
    except ValueError:  # they hold arrays
        return False


def is_by_columns(array: np.ndarray[Any, Any]) -> bool:
    """Whether its last two axes are exchanged in memory, on which the last bits of products depend."""
    return array.ndim > 1 and not array.flags.c_contiguous and array.mT.flags.c_contiguous


class Described(NamedTuple):
    """One of our objects that is not made: its kind, and what would make it."""

    tag: str
    fields: dict[str, Any]


class Decoder:
    """The values that an `Encoder` has encoded; Unreadable for anything else.

    `arrays` are those of the file, of which each has to occur once; they are taken out.
    """

    def __init__(
        self, custom: Mapping[str, Any], arrays: dict[str, np.ndarray[Any, Any]], keep_layout: bool
    ) -> None:
        self.custom, self.arrays, self.keep_layout = custom, arrays, keep_layout
        self.label_bytes = MOST_LABEL_BYTES
        self.most = max(FEW_NUMBERS, sum(array.size for array in arrays.values()))
        self.readers: dict[str, tuple[type, Callable[[Any, int], Any]]] = {
            "float": (str, self._decode_float),
            "tuple": (list, self._decode_tuple),
            "per_network": (list, lambda parts, depth: PerNetwork(self._decode_tuple(parts, depth))),
            "dict": (list, self._decode_dict),
            "array": (str, self._decode_array),
            "array_by_columns": (str, self._decode_array_by_columns),
            **{tag: (str, partial(self._decode_numbers, tag)) for tag in KINDS},
            "labels": (dict, self._decode_labels),
            "custom": (str, lambda name, depth: self.custom[name]),
        }

    def decode(self, node: Any, depth: int = 0) -> Any:
        """The value of a JSON value."""
        if depth > 2 * DEEPEST:
            raise Unreadable("its values are nested too deeply")
        if isinstance(node, list):
            return [self.decode(part, depth + 1) for part in node]
        if not isinstance(node, dict):
            return node
        if not any(key.startswith(MARK) for key in node):
            return {key: self.decode(part, depth + 1) for key, part in node.items()}
        if len(node) != 1:
            raise Unreadable("its values have a marked object with more than one key")
        ((mark, content),) = node.items()
        tag = mark.removeprefix(MARK)
        form, read = self.readers.get(tag, (dict, partial(self._decode_object, tag)))
        if not isinstance(content, form) or (form is dict and tag not in (*KNOWN, "labels")):
            raise Unreadable(f"its values have an object marked {mark[:40]!r} that is not known here")
        return read(content, depth + 1)

    def _decode_float(self, name: str, _: int) -> float:
        if name not in NUMBERS:
            raise Unreadable(f"its values have the number {name[:40]!r}")
        return NUMBERS[name]

    def _decode_tuple(self, parts: list[Any], depth: int) -> tuple[Any, ...]:
        return tuple(self.decode(part, depth) for part in parts)

    def _decode_object(self, tag: str, named: dict[str, Any], depth: int) -> Any:
        for field, node in named.items():
            for name in names_directly_in(node):
                check_custom_object(tag, field, name, self.custom[name])
        return make(tag, {key: self.decode(part, depth) for key, part in named.items()}, self.most)

    def _decode_labels(self, described: dict[str, Any], depth: int) -> np.ndarray[Any, Any]:
        found = make_labels({k: self.decode(v, depth) for k, v in described.items()}, self.label_bytes)
        self.label_bytes -= width(found)
        return found

    def _decode_dict(self, pairs: list[Any], depth: int) -> dict[Any, Any]:
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise Unreadable("its values have a dict that is not made of pairs")
        try:
            found = {self.decode(k, depth + 1): self.decode(v, depth + 1) for k, v in pairs}
        except TypeError:  # a list, say, as a key
            raise Unreadable("its values have a dict with a key that cannot be one") from None
        if len(found) != len(pairs):
            raise Unreadable("its values have a dict with a key twice")
        return found

    def _decode_array(self, name: str, _: int) -> np.ndarray[Any, Any]:
        if name not in self.arrays:
            raise Unreadable(
                f"its values name the array {name[:80]!r}, which is not there or named twice"
            )
        return self.arrays.pop(name)

    def _decode_numbers(self, tag: str, name: str, depth: int) -> list[Any]:
        return numbers_from_array(tag, self._decode_array(name, depth))

    def _decode_array_by_columns(self, name: str, depth: int) -> np.ndarray[Any, Any]:
        array = self._decode_array(name, depth)
        if not self.keep_layout or array.ndim < 2:
            return array
        by_columns: np.ndarray[Any, Any] = np.ascontiguousarray(array.mT).mT
        return by_columns

    def check_all_taken(self) -> None:
        """Raise Unreadable where the file has arrays that its values do not name."""
        for name in self.arrays:
            raise Unreadable(f"its array {name[:80]!r} is not named by its values")


class OutlineDecoder(Decoder):
    """A decoder that makes none of our objects, and needs no user-defined ones."""

    def __init__(self, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        super().__init__({}, arrays, keep_layout=False)
        self.readers["custom"] = (str, lambda name, _: Described("custom", {"name": name}))

    def _decode_object(self, tag: str, named: dict[str, Any], depth: int) -> Described:
        return Described(tag, {key: self.decode(part, depth) for key, part in named.items()})


def names_directly_in(node: Any) -> Iterator[str]:
    """The name of a user-defined object that a JSON value stands for, or those in its list or tuple."""
    parts = node.get(f"{MARK}tuple", [node]) if isinstance(node, dict) else node
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get(f"{MARK}custom"), str):
            yield part[f"{MARK}custom"]


def custom_names(node: Any) -> Iterator[str]:
    """The names of user-defined objects in JSON values that have been read within bounds."""
    if isinstance(node, dict):
        if node.keys() == {"$custom"} and isinstance(node["$custom"], str):
            yield node["$custom"]
        for part in node.values():
            yield from custom_names(part)
    elif isinstance(node, list):
        for part in node:
            yield from custom_names(part)
