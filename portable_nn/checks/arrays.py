"""Arrays that a user hands in: one library, one device, dtypes that go together, finite values."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from portable_nn.backends import Backend, dtype_name, of
from portable_nn.backends.padding import where_checked
from portable_nn.equations import Array, Loss
from portable_nn.stores import StoredRows, is_store

Named = Mapping[str, Array]  # arrays by the names that messages give them
FLOATS = ("float32", "float64")
PARAMETER = re.compile(r"\w+\[\d+\]")  # how messages call an array of a layer, such as W[1]
WHOLE = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
STREAM = "; or give `stream=True` to fit or predict, which read stores in slices of rows"
LABELS = "; class labels become integers by numpy.unique(labels, return_inverse=True)[1]"


def check_dtype(dtype: Any) -> str:
    """The name "float32" or "float64" of a dtype of any library; anything else: TypeError."""
    name = "None" if dtype is None else dtype_name(dtype)
    if name not in FLOATS:
        raise TypeError(f"`dtype` is {dtype!r}; accepted: {' or '.join(FLOATS)}")
    return name


def check_owner(name: str, array: Array) -> Backend:
    """The backend that owns `array`; TypeError naming it if there is none."""
    try:
        return of(array)
    except TypeError as error:
        can_stream = is_store(array) and not hasattr(array, "filled") and not hasattr(array, "tocsr")
        raise TypeError(f"`{name}`: {error}" + STREAM * can_stream) from None


def is_whole(array: Array) -> bool:
    """Whether the array is of integers or booleans."""
    return dtype_name(array.dtype) in WHOLE


def check_one_place(arrays: Named, otherwise: str = "", whole: Collection[str] = ()) -> Backend:
    """The one backend that owns all `arrays`; their dtypes go together too, see `check_one_dtype`.

    `otherwise` says what can be done with an array on the host other than moving it.
    """
    (first, reference), *others = arrays.items()
    backend = check_owner(first, reference)
    for name, array in others:
        other = check_owner(name, array)
        traced = not other.values_known(array) or not backend.values_known(reference)
        if other is not backend and not (traced and type(other) is type(backend)):
            raise ValueError(
                f"`{first}` is on {backend!r}, `{name}` on {other!r}; accepted: one library and one "
                f"device; move one of them, as portable_nn.backends.get({backend.name!r}, "
                f"{backend.device_name()!r}).asarray(...) does" + (otherwise if other.host else "")
            )
    check_one_dtype(arrays, whole)
    backend.check_usable(reference)
    return backend


def check_one_dtype(arrays: Named, whole: Collection[str] = ()) -> None:
    """Raise TypeError unless all `arrays` have one floating dtype; those named in `whole` may also have
    one of integers or booleans.
    """
    dtypes = {name: dtype_name(array.dtype) for name, array in arrays.items()}
    first = next(iter(dtypes))
    for name, dtype in dtypes.items():
        if name in whole and dtype in WHOLE:
            continue
        if dtype not in FLOATS:
            accepted = dtypes[first] if dtypes[first] in FLOATS else " or ".join(FLOATS)
            integers = ", integers or booleans" if name in whole else ""
            hint = LABELS if name.endswith("Y") and dtype.startswith(("str", "object")) else ""
            hint += how_to_cast(arrays[name], dtypes[first])
            raise TypeError(f"`{name}` has dtype {dtype}; accepted: {accepted}{integers}; cast it{hint}")
        if dtype != dtypes[first]:
            raise TypeError(
                f"`{first}` has dtype {dtypes[first]}, `{name}` {dtype}; accepted: one dtype; cast one "
                "of them"
                + how_to_cast(arrays[name], dtypes[first])
                + how_to_initialize(first, name, dtype)
            )


def how_to_initialize(first: str, name: str, dtype: str) -> str:
    """How parameters get the dtype of the data, for a message; "" between other arrays."""
    is_between = PARAMETER.fullmatch(first) is not None and name.endswith("X")
    return f", or begin with net.initialize(dtype={dtype!r})" if is_between else ""


def how_to_cast(array: Array, dtype: str) -> str:
    """How the rows of a store become ones of this dtype, for a message; "" for an array in memory."""
    is_numeric = isinstance(array, StoredRows) and array.dtype.kind in "fiub"
    return f", as portable_nn.Columns(store, dtype={dtype!r}) does when it reads" if is_numeric else ""


def check_values(
    backend: Backend,
    arrays: Named,
    loss: Loss | None = None,
    targets: str = "",
    weight: str = "",
    n_classes: int = 0,
) -> None:
    """Raise ValueError where values are NaN or infinite, or targets or weights have no meaning.

    `targets` and `weight` name the arrays among `arrays` that the loss, or the rule for weights, is
    about; with `n_classes` the targets are indices of so many classes. Everything is read from the
    device at once; an array that is being traced has no values yet.
    """
    known = {name: a for name, a in arrays.items() if backend.values_known(a)}
    backend, arrays = where_checked(backend, known)
    xp = backend.xp
    good = {
        f"`{name}` has NaN or infinite values; accepted: finite ones; drop or impute them": (
            backend.all_finite(array)
        )
        for name, array in arrays.items()
        if not is_whole(array)
    }
    if loss is not None and targets in arrays:
        Y = arrays[targets]
        if is_whole(Y):  # a library may have few functions of unsigned integers and booleans
            Y = xp.astype(Y, backend.index_dtype())
        good |= _indices(xp, targets, Y, n_classes) if n_classes else _targets(xp, targets, Y, loss)
    if weight in arrays:
        good |= _weights(xp, weight, arrays[weight])
    flags = list(good.values())
    if not flags or not all(backend.values_known(flag) for flag in flags):
        return
    for message, is_good in zip(good, backend.to_numpy(xp.stack(flags)), strict=True):
        if not is_good:
            raise ValueError(message)


def _targets(xp: Any, name: str, Y: Array, loss: Loss) -> dict[str, Array]:
    wanted = f"`{name}` has a value that {loss.name} gives no meaning to; accepted: "
    good = {}
    if loss.targets in ("nonnegative", "distribution"):
        good[wanted + "values >= 0"] = xp.all(Y >= 0)
    if loss.targets == "unit interval":
        good[wanted + "values in [0, 1]"] = xp.all((Y >= 0) & (Y <= 1))
    if loss.targets == "distribution":
        near = math.sqrt(float(xp.finfo(Y.dtype).eps)) if xp.isdtype(Y.dtype, "real floating") else 0
        total = xp.sum(Y, axis=-1)
        good[wanted + "rows that add up to 1, such as a single 1 for the class and else 0"] = xp.all(
            xp.abs(total - 1) <= near
        )
    return good


def _indices(xp: Any, name: str, indices: Array, n_classes: int) -> dict[str, Array]:
    last = n_classes - 1
    message = f"`{name}` has an index of a class that there is not; accepted: 0 to {last}"
    return {message: xp.all((indices >= 0) & (indices <= last))}


def _weights(xp: Any, name: str, w: Array) -> dict[str, Array]:
    largest, n, info = xp.max(w, axis=-1), w.shape[-1], xp.finfo(w.dtype)
    smallest = n * float(info.smallest_normal)
    return {
        f"`{name}` has negative values; accepted: weights >= 0": xp.all(w >= 0),
        f"`{name}` has a sum of zero, or one too small or large for its dtype; rescale it": xp.all(
            (largest >= smallest) & (largest <= float(info.max) / n)
        ),
    }
