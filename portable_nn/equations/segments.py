"""Columns picked by their numbers, and the sums that are the derivative of that."""

from __future__ import annotations

from portable_nn.equations import Array, Namespace


def picked(xp: Namespace, E: Array, codes: Array) -> Array:
    """The columns E[:, c] (..., d, M) of a table (..., d, n), for M codes c."""
    return xp.take(E, codes, axis=-1)


def picked_prime(xp: Namespace, dA: Array, codes: Array, n: int) -> Array:
    """dE (..., d, n): for each code the sum of the columns of dA (..., d, M) that were picked by it.

    Sorted by their codes, the columns are added up in pairs, in pairs of pairs, and so on, never over
    the end of a code (Hillis and Steele, 1986): log2(M) passes, the same sums on every device, and no
    one-hot matrix (n, M) in memory.
    """
    order = xp.argsort(codes)
    c, S = xp.take(codes, order, axis=0), xp.take(dA, order, axis=-1)
    for step in (2**k for k in range((c.shape[0] - 1).bit_length())):
        same = xp.astype(c[step:] == c[:-step], S.dtype)
        S = xp.concat([S[..., :-step] + same * S[..., step:], S[..., -step:]], axis=-1)
    every = xp.arange(n, dtype=c.dtype, device=getattr(c, "device", None))
    first = xp.searchsorted(c, every)  # of the sorted columns with each code; M, a zero, behind them all
    c, S = xp.concat([c, c[:1]], axis=0), xp.concat([S, 0 * S[..., :1]], axis=-1)
    is_there = xp.astype(xp.take(c, first, axis=0) == every, S.dtype)
    return xp.take(S, first, axis=-1) * is_there
