"""Whether columns of data are codes of categories."""

from __future__ import annotations

from collections.abc import Sequence

from portable_nn.backends import Backend
from portable_nn.equations import Array, Namespace

Levels = Sequence[tuple[int, int]]  # columns, and how many categories each has


def check_codes(levels: Levels, backend: Backend, name: str, X: Array) -> Array:
    """X (..., n_samples, n_0), once these columns of it are known to be codes; ValueError else.

    Where X is being traced, and has no values yet, codes that are none will give NaN.
    """
    xp, found = backend.xp, {}
    is_float = xp.isdtype(X.dtype, "real floating")
    for column, n in levels:
        codes = X[..., column] if is_float else xp.astype(X[..., column], backend.index_dtype())
        is_code = (codes >= 0) & (codes < n)
        found[column] = is_code & (codes == xp.floor(codes)) if is_float else is_code
    if not backend.values_known(X):
        return others_as_outside(xp, X, found, sum(n for _, n in levels))
    good = backend.to_numpy(xp.stack([xp.all(is_code) for is_code in found.values()]))
    for (column, n), is_good in zip(levels, good, strict=True):
        if not is_good:
            raise ValueError(
                f"`{name}` has values in column {column} that are none of its {n} codes; accepted: "
                f"whole numbers from 0 to {n - 1}; of labels they are made by "
                "numpy.unique(labels, return_inverse=True)[1]"
            )
    return X


def others_as_outside(xp: Namespace, X: Array, found: dict[int, Array], outside: int) -> Array:
    """X with a number beyond the table in place of what is no code: picked, it gives NaN."""
    each = []
    for column in range(X.shape[-1]):
        values = X[..., column]
        if column in found:
            values = xp.where(found[column], values, xp.full_like(values, outside))
        each.append(values)
    return xp.stack(each, axis=-1)
