"""Predictions of all members of an ensemble by one stacked pass, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend, dtype_name
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.layers import Model
from portable_nn.network.prediction import AT_ONCE, compiled

PART_BYTES = 2**23  # of a hidden layer of all members, which then stays in a processor's cache
Reduce = Callable[[Namespace, Array], Array]  # (K, n, n_outputs): what is wanted of it, (n, ...)


def rows_at_once(params: Parameters, members: int) -> int:
    """How many rows, so that the widest layer of all members together takes no more than PART_BYTES."""
    arrays = trees.leaves(params)
    widest = max(max(array.shape[-2:]) for array in arrays)
    of_a_row: int = members * widest * np.dtype(dtype_name(arrays[0].dtype)).itemsize
    return max(1, min(AT_ONCE, PART_BYTES // of_a_row))


def reduced_outputs(
    backend: Backend, model: Model, params: Parameters, X: Array, reductions: Sequence[Reduce]
) -> list[Array]:
    """Each reduction of the outputs of all members, whose own never exist for all rows at once.

    `params` are those of the stack, (K, ...), X (n, n_0) are rows that all members see.
    """
    xp, n = backend.xp, X.shape[0]
    compute = compiled(backend, model, False)
    members = max((array.shape[0] for array in trees.leaves(params) if array.ndim == 3), default=1)
    size = rows_at_once(params, members)
    found: list[list[Array]] = [[] for _ in reductions]
    for start in range(0, n, size):
        A = compute(params, X[..., start : min(start + size, n), :])
        for parts, reduction in zip(found, reductions, strict=True):
            parts.append(reduction(xp, A))
    return [parts[0] if len(parts) == 1 else xp.concat(parts, axis=0) for parts in found]


def mean_of(xp: Any, A: Array) -> Array:
    """The mean over the members."""
    mean: Array = xp.mean(A, axis=0)
    return mean


def spread_of(xp: Any, A: Array) -> Array:
    """The standard deviation over the members."""
    spread: Array = xp.std(A, axis=0)
    return spread


def entropy(xp: Any, P: Array) -> Array:
    """- sum_c p_c log p_c, in nats, over the last axis; 0 log 0 is 0."""
    safe = xp.where(P > 0, P, xp.ones_like(P))
    found: Array = -xp.sum(safe * xp.log(safe), axis=-1)
    return found


def mutual_information(xp: Any, P: Array) -> Array:
    """H(mean_k p_k) - mean_k H(p_k), of the probabilities P (K, n, n_classes)."""
    gain = entropy(xp, xp.mean(P, axis=0)) - xp.mean(entropy(xp, P), axis=0)
    found: Array = xp.where(gain > 0, gain, xp.zeros_like(gain))  # rounding may bring it below 0
    return found


def mutual_information_of_each(xp: Any, A: Array) -> Array:
    """The same for each of many labels a row, whose probabilities are A (K, n, n_labels)."""
    return mutual_information(xp, xp.stack([1 - A, A], axis=-1))


def mutual_information_of_two(xp: Any, A: Array) -> Array:
    """The same for two classes, the second of which has the probabilities A (K, n, 1)."""
    return mutual_information(xp, xp.concat([1 - A, A], axis=-1))
