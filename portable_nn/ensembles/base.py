"""An ensemble of multi-layer perceptrons: how it is fitted, moved, copied and pickled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from portable_nn.backends import of, own_settings
from portable_nn.checks.numbers import check_fits
from portable_nn.ensembles.adapters import check_can_share, shared_of, train_shared
from portable_nn.ensembles.docs import with_texts
from portable_nn.ensembles.fitted import FittedEnsemble
from portable_nn.ensembles.members import (
    Trainings,
    check_members_can_be_watched,
    count_of_rows,
    random_state_of,
    rows_of,
    seeds_of_members,
    without_diverged,
)
from portable_nn.estimators import inputs
from portable_nn.estimators.constraints import Range
from portable_nn.estimators.fitting import SEEN, VALIDATION_REQUEST, BaseMLP
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.targets import Targets
from portable_nn.estimators.warning import warn
from portable_nn.network.initialization import count_parameters

NUMBERS_OF_ONE = 1000  # float64 numbers that would take what a member without weights takes
OWN = ("n_estimators", "bootstrap", "max_samples", "sharing", "calibration_fraction")
CONSTRAINTS: dict[str, Any] = {
    "n_estimators": [Range(Integral, 1, None, closed="left")],
    "bootstrap": ["boolean"],
    "max_samples": [
        None,
        Range(Integral, 1, None, closed="left"),
        Range(Real, 0, 1, closed="right"),
    ],
    "sharing": [StrOptions({"none", "adapters"})],
}


class BaseMLPEnsemble(FittedEnsemble):
    """The ensembles' common part; use `MLPEnsembleClassifier` or `MLPEnsembleRegressor`."""

    _member: ClassVar[type[BaseMLP]]

    # what meta-estimators pass on without being asked, where metadata is routed
    __metadata_request__fit: ClassVar[dict[str, Any]] = VALIDATION_REQUEST
    __metadata_request__partial_fit: ClassVar[dict[str, Any]] = VALIDATION_REQUEST

    n_estimators: int
    bootstrap: bool
    max_samples: int | float | None
    sharing: str

    @abstractmethod
    def _outputs_differ(self, targets: Targets) -> str | None:
        """In what the targets differ from those of the members that are there; None: in nothing."""

    # ---- fit ----------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    @with_texts
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the members, in one pass; with `warm_start`, those that are missing.

        Parameters
        ----------
        {{training_data}}
        {{validation_data}}
        {{validation_weight}}

        Returns
        -------
        self : object

        Raises
        ------
        TypeError, ValueError
            For what a single MLP refuses, and for settings that exclude one another, before the
            ensemble has changed.
        MemoryError
            When the members' parameters are more than this machine has memory for, likewise.
        NonFiniteCostError
            A ValueError, when all members diverge.

        Warns
        -----
        ConvergenceWarning
            When some members diverge, naming them: they are left out. And as a single MLP warns.
        """
        validation = (X_val, y_val, sample_weight_val)
        known = self._known_members()
        if len(known) == self.n_estimators:
            warn("fit was called with warm_start=True, and all n_estimators are there.", UserWarning)
            return self
        check_members_can_be_watched(self.callbacks)
        check_fits("n_estimators", self.n_estimators, self.n_estimators * NUMBERS_OF_ONE)
        if self.sharing == "adapters":
            return self._fit_shared(X, y, sample_weight, validation, False)
        random = check_random_state(self.random_state)
        seeds = seeds_of_members(random, known, self.n_estimators - len(known))
        with own_settings():
            first = self._new_member(seeds[0])
            problem, targets = first._checked(X, y, sample_weight, validation, False, None)
            if known:
                self._check_alike(problem, targets, first)
            of_one = count_parameters(problem.net.described.layers)
            check_fits("n_estimators", self.n_estimators, self.n_estimators * of_one)
            trainings = Trainings(first, problem, targets, inputs.on_host(X))
            pool, held_out = self._set_aside(problem.n, random)
            count = count_of_rows(self.max_samples, len(pool))
            own: list[Any] = []
            for seed in seeds:
                drawn = rows_of(seed, len(pool), count, self.bootstrap)
                rows = pool if drawn is None else pool[drawn]
                own.append(rows)
                is_whole = drawn is None and held_out is None
                trainings.prepare(self._new_member(seed), None if is_whole else rows, False)
            errors = trainings.train((X, y, sample_weight), False)
        members = [member for member, *_ in trainings.prepared]
        sound = without_diverged(members, errors, len(known))
        rows_before = self.estimators_samples_ if known else []
        kept = [rows for rows, error in zip(own, errors, strict=True) if error is None]
        self._take_members([*known, *sound], first, targets, trainings.takes_host)
        self.estimators_samples_ = [*rows_before, *kept]
        self.__dict__.pop("shared_", None)
        self._fitted(problem, targets, held_out)
        return self

    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], classes: Any = None
    ) -> Self:
        """All members learn from all the rows for one epoch more."""
        known = self.__dict__.get("estimators_")
        check_members_can_be_watched(self.callbacks)
        if known is not None and (self.sharing == "adapters") != ("shared_" in vars(self)):
            raise ValueError(
                f"partial_fit was called with sharing={self.sharing!r}, and the members that are there "
                "were trained otherwise, or come from a file, which has no adapters; accepted: `fit`"
            )
        if self.sharing == "adapters":
            return self._fit_shared(X, y, sample_weight, validation, True, classes)
        members = known
        if members is None:
            random = check_random_state(self.random_state)
            seeds = seeds_of_members(random, [], self.n_estimators)
            members = [self._new_member(seed) for seed in seeds]
        elif any(self._settings() != self._settings_of(member) for member in members):
            for member in members:
                member.set_params(**self._settings())
        with own_settings():
            problem, targets = members[0]._checked(X, y, sample_weight, validation, True, classes)
            takes_host = inputs.on_host(X) if known is None else self._takes_host
            trainings = Trainings(members[0], problem, targets, takes_host)
            for member in members:
                trainings.prepare(member, None, True)
            errors = trainings.train((X, y, sample_weight), True)
        sound = without_diverged(members, errors, 0)
        self._take_members(sound, members[0], targets, takes_host)
        self.estimators_samples_ = [np.arange(problem.n)] * len(sound)
        return self

    def _fit_shared(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        incremental: bool,
        classes: Any = None,
    ) -> Self:
        """Train members that share weights, as one estimator."""
        check_can_share(self, X)
        random, shared = check_random_state(self.random_state), None
        (seed,) = seeds_of_members(random, [], 1)
        if incremental:
            shared = self.__dict__.get("shared_")
        if shared is None:
            seed = random_state_of(seed)
            shared = shared_of(self._member, self._settings(), self.n_estimators, seed)
        else:
            shared.set_params(**self._settings())
        with own_settings():
            problem, targets = shared._checked(X, y, sample_weight, validation, incremental, classes)
            pool, held_out = np.arange(problem.n), None
            if not incremental:
                pool, held_out = self._set_aside(problem.n, random)
            problem.rows = None if held_out is None else pool
            is_known = incremental and "estimators_" in vars(self)
            takes_host = self._takes_host if is_known else inputs.on_host(X)
            train_shared(shared, problem, targets, (X, y, sample_weight), (takes_host, incremental))
            members = shared._members(lambda: self._new_member(seed))
        self.shared_ = shared
        self._take_members(members, shared, targets, takes_host)
        self.estimators_samples_ = [pool] * len(members)
        if not incremental:
            self._fitted(problem, targets, held_out)
        return self

    def _set_aside(self, n: int, random: np.random.RandomState) -> tuple[Any, Any]:
        """The rows that members may learn from, and those set aside; None where there are none."""
        return np.arange(n), None

    def _fitted(self, problem: Problem, targets: Targets, held_out: Any) -> None:
        """What is to be done after a fit with the rows that were set aside."""

    def _settings(self) -> dict[str, Any]:
        """The parameters of the members, but for what they draw with."""
        given = {name: value for name, value in self.get_params(deep=False).items() if name not in OWN}
        del given["random_state"]
        return given | {"warm_start": False}

    def _settings_of(self, member: BaseMLP) -> dict[str, Any]:
        given: dict[str, Any] = member.get_params(deep=False)
        del given["random_state"]
        return given

    def _new_member(self, seed: int) -> Any:
        return self._member(**self._settings(), random_state=random_state_of(seed))

    def _known_members(self) -> list[Any]:
        """The members that a warm start keeps."""
        known = list(self.__dict__.get("estimators_", [])) if self.warm_start else []
        if len(known) > self.n_estimators:
            raise ValueError(
                f"`n_estimators` is {self.n_estimators} with warm_start=True, and {len(known)} members "
                "are there; accepted: as many or more, or warm_start=False to begin anew"
            )
        if known and len(known) != len(self.estimators_samples_):
            raise ValueError(
                f"there are {len(known)} members in `estimators_`, and rows of "
                f"{len(self.estimators_samples_)} in `estimators_samples_`; accepted with "
                "warm_start=True: as many; take the same ones out of both lists"
            )
        return known

    def _check_alike(self, problem: Problem, targets: Targets, first: BaseMLP) -> None:
        """Raise ValueError where new members could not be put beside those that are there."""
        one = self.estimators_[0]
        differs = self._outputs_differ(targets)
        if differs is None and problem.net.sizes != one._net.sizes:
            differs = f"networks of the sizes {problem.net.sizes}, not {one._net.sizes}"
        elif differs is None and problem.net != one._net:
            differs = f"other networks: {problem.net!r}, not {one._net!r}"
        names, known = ([*vars(e).get("feature_names_in_", ())] for e in (first, self))
        if differs is None and names != known:
            differs = "other features, or in another order"
        backend = of(one.coefs_[0])
        if differs is None and problem.backend is not backend:
            differs = f"X on {problem.backend!r}, not on {backend!r}"
        if differs is not None:
            raise ValueError(
                f"fit was called with warm_start=True, and there are {differs}; accepted: the same data "
                "and networks as before; to begin anew set warm_start=False"
            )

    def _take_members(
        self, members: Sequence[Any], first: BaseMLP, targets: Targets, takes_host: bool
    ) -> None:
        """The fitted attributes, of these members."""
        for name in SEEN:
            self.__dict__.pop(name, None)
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))
        self.__dict__.update(targets.attributes, _takes_host=takes_host)
        self.estimators_ = list(members)
        self.n_outputs_ = members[0].n_outputs_
        self._stack_members()
