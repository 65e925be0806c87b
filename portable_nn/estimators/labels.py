"""The labels of a classifier: which there are, whether they are known, and on which device."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import type_of_target, unique_labels

from portable_nn.backends import Backend, of
from portable_nn.checks import NONNEGATIVE, check_number
from portable_nn.equations import Array

Host = np.ndarray[Any, Any]
# dtypes that hold the values of one that a device may lack, or have few functions for
WIDER = {
    "float16": ("float32",),
    "uint16": ("int32", "int64"),
    "uint32": ("int64",),
    "uint64": ("int64",),
}


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


def class_weights(
    given: Any, classes: list[Host], columns: Host, weight: Host | None, is_many: bool
) -> list[Host]:
    """The weights of the classes in each column, from `class_weight`: 'balanced', a dict, or dicts.

    `columns` (n, k) has the number of each row's class among `classes[k]`, `weight` what the rows count.
    """
    if isinstance(given, str):  # "balanced"
        return [balanced(column, weight, len(c)) for column, c in zip(columns.T, classes, strict=True)]
    if is_many and (not isinstance(given, list) or len(given) != len(classes)):
        what = f"a list of {len(given)}" if isinstance(given, list) else f"a {type(given).__name__}"
        raise ValueError(
            f"`class_weight` is {what}; accepted where rows have many labels: 'balanced', or a list of "
            f"{len(classes)} dicts, one per column of y"
        )
    if not is_many and isinstance(given, list):
        raise ValueError(
            "`class_weight` is a list; accepted: a dict, or 'balanced'; a list of dicts is "
            "for targets with many labels a row"
        )
    dicts = given if is_many else [given]
    names = [f"class_weight[{k}]" for k in range(len(dicts))] if is_many else ["class_weight"]
    return [of_dict(*each) for each in zip(names, dicts, classes, strict=True)]


def of_dict(name: str, given: Any, classes: Host) -> Host:
    """The weights in a dict: 1 for a class that it lacks; a class that y lacks counts for nothing.

    Folds of a cross-validation may lack a rare class. A key that could not be a label of any fold, a
    string among numbers say, is refused: it is meant for a class that is there.
    """
    if not isinstance(given, dict):
        raise ValueError(f"`{name}` is {given!r}; accepted: a dict of weights")
    are_words = isinstance(classes.tolist()[0], str)
    for c, weight in given.items():
        if isinstance(c, str) != are_words:
            raise ValueError(
                f"`{name}` has a weight for {c!r}; accepted: labels like the classes {classes.tolist()}"
            )
        check_number(f"{name}[{c!r}]", weight, NONNEGATIVE)
    return np.asarray([float(given.get(c, 1.0)) for c in classes.tolist()])


def balanced(codes: Host, weight: Host | None, n_classes: int) -> Host:
    """n / (k n_c) for the class c: n rows and n_c of it, counted by their weights, k classes that count.

    0 for a class of which no row counts. King and Zeng, "Logistic regression in rare events data", 2001.
    """
    counts = np.bincount(codes, weight, n_classes).astype(np.float64)
    with np.errstate(all="ignore"):  # what becomes infinite is refused with the sum of the weights
        each = np.sum(counts) / (np.count_nonzero(counts) * counts)
    each[counts == 0] = 0.0
    return each


def decide(labels: LabelBinarizer, A: Array) -> Array:
    """The number of each row's class; with many labels a row, 1 for those it has and else 0."""
    backend = of(A)
    xp, index = backend.xp, backend.index_dtype()
    if labels.y_type_ == "multiclass":
        return xp.astype(xp.argmax(A, axis=1), index)
    is_on = xp.astype(A > 0.5, index)
    return is_on if has_many(labels) else is_on[:, 0] * (len(labels.classes_) - 1)


def place_labels(classes: np.ndarray[Any, Any], backend: Backend) -> Array:
    """The labels on the device of X, if it has a dtype that holds them; else on the host."""
    if backend.host:
        return classes
    here = backend.dtypes()
    for name in (classes.dtype.name, *WIDER.get(classes.dtype.name, ())):
        if name in here and np.array_equal(cast := classes.astype(name), classes):
            return backend.asarray(cast)
    return classes
