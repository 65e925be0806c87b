"""The door: what a user hands in is checked here, before anything is computed or changed.

One library, one device, one dtype; the shapes of the network; finite values; targets and weights
that have a meaning. Every message says what was given, what is accepted, and what to do.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from portable_nn.backends import Backend, of
from portable_nn.backends.base import dtype_name
from portable_nn.equations import Array, Loss

Shape = tuple[int, ...]
FLOATS = ("float32", "float64")
ONE_HOT = "; class labels become rows with a single 1: numpy.eye(n_classes)[labels]"


def floating_name(dtype: Any) -> str:
    """The name "float32" or "float64" of a dtype of any library; anything else: TypeError."""
    name = "None" if dtype is None else dtype_name(dtype)
    if name not in FLOATS:
        raise TypeError(f"`dtype` is {dtype!r}; accepted: {' or '.join(FLOATS)}")
    return name


def admit(
    sizes: Sequence[int],
    loss: Loss,
    params: Any,
    X: Array,
    Y: Array | None = None,
    sample_weight: Array | None = None,
    prefix: str = "",
    otherwise: str = "",
) -> Backend:
    """The backend of all these arrays, once everything about them has been checked.

    `otherwise` says what can be done with data on the host, but for moving it to the parameters.
    """
    arrays = parameter_arrays(params, sizes) | named(prefix, X, Y, sample_weight)
    backend = same_place(arrays, otherwise)
    shapes(arrays, sizes, prefix)
    values(backend, arrays, loss, prefix + "Y", prefix + "sample_weight")
    return backend


def named(prefix: str, X: Array, Y: Array | None, sample_weight: Array | None) -> dict[str, Array]:
    """The arrays of data that are given, by the names that messages have for them."""
    others = {prefix + "Y": Y, prefix + "sample_weight": sample_weight}
    return {prefix + "X": X} | {name: array for name, array in others.items() if array is not None}


def same_place(arrays: Mapping[str, Array], otherwise: str = "") -> Backend:
    """The one backend that owns all `arrays`, given by name; all have one floating dtype too."""
    (first, reference), *others = arrays.items()
    backend = owner(first, reference)
    for name, array in others:
        other = owner(name, array)
        traced = not other.values_known(array) or not backend.values_known(reference)
        if other is not backend and not (traced and type(other) is type(backend)):
            raise ValueError(
                f"`{first}` is on {backend!r}, `{name}` on {other!r}; accepted: one library and one "
                f"device; move one of them, as portable_nn.backends.get({backend.name!r}, "
                f"{backend.device_name()!r}).asarray(...) does" + (otherwise if other.host else "")
            )
    same_dtype(arrays)
    return backend


def same_dtype(arrays: Mapping[str, Array]) -> None:
    """Raise TypeError unless all `arrays` have one floating dtype."""
    dtypes = {name: dtype_name(array.dtype) for name, array in arrays.items()}
    first = next(iter(dtypes))
    for name, dtype in dtypes.items():
        if dtype not in FLOATS:
            accepted = dtypes[first] if dtypes[first] in FLOATS else " or ".join(FLOATS)
            hint = ONE_HOT if name.endswith("Y") and "int" in dtype else ""
            raise TypeError(f"`{name}` has dtype {dtype}; accepted: {accepted}; cast it{hint}")
        if dtype != dtypes[first]:
            raise TypeError(
                f"`{first}` has dtype {dtypes[first]}, `{name}` {dtype}; accepted: one dtype; cast one "
                "of them"
            )


def owner(name: str, array: Array) -> Backend:
    """The backend that owns `array`; TypeError naming it if there is none."""
    try:
        return of(array)
    except TypeError as error:
        raise TypeError(f"`{name}`: {error}") from None


def shapes(arrays: Mapping[str, Array], sizes: Sequence[int], prefix: str) -> None:
    """Raise ValueError unless parameters and data have the shapes that belong together."""
    x, y, w = (prefix + name for name in ("X", "Y", "sample_weight"))
    stack = parameter_shapes(arrays, sizes)
    n = rows(x, arrays[x], sizes[0], stack)
    if y in arrays:
        rows(y, arrays[y], sizes[-1], stack, n)
    if w in arrays:
        weights(w, arrays[w], n, stack)


def parameter_arrays(params: Any, sizes: Sequence[int]) -> dict[str, Array]:
    """The arrays of `params` by name ("W[1]", "b[1]", ...), once its structure is that of `sizes`."""
    L = len(sizes) - 1
    if not isinstance(params, (list, tuple)) or len(params) != L:
        given = f"{len(params)} layers" if isinstance(params, (list, tuple)) else repr(type(params))
        many = "1 pair" if L == 1 else f"{L} pairs"
        raise ValueError(f"`params` is {given}; accepted: a list of {many} (W, b), one per layer")
    arrays = {}
    for l, layer in enumerate(params, start=1):
        if not isinstance(layer, (list, tuple)) or len(layer) != 2:
            raise ValueError(f"`params[{l - 1}]` is {type(layer)}; accepted: a pair (W, b)")
        arrays[f"W[{l}]"], arrays[f"b[{l}]"] = layer
    return arrays


def parameter_shapes(arrays: Mapping[str, Array], sizes: Sequence[int]) -> Shape:
    """The stack's shape, () for one network, once every W and b has the shape that `sizes` wants."""
    stack: Shape = tuple(arrays["W[1]"].shape[:-2])
    for l, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        for name, wanted in ((f"W[{l}]", (n_out, n_in)), (f"b[{l}]", (n_out, 1))):
            given = tuple(arrays[name].shape)
            if given != stack + wanted:
                raise ValueError(
                    f"`{name}` has shape {given}; accepted: {stack + wanted} for the sizes "
                    f"{tuple(sizes)}" + (f" and the stack {stack} of `W[1]`" if stack else "")
                )
    return stack


