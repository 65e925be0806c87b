"""What a user passes to an estimator: on which device it is, and scikit-learn's checks of it there.

Host data (NumPy arrays, lists, frames, sparse matrices) goes through scikit-learn's `validate_data`. An
array of another library stays on its device: a placeholder of its shape, which takes no memory, goes
through the same checks, and its values are checked on the device; errors are scikit-learn's.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from portable_nn.backends import Backend, dtype_name, get, of, owner, to_host
from portable_nn.equations import Array
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.sparse import SparseRows

FOREIGN = ("bfloat16", "float8_e4m3fn", "float8_e5m2")  # NumPy has few functions for JAX's own dtypes
HOST_CHECKS: dict[str, Any] = {"accept_sparse": ("csr", "csc"), "dtype": (np.float64, np.float32)}


def on_host(x: Any) -> bool:
    """Whether `x` is host data, for scikit-learn to check."""
    backend = owner(x)
    return backend is None or backend.host


def in_one_place(x: Any, other: Any) -> bool:
    """Whether both are host data, or arrays of one library on one device."""
    return (on_host(x) and on_host(other)) or owner(x) is owner(other)


def where(x: Any) -> str:
    """The place of `x` in a message."""
    return "on the host" if on_host(x) else f"on {owner(x)!r}"


def host(x: Any) -> Any:
    """`x`, as a NumPy array if it is an array of another library; a masked array is refused."""
    found = to_host(x) if not on_host(x) or isinstance(x, np.ma.MaskedArray) else x
    is_foreign = isinstance(found, np.ndarray) and found.dtype.name in FOREIGN
    return found.astype(np.float32) if is_foreign else found


def training_backend(estimator: MLPAttributes, X: Any) -> Backend:
    """Where to learn from X: on its device or, if X is host data, where `backend` says."""
    if estimator.backend is None:
        if estimator.device is not None:
            raise ValueError(f"`device` is {estimator.device!r} and `backend` None; accepted: both")
        return get("numpy") if on_host(X) else of(X)
    backend = get(estimator.backend, estimator.device)
    if not on_host(X) and owner(X) is not backend:
        raise ValueError(
            f"`backend` is {estimator.backend!r} and X is {where(X)}; accepted: with `backend` "
            f"host arrays, or arrays on {backend!r}; leave `backend` out to train on the device of X"
        )
    refuse_sparse(X, backend)
    return backend


def refuse_sparse(X: Any, backend: Backend) -> None:
    """Raise where X is sparse and would have to leave the host."""
    if not backend.host and scipy.sparse.issparse(X):
        raise TypeError(f"X is sparse and `backend` {backend!r}; accepted: X.toarray(), or no `backend`")


def read(
    estimator: MLPAttributes, X: Any, y: Any, backend: Backend, reset: bool, numeric: bool
) -> tuple[Array, Any]:
    """X on `backend`, float32 or float64, and y: on the host, or unchanged if it is on that device.

    Raises as scikit-learn does; `reset` and `numeric` are those of its `validate_data`.
    """
    is_there = numeric and not on_host(y) and owner(y) is backend
    y_seen = placeholder(y) if is_there else host(y)
    options = {"multi_output": True, "y_numeric": numeric, "reset": reset}
    X_seen, y_seen = check_rows(estimator, X, y_seen, **options)
    if y_seen.ndim == 2 and y_seen.shape[1] == 1:
        y_seen = column_or_1d(y_seen, warn=True)
    if is_there:
        refuse_non_finite(estimator, backend, y, "y")
        y_seen = y if y.ndim == y_seen.ndim else y[:, 0]
    return place(X_seen, backend), y_seen


def check_rows(estimator: MLPAttributes, X: Any, *y: Any, **options: Any) -> Any:
    """`validate_data` of X (and y): on X itself if it is host data, else on a placeholder."""
    if on_host(X) or len(X.shape) != 2:
        with naming("X or y" if y else "X"):
            return validate_data(estimator, host(X), *y, **(HOST_CHECKS | options))
    with naming("y"):
        checked = validate_data(
            estimator, placeholder(X), *y, ensure_all_finite=False, **(HOST_CHECKS | options)
        )
    backend = of(X)
    X = floating(backend, X)
    refuse_non_finite(estimator, backend, X, "X")
    return (X, *checked[1:]) if y else X


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """A ValueError that names the data, where it holds a Python integer too large for a float."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(
            f"{what} has an integer that is too large for a floating-point number; accepted: numbers up "
            "to 1.8e308"
        ) from error


def placeholder(x: Array) -> np.ndarray[Any, Any]:
    """An array of zeros of the shape of `x`, that takes no memory; complex if `x` is."""
    kind = np.complex128 if "complex" in str(x.dtype) else np.float64
    return np.broadcast_to(np.zeros((), kind), tuple(x.shape))


