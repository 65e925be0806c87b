"""How the two estimators are fitted: scikit-learn's multi-layer perceptron, on the device of X."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import _fit_context, is_classifier
from sklearn.utils import check_random_state

from portable_nn import trees
from portable_nn.backends import Backend, get, own_settings
from portable_nn.checks import check_dtype
from portable_nn.distributed import Communicator
from portable_nn.distributed.agreement import ending_together, failing_together, of_root
from portable_nn.distributed.communicator import check_communicator, is_first, several
from portable_nn.equations import Activation, Loss, Parameters
from portable_nn.estimators import inputs, lbfgs, minibatches
from portable_nn.estimators.attributes import RECORD
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.constraints import (
    CONSTRAINTS,
    check_combination,
    hidden_sizes,
)
from portable_nn.estimators.conventions import (
    SCIKIT_NAMES,
    STOCHASTIC,
    hidden_activations,
    initial_parameters,
)
from portable_nn.estimators.docs import with_shared_texts
from portable_nn.estimators.fitted import FittedMLP
from portable_nn.estimators.gathering import Member, gatherer_of
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.resuming import check_resumable, resumption_of
from portable_nn.estimators.scikit_callbacks import CallbackSupportMixin
from portable_nn.estimators.several_processes import check_fits_together, check_same_fit
from portable_nn.estimators.targets import Targets
from portable_nn.estimators.validation import given_validation, split, try_scorer
from portable_nn.network import Network
from portable_nn.network.objective import Batch
from portable_nn.training.data import DeviceSource
from portable_nn.training.draws import check_generator_state
from portable_nn.training.resuming import Resumption, believing, read_snapshot
from portable_nn.training.snapshots import Snapshot

VALIDATION_REQUEST = dict.fromkeys(("X_val", "y_val", "sample_weight_val"), True)
SEEN = ("n_features_in_", "feature_names_in_")  # what scikit-learn's checks of X write down


class BaseMLP(CallbackSupportMixin, FittedMLP):
    """The estimators' common part; use `MLPClassifier` or `MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    # what meta-estimators pass on without being asked, where metadata is routed
    __metadata_request__fit: ClassVar[dict[str, Any]] = VALIDATION_REQUEST
    __metadata_request__partial_fit: ClassVar[dict[str, Any]] = VALIDATION_REQUEST

    @abstractmethod
    def _targets(
        self, y: Any, weight: Any, incremental: bool, classes: Any, backend: Backend
    ) -> Targets:
        """y as the loss and the score take it; raises before any fitted attribute is set."""

    # ---- fit ----------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    @with_shared_texts
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        resume: Any = None,
        communicator: Communicator | None = None,
    ) -> Self:
        """Learn from X and y.

        Parameters
        ----------
        {{training_data}}
        {{validation_data}}
        {{validation_weight}}
        resume : path of a checkpoint, or a Checkpoint, default=None
            Go on from the newest complete checkpoint, which a fit with the same parameters and data
            saved by a `portable_nn.Checkpoint` among its `callbacks`; the result is that of a fit that
            was never interrupted. A `Checkpoint` that has saved nothing yet: begin.
        communicator : Communicator, default=None
            The processes that fit this estimator together, each by the same call:
            ``portable_nn.distributed.mpi()`` or ``.torch()``. The result is that of one process, to
            rounding; see ``portable_nn.fit``. Not for the solver 'lbfgs'; `random_state` has to be set.

        Returns
        -------
        self : object

        {{raises_of_fit}}
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, resume=resume, communicator=communicator)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        incremental: bool = False,
        classes: Any = None,
        resume: Any = None,
        communicator: Communicator | None = None,
    ) -> Self:
        given = check_communicator(communicator)
        group = several(given)
        snapshot: Snapshot | None = None
        seen = {name: self.__dict__[name] for name in SEEN if name in self.__dict__}
        try:
            with failing_together(group):
                check_fits_together(self, given)
                if resume is not None and is_first(group):
                    snapshot = read_snapshot(resume, type(self).__name__)
                check_resumable(self, incremental, resume)
            snapshot = snapshot if group is None else of_root(group, snapshot)
            with failing_together(group):
                with own_settings():
                    problem, targets, params = self._prepare(
                        X, y, sample_weight, validation, incremental, classes, snapshot
                    )
                    problem.communicator = group
                    resumption = resumption_of(self, problem, targets, params, snapshot)
                task = self._task(incremental)
                callbacks = Callbacks(self, X, y, sample_weight, self.max_iter, task, group)
            check_same_fit(self, problem, targets.attributes.get("classes_"), params)
        except BaseException:  # nothing has changed then, what `validate_data` stores included
            for name in SEEN:
                self.__dict__.pop(name, None)
            self.__dict__.update(seen)
            raise
        with own_settings(), contextlib.closing(callbacks), ending_together(group):
            self._take_up(problem, targets, params, inputs.on_host(X), incremental)
            self._train(problem, incremental, callbacks, resumption)
        return self

    def _take_up(
        self,
        problem: Problem,
        targets: Targets,
        params: Parameters | None,
        takes_host: bool,
        incremental: bool,
    ) -> None:
        """Set the fitted attributes as they are before the first update."""
        self.__dict__.update(targets.attributes, _net=problem.net, _takes_host=takes_host)
        if params is not None:
            self._start(problem.net, params)
        if self.solver in STOCHASTIC:
            self._start_record(problem.judge is not None, incremental)

    def _train(
        self, problem: Problem, incremental: bool, callbacks: Callbacks, resumption: Resumption
    ) -> None:
        """Train, or hand the training to whoever gathers it."""
        if self.solver not in STOCHASTIC:
            lbfgs.train(self, problem, callbacks)
            return
        gather = gatherer_of(self, problem, incremental, callbacks, resumption)
        if gather is None:
            minibatches.train(self, problem, incremental, callbacks, resumption)
        else:
            gather(Member(self, problem))

    def _prepare(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        incremental: bool,
        classes: Any,
        snapshot: Snapshot | None,
    ) -> tuple[Problem, Targets, Parameters | None]:
        """All that is checked, placed and drawn before training, in scikit-learn's order.

        Gives the problem, the targets, and the initial parameters: None where training continues from
        those that are there.
        """
        problem, targets = self._checked(X, y, sample_weight, validation, incremental, classes)
        if snapshot is not None:  # all is drawn again as it was
            random = problem.random if self.random_state is not None else np.random.RandomState()
            with believing(snapshot.path):
                check_generator_state(snapshot.record["random"])
                random.set_state(snapshot.record["random"])
            problem.draw_from(random)
        params = self._draw(problem, targets, incremental)
        if problem.judge is not None and self.scoring is not None:
            try_scorer(self, problem, targets, params)
        return problem, targets, params

    def _begins(self, incremental: bool) -> bool:
        """Whether the next training begins anew."""
        return not hasattr(self, "coefs_") or not (self.warm_start or incremental)

    def _checked(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        incremental: bool,
        classes: Any,
    ) -> tuple[Problem, Targets]:
        """The problem, before anything is drawn, and the targets; everything has been checked."""
        if incremental:  # scikit-learn's decorator leaves that out once the estimator is fitted
            self._validate_params()
        sizes = hidden_sizes(self)
        is_first = self._begins(incremental)
        has_validation = any(v is not None for v in validation)
        check_combination(self, len(sizes), incremental, has_validation)
        backend = self._backend(X, is_first, incremental)
        rows, y = inputs.read(self, X, y, backend, is_first, not is_classifier(self))
        weight = inputs.weights(sample_weight, rows)
        labels_at = get("numpy") if inputs.on_host(X) else backend
        targets = self._targets(y, weight, incremental, classes, labels_at)
        dtype = rows.dtype if is_first else self.coefs_[0].dtype
        rows, (Y, classes) = inputs.as_dtype(rows, dtype), (encoded := targets.encode(backend, dtype))
        g, loss = targets.output()
        hidden = hidden_activations(self.activation, len(sizes))
        net = self._network((rows.shape[1], *sizes, encoded.n_outputs), [*hidden, g], loss)
        if not is_first:
            self._check_same_network(net)
        weights = inputs.moved_weights(backend, targets.weight, rows)
        train = DeviceSource(Batch(rows, Y, weights, None, classes))
        random = check_random_state(self.random_state)
        drawn = random, random.get_state(legacy=False)
        problem = Problem(backend, net, train, *drawn, smoothing=targets.smoothing)
        if has_validation:
            given_validation(self, validation, X, targets, problem)
        return problem, targets

    def _draw(self, problem: Problem, targets: Targets, incremental: bool) -> Parameters | None:
        """The initial parameters, None where training continues; then rows may be set aside."""
        is_first, is_judged = self._begins(incremental), problem.validation is not None
        params = self._initial_parameters(problem) if is_first else None
        if self.early_stopping and not is_judged and self.solver in STOCHASTIC:
            split(self, targets, problem)
        return params

    def _backend(self, X: Any, is_first: bool, incremental: bool) -> Backend:
        """Where to train: where X is, or where the fitted parameters are."""
        if is_first:
            return inputs.training_backend(self, X)
        backend = inputs.fitted_backend(self, X, "partial_fit" if incremental else "fit")
        check_dtype(self.coefs_[0].dtype)
        return backend

    def _network(self, sizes: Sequence[int], g: Sequence[Activation], loss: Loss) -> Network:
        """The network that is trained."""
        return Network(sizes, g, loss)

    def _initial_parameters(self, problem: Problem) -> Parameters:
        """The first parameters, drawn as scikit-learn draws them."""
        dtype = problem.train.all.X.dtype
        host = initial_parameters(problem.net, problem.random, self.activation)
        params: Parameters = trees.map(lambda array: problem.backend.asarray(array, dtype), host)
        return params

    def _task(self, incremental: bool) -> str | None:
        """What scikit-learn's callbacks call an iteration; None where they are not called."""
        if incremental:
            return None
        return "epoch" if self.solver in STOCHASTIC else "lbfgs-iter"

    def _start(self, net: Network, params: Parameters) -> None:
        """The fitted attributes before the first update."""
        self.n_iter_ = self.t_ = 0
        self.n_outputs_, self.n_layers_ = net.sizes[-1], len(net.sizes)
        self.out_activation_ = SCIKIT_NAMES.get(net.g[-1].name, net.g[-1].name)
        self._set_params(params)
        self.loss_curve_ = []
        for name in RECORD:
            self.__dict__.pop(name, None)

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                "partial_fit is only available for stochastic"
                f" optimizers. {self.solver} is not stochastic."
            )
        return True
