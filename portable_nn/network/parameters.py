"""The parameters of a network: their form, their shapes, and whether data suits them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from portable_nn.backends import Backend, dtype_name, to_host
from portable_nn.checks import Given, PerNetwork, check_one_dtype, check_one_place, check_values
from portable_nn.checks.arrays import is_whole
from portable_nn.checks.host_arrays import (
    check_host_values,
    check_on_host,
    host_parts,
    in_memory,
    rows_of,
    with_stored_rows,
)
from portable_nn.equations import Array, Loss
from portable_nn.layers import Recipe
from portable_nn.layers.codes import check_codes
from portable_nn.layers.described import Described
from portable_nn.network.objective import Batch

Shape = tuple[int, ...]


class Checked(NamedTuple):
    """Parameters whose form, place and shapes are right; `arrays` has them by name (W[1], b[1], ...)."""

    net: Described
    loss: Loss
    arrays: dict[str, Array]
    backend: Backend
    stack: Shape

    @property
    def dtype(self) -> Any:
        """The dtype of all of them."""
        return next(iter(self.arrays.values())).dtype

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of inputs, of the units after each hidden activation, and of outputs."""
        return self.net.sizes

    @property
    def first(self) -> dict[str, Array]:
        """One of them, for other arrays to be compared with."""
        name = next(iter(self.arrays))
        return {name: self.arrays[name]}

    def check_values(self) -> None:
        """Raise ValueError where a parameter is NaN or infinite, or a variance negative."""
        check_values(self.backend, self.arrays)
        self.check_signs()

    def check_signs(self) -> None:
        """Raise ValueError where a variance is negative."""
        backend = self.backend
        for name in (name for name, array, _ in self.net.arrays if array.is_nonnegative):
            values = self.arrays[name]
            if backend.values_known(values) and backend.to_numpy(backend.xp.any(values < 0)):
                raise ValueError(f"`{name}` has negative values; accepted: values >= 0")

    def check_data(self, given: Given, otherwise: str = "", more: bool = False) -> Batch:
        """The data as a batch, checked against the parameters; with `more` values of the data only are.

        `otherwise` says what can be done with data on the host other than moving it.
        """
        check_one_place(self.first | given.arrays, otherwise, given.arrays)
        given, n_classes = self._in_form(given, self.backend)
        arrays = given.arrays if more else self.arrays | given.arrays
        check_values(self.backend, arrays, self.loss, *given.names[1:], n_classes)
        if not more:
            self.check_signs()
        batch = self._batch(given, n_classes)
        if self.net.levels:
            X = check_codes(self.net.levels, self.backend, given.names[0], batch.X)
            batch = batch._replace(X=X)
        if given.has_targets and is_whole(batch.Y) and not self.backend.values_known(batch.Y):
            return self._without_meaning_as_nan(batch)
        return batch

    def check_host_data(self, given: Given) -> Batch:
        """The data, which stays on the host, as a batch, checked against the parameters.

        X and Y of a store become `StoredRows`; weights are read, as their mean is wanted.
        """
        given = with_stored_rows(given)
        host = check_on_host(given.arrays)
        check_one_dtype(self.first | given.arrays, given.arrays)
        given, n_classes = self._in_form(given, host)
        check_host_values(host, given, self.loss, n_classes)
        if self.net.levels:
            for rows in host_parts(given.part, given.X):
                check_codes(self.net.levels, host, given.names[0], rows_of(given.X, rows))
        return self._batch(given, n_classes)

    def _in_form(self, given: Given, backend: Backend) -> tuple[Given, int]:
        """Data of the right shapes, Y in rows and weights as floats; how many classes Y has indices of.

        `backend` is that of the data.
        """
        given = given.in_rows(backend, self.loss, self.sizes[-1], self.stack)
        given.check_shapes(self.sizes, self.stack, self.loss)
        weight = in_memory(given.sample_weight)
        if weight is not None and is_whole(weight):
            weight = backend.asarray(weight, self.dtype)
        given = replace(given, sample_weight=weight)
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


