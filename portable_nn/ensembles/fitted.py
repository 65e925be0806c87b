"""What a fitted ensemble can do: predictions of all members in one pass; moves and pickles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from portable_nn import trees
from portable_nn.backends import Backend, get, of, own_settings, to_host
from portable_nn.ensembles.stacked import Reduce, mean_of, reduced_outputs
from portable_nn.equations import Array, Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.labels import place_labels
from portable_nn.estimators.plain_state import as_plain, from_plain
from portable_nn.estimators.predicting import Predicting
from portable_nn.estimators.sparse import SparseRows
from portable_nn.estimators.together import stacked
from portable_nn.layers import Recipe


class FittedEnsemble(Predicting):
    """Several MLPs, `estimators_`, whose arrays are views of those of one stack."""

    estimators_: list[Any]
    estimators_samples_: list[Any]
    shared_: Any

    def _stack_members(self) -> Parameters:
        """The parameters of all members as one stack (K, ...), of which theirs are views."""
        backend = of(self.estimators_[0].coefs_[0])
        with own_settings():
            params: Parameters = stacked(backend.xp, [e._params() for e in self.estimators_])
            for k, member in enumerate(self.estimators_):
                member._set_params(trees.at(params, k))
        self._stack = params, self._arrays()
        return params

    def _arrays(self) -> list[Array]:
        return [array for e in self.estimators_ for array in (*e.coefs_, *e.intercepts_)]

    def _params(self) -> Parameters:
        """The stack; it is made again where members, or their arrays, are other ones than before."""
        params, arrays = self.__dict__.get("_stack", (None, ()))
        now = self._arrays()
        if len(now) == len(arrays) and all(a is b for a, b in zip(now, arrays, strict=True)):
            return params  # type: ignore[no-any-return]
        return self._stack_members()

    @property
    def coefs_(self) -> list[Array]:  # type: ignore[override]
        """The weights of each layer, of all members: (n_estimators, n_in, n_out)."""
        return [W.mT for W, _ in self._params()]

    @property
    def intercepts_(self) -> list[Array]:  # type: ignore[override]
        """The biases of each layer, of all members: (n_estimators, n_out)."""
        return [b[..., 0] for _, b in self._params()]

    @property
    def n_iter_(self) -> int:  # type: ignore[override]
        """The epochs of the member that took the most."""
        return max(int(member.n_iter_) for member in self.estimators_)

    @property
    def loss_curves_(self) -> list[list[float]]:
        """The loss of each epoch, of each member."""
        return [member.loss_curve_ for member in self.estimators_]

    def _compute(self, X: Any, method: str) -> tuple[Any, bool]:
        (mean,), to_host = self._reduced(X, method, [mean_of])
        return mean, to_host

    def _reduced(self, X: Any, method: str, reductions: Sequence[Reduce]) -> tuple[list[Any], bool]:
        """Each reduction of the members' outputs for X, on the device; whether they go to the host."""
        check_is_fitted(self, "estimators_")
        with own_settings():
            rows, to_host = inputs.fitted_rows(self, X, method)
            return self._reduced_rows(rows, reductions), to_host

    def _reduced_rows(self, rows: Any, reductions: Sequence[Reduce]) -> list[Any]:
        params, backend = self._params(), of(self.estimators_[0].coefs_[0])
        if rows.dtype != params[0][0].dtype:  # the wider of the two, as in scikit-learn
            wide = backend.widest_float()
            rows = inputs.as_dtype(rows, wide)
            params = trees.map(lambda theta: inputs.as_dtype(theta, wide), params)
        model = Recipe(self.estimators_[0]._g())
        if isinstance(rows, SparseRows):  # there are no products of it with a stack
            X: Any = rows
            outputs = [
                reduced_outputs(backend, model, trees.at(params, k), X, [lambda xp, A: A])[0]
                for k in range(len(self.estimators_))
            ]
            A = backend.xp.stack(outputs)
            return [reduction(backend.xp, A) for reduction in reductions]
        return reduced_outputs(backend, model, params, rows, reductions)

    # ---- moves, copies, pickles ---------------------------------------------------------------------

    def to(self, name: str | Backend, device: Any = None) -> Self:
        """Move the fitted ensemble to another array library, or to another device.

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
        check_is_fitted(self, "estimators_")
        backend = get(name, device)
        for each in (*self.estimators_, *filter(None, [self.__dict__.get("shared_")])):
            each.to(backend)
        self._takes_host = self.estimators_[0]._takes_host
        if "classes_" in vars(self):
            self.classes_ = place_labels(to_host(self.classes_), backend)
        self._stack_members()
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        state = {name: value for name, value in state.items() if name != "_stack"}
        if isinstance(self.backend, Backend):
            state |= {"backend": self.backend.name, "device": self.backend.device_name()}
        if "classes_" in state:
            state["classes_"] = to_host(state["classes_"])
        return as_plain(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_plain(state))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.backend is None  # sparse rows stay on the host
        tags.array_api_support = True
        return tags
