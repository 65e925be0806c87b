"""What the two estimators share: scikit-learn's multi-layer perceptron, on the arrays X is made of."""

from __future__ import annotations

import copy
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    is_classifier,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from portable_nn.backends import Backend, get, owner
from portable_nn.checks import to_host, values
from portable_nn.equations import Activation, Array, Loss, Parameters
from portable_nn.estimators import inputs, lbfgs, stochastic
from portable_nn.estimators.formulas import (
    ACTIVATION_NAMES,
    SCIKIT_NAMES,
    STOCHASTIC,
    hidden_activations,
)
from portable_nn.estimators.hooks import Hooks, sort_callbacks
from portable_nn.estimators.problem import Judge, Problem, judge_by_outputs, judge_by_scorer, take
from portable_nn.loop import Data
from portable_nn.network import Network
from portable_nn.schedules import learning_rate
from portable_nn.steps import prediction_step
from portable_nn.training import check_dropout

SEEN = ("n_features_in_", "feature_names_in_")  # what scikit-learn's checks of X write down


def store(estimator: Any, arguments: dict[str, Any]) -> None:
    """Keep the constructor's arguments as they are, as scikit-learn asks."""
    for name in estimator._get_param_names():
        setattr(estimator, name, arguments[name])


class BaseMLP(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """The estimators' common part; use `MLPClassifier` or `MLPRegressor`."""

    coefs_: list[Array]
    intercepts_: list[Array]
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(ACTIVATION_NAMES), Activation, list, tuple],
        "solver": [StrOptions({*STOCHASTIC, "lbfgs"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "rho": [Interval(Real, 0, 1, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "schedule": [callable, None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "callbacks": [list, tuple, None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "backend": [str, Backend, None],
        "device": "no_validation",
    }

    # ---- what the classifier and the regressor say each for itself ----------------------------------

    @abstractmethod
    def _read_targets(self, y: Any, incremental: bool, classes: Any, backend: Backend) -> dict[str, Any]:
        """What is to be known of the targets, as fitted attributes; raises before any of them is set."""

    @abstractmethod
    def _encode(self, y: Any, known: dict[str, Any], backend: Backend, dtype: Any) -> Array:
        """The targets as the loss takes them: Y (n, n_outputs_), on the device."""

    @abstractmethod
    def _compared(self, y: Any, known: dict[str, Any]) -> np.ndarray[Any, Any]:
        """The targets as `_score_outputs` takes them, on the host."""

    def _smoothed(self, Y: Array, known: dict[str, Any]) -> Array:
        """The targets as they are learned from."""
        return Y

    def _check_validation_targets(self, y: Any, known: dict[str, Any]) -> None:
        """Raise where the targets of the validation data are none that the estimator knows."""

    def _all_weights(self, y: Any, known: dict[str, Any], weight: Any, incremental: bool) -> Any:
        """The weights of the rows, on the host, whatever gives them weight; None if nothing does."""
        return weight

    @abstractmethod
    def _output(self, known: dict[str, Any]) -> tuple[Activation, Loss]:
        """The output layer's activation, and the loss."""

    @abstractmethod
    def _score_outputs(self, y: Any, A: np.ndarray[Any, Any], weight: Any) -> float:
        """scikit-learn's validation score of the outputs A; y as `_compared` gives it."""

    @abstractmethod
    def _score(self, y: Any, predicted: Any, weight: Any) -> float:
        """Accuracy, or R^2, by scikit-learn's function, of host arrays."""

    @abstractmethod
    def predict(self, X: Any) -> Array:
        """What the estimator predicts for X."""

    # ---- fit ----------------------------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        seen = {name: self.__dict__[name] for name in SEEN if name in self.__dict__}
        try:
            problem, known, params = self._prepare(
                X, y, sample_weight, (X_val, y_val, sample_weight_val), incremental, classes
            )
            hooks = Hooks(self, X, y, sample_weight, self.max_iter, self._task(incremental))
        except BaseException:  # nothing has changed then, what `validate_data` writes down included
            for name in SEEN:
                self.__dict__.pop(name, None)
            self.__dict__.update(seen)
            raise
        self.__dict__.update(known, _net=problem.net, _takes_host=inputs.on_host(X))
        if params is not None:
            self._start(problem.net, params)
        if problem.judge is not None and self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        if self.solver in STOCHASTIC:
            stochastic.train(self, problem, incremental, hooks)
        else:
            lbfgs.train(self, problem, hooks)
        return self

    def _prepare(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        incremental: bool,
        classes: Any,
    ) -> tuple[Problem, dict[str, Any], Parameters | None]:
        """All that is checked, placed and drawn before training, in scikit-learn's order.

        Gives the problem, the fitted attributes that the targets decide, and the initial parameters,
        None where training goes on with those there are.
        """
        sizes = self._hidden_sizes()
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        has_validation = any(v is not None for v in validation)
        self._check_combination(len(sizes), incremental, has_validation)
        backend = inputs.training_backend(self, X)
        if not first and owner(self.coefs_[0]) is not backend:
            raise ValueError(
                f"the estimator is on {owner(self.coefs_[0])!r}, the data on {backend!r}; accepted: the "
                f"same place; move the estimator with .to({backend.name!r}, {backend.device_name()!r})"
            )
        rows, targets = inputs.read(self, X, y, backend, first, not is_classifier(self))
        weight = inputs.weights(sample_weight, rows)
        labels_at = get("numpy") if inputs.on_host(X) else backend
        known = self._read_targets(targets, incremental, classes, labels_at)
        Y = self._encode(targets, known, backend, rows.dtype)
        weight = self._all_weights(targets, known, weight, incremental)
        g, loss = self._output(known)
        values(backend, {"y": Y}, loss, "y")
        hidden = hidden_activations(self.activation, len(sizes))
        net = Network((rows.shape[1], *sizes, Y.shape[1]), [*hidden, g], loss)

        random, params = check_random_state(self.random_state), None
        if first:
            params = self._draw(net, random, backend, rows.dtype)
        else:
            self._check_same_network(net)
        plain = Data(rows, Y, inputs.beside(backend, weight, rows))
        train = plain._replace(Y=self._smoothed(Y, known))
        problem = Problem(backend, net, train, random)
        if has_validation:
            problem.validation, problem.judge = self._given_validation(validation, known, problem)
        elif self.early_stopping and self.solver in STOCHASTIC:
            self._split(targets, known, plain, problem)
        return problem, known, params

    def _task(self, incremental: bool) -> str | None:
        """What scikit-learn's callbacks call an iteration; None where they are not told."""
        if incremental:
            return None
        return "epoch" if self.solver in STOCHASTIC else "lbfgs-iter"

    def _hidden_sizes(self) -> list[int]:
        """Units of the hidden layers, by scikit-learn's check."""
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.array(sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return sizes

    def _check_combination(self, hidden: int, incremental: bool, has_validation: bool) -> None:
        """Raise where parameters that are each right do not go together."""
        sort_callbacks(self.callbacks)
        rates = check_dropout(self.dropout, hidden)
        if self.solver == "lbfgs":
            wanted = {
                "dropout": any(rates),
                "schedule": self.schedule is not None,
                "clip_norm": self.clip_norm is not None,
                "X_val": has_validation,
            }
            for name, is_wanted in wanted.items():
                if is_wanted:
                    raise ValueError(
                        f"`{name}` was given with solver='lbfgs', which has no mini-batches; accepted: "
                        f"it with one of the solvers {', '.join(STOCHASTIC)}"
                    )
        if self.schedule is not None and self.solver == "sgd" and self.learning_rate != "constant":
            raise ValueError(
                f"`schedule` was given with learning_rate={self.learning_rate!r}; accepted: with "
                "`schedule`, learning_rate='constant'"
            )
        if self.schedule is not None:
            learning_rate(self.schedule, 0)
        if incremental and self.early_stopping and not has_validation:
            raise ValueError(
                "partial_fit does not support early_stopping=True without a validation set: give it "
                "X_val and y_val"
            )

    def _draw(self, net: Network, random: Any, backend: Backend, dtype: Any) -> Parameters:
        """Initial parameters, drawn as scikit-learn does (Glorot and Bengio, 2010, uniform)."""
        params = []
        for l, (n_in, n_out) in enumerate(zip(net.sizes[:-1], net.sizes[1:], strict=True)):
            names = [g.name for g in net.g[:-1]] or [self.activation]  # the last stands for the output
            is_logistic = names[min(l, len(names) - 1)] in ("logistic", "sigmoid")
            bound = np.sqrt((2.0 if is_logistic else 6.0) / (n_in + n_out))
            coef = random.uniform(-bound, bound, (n_in, n_out))
            intercept = random.uniform(-bound, bound, n_out)
            W = np.ascontiguousarray(coef.T)
            params.append((backend.asarray(W, dtype), backend.asarray(intercept[:, None], dtype)))
        return params

    def _check_same_network(self, net: Network) -> None:
        """Raise where what is to be trained on has another shape than what is asked for."""
        given = [tuple(coef.shape) for coef in self.coefs_]
        wanted = list(zip(net.sizes[:-1], net.sizes[1:], strict=True))
        if given != wanted:
            raise ValueError(
                f"`coefs_` have the shapes {given}, and the parameters and data ask for {wanted}; "
                "accepted: the same; to begin anew call fit with warm_start=False"
            )

    def _given_validation(
        self, given: tuple[Any, Any, Any], known: dict[str, Any], problem: Problem
    ) -> tuple[Data, Judge]:
        """The validation data that the user gave, and their judge."""
        backend, (X, y, weight) = problem.backend, given
        rows, targets = inputs.read_validation(self, X, y, backend, not is_classifier(self))
        self._check_validation_targets(targets, known)
        weight = inputs.weights(weight, rows, "sample_weight_val")
        Y = self._encode(targets, known, backend, rows.dtype)
        values(backend, {"y_val": Y}, problem.net.loss, "y_val")
        data = Data(rows, Y, inputs.beside(backend, weight, rows))
        return data, self._judge(backend, data, targets, known, weight)

    def _split(self, y: Any, known: dict[str, Any], data: Data, problem: Problem) -> None:
        """Set a share of the rows aside, as scikit-learn does, and their judge."""
        backend, stratify = problem.backend, None
        if is_classifier(self) and data.Y.shape[1] == 1:  # not for many classes, nor many labels
            stratify = self._compared(y, known).reshape(-1, 1).astype(bool)
        learned, held_out = train_test_split(
            np.arange(data.X.shape[0]),
            random_state=problem.random,
            test_size=self.validation_fraction,
            stratify=stratify,
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        part = take(backend, data, held_out)
        weight = None if part.weight is None else backend.to_numpy(part.weight)
        if weight is not None and not weight.any():
            raise ValueError(
                "The sample weights for validation set are all zero, consider using a different random "
                "state."
            )
        problem.rows, problem.validation = learned, part
        problem.judge = self._judge(backend, part, inputs.host(y)[held_out], known, weight)

    def _judge(self, backend: Backend, data: Data, y: Any, known: dict[str, Any], weight: Any) -> Judge:
        """Who judges the validation data, whose targets are y."""
        if self.scoring is None:
            return judge_by_outputs(backend, data.X, self._compared(y, known), weight)
        return judge_by_scorer(self, inputs.rows_on_host(data.X), inputs.host(y), weight)

    def _start(self, net: Network, params: Parameters) -> None:
        """The fitted attributes before the first update."""
        self.n_iter_ = self.t_ = 0
        self.n_outputs_, self.n_layers_ = net.sizes[-1], len(net.sizes)
        self.out_activation_ = SCIKIT_NAMES.get(net.g[-1].name, net.g[-1].name)
        self._set_params(params)
        self._best = params
        self.__dict__.pop("_optimizer", None)
        self.loss_curve_ = []
        if self.solver in STOCHASTIC:
            self._no_improvement_count = 0
            self.validation_scores_ = self.validation_loss_curve_ = None
            self.best_loss_, self.best_validation_score_ = np.inf, None
            if self.early_stopping:
                self.best_loss_, self.best_validation_score_ = None, -np.inf

    def _params(self) -> Parameters:
        """coefs_ and intercepts_ as the equations take them."""
        return [(coef.mT, b[:, None]) for coef, b in zip(self.coefs_, self.intercepts_, strict=True)]

    def _set_params(self, params: Parameters) -> None:
        self.coefs_ = [W.mT for W, _ in params]
        self.intercepts_ = [b[:, 0] for _, b in params]

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                "partial_fit is only available for stochastic"
                f" optimizers. {self.solver} is not stochastic."
            )
        return True

    # ---- what a fitted estimator computes -----------------------------------------------------------

    def _compute(self, X: Any, method: str, every: bool = False) -> tuple[Any, bool]:
        """The outputs for X, or every layer's, beside the parameters; whether they go to the host."""
        check_is_fitted(self)
        X, to_host = inputs.fitted_rows(self, X, method)
        params, backend = self._params(), owner(self.coefs_[0])
        if X.dtype != params[0][0].dtype:
            wide = backend.widest_float()  # type: ignore[union-attr]
            X = X.astype(wide) if hasattr(X, "matrix") else backend.asarray(X, wide)  # type: ignore[union-attr]
            params = [(backend.asarray(W, wide), backend.asarray(b, wide)) for W, b in params]  # type: ignore[union-attr]
        return prediction_step(backend, self._net.g, every)(params, X), to_host

    def _hand_back(self, A: Array, to_host: bool) -> Array:
        return owner(A).to_numpy(A) if to_host else A  # type: ignore[union-attr]

    def activations(self, X: Any) -> list[Array]:
        """Every layer's activations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        activations : list of arrays of shape (n_samples, n_units)
            One for each hidden layer, then the outputs; beside X.
        """
        A, to_host = self._compute(X, "activations", every=True)
        return [self._hand_back(layer, to_host) for layer in A]

    def transform(self, X: Any) -> Array:
        """The activations of the last hidden layer: X as the network has learned to see it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X_new : array of shape (n_samples, n_units)
            Beside X. Without a hidden layer: X itself.
        """
        A, to_host = self._compute(X, "transform", every=True)
        if len(A) > 1:
            return self._hand_back(A[-2], to_host)
        X, _ = inputs.fitted_rows(self, X, "transform")
        return inputs.rows_on_host(X, dense=True) if to_host else X

    @property
    def _n_features_out(self) -> int:
        return int(self.coefs_[-1].shape[0])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R^2 of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels or values, on the host or on any device.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        weight = None if sample_weight is None else inputs.host(sample_weight)
        return self._score(inputs.host(y), inputs.host(self.predict(X)), weight)

    # ---- where it lies ------------------------------------------------------------------------------

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
            It takes and gives back arrays of that backend from now on.

        Raises
        ------
        UnknownBackendError, BackendUnavailableError, TypeError
            For a backend that is not known, not here, or that lacks the dtype; nothing has moved then.
        """
        check_is_fitted(self)
        backend = get(name, device)
        self.__dict__.update(_moved(self.__dict__, backend.asarray))
        self._takes_host = backend.host
        return self

    def _shown_on_host(self) -> Self:
        """A twin that takes host data without names and gives back host arrays, for a scorer."""
        twin = copy.copy(self)
        twin._takes_host = True
        twin.__dict__.pop("feature_names_in_", None)
        if hasattr(self, "classes_"):
            twin.classes_ = to_host(self.classes_)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        if "coefs_" not in state:
            return state
        return state | _moved(state, to_host) | {"_takes_host": True}

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _moved(state: dict[str, Any], move: Callable[[Array], Array]) -> dict[str, Any]:
    """What of the fitted state lies on a device, each array moved; labels that are no numbers stay."""
    moved: dict[str, Any] = {
        name: [move(array) for array in state[name]] for name in ("coefs_", "intercepts_")
    }
    moved["_best"] = [(move(W), move(b)) for W, b in state["_best"]]
    if "_optimizer" in state:
        moved["_optimizer"] = state["_optimizer"].moved(move)
    if "classes_" in state and is_numeric(state["classes_"]):
        moved["classes_"] = move(state["classes_"])
    return moved


def is_numeric(x: Any) -> bool:
    """Whether an array holds numbers or booleans: labels may be strings, which stay on the host."""
    return not isinstance(x, np.ndarray) or x.dtype.kind in "biuf"
