"""Arrays that stay on the host, memory maps included: looked at part by part, in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portable_nn.backends import Backend, streaming
from portable_nn.checks.arrays import Named, check_owner, check_values
from portable_nn.checks.data import Given
from portable_nn.equations import Loss


def check_on_host(arrays: Named) -> Backend:
    """The backend of NumPy's arrays; ValueError unless all `arrays` are NumPy's."""
    for name, array in arrays.items():
        theirs = check_owner(name, array)
        if not theirs.host:
            raise ValueError(
                f"`{name}` is on {theirs!r}; accepted with `stream=True`: arrays of NumPy, np.memmap "
                "included; without it: arrays on the device of `params`"
            )
    return theirs


def check_host_values(host: Backend, given: Given, loss: Loss, n_classes: int) -> None:
    """`check_values` of data on the host, a chunk of rows at a time."""
    arrays: dict[str, Any] = dict(given.arrays)
    _, y, w = given.names
    weight = arrays.pop(w, None)
    for rows in host_parts(*arrays.values()):
        part = {name: array[..., rows, :] for name, array in arrays.items()}
        check_values(host, part, loss, y, n_classes=n_classes)
    if weight is not None:
        check_values(host, {w: weight}, weight=w)


def host_parts(*arrays: Any) -> Iterator[slice]:
    """The rows of arrays (..., n, k) on the host, in parts of which none is larger than a chunk."""
    n = arrays[0].shape[-2]
    size = max(1, streaming.CHUNK // max(1, *(array.nbytes // n for array in arrays)))
    for start in range(0, n, size):
        yield slice(start, start + size)
