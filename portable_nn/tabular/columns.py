"""The columns of a table, whatever holds it: a frame of pandas or polars, an array, lists.

No library of frames is imported: what a column is follows from the attributes of its dtype.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Self, TypeAlias

import numpy as np
from sklearn.utils.validation import _num_samples, validate_data

from portable_nn.estimators import inputs

Host: TypeAlias = np.ndarray[Any, Any]
MISSING = -1  # in place of the number of a level
REALS = (int, float, np.integer, np.floating, Decimal, Fraction)
TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
NEITHER = (*TIMES, complex, np.complexfloating)  # no number, and no name of a category


@dataclass(frozen=True)
class Categories:
    """A column of categories: the names of `levels`, and `codes` (n,) into them, -1 where missing."""

    levels: list[str]
    codes: Host

    def rows(self, which: Host) -> Self:
        """Some of its rows."""
        return type(self)(self.levels, self.codes[which])


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: `values` (n,) float64, NaN where one is missing."""

    values: Host

    def rows(self, which: Host) -> Self:
        """Some of its rows."""
        return type(self)(self.values[which])


Column: TypeAlias = Numbers | Categories
Columns: TypeAlias = Sequence[Column]


def key(value: Any) -> str:
    """What a category is called: 3, 3.0 and "3" are one, so that a missing value changes no name.

    True and 1 are one, too: a column of booleans may come as one of numbers.
    """
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (Decimal, Fraction)):
        value = float(value)
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, NaT, pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, Decimal)) and math.isnan(value)


def is_number(value: Any) -> bool:
    """Whether a value is a number that is no truth value."""
    return isinstance(value, REALS) and not isinstance(value, bool)


def categories_of(values: Iterable[Any], name: str) -> Categories:
    """The categories of single values; TypeError where one cannot name a category."""
    given = list(values)
    wrong = next((value for value in given if isinstance(value, (dict, list, set, np.ndarray))), None)
    if wrong is not None:
        raise TypeError(
            f"{name} holds a {type(wrong).__name__}, {wrong!r}; accepted: each argument must be a "
            "string or a number"
        )
    check_values(given, name)
    codes, levels = dict[Any, int](), dict[str, int]()
    for value in dict.fromkeys(given):
        codes[value] = MISSING if is_missing(value) else levels.setdefault(key(value), len(levels))
    return Categories(list(levels), np.asarray([codes[value] for value in given], dtype=np.int64))


def categories_of_numbers(values: Host) -> Categories:
    """Numbers as the names of categories, in their own dtype: 0.1 of float32 is "0.1"."""
    known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    found, codes = np.unique(values[known], return_inverse=True)
    every = np.full(len(values), MISSING)
    every[known] = codes
    names = categories_of([key(value) for value in found], "")
    return Categories(names.levels, np.append(names.codes, MISSING)[every])


def numbers_of(values: Any, name: str) -> Numbers:
    """A column of numbers; ValueError for infinite ones."""
    found = np.asarray(values, dtype=np.float64)
    if np.isinf(found).any():
        raise ValueError(
            f"{name} contains infinity or a value too large for float64; accepted: finite numbers, and "
            "NaN where one is missing"
        )
    return Numbers(found)


def column_of(values: Iterable[Any], name: str) -> Column:
    """A column of Python objects: numbers if all of them are, else categories."""
    given = list(values)
    missing = [is_missing(value) for value in given]
    known = [value for value, is_gap in zip(given, missing, strict=True) if not is_gap]
    if known and all(map(is_number, known)):
        with inputs.naming(name):
            found = [math.nan if gap else float(v) for v, gap in zip(given, missing, strict=True)]
        return numbers_of(found, name)
    return categories_of(given, name)


def of_pandas(series: Any, name: str, are_names: bool) -> Column:
    """A column of a frame of pandas; `are_names`: it is one of categories, whatever its dtype."""
    if hasattr(series, "cat"):
        names = categories_of(series.cat.categories.tolist(), name)  # two levels may have one name
        return Categories(names.levels, np.append(names.codes, MISSING)[np.asarray(series.cat.codes)])
    kind = getattr(series.dtype, "kind", "O")
    held = getattr(series.dtype, "type", object)  # the kind of Arrow's times may be that of integers
    if isinstance(held, type) and issubclass(held, TIMES):
        check_kind("M", series.dtype, name)
    if kind in "iuf" and are_names:
        plain = isinstance(series.dtype, np.dtype)
        return categories_of_numbers(series.to_numpy()) if plain else categories_of(series, name)
    if kind in "iuf":
        return numbers_of(series.to_numpy(dtype=np.float64, na_value=math.nan), name)
    check_kind(kind, series.dtype, name)
    return categories_of(series, name) if are_names else column_of(series.tolist(), name)