def floating(backend: Backend, X: Array) -> Array:
    """X itself if it is float32 or float64, else in the widest floating dtype of its device."""
    known = (backend.xp.float32, backend.xp.float64)
    return X if X.dtype in known else backend.xp.astype(X, backend.widest_float())


def refuse_non_finite(estimator: MLPAttributes, backend: Backend, x: Array, name: str) -> None:
    """Raise scikit-learn's ValueError for NaN or infinite values; if all is well, after one read."""
    xp = backend.xp
    if not xp.isdtype(x.dtype, "real floating"):
        return
    if bool(backend.to_numpy(xp.isfinite(xp.sum(x)))):  # as a rule, and no array is made for it
        return
    flags = xp.stack([xp.any(xp.isnan(x)), xp.any(xp.isinf(x))])
    for found, bad in zip(backend.to_numpy(flags), (np.nan, np.inf), strict=True):
        if found:
            example = np.full((1, 1), bad, np.float32 if x.dtype == xp.float32 else np.float64)
            check_array(example, estimator=estimator, input_name=name)


def place(X: Any, backend: Backend) -> Any:
    """Checked X on the device of `backend`; a sparse one as rows that the equations can use."""
    if scipy.sparse.issparse(X):
        return SparseRows(scipy.sparse.csr_array(X))
    return backend.asarray(X)


def as_dtype(x: Any, dtype: Any) -> Any:
    """Placed rows, or another array, with that dtype, where they are."""
    return x.astype(dtype) if isinstance(x, SparseRows) else of(x).asarray(x, dtype)


def rows_on_host(X: Any) -> Any:
    """Placed X on the host again; a sparse one as a sparse matrix."""
    return X.matrix if isinstance(X, SparseRows) else to_host(X)


def weights(sample_weight: Any, X: Array, name: str = "sample_weight") -> Any:
    """The weights on the host, by scikit-learn's check; None if there are none."""
    if sample_weight is None:
        return None
    try:
        with naming(name):
            checked = _check_sample_weight(host(sample_weight), np.broadcast_to(0.0, tuple(X.shape)))
    except ValueError as error:
        raise ValueError(str(error).replace("sample_weight", name)) from None
    return checked


def moved_weights(backend: Backend, weight: Any, X: Array, name: str = "sample_weight") -> Array | None:
    """Host weights on the device of X, with its dtype; ValueError where their sum has no value there.

    Weights may be negative, as in scikit-learn, but all of them together not zero.
    """
    if weight is None:
        return None
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    info, largest = backend.xp.finfo(X.dtype), np.max(np.abs(weight))
    if not len(weight) * float(info.smallest_normal) <= largest <= float(info.max) / len(weight):
        raise ValueError(
            f"the largest of `{name}`, times `class_weight` if that is given, is {largest:.3g}: the sum "
            f"of {len(weight)} such weights is too small or too large for {dtype_name(X.dtype)}; "
            "accepted: weights of the order of 1; divide them by their mean"
        )
    return backend.asarray(weight, dtype=X.dtype)


def fitted_backend(estimator: MLPAttributes, X: Any, method: str) -> Backend:
    """The backend of the fitted parameters, if X is there too, or is host data that is moved there.

    Raises ValueError where X is on another device than the X of `fit` was.
    """
    backend, theirs = of(estimator.coefs_[0]), owner(X)
    if not (theirs is backend or (on_host(X) and (estimator._takes_host or backend.host))):
        to = ("numpy", "cpu") if theirs is None else (theirs.name, theirs.device_name())
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace and "
            f"the same device as those passed to fit(): the estimator is on {backend!r}, X {where(X)}. "
            f"Move the estimator with .to({to[0]!r}, {to[1]!r}), or X"
        )
    refuse_sparse(X, backend)
    return backend


def is_plainly_right(estimator: MLPAttributes, X: Any) -> bool:
    """Whether X is a plain array that passes all of scikit-learn's checks, which take time."""
    is_usual = (
        type(X) is np.ndarray
        and X.dtype in HOST_CHECKS["dtype"]
        and X.ndim == 2
        and X.shape[0] > 0
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and not hasattr(estimator, "feature_names_in_")
    )
    if not is_usual:
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # a sum that overflows: they look more closely
        return math.isfinite(np.add.reduce(X, axis=None))


def fitted_rows(estimator: MLPAttributes, X: Any, method: str) -> tuple[Array, bool]:
    """X on the device of the fitted parameters; and whether results go to the host."""
    backend = fitted_backend(estimator, X, method)
    if backend.host and is_plainly_right(estimator, X):
        return X, True
    rows = check_rows(estimator, X, reset=False, dtype="numeric")
    if on_host(X) and rows.dtype.kind not in "biuf":
        raise TypeError(f"X has dtype {rows.dtype}; accepted: numbers")
    if on_host(X) and rows.dtype not in HOST_CHECKS["dtype"]:
        rows = rows.astype(np.float64)
    return place(rows, backend), on_host(X)
