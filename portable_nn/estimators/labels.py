"""The labels of a classifier: which there are, whether they are known, and on which device."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import type_of_target, unique_labels

from portable_nn.backends import Backend, of
from portable_nn.checks import NONNEGATIVE, check_number
from portable_nn.equations import Array


def has_many(labels: LabelBinarizer) -> bool:
    """Whether a row has many labels, not one."""
    return bool(labels.y_type_.startswith("multilabel"))


def first_labels(y: Any, classes: Any) -> LabelBinarizer:
    """The labels at the first call of partial_fit; for many labels a row, y itself tells how many."""
    if type_of_target(y).startswith("multilabel"):
        if classes is not None and len(unique_labels(classes)) != y.shape[1]:
            raise ValueError(f"`classes={classes!r}`, and y has {y.shape[1]} columns, one per label")
        return LabelBinarizer().fit(y)
    if classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    return LabelBinarizer().fit(unique_labels(classes))


def check_labels(y: Any, labels: LabelBinarizer, name: str = "y", all_of_them: bool = False) -> None:
    """Raise unless y has labels that are known, or, with `all_of_them`, just those."""
    found, known = unique_labels(y), labels.classes_
    if all_of_them and set(found) != set(known):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to "
            f"fit. Previously got {known}, `y` has {found}"
        )
    is_many = type_of_target(y).startswith("multilabel")
    if is_many != has_many(labels):
        given, learned = ("many labels", "one") if is_many else ("one label", "many")
        raise ValueError(f"`{name}` has {given} a row; accepted: {learned}, as at first")
    if not set(found) <= set(known):
        raise ValueError(
            f"`{name}` has classes not in `self.classes_`. `self.classes_` has {known}. "
            f"'{name}' has {found}."
        )


def check_class_weight(class_weight: Any, classes: Any) -> None:
    """Raise where a weight is given to a class that does not exist, or is no weight."""
    if isinstance(class_weight, list):
        raise ValueError(
            "`class_weight` is a list; accepted: a dict, or 'balanced'; a list of dicts is "
            "for targets with many labels a row"
        )
    if not isinstance(class_weight, dict):
        return
    known = set(classes.tolist())
    absent = [c for c in class_weight if c not in known]
    if absent:
        raise ValueError(
            f"`class_weight` has weights for {absent}; accepted: the classes {classes.tolist()}"
        )
    for c, weight in class_weight.items():
        check_number(f"class_weight[{c!r}]", weight, NONNEGATIVE)


def decide(labels: LabelBinarizer, A: Array) -> Array:
    """The number of each row's class; with many labels a row, 1 for those it has and else 0."""
    backend = of(A)
    xp, index = backend.xp, backend.index_dtype()
    if labels.y_type_ == "multiclass":
        return xp.astype(xp.argmax(A, axis=1), index)
    is_on = xp.astype(A > 0.5, index)
    return is_on if has_many(labels) else is_on[:, 0] * (len(labels.classes_) - 1)


def place_labels(classes: np.ndarray[Any, Any], backend: Backend) -> Array:
    """The labels on the device of X, if it has a dtype for them; else on the host."""
    is_there = not backend.host and classes.dtype.name in backend.dtypes()
    return backend.asarray(classes) if is_there else classes
