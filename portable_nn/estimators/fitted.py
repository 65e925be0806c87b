"""What a fitted estimator can do: predictions of every layer, a score; moves, copies, pickles."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from portable_nn import trees
from portable_nn.backends import Backend, get, of, own_settings, owner, to_host
from portable_nn.equations import Activation, Array, Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.conventions import hidden_activations
from portable_nn.estimators.labels import place_labels
from portable_nn.estimators.plain_state import as_plain, from_plain
from portable_nn.estimators.predicting import Predicting
from portable_nn.estimators.ready import Ready
from portable_nn.estimators.scikit_export import to_sklearn
from portable_nn.network import Network
from portable_nn.network.prediction import compiled, compiled_prediction


class FittedMLP(Predicting):
    """An estimator whose `coefs_` and `intercepts_` are on the device of X, or of `backend`."""

    def _g(self) -> tuple[Activation, ...]:
        """The activations: those of the training, or, where weights were set by hand, by their names."""
        hidden = len(self.coefs_) - 1
        if self._net is not None and len(self._net.g) == hidden + 1:
            return self._net.g
        return (
            *hidden_activations(self.activation, hidden),
            *hidden_activations(self.out_activation_, 1),
        )

    def _set_params(self, params: Parameters) -> None:
        super()._set_params(params)
        self._ready = self._ready or Ready()
        self._ready.forget()

    def _compute(self, X: Any, method: str, every: bool = False) -> tuple[Any, bool]:
        """The outputs for X, or every layer's, on the device; and whether they go to the host."""
        if "coefs_" not in vars(self):
            check_is_fitted(self)
        g, ready = self._g(), self._ready or Ready()
        found = None if every else ready.outputs(self, g, X)
        if found is not None:
            return found, True
        with own_settings():
            rows, to_host = inputs.fitted_rows(self, X, method)
            _, model, params, _ = ready.prepare(self, g)
            backend = of(self.coefs_[0])
            if rows.dtype != params[0][0].dtype:  # the wider of the two, as in scikit-learn
                wide = backend.widest_float()
                rows = inputs.as_dtype(rows, wide)
                params = trees.map(lambda theta: inputs.as_dtype(theta, wide), params)
            if every:
                return compiled(backend, model, True)(params, rows), to_host
            return compiled_prediction(backend, model, params, rows), to_host

    def activations(self, X: Any) -> list[Array]:
        """Every layer's activations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        activations : list of arrays of shape (n_samples, n_units)
            One for each hidden layer, then the outputs; on the device of X.
        """
        A, to_host = self._compute(X, "activations", every=True)
        return [self._hand_back(layer, to_host) for layer in A]

    def to_sklearn(self) -> Any:
        """The fitted estimator as scikit-learn's MLPClassifier or MLPRegressor, on the host.

        Predictions are the same within rounding. The weights are copies; the optimizer's arrays are not
        carried over.

        Returns
        -------
        estimator : sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        TypeError
            For a subclass with a `predict`, `predict_proba` or `activations` of its own.
        ValueError
            For activations that scikit-learn lacks, or several different ones.

        Warns
        -----
        UserWarning
            Where scikit-learn has no counterpart for a parameter, such as `dropout`, which is named.
        """
        return to_sklearn(self)

    # ---- moves, copies, pickles ---------------------------------------------------------------------

    def to(self, name: str | Backend, device: Any = None) -> Self:
        """Move the fitted estimator to another array library, or to another device.

        Parameters
        ----------
        name : str or Backend
            The backend to move to, see `portable_nn.backends.names`.
        device : optional
            A device of that library, or its name; None: its default.

        Returns
        -------
        self : object
            It accepts and returns arrays of that backend from now on (and, where the parameter
            `backend` names it too, host data as before).

        Raises
        ------
        UnknownBackendError, BackendUnavailableError, TypeError
            For a backend that is not known, not here, or that lacks the dtype; nothing has moved then.
        """
        check_is_fitted(self)
        backend = get(name, device)
        self.__dict__.update(_moved(self.__dict__, backend.asarray))
        if hasattr(self, "classes_"):
            self.classes_ = place_labels(to_host(self.classes_), backend)
        asked = None if self.backend is None else get(self.backend, self.device)
        self._takes_host = backend.host or asked is backend
        return self

    def _shown_on_host(self) -> Self:
        """A copy that accepts host data without names and returns host arrays, for a scorer."""
        twin = copy.copy(self)
        twin._takes_host = True
        twin.__dict__.pop("feature_names_in_", None)
        if hasattr(self, "classes_"):
            twin.classes_ = to_host(self.classes_)
        return twin

    def _host_state(self) -> dict[str, Any]:
        """What a pickle holds: arrays on the host."""
        state: dict[str, Any] = {**super().__getstate__()}
        state.pop("_ready", None)
        # devices and backends by their names: their library may be missing where this is loaded
        if isinstance(self.backend, Backend):
            state |= {"backend": self.backend.name, "device": self.backend.device_name()}
        if self.device is not None and not isinstance(self.device, str):
            state["device"] = get(self.backend or "numpy", self.device).device_name()
        if "classes_" in state:
            state["classes_"] = to_host(state["classes_"])
        return state | _moved(state, to_host) if "coefs_" in state else state

    def __getstate__(self) -> dict[str, Any]:
        return as_plain(self._host_state())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_plain(state))
        self._ready = Ready()

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        if self._ready is not None:
            twin._ready = Ready()
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        for coef in vars(self).get("coefs_") or ():
            backend = owner(coef)
            if backend is not None and id(coef) not in memo:  # last bits may depend on memory orders
                memo[id(coef)] = backend.duplicate(coef)
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.backend is None  # sparse rows stay on the host
        tags.array_api_support = True
        return tags

    def _check_same_network(self, net: Network) -> None:
        """Raise where what is to be trained on has another shape than what is asked for."""
        given = [tuple(coef.shape) for coef in self.coefs_]
        wanted = list(zip(net.sizes[:-1], net.sizes[1:], strict=True))
        if given != wanted:
            raise ValueError(
                f"`coefs_` have the shapes {given}, and the parameters and data ask for {wanted}; "
                "accepted: the same; to begin anew call fit with warm_start=False"
            )


def _moved(state: dict[str, Any], move: Callable[[Array], Array]) -> dict[str, Any]:
    """The part of the fitted state that is on a device, moved; except for the labels."""
    moved: dict[str, Any] = {
        name: [move(array) for array in state[name]] for name in ("coefs_", "intercepts_")
    }
    if "adapters_" in state:
        moved["adapters_"] = trees.map(move, state["adapters_"])
    if state.get("_best") is not None:
        moved["_best"] = trees.map(move, state["_best"])
    if state.get("_optimizer") is not None:
        moved["_optimizer"] = state["_optimizer"].moved(move)
    return moved
