"""What a user hands in beside X, checked: targets, weights, groups, validation rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples

from portable_nn.estimators import inputs
from portable_nn.estimators.warning import warn
from portable_nn.tabular.columns import Host, is_missing


@dataclass(frozen=True)
class Table:
    """X, y, the weights of the rows and their groups, as they were given."""

    X: Any
    y: Any
    weight: Any = None
    groups: Any = None


def check_given(estimator: Any, given: Table, validation: Table, n: int) -> None:
    """Raise ValueError where something is missing, or is not of n rows."""
    if given.y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    for name, value in (("y", given.y), ("groups", given.groups)):
        count = n if value is None else _num_samples(value)
        if count != n:
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: {[n, count]}; `{name}` "
                f"has {count} rows; accepted: {n}, as X has"
            )
    is_missing = [validation.X is None, validation.y is None]
    if any(is_missing) and (not all(is_missing) or validation.weight is not None):
        raise ValueError(
            "only one of X_val and y_val was given, or sample_weight_val alone; accepted: both, or none"
        )
    if given.groups is not None and validation.X is not None:
        raise ValueError(
            "`groups` and X_val were given; accepted: one of them, since groups are for the rows that "
            "are set aside"
        )


def weights(given: Any, n: int, name: str = "sample_weight") -> Host | None:
    """The weights of n rows, in float64, with the mean 1; ValueError unless they are >= 0."""
    found = inputs.weights(given, np.broadcast_to(0.0, (n, 1)), name)
    if found is None:
        return None
    if (found < 0).any():
        raise ValueError(f"`{name}` has negative values; accepted: weights >= 0")
    total = found.astype(np.float64).sum()
    if not 0 < total < np.inf:
        raise ValueError(f"the sum of `{name}` is {total}; accepted: some weights > 0, and finite ones")
    relative: Host = found.astype(np.float64) / (total / n)
    return relative


def labels_of(y: Any) -> Host:
    """The labels on the host, (n,); ValueError for what are none, or where some are missing."""
    host: Host = column_or_1d(inputs.host(y), warn=True)
    if host.dtype.kind == "O" and any(map(is_missing, host)):
        raise ValueError("Input y contains NaN, or None; accepted: a label for each row")
    check_classification_targets(host)
    return host


def check_every_class(classes: Host, learned: Host) -> None:
    """Raise ValueError where one of the classes is not among the codes to learn from."""
    missing = classes[np.setdiff1d(np.arange(len(classes)), learned)].tolist()
    if missing:
        raise ValueError(
            f"the classes {missing[:5]} have no row to learn from: theirs have the weight 0, or are in "
            "groups that are set aside; accepted: rows of each class in more than one group, or X_val "
            "and y_val instead of `groups`"
        )


def warn_of_dropped(columns: list[str]) -> None:
    """Warn of columns of categories that are left out."""
    if columns:
        warn(
            f"{several(columns)} left out: hardly any of the categories comes twice; if they are "
            "numbers written as words, make them numbers, as by pandas.to_numeric",
            UserWarning,
        )


def warn_of_new(columns: list[str]) -> None:
    """Warn of columns of which no category was there in `fit`."""
    if columns:
        warn(
            f"{several(columns)} without any category that was there in fit; if they are only written "
            "in another way, write them as in fit",
            UserWarning,
        )


def several(columns: list[str]) -> str:
    """Columns in a message."""
    names = ", ".join(columns[:5]) + (", ..." if len(columns) > 5 else "")
    return f"{names} {'is' if len(columns) == 1 else 'are'}"


def some(weight: Host | None, rows: Host) -> Host | None:
    """The weights of some rows."""
    return None if weight is None else weight[rows]
