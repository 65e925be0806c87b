"""Predictions, a few thousand rows at a time: the hidden layers of all rows never exist at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend, dtype_name, streaming
from portable_nn.backends.padding import lengthened, on_host, row_parts
from portable_nn.backends.split_rows import in_order, parts_of_each
from portable_nn.backends.streaming import Piece
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.layers import Model
from portable_nn.network.objective import as_dtype
from portable_nn.network.user_functions import depending_on, user_functions_of

AT_ONCE = 4096  # rows


def layers(xp: Namespace, model: Model, params: Parameters, X: Array) -> list[Array]:
    """Every layer's A as rows: [A[1], ..., A[L]]."""
    passed = model.forward(xp, params, as_dtype(xp, X, params[0][0].dtype).mT)
    return [columns.mT for columns in passed.A[1:]]


def predict(
    backend: Backend, compute: Callable[[Parameters, Array], Array], params: Parameters, X: Array
) -> Array:
    """A[L] as rows; ``compute(params, X)`` gives it for a part of the rows X (..., n, n_0).

    Where rows are split over several devices, a part has some of each device's own.
    """
    n, shards = X.shape[-2], backend.row_shards(X)
    if n <= AT_ONCE * shards:
        return compute(params, X)
    if shards == 1:
        starts = range(0, n, AT_ONCE)
        parts = [compute(params, X[..., start : min(start + AT_ONCE, n), :]) for start in starts]
        return backend.xp.concat(parts, axis=-2)
    each = parts_of_each(backend, (X,), (-2,), shards, AT_ONCE)
    return in_order(backend, [compute(params, *part) for part in each], shards)


@functools.lru_cache(maxsize=64)
def compiled(backend: Backend, model: Model, every: bool) -> Callable[[Parameters, Array], Any]:
    """``compute(params, X)``: A[L] as rows, or with `every` all layers', made fast by the backend."""
    xp = backend.xp

    def compute(params: Parameters, X: Array) -> Any:
        A = layers(xp, model, params, X)
        return A if every else A[-1]

    return backend.compile(depending_on(user_functions_of(model), compute))


def prepared(backend: Backend, model: Model, params: Parameters) -> Callable[[Array], Any] | None:
    """``outputs(X)`` for few rows, with these parameters, or None where it has no short way for them.

    None where the backend has none at all, or a function of the model may change.
    """
    if user_functions_of(model) != ():
        return None
    return backend.prepare(compiled(backend, model, False), params)


def streamed(
    backend: Backend, model: Model, params: Parameters, X: Any, result: tuple[tuple[int, ...], int]
) -> HostArray:
    """A[L] as rows on the host, for rows of X on the host, which are sent to the device part by part.

    X is an array of NumPy, or the rows of a store. `result` is the shape of the stack, and the number of
    outputs.
    """
    dtype = dtype_name(params[0][0].dtype)
    X, n = streaming.readable(X), X.shape[-2]
    cast = streaming.cast_to_send(X, backend.dtypes(), dtype)
    size = max(1, min(AT_ONCE, streaming.CHUNK // max(1, X.nbytes // n)))
    compute, sender = compiled(backend, model, False), backend.sender()
    stack, n_outputs = result
    found = np.empty((*stack, n, n_outputs), dtype)
    waiting: tuple[slice, Array] | None = None  # computed while the next part is sent
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        A = compute(params, *sender.send([Piece(X, rows, -2, cast)]))
        sender.used(A)
        if waiting is not None:
            found[..., waiting[0], :] = backend.to_numpy(waiting[1])
        waiting = rows, A
    found[..., rows, :] = backend.to_numpy(A)
    return found


def compiled_prediction(backend: Backend, model: Model, params: Parameters, X: Array) -> Array:
    """A[L] as rows, by a compiled function."""
    compute = compiled(backend, model, False)
    rows = None if user_functions_of(model) != () else on_host(backend, X)
    if rows is None or not all(map(backend.values_known, trees.leaves(params))):
        return predict(backend, compute, params, X)
    return in_few_lengths(backend, functools.partial(compute, params), X, rows)


def in_few_lengths(
    backend: Backend, compute: Callable[[Array], Array], X: Array, rows: HostArray
) -> Array:
    """``compute(X)`` of rows that do not depend on one another, `rows` on the host, in padded parts."""
    lengths, n = row_parts(X.shape[-2], AT_ONCE), X.shape[-2]
    if lengths == [n]:
        return compute(X)
    found, start = [], 0
    for length in lengths:
        part = rows[..., start : start + length, :]
        count = part.shape[-2]
        A = compute(backend.from_host(lengthened(part, length, -2), X.dtype))
        found.append((A, count))
        start += count
    host = [backend.to_numpy(A)[..., :count, :] for A, count in found]
    return backend.from_host(np.concatenate(host, axis=-2), found[0][0].dtype)
