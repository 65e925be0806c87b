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
    sizes = network.get("sizes")
    if not isinstance(sizes, tuple | list) or not all(type(n) is int and n < 2**48 for n in sizes):
        return
    yield "sizes", " -> ".join(map(str, sizes))
    activations = network.get("activations")
    if isinstance(activations, tuple | list):
        yield "activations", ", ".join(map(worded, activations))
    yield "loss", worded(network.get("loss"))
    W = dig(params, "1", "W")
    stack = W.shape[:-2] if isinstance(W, np.ndarray) else ()
    arrays = [a for layer in params.values() for a in layer.values()] if isinstance(params, dict) else []
    count = sum(int(np.prod(a.shape[-2:])) for a in arrays if isinstance(a, np.ndarray))
    each = f"{count:,}"
    yield "parameters", each if not stack else f"{each} for each network of a stack {stack}"
    if isinstance(W, np.ndarray):
        yield "dtype", W.dtype.name


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
