"""Which activation it is that turns Z into A: whatever wrote it, and in however many operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn.backends import get
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import ACTIVATIONS, Activation
from portable_nn.interchange.layers import RELU, leaky

ROWS = 64  # of the probes near 0
SCALES = 10.0 ** np.arange(-9, 10)  # no bound in between is missed, whatever it is computed from
NEAR = (0.5, 0.999, 1.0, 1.001, 2.0, 10.0)  # times a constant: on both sides of it
COPIES = 3  # of these values, in other orders
PIECEWISE_LINEAR = ("identity", "relu", "leaky_relu")


def probes(n: int, dtype: Any, constants: Sequence[float] = ()) -> HostArray:
    """Rows of Z (n_rows, n): small, large and zero, around each of the constants, and between them.

    What is computed by rows, as softmax is, differs beyond a bound only where several values of a row
    are beyond it: each column has the values of all scales and constants, in an order of its own.
    """
    random = np.random.default_rng(0)
    scale = np.asarray([0.1, 1.0, 4.0, 20.0])[np.arange(ROWS) % 4, None]
    Z = random.normal(size=(ROWS, n)) * scale
    Z[:2] = [[0.0], [-0.5]]
    scales = np.repeat(SCALES, 2)[:, None] * random.normal(size=(2 * len(SCALES), n))
    with np.errstate(over="ignore"):
        c = np.sort(np.abs(np.asarray(constants, np.float64)))
        around = np.concatenate([np.outer(NEAR, c).ravel(), c[:-1] + (c[1:] - c[:-1]) / 2])
        values = np.concatenate([around, -around] * COPIES)
        mixed = random.permuted(np.broadcast_to(values[:, None], (len(values), n)), axis=0)
        rows = np.concatenate([Z, scales, mixed])
        limits = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
        found: HostArray = np.clip(rows, float(limits.min), float(limits.max)).astype(dtype)
    return found


def erf_form(Z: HostArray, A: Any) -> str:
    """What to say where A is the erf form of gelu, which is known, and not ours; else nothing."""
    erf = np.vectorize(math.erf, otypes=[float])
    if isinstance(A, np.ndarray) and A.shape == Z.shape:
        expected = 0.5 * Z * (1 + erf(Z / math.sqrt(2)))
        if np.allclose(A, expected, rtol=1e-5, atol=1e-5):
            return " (it is the erf form of gelu; accepted: the tanh form)"
    return ""


def recognized(Z: HostArray, A: HostArray) -> Activation | None:
    """The activation g with A = g(Z), in rows; None if it is none of ours."""
    if A.shape != Z.shape or A.dtype.kind != "f":
        return None
    with np.errstate(all="ignore"):
        slope = float(np.median(A[Z < 0].astype(np.float64) / Z[Z < 0]))
    known = [RELU, *(g for name, g in ACTIVATIONS.items() if name not in ("relu", "leaky_relu"))]
    if 0 < slope < 1:
        known.append(leaky(float(np.float32(slope)) if A.dtype.itemsize <= 4 else slope))
    xp = get("numpy").xp
    for g in known:
        with np.errstate(all="ignore"):
            expected = np.asarray(g.g(xp, Z.astype(np.float64).T)).T
        if is_close(Z, A, expected, is_rounded=g.name in PIECEWISE_LINEAR):
            return g
    return None


def is_unchanged(X: HostArray, found: Any) -> bool:
    """Whether `found` is X, up to the rounding of its dtype."""
    is_alike = isinstance(found, np.ndarray) and found.shape == X.shape and found.dtype.kind == "f"
    return is_alike and is_close(X, found, X, is_rounded=True)


def is_close(Z: HostArray, A: HostArray, expected: HostArray, is_rounded: bool) -> bool:
    """Whether A is what is expected, in the dtype of A: what is too large there is infinite in both.

    `is_rounded`: but for a few roundings. Other functions may lose digits where the terms that they are
    composed of, which are as large as 1 or Z, cancel.
    """
    eps, tiny = float(np.finfo(A.dtype).eps), float(np.finfo(A.dtype).tiny)
    with np.errstate(all="ignore"):
        wanted = expected.astype(A.dtype)
        if is_rounded:
            return np.allclose(A, wanted, rtol=4 * eps, atol=tiny)
        close = 3e-6 if A.dtype.itemsize <= 4 else 1e-9
        lost = 4 * eps * np.clip(np.abs(Z.astype(np.float64)), 1.0, 30.0)  # gelu is 0 or z beyond
        return bool(np.all(np.isclose(A, wanted, rtol=close, atol=lost)))
