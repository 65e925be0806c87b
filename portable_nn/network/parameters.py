"""The parameters of a dense network: their form, their shapes, and whether data suits them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from portable_nn.backends import Backend, dtype_name, to_host
from portable_nn.checks import Given, check_one_dtype, check_one_place, check_values
from portable_nn.checks.arrays import is_whole
from portable_nn.checks.host_arrays import check_host_values, check_on_host
from portable_nn.equations import Array, Loss, symbol
from portable_nn.network.objective import Batch

Shape = tuple[int, ...]


class Checked(NamedTuple):
    """Parameters whose form, place and shapes are right; `arrays` has them by name (W[1], b[1], ...)."""

    sizes: tuple[int, ...]
    loss: Loss
    arrays: dict[str, Array]
    backend: Backend
    stack: Shape

    @property
    def dtype(self) -> Any:
        """The dtype of all of them."""
        return self.arrays["W[1]"].dtype

    @property
    def first(self) -> dict[str, Array]:
        """One of them, for other arrays to be compared with."""
        return {"W[1]": self.arrays["W[1]"]}

    def check_values(self) -> None:
        """Raise ValueError where a parameter is NaN or infinite."""
        check_values(self.backend, self.arrays)

    def check_data(self, given: Given, otherwise: str = "", more: bool = False) -> Batch:
        """The data as a batch, checked against the parameters; with `more` values of the data only are.

        `otherwise` says what can be done with data on the host other than moving it.
        """
        check_one_place(self.first | given.arrays, otherwise, given.arrays)
        given, n_classes = self._in_form(given, self.backend)
        arrays = given.arrays if more else self.arrays | given.arrays
        check_values(self.backend, arrays, self.loss, *given.names[1:], n_classes)
        batch = self._batch(given, n_classes)
        if given.has_targets and is_whole(batch.Y) and not self.backend.values_known(batch.Y):
            return self._without_meaning_as_nan(batch)
        return batch

    def check_host_data(self, given: Given) -> Batch:
        """The data, which stays on the host, as a batch, checked against the parameters."""
        host = check_on_host(given.arrays)
        check_one_dtype(self.first | given.arrays, given.arrays)
        given, n_classes = self._in_form(given, host)
        check_host_values(host, given, self.loss, n_classes)
        return self._batch(given, n_classes)

    def _in_form(self, given: Given, backend: Backend) -> tuple[Given, int]:
        """Data of the right shapes, Y in rows and weights as floats; how many classes Y has indices of.

        `backend` is that of the data.
        """
        given = given.in_rows(self.loss, self.sizes[-1], self.stack)
        given.check_shapes(self.sizes, self.stack, self.loss)
        weight = given.sample_weight
        if weight is not None and is_whole(weight):
            given = replace(given, sample_weight=backend.asarray(weight, self.dtype))
        return given, given.n_classes(self.loss, self.sizes[-1])

    def _without_meaning_as_nan(self, batch: Batch) -> Batch:
        """The batch with targets as floats, of which those without a meaning are NaN.

        Where a function is being traced no error can be raised for them, and an index of no class would
        count for nothing.
        """
        xp, loss = self.backend.xp, self.loss
        if batch.classes is not None:
            hits = batch.one_hot(xp)
            has_meaning = xp.any(hits, axis=-1, keepdims=True)
            batch = batch._replace(Y=hits, classes=None)
        elif loss.targets == "unit interval" and dtype_name(batch.Y.dtype) != "bool":
            has_meaning = (batch.Y == 0) | (batch.Y == 1)
        else:
            return batch
        Y = xp.astype(batch.Y, self.dtype)
        return batch._replace(Y=xp.where(has_meaning, Y, xp.full_like(Y, math.nan)))

    def _batch(self, given: Given, n_classes: int) -> Batch:
        classes = class_indices(self.backend, n_classes) if n_classes else None
        return Batch(given.X, given.Y, given.sample_weight, classes=classes)  # type: ignore[arg-type]


def class_indices(backend: Backend, n_classes: int) -> Array:
    """0, 1, ..., n_classes - 1, which a column of class indices is compared with."""
    return backend.asarray(np.arange(n_classes), backend.index_dtype())


def check_parameters(sizes: tuple[int, ...], loss: Loss, params: Any) -> Checked:
    """The parameters by name, once their form, place and shapes are those of a network's."""
    arrays = check_form(params, sizes)
    backend = check_one_place(arrays)
    return Checked(sizes, loss, arrays, backend, check_shapes(arrays, sizes))


def check_form(params: Any, sizes: Sequence[int]) -> dict[str, Array]:
    """The arrays of `params` by name; ValueError unless it is a list of pairs, one per layer."""
    L = len(sizes) - 1
    if not isinstance(params, (list, tuple)) or len(params) != L:
        given = f"{len(params)} layers" if isinstance(params, (list, tuple)) else repr(type(params))
        many = "1 pair" if L == 1 else f"{L} pairs"
        raise ValueError(f"`params` is {given}; accepted: a list of {many} (W, b), one per layer")
    for l, layer in enumerate(params):
        if not isinstance(layer, (list, tuple)) or len(layer) != 2:
            raise ValueError(f"`params[{l}]` is {type(layer)}; accepted: a pair (W, b)")
    return {symbol((l, k)): array for l, layer in enumerate(params) for k, array in enumerate(layer)}


def check_shapes(arrays: dict[str, Array], sizes: Sequence[int]) -> Shape:
    """The stack's shape, () for one network; ValueError unless every W and b has its shape."""
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


def layers_as_values(params: Any) -> dict[str, Any]:
    """Host copies of [(W[1], b[1]), ...], or of gradients or slots of that form, by layer and name."""
    return {
        str(l): {"W": np.asarray(to_host(W)), "b": np.asarray(to_host(b))}
        for l, (W, b) in enumerate(params, start=1)
    }
