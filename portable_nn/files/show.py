"""``python -m portable_nn show FILE``: what is in a file, without making it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from portable_nn.errors import ModelFormatError
from portable_nn.storage.document import Outline, read_outline
from portable_nn.storage.plain_values import Described

REACHED = (("position", "epoch"), ("position", "batches"), ("optimizer", "t"))  # by a checkpoint
FEW = 12  # labels and features that are written out


def show(path: str) -> int:
    """Print what is in a file; the exit status: 1, with a message, for what is none of ours."""
    try:
        outline = read_outline(path)
    except (ModelFormatError, OSError) as error:
        text = (
            str(error) if isinstance(error, ModelFormatError) else f"{path}: {error.strerror or error}"
        )
        print(text, file=sys.stderr)
        return 1
    rows = list(lines(outline))
    width = max(len(name) for name, _ in rows)
    try:
        print("\n".join(printable(f"{name:{width}}  {text}") for name, text in rows), flush=True)
    except BrokenPipeError:  # who reads has seen enough; the interpreter would flush again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def lines(outline: Outline) -> Iterator[tuple[str, str]]:
    """What is said of a file, as names and texts."""
    values = outline.values
    yield "kind", outline.kind
    network = values.get("network")
    if isinstance(network, Described) and network.tag == "network":
        yield from lines_of_network(network.fields, values.get("params"))
    if "classes" in values and values["classes"] is not None:
        yield "classes", several(values["classes"])
    names = dig(values, "attributes", "feature_names_in_")
    if names is not None:
        yield "features", several(names)
    hyperparameters, changed = values.get("hyperparameters"), values.get("changed")
    if isinstance(hyperparameters, dict) and isinstance(changed, list):
        for name in (name for name in changed if isinstance(name, str)):
            yield f"  {name}", worded(hyperparameters.get(name))
    for name in ("n_iter_", "loss_"):
        if (found := dig(values, "attributes", name)) is not None:
            yield name, worded(found)
    reached = [dig(values, *place) for place in REACHED]
    if all(type(n) is int and 0 <= n < 2**63 for n in reached):
        epochs, batches, updates = reached
        yield "reached", f"{epochs} epochs and {batches} batches of the next, {updates} updates"
    if "optimizer" in values:
        yield "optimizer", "kept: training can go on"
    yield "size", f"{outline.size:,} bytes"
    yield "written by", f"portable_nn {outline.version}, format {outline.format}"


def lines_of_network(network: dict[str, Any], params: Any) -> Iterator[tuple[str, str]]:
    """What is said of a network and its parameters."""
    sizes, layers = network.get("sizes"), network.get("layers")
    if isinstance(layers, tuple | list):
        yield "inputs", worded(network.get("inputs"))
        for i, layer in enumerate(layers):
            yield "" if i else "layers", worded(layer)
    elif isinstance(sizes, tuple | list) and all(type(n) is int and n < 2**48 for n in sizes):
        yield "sizes", " -> ".join(map(str, sizes))
        activations = network.get("activations")
        if isinstance(activations, tuple | list):
            yield "activations", ", ".join(map(worded, activations))
    else:
        return
    yield "loss", worded(network.get("loss"))
    yield from lines_of_arrays(params, layers is not None)


def lines_of_arrays(params: Any, are_of_layers: bool) -> Iterator[tuple[str, str]]:
    """How many numbers the parameters are, of what stack and dtype.

    Of a list of layers statistics and constants are counted too, as what trains them is not known here.
    """
    values = params.values() if isinstance(params, dict) else ()
    parts = [part for layer in values if isinstance(layer, dict) for part in layer.values()]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    stack = max((array.shape[:-2] for array in arrays), key=len, default=())
    count = sum(int(np.prod(array.shape[-2:])) for array in arrays)
    of_each = f" for each network of a stack {stack}" if stack else ""
    if any(array.shape[:-2] != stack for array in arrays):
        of_each += ", some of them shared"
    yield "numbers" if are_of_layers else "parameters", f"{count:,}{of_each}"
    if arrays:
        yield "dtype", arrays[0].dtype.name


def dig(values: Any, *names: str) -> Any:
    """A value within values; None if there is none."""
    for name in names:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def several(labels: Any) -> str:
    """The first labels of an array."""
    found = labels.reshape(-1).tolist() if isinstance(labels, np.ndarray) else [labels]
    text = ", ".join(worded(label) for label in found[:FEW])
    return text if len(found) <= FEW else f"{text}, ... ({len(found)})"


def worded(value: Any) -> str:
    """A value in a line: leaky_relu(slope=0.2)."""
    if isinstance(value, Described):
        named = {k: v for k, v in value.fields.items() if k != "name"}
        text = ", ".join(f"{k}={worded(v)}" for k, v in named.items())
        name = str(value.fields.get("name", value.tag))
        return f"{name}({text})" if text else name
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def printable(text: str) -> str:
    """The text without characters that a terminal obeys, or that standard output cannot write."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