def check_parameters(net: Described, loss: Loss, params: Any) -> Checked:
    """The parameters by name, once their form, place and shapes are those of a network's."""
    arrays = check_form(params, net)
    backend = check_one_place(arrays)
    return Checked(net, loss, arrays, backend, check_shapes(arrays, net))


def check_form(params: Any, net: Described) -> dict[str, Array]:
    """The arrays of `params` by name; ValueError unless it is a list of tuples, one per layer."""
    L = len(net.layers)
    is_dense = isinstance(net.model, Recipe)
    if not isinstance(params, (list, tuple)) or len(params) != L:
        given = f"{len(params)} layers" if isinstance(params, (list, tuple)) else repr(type(params))
        kind = "pair" if is_dense else "tuple"
        many = f"{L} {kind}{'s' * (L != 1)}"
        form = "(W, b), one per layer" if is_dense else "of arrays, one for each layer that has some"
        raise ValueError(f"`params` is {given}; accepted: a list of {many} {form}")
    for l, (layer, one) in enumerate(zip(net.layers, params, strict=True)):
        if not isinstance(one, (list, tuple)) or len(one) != len(layer.arrays):
            symbols = f"({', '.join(array.symbol for array in layer.arrays)})"
            wanted = f"a pair {symbols}" if len(layer.arrays) == 2 else f"a tuple {symbols}"
            raise ValueError(f"`params[{l}]` is {type(one)}; accepted: {wanted}")
    names = [name for name, _, _ in net.arrays]
    return dict(zip(names, (array for layer in params for array in layer), strict=True))


def check_shapes(arrays: dict[str, Array], net: Described) -> Shape:
    """The stack's shape, () for one network; ValueError unless every array has its shape."""
    own = [name for name, array, _ in net.arrays if not array.is_shared]
    stack: Shape = tuple(arrays[own[0]].shape[:-2]) if own else ()
    for name, array, _ in net.arrays:
        given, lead = tuple(arrays[name].shape), () if array.is_shared else stack
        if given != lead + array.shape:
            raise ValueError(
                f"`{name}` has shape {given}; accepted: {lead + array.shape} for the sizes "
                f"{net.sizes}" + (f" and the stack {stack} of `{own[0]}`" if lead else "")
            )
    return stack


def layers_as_values(params: Any, net: Described | None = None) -> dict[str, Any]:
    """Host copies of params, or of gradients or slots of that form, by layer and name.

    Without `net` each layer is a pair (W, b).
    """
    symbols: Any = [("W", "b")] * len(params)
    if net is not None:
        symbols = [[array.symbol for array in layer.arrays] for layer in net.layers]
    return {
        str(l): {name: np.asarray(to_host(array)) for name, array in zip(names, layer, strict=True)}
        for l, (names, layer) in enumerate(zip(symbols, params, strict=True), start=1)
    }


def check_batch(net: Described, rows: int) -> None:
    """Raise ValueError where a batch of so many rows has no statistics."""
    if rows < 2 and net.model.has_statistics:
        raise ValueError(
            "a batch has one row, and a batch normalization needs the variance of its rows; accepted: "
            "two rows or more in every batch, the last one of an epoch too: choose another `batch_size`"
        )


def check_shared(net: Described, stack: Shape, clip_norm: Any, numbers: dict[str, Any]) -> None:
    """Raise ValueError where networks of a stack that share weights are to be updated differently."""
    shared = [name for name, array, _ in net.arrays if array.is_shared and array.kind != "constants"]
    if not stack or not shared:
        return
    own = next((name for name, value in numbers.items() if is_per_network(value)), None)
    if own is not None or clip_norm is not None:
        given = "`clip_norm` is given" if own is None else f"`{own}` has a number for each network"
        raise ValueError(
            f"{given}, and the networks of the stack share {', '.join(shared)}; accepted: one number "
            "for all of them, and no limit of each network's gradient"
        )


def is_per_network(value: Any) -> bool:
    """Whether a number is one for each network, also within the groups of an optimizer."""
    inner = value.values() if isinstance(value, Mapping) else ()
    return isinstance(value, PerNetwork) or any(map(is_per_network, inner))
