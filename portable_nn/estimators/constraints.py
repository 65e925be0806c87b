"""The constructor's parameters: what each may be, and which do not go together."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, Options, StrOptions

from portable_nn.backends import Backend
from portable_nn.checks.numbers import LARGEST, check_whole, scalar
from portable_nn.equations import Activation
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.callbacks import sort_callbacks
from portable_nn.estimators.conventions import ACTIVATION_NAMES, STOCHASTIC
from portable_nn.schedules import check_learning_rate
from portable_nn.training.dropout import check_dropout


class Range(Interval):
    """scikit-learn's interval, for every kind of number that Python has.

    It refuses True and False, and numbers so large that they would fail deep inside.
    """

    def is_satisfied_by(self, val: Any) -> bool:
        if not isinstance(val, self.type) or isinstance(val, bool):
            return False
        if self.type is Integral:
            return int(val) <= LARGEST and bool(super().is_satisfied_by(int(val)))
        try:
            return bool(super().is_satisfied_by(float(val)))
        except OverflowError:
            return False


CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Range(Integral, 1, None, closed="left")],
    "activation": [StrOptions(ACTIVATION_NAMES), Activation, list, tuple],
    "solver": [StrOptions({*STOCHASTIC, "lbfgs"})],
    "alpha": [Range(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Range(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Range(Real, 0, None, closed="neither")],
    "power_t": [Range(Real, 0, None, closed="left")],
    "max_iter": [Range(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Range(Real, 0, None, closed="left")],
    "verbose": ["verbose", StrOptions({"bar"})],
    "warm_start": ["boolean"],
    "momentum": [Range(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Range(Real, 0, 1, closed="left")],
    "beta_1": [Range(Real, 0, 1, closed="left")],
    "beta_2": [Range(Real, 0, 1, closed="left")],
    "epsilon": [Range(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Range(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Range(Integral, 1, None, closed="left")],
    "dropout": [Range(Real, 0, 1, closed="left"), list, tuple, callable],
    "weight_decay": [Range(Real, 0, None, closed="left")],
    "rho": [Range(Real, 0, 1, closed="left")],
    "clip_norm": [Range(Real, 0, None, closed="neither"), None],
    "schedule": [callable, None],
    "scoring": [StrOptions(set(get_scorer_names())), callable, None],
    "callbacks": [list, tuple, None],
    "max_time": [Range(Real, 0, None, closed="neither"), None],
    "backend": [str, Backend, None],
    "device": "no_validation",
}


def store(estimator: MLPAttributes, arguments: dict[str, Any]) -> None:
    """Store the constructor's arguments, its `locals()`, unchanged, as scikit-learn requires."""
    for name, value in arguments.items():
        if name != "self":
            setattr(estimator, name, value)


def hidden_sizes(estimator: MLPAttributes) -> list[int]:
    """Units of the hidden layers; those that are not positive are refused in scikit-learn's words."""
    given = scalar(estimator.hidden_layer_sizes)
    sizes = [scalar(n) for n in given] if np.iterable(given) else [given]
    for n in sizes:
        if not isinstance(n, Integral) or isinstance(n, bool):
            raise TypeError(
                f"`hidden_layer_sizes` is {given!r}; accepted: whole numbers >= 1, the units of each "
                "hidden layer, such as (100,)"
            )
    if any(n <= 0 for n in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [check_whole("hidden_layer_sizes", n, 1) for n in sizes]


def check_combination(e: MLPAttributes, hidden: int, incremental: bool, has_validation: bool) -> None:
    """Raise ValueError where parameters that are each valid exclude one another."""
    sort_callbacks(e.callbacks)
    rates = check_dropout(e.dropout, hidden)
    if e.solver == "lbfgs":
        wanted = {
            "dropout": any(rates),
            "schedule": e.schedule is not None,
            "clip_norm": e.clip_norm is not None,
            "X_val": has_validation,
        }
        for name, is_wanted in wanted.items():
            if is_wanted:
                raise ValueError(
                    f"`{name}` was given with solver='lbfgs', which has no mini-batches; accepted: "
                    f"it with one of the solvers {', '.join(STOCHASTIC)}"
                )
    if e.schedule is not None and e.solver == "sgd" and e.learning_rate != "constant":
        raise ValueError(
            f"`schedule` was given with learning_rate={e.learning_rate!r}; accepted: with "
            "`schedule`, learning_rate='constant'"
        )
    if e.schedule is not None:
        check_learning_rate(e.schedule, 0)
    if incremental and e.early_stopping and not has_validation:
        raise ValueError(
            "partial_fit does not support early_stopping=True without a validation set: give it "
            "X_val and y_val"
        )
