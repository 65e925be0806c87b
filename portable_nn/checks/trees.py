"""Trees that a user hands to an optimizer: gradients and states that belong to the parameters."""

from __future__ import annotations

from typing import Any

from portable_nn import trees
from portable_nn.backends import Backend, dtype_name, owner
from portable_nn.checks.arrays import check_one_place, check_values
from portable_nn.equations import symbol


def check_gradients(params: Any, grads: Any) -> Backend:
    """The backend of all arrays, if they are finite and each gradient has its parameter's shape.

    A gradient may be None, where an array is to stay as it is.
    """
    names = [symbol(place) for place in trees.places(params)]
    if not isinstance(params, (list, tuple)) or not names:
        given = "holds no arrays" if isinstance(params, (list, tuple)) else f"is {type(params)}"
        raise ValueError(f"`params` {given}; accepted: a list of arrays, [(W, b), ...] say")
    (thetas, form), (found, other) = trees.flatten(params), trees.flatten(grads)
    if not trees.alike(form, other, or_none=True):
        raise ValueError(
            f"`grads` does not have the form of `params` (arrays: {len(found)} and {len(names)}); "
            f"accepted: a gradient for each of {', '.join(names)}, or None, nested in the same way"
        )
    mine = trees.aligned(form, grads)
    labels = [name.replace("params", "grads") if "params" in name else f"d{name}" for name in names]
    gradients = {name: g for name, g in zip(labels, mine, strict=True) if g is not None}
    parameters = dict(zip(names, thetas, strict=True))
    backend = check_one_place(parameters | gradients)
    for (name, array), gradient in zip(parameters.items(), mine, strict=True):
        shape, wanted = tuple(getattr(gradient, "shape", array.shape)), tuple(array.shape)
        if shape != wanted:
            raise ValueError(
                f"the gradient of `{name}` has shape {shape}; accepted: {wanted}, as it has"
            )
    check_values(backend, parameters | gradients)
    return backend


def check_no_overflow(name: str, slots: Any, backend: Backend) -> None:
    """Raise ValueError unless all arrays of `slots`, new ones of the optimizer `name`, are finite.

    Where the square of a gradient has overflowed, every later step would have the length 0.
    """
    arrays = [array for array in trees.leaves(slots) if backend.values_known(array)]
    flags = [backend.all_finite(array) for array in arrays]
    if flags and not bool(backend.to_numpy(backend.xp.all(backend.xp.stack(flags)))):
        dtype = dtype_name(arrays[0].dtype)
        raise ValueError(
            f"`grads` is so large that what {name} keeps of it, its squares say, overflows {dtype}; "
            "accepted: gradients whose squares are finite; scale the data, clip the gradients, or use "
            "a wider dtype"
        )


def check_slots(params: Any, slots: Any, count: int, backend: Backend) -> None:
    """Raise ValueError unless `slots` holds `count` trees of arrays like those of `params`.

    Their values are finite, too.
    """
    wrong = "`state` does not belong to `params`:"
    accepted = "accepted: what `init(params)` of this optimizer, or its last update, returned"
    thetas, form = trees.flatten(params)
    if not isinstance(slots, (list, tuple)) or len(slots) != count:
        many = f"{len(slots)} trees" if isinstance(slots, (list, tuple)) else repr(type(slots))
        raise ValueError(
            f"{wrong} `state.slots` is {many}, and {count} are kept per parameter; {accepted}"
        )
    found: dict[str, Any] = {}
    for k, slot in enumerate(slots):
        name, (arrays, other) = f"state.slots[{k}]", trees.flatten(slot)
        if not trees.alike(form, other):
            raise ValueError(f"{wrong} `{name}` has another form; {accepted}")
        for i, (array, theta) in enumerate(zip(arrays, thetas, strict=True)):
            if owner(array) is not backend:
                raise ValueError(f"{wrong} `{name}` has arrays that are not on {backend!r}; {accepted}")
            given, wanted = (array.shape, array.dtype), (theta.shape, theta.dtype)
            if given != wanted:
                raise ValueError(
                    f"{wrong} `{name}` has an array of shape {tuple(given[0])} and dtype {given[1]} "
                    f"for a parameter of shape {tuple(wanted[0])} and dtype {wanted[1]}; {accepted}"
                )
            found[f"{name}[{i}]"] = array
    check_values(backend, found)