def of_polars(series: Any, name: str, are_names: bool) -> Column:
    """The same of a frame of polars."""
    if series.dtype.is_numeric():
        if not are_names:
            return numbers_of(series.to_numpy(), name)
        has_gaps = series.null_count() > 0
        return categories_of(series, name) if has_gaps else categories_of_numbers(series.to_numpy())
    check_kind("M" if series.dtype.is_temporal() else "O", series.dtype, name)
    return categories_of(series, name) if are_names else column_of(series.to_list(), name)


def of_array(values: Host, name: str, are_names: bool) -> Column:
    """The same of an array."""
    if values.dtype.kind in "biuf":
        return categories_of_numbers(values) if are_names else numbers_of(values, name)
    check_kind(values.dtype.kind, values.dtype, name)
    return categories_of(values.tolist(), name) if are_names else column_of(values.tolist(), name)


def check_kind(kind: str, dtype: Any, name: str) -> None:
    """Raise TypeError for a column of times, or of complex numbers."""
    if kind in "mMc":
        raise TypeError(
            f"{name} has dtype {dtype}; accepted: numbers, strings, booleans and categories; of a time "
            "take what matters, such as the year, the weekday or the days since a date, as numbers"
        )


def check_values(given: Iterable[Any], name: str) -> None:
    """Raise TypeError for a column that holds times, or complex numbers, as objects."""
    for kind in dict.fromkeys(map(type, given)):
        is_time = issubclass(kind, NEITHER) or kind.__name__ == "Period"
        if is_time and kind.__name__ != "NaTType":
            check_kind("M", f"object, with values of the type {kind.__name__}", name)


def is_frame(X: Any) -> bool:
    """Whether X is a frame of pandas or polars."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "get_columns"))


def read_columns(estimator: Any, X: Any, reset: bool) -> dict[str, Column]:
    """The columns of X by what messages call them, once scikit-learn's checks of X have passed.

    `reset`: X is that of `fit`, whose number and names of columns the estimator takes over.
    """
    if hasattr(X, "collect") and hasattr(X, "collect_schema") and not hasattr(X, "get_columns"):
        raise TypeError(f"X is a {type(X).__name__}; accepted: X.collect(), a frame with its rows")
    if not is_frame(X):
        host = inputs.host(X)
        if not hasattr(host, "dtype") and not hasattr(host, "tocsr"):
            plain = np.asarray(host)
            host = np.asarray(host, dtype=object) if plain.dtype.kind in "US" else plain
        finite = {"dtype": None, "ensure_all_finite": "allow-nan"}
        host = validate_data(estimator, host, reset=reset, **finite)
        called = [f"column {j} of X" for j in range(host.shape[1])]
        chosen = chosen_columns(estimator)
        return {name: of_array(host[:, j], name, j in chosen) for j, name in enumerate(called)}
    names = list(X.columns)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"X has more than one column of the name {', '.join(twice[:5])}; accepted: names that differ"
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if not names or not _num_samples(X):
        raise ValueError(
            f"Found array with {_num_samples(X)} sample(s) and {len(names)} feature(s); accepted: "
            "a minimum of 1 is required"
        )
    called, chosen = [f"column {name!r} of X" for name in names], chosen_columns(estimator)
    if hasattr(X, "iloc"):
        return {name: of_pandas(X.iloc[:, j], name, j in chosen) for j, name in enumerate(called)}
    series = enumerate(X.get_columns())
    return {called[j]: of_polars(each, called[j], j in chosen) for j, each in series}


def chosen_columns(estimator: Any) -> set[int]:
    """The numbers of the columns that `categorical_features` names; ValueError for others."""
    asked, count = estimator.categorical_features, estimator.n_features_in_
    if asked is None or (isinstance(asked, str) and asked == "from_dtype"):
        return set()
    given = np.asarray(asked)
    if given.dtype.kind == "b" and given.shape == (count,):
        return set(np.flatnonzero(given).tolist())
    names = vars(estimator).get("feature_names_in_", ())
    known: dict[Any, int] = {name: j for j, name in enumerate(names)}
    found = set()
    listed = [asked] if isinstance(asked, str) else list(asked)
    for each in listed:
        if isinstance(each, str) and each in known:
            found.add(known[each])
        elif is_number(each) and int(each) == each and -count <= each < count:
            found.add(int(each) % count)
        else:
            raise ValueError(
                f"`categorical_features` holds {each!r}; accepted: names of columns of X where all are "
                f"strings, places of columns from 0 to {count - 1}, or a boolean for each of the {count}"
            )
    return found
