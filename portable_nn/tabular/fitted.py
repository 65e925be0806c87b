"""What a fitted estimator of tables can do: outputs of all networks in one pass; moves and pickles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from portable_nn import trees
from portable_nn.backends import Backend, get, of, own_settings, owner, to_host
from portable_nn.ensembles.stacked import Reduce, reduced_outputs
from portable_nn.equations import Array, Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.plain_state import as_plain, from_plain
from portable_nn.network import Network
from portable_nn.tabular.columns import Host, read_columns
from portable_nn.tabular.encoding import (
    Encoding,
    all_new,
    as_values,
    check_alike,
    from_values,
)
from portable_nn.tabular.given import warn_of_new


class FittedTabular(BaseEstimator):
    """Networks of one structure, `params_`, and the encoding of the tables that they take."""

    backend: Any
    network_: Network
    params_: Parameters
    encoding_: Encoding

    # ---- predictions --------------------------------------------------------------------------------

    def _encoded(self, X: Any) -> Host:
        """Rows of X as the network takes them."""
        columns = read_columns(self, X, reset=False)
        check_alike(self.encoding_, columns)
        warn_of_new(all_new(self.encoding_, columns))
        return self.encoding_(list(columns.values()))

    def _outputs(self, X: Host, reductions: Sequence[Reduce]) -> list[Host]:
        """Each reduction of the networks' outputs for encoded rows; on the host, in float64."""
        backend = of(self.params_[-1][0])
        with own_settings():
            model, params = self.network_.described.model, self.params_
            if backend.host:  # in float32 the last digits would depend on the number of rows
                params = trees.map(lambda array: backend.asarray(array, np.float64), params)
            rows = backend.asarray(X, dtype=params[-1][0].dtype)
            found = reduced_outputs(backend, model, params, rows, reductions)
            return [backend.to_numpy(each).astype(np.float64) for each in found]

    def _predicted(self, X: Any, reductions: Sequence[Reduce]) -> list[Host]:
        """The same for a table."""
        check_is_fitted(self, "params_")
        self._check_place(X)
        return self._outputs(self._encoded(X), reductions)

    def _check_calibrated(self, method: str) -> None:
        """Raise NotFittedError where no rows were set aside to calibrate with."""
        check_is_fitted(self, "params_")
        if "calibration_scores_" not in vars(self):
            raise NotFittedError(
                f"{method} needs rows that the networks have not learned from; call fit with a "
                "`validation_fraction` > 0 and 10 rows or more, or with X_val and y_val"
            )

    def _check_place(self, X: Any) -> None:
        """Raise ValueError for an array of another library or device than the networks'."""
        backend, theirs = of(self.params_[-1][0]), owner(X)
        if theirs is not None and not theirs.host and theirs is not backend:
            raise ValueError(
                f"X is {inputs.where(X)}, and the {type(self).__name__} on {backend!r}; accepted: X on "
                f"the host or there; or move it: .to({theirs.name!r}, {theirs.device_name()!r})"
            )

    def _hand_back(self, found: Host, X: Any) -> Array:
        """A result beside X."""
        if inputs.on_host(X):
            return found
        backend = of(X)
        is_float = backend.xp.isdtype(X.dtype, "real floating")
        return backend.asarray(found, dtype=X.dtype if is_float else backend.widest_float())

    # ---- moves, copies, pickles ---------------------------------------------------------------------

    def to(self, name: str | Backend, device: Any = None) -> Self:
        """Move the networks to another array library, or to another device.

        Tables are read and encoded on the host wherever the networks are.

        Parameters
        ----------
        name : str or Backend
            The backend to move to, see `portable_nn.backends.names`.
        device : optional
            A device of that library, or its name; None: its default.

        Returns
        -------
        self : object

        Raises
        ------
        UnknownBackendError, BackendUnavailableError, TypeError
            For a backend that is not known, not here, or that lacks float32; nothing has moved then.
        """
        check_is_fitted(self, "params_")
        backend = get(name, device)
        self.params_ = trees.map(lambda array: backend.asarray(to_host(array)), self.params_)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {**super().__getstate__()}
        if isinstance(self.backend, Backend):
            state |= {"backend": self.backend.name, "device": self.backend.device_name()}
        if "params_" in state:
            place = of(self.params_[-1][0])
            state["params_"] = trees.map(to_host, self.params_)
            state["encoding_"] = as_values(self.encoding_)
            state["_place"] = (place.name, place.device_name())
        return as_plain(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_plain(state))
        place = self.__dict__.pop("_place", None)
        if place is not None:
            backend = get(*place)
            self.params_ = trees.map(backend.asarray, self.params_)
            self.encoding_ = from_values(self.encoding_)  # type: ignore[arg-type]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags  # no array API support in scikit-learn's sense: attributes stay on the host