def rows(name: str, array: Array, width: int, stack: Shape, n: int | None = None) -> int:
    """The number of rows of `array`: (n, width), or that for every network of the stack."""
    shape = tuple(array.shape)
    if len(shape) >= 2 and shape[:-2] in ((), stack) and shape[-1] == width and n in (None, shape[-2]):
        if shape[-2] == 0:
            raise ValueError(f"`{name}` has shape {shape}; accepted: at least one row")
        return int(shape[-2])
    count = "n_samples" if n is None else n
    stacked = ", ".join(map(str, (*stack, count, width)))
    accepted = f"({count}, {width})" + (f" or ({stacked})" if stack else "")
    hint = ""
    if len(shape) == 1 and name.endswith("X"):
        hint = "; for one example: X.reshape(1, -1)"
    elif len(shape) == 1 and width == 1:
        hint = f"; for one output: {name}[:, None]"
    elif len(shape) == 1:
        hint = ONE_HOT
    raise ValueError(f"`{name}` has shape {shape}; accepted: {accepted}{hint}")


def weights(name: str, array: Array, n: int, stack: Shape) -> None:
    """Raise unless `array` holds one weight per row: (n,), or that for every network of the stack."""
    shape = tuple(array.shape)
    if shape not in ((n,), (*stack, n)):
        accepted = f"({n},)" + (f" or {(*stack, n)}" if stack else "")
        raise ValueError(f"`{name}` has shape {shape}; accepted: {accepted}, one weight per row")


