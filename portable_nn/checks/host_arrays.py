"""The door for data that stays on the host: what `checks` wants of it, looked at part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable_nn import checks
from portable_nn.backends import Backend
from portable_nn.backends import streaming as sending
from portable_nn.equations import Array, Loss


def admit(
    sizes: Sequence[int],
    loss: Loss,
    params: Any,
    X: Array,
    Y: Array,
    sample_weight: Array | None = None,
    prefix: str = "",
) -> Backend:
    """The backend of `params`, once everything about them and the host's arrays has been checked.

    As `checks.admit`, but that the data lies in the host's memory, or in files (np.memmap); what the
    checks themselves take stays small beside it.
    """
    parameters = checks.parameter_arrays(params, sizes)
    given = checks.named(prefix, X, Y, sample_weight)
    backend, host = checks.same_place(parameters), on_host(given)
    checks.same_dtype(parameters | given)
    checks.shapes(parameters | given, sizes, prefix)
    checks.values(backend, parameters)
    weight = given.pop(prefix + "sample_weight", None)
    n = X.shape[-2]
    size = max(1, sending.CHUNK // max(array.nbytes // n for array in given.values()))
    for start in range(0, n, size):
        part = {name: array[..., start : start + size, :] for name, array in given.items()}
        checks.values(host, part, loss, prefix + "Y")
    if weight is not None:
        name = prefix + "sample_weight"
        checks.values(host, {name: weight}, weight=name)
    return backend


def on_host(arrays: Mapping[str, Array]) -> Backend:
    """The backend of NumPy's arrays, if all `arrays` are; else ValueError."""
    for name, array in arrays.items():
        theirs = checks.owner(name, array)
        if not theirs.host:
            raise ValueError(
                f"`{name}` is on {theirs!r}; accepted with `stream=True`: arrays of NumPy, np.memmap "
                "included; without it: arrays that lie where `params` do"
            )
    return theirs