def values(
    backend: Backend,
    arrays: Mapping[str, Array],
    loss: Loss | None = None,
    targets: str | None = None,
    weight: str | None = None,
) -> None:
    """Raise ValueError where values are NaN or infinite, or targets or weights without a meaning.

    All is looked at in one read; an array that is being traced has no values to look at yet.
    """
    arrays = {name: a for name, a in arrays.items() if backend.values_known(a)}
    xp = backend.xp
    good = {
        f"`{name}` has NaN or infinite values; accepted: finite ones; drop or impute them": (
            backend.all_finite(array)
        )
        for name, array in arrays.items()
    }
    if loss is not None and targets is not None and targets in arrays:
        good |= _targets(xp, targets, arrays[targets], loss)
    if weight is not None and weight in arrays:
        w = arrays[weight]
        good[f"`{weight}` has negative values; accepted: weights >= 0"] = xp.all(w >= 0)
        largest, n, info = xp.max(w, axis=-1), w.shape[-1], xp.finfo(w.dtype)
        good[f"`{weight}` has a sum of zero, or one too small or large for its dtype; rescale it"] = (
            xp.all((largest >= n * float(info.smallest_normal)) & (largest <= float(info.max) / n))
        )
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
        near = math.sqrt(float(xp.finfo(Y.dtype).eps))
        total = xp.sum(Y, axis=-1)
        good[wanted + "rows that add up to 1, such as a single 1 for the class and else 0"] = xp.all(
            xp.abs(total - 1) <= near
        )
    return good


def number(
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    open_low: bool = False,
    closed_high: bool = False,
) -> float:
    """`value` as a float, if it is a finite real number in [low, high), without `low` or with `high`."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    at_an_end = is_number and ((value == low and not open_low) or (value == high and closed_high))
    if not is_number or not (low < value < high or at_an_end):
        bounds = f"{'(' if open_low else '['}{low}, {high}{']' if closed_high else ')'}"
        error = ValueError if is_number else TypeError
        raise error(f"`{name}` is {value!r}; accepted: a number in {bounds}")
    return float(value)


def store(frozen: Any, **ranges: tuple[float, float, bool]) -> None:
    """Keep attributes of a frozen dataclass as Python floats: ``name=(low, high, open_low)``."""
    for name, (low, high, open_low) in ranges.items():
        value = number(name, getattr(frozen, name), low, high, open_low=open_low)
        object.__setattr__(frozen, name, value)


def whole(name: str, value: Any, low: int) -> int:
    """`value` as an int, if it is a whole number >= low."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"`{name}` is {value!r}; accepted: a whole number >= {low}")
    if value < low:
        raise ValueError(f"`{name}` is {value!r}; accepted: a whole number >= {low}")
    return int(value)


def same_state(params: Any, slots: Any, count: int, backend: Backend) -> None:
    """Raise ValueError unless `slots` holds `count` arrays for each array of params, alike in all."""
    wrong = (
        "`state` does not belong to `params`; accepted: what `init(params)` of this optimizer returned"
    )
    if len(slots) != len(params):
        raise ValueError(wrong)
    for layer, kept in zip(params, slots, strict=True):
        for theta, arrays in zip(layer, kept, strict=True):
            alike = [
                a.shape == theta.shape and a.dtype == theta.dtype and of(a) is backend for a in arrays
            ]
            if len(alike) != count or not all(alike):
                raise ValueError(wrong)


def same_structure(params: Any, grads: Any) -> Backend:
    """The backend of all arrays, if they are finite and each gradient has its parameter's shape."""
    layers = max(1, len(params)) if isinstance(params, (list, tuple)) else 1
    theirs = parameter_arrays(params, [0] * (layers + 1))
    try:
        mine = parameter_arrays(grads, [0] * (layers + 1))
    except ValueError as error:
        raise ValueError(str(error).replace("params", "grads")) from None
    arrays = theirs | {f"d{name}": array for name, array in mine.items()}
    backend = same_place(arrays)
    for name, array in theirs.items():
        given, wanted = tuple(mine[name].shape), tuple(array.shape)
        if given != wanted:
            raise ValueError(
                f"the gradient of `{name}` has shape {given}; accepted: {wanted}, as it has"
            )
    values(backend, arrays)
    return backend
