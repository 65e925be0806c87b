"""What a column of a table is, whatever holds it."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.tabular.columns import Categories, Numbers, categories_of_numbers, key, read_columns

pytestmark = pytest.mark.usefixtures("host_only")
FEW = {"n_estimators": 2, "max_iter": 3, "random_state": 0}
ROWS = {  # by name: the values, and whether they are categories
    "numbers": ([1.5, -2.0, None, 4.0], False),
    "whole": ([1, 2, 3, 4], False),
    "whole with gaps": ([1, None, 3, 4], False),
    "words": (["a", "b", None, "a"], True),
    "truth": ([True, False, None, True], True),
}


def read(X):
    return list(read_columns(pnn.TabularRegressor(), X, reset=True).values())


def frame(library):
    module = pytest.importorskip(library)
    return module.DataFrame({name: values for name, (values, _) in ROWS.items()})


def names_of(column):
    return [None if code < 0 else column.levels[code] for code in column.codes.tolist()]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_frames_are_what_their_dtypes_say(library):
    for column, (values, is_category) in zip(read(frame(library)), ROWS.values(), strict=True):
        assert isinstance(column, Categories if is_category else Numbers)
        if is_category:
            wanted = {None: None, True: "1", False: "0"}
            assert names_of(column) == [wanted.get(v, v) for v in values]
        else:
            wanted = [math.nan if v is None else float(v) for v in values]
            np.testing.assert_array_equal(column.values, wanted)


def test_nullable_and_categorical_columns_of_pandas():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(
        {
            "Int64": pd.array([1, None, 3], dtype="Int64"),
            "Float64": pd.array([1.5, None, 3.5], dtype="Float64"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "string": pd.array(["a", None, "b"], dtype="string"),
            "category": pd.Categorical(["x", None, "y"], categories=["y", "x", "never"]),
            "numbers as categories": pd.Categorical([3.0, None, 1.0]),
        }
    )
    whole, real, truth, words, letters, codes = read(X)
    np.testing.assert_array_equal(whole.values, [1, math.nan, 3])
    np.testing.assert_array_equal(real.values, [1.5, math.nan, 3.5])
    assert [names_of(each) for each in (truth, words, letters, codes)] == [
        ["1", None, "0"],
        ["a", None, "b"],
        ["x", None, "y"],
        ["3", None, "1"],
    ]


def test_categorical_columns_of_polars():
    pl = pytest.importorskip("polars")
    X = pl.DataFrame(
        {
            "category": pl.Series(["x", None, "y"], dtype=pl.Categorical),
            "enum": pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x", "never"])),
            "decimal": pl.Series(["1.5", None, "3"]).cast(pl.Decimal(10, 2)),
        }
    )
    category, enum, decimal = read(X)
    assert names_of(category) == names_of(enum) == ["x", None, "y"]
    np.testing.assert_array_equal(decimal.values, [1.5, math.nan, 3])


def test_an_array_of_objects_has_numbers_where_all_are():
    X = np.array([[1, "a", True], [None, "b", False], [2.5, None, None]], dtype=object)
    numbers, words, truth = read(X)
    np.testing.assert_array_equal(numbers.values, [1, math.nan, 2.5])
    assert names_of(words) == ["a", "b", None]
    assert names_of(truth) == ["1", "0", None]


def test_lists_may_hold_words_beside_numbers():
    numbers, words = read([[1, "a"], [2, "b"]])
    np.testing.assert_array_equal(numbers.values, [1, 2])
    assert names_of(words) == ["a", "b"]


def test_a_missing_value_changes_no_name_of_a_category():
    pd = pytest.importorskip("pandas")
    before, after = pd.DataFrame({"a": [1, 2, 2]}), pd.DataFrame({"a": [1, np.nan, 2]})
    one, two = (categories_of_numbers(read(X)[0].values) for X in (before, after))
    assert names_of(one) == ["1", "2", "2"]
    assert names_of(two) == ["1", None, "2"]


@pytest.mark.parametrize("form", ["names", "numbers", "mask", "negative"])
def test_columns_of_numbers_may_be_named_as_categories(form, random):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": random.normal(size=40), "b": random.integers(0, 4, 40)})
    chosen = {"names": ["b"], "numbers": [1], "mask": [False, True], "negative": [-1]}[form]
    regressor = pnn.TabularRegressor(categorical_features=chosen, **FEW).fit(X, X["a"])
    assert regressor.encoding_.is_number == (True, False)
    (code,) = regressor.encoding_.categories
    assert set(code.levels) == {"0", "1", "2", "3"}


@pytest.mark.parametrize("library", ["pandas", "polars", "numpy"])
def test_whole_numbers_too_large_for_floats_are_names_of_their_own(library):
    values = [2**60, 2**60 + 1, 2**60]
    if library == "numpy":
        X = np.array(values)[:, None]
    else:
        X = pytest.importorskip(library).DataFrame({"id": values})
    (column,) = read_columns(pnn.TabularRegressor(categorical_features=[0]), X, True).values()
    assert names_of(column) == [str(value) for value in values]


def test_the_name_of_a_number_is_that_of_any_precision():
    for dtype in ("float32", "float64"):
        X = np.array([[0.1], [0.25], [2.0]], dtype=dtype)
        (column,) = read_columns(pnn.TabularRegressor(categorical_features=[0]), X, True).values()
        assert names_of(column) == ["0.1", "0.25", "2"]


@pytest.mark.parametrize("chosen", [["c"], [2], [0.5], [[0]]])
def test_columns_that_are_not_there_are_refused(chosen, random):
    X = random.normal(size=(20, 2))
    with pytest.raises(ValueError, match=r"`categorical_features` holds .*; accepted: names of columns"):
        pnn.TabularRegressor(categorical_features=chosen, **FEW).fit(X, X[:, 0])


def test_times_and_complex_numbers_are_refused_by_name(random):
    pd = pytest.importorskip("pandas")
    y = random.normal(size=12)
    for values in (pd.date_range("2026-01-01", periods=12), random.normal(size=12) * 1j):
        with pytest.raises(TypeError, match=r"column 'a' of X has dtype .*; accepted: numbers"):
            pnn.TabularRegressor().fit(pd.DataFrame({"a": values}), y)
    pl = pytest.importorskip("polars")
    X = pl.DataFrame({"a": [datetime.date(2026, 1, d + 1) for d in range(12)]})
    with pytest.raises(TypeError, match="column 'a' of X has dtype Date; accepted: numbers"):
        pnn.TabularRegressor().fit(X, y)


KINDS = (
    *("date", "date, with gaps", "datetime", "timedelta", "time", "Period", "Timestamp", "complex"),
    "datetime64",
)


def times_as_objects():
    pd = pytest.importorskip("pandas")
    days = [datetime.date(2026, 1, 1 + d) for d in range(12)]
    stamps = pd.date_range("2026-01-01", periods=12)
    return {
        "date": days,
        "date, with gaps": [None, *days[1:]],
        "datetime": stamps.to_pydatetime(),
        "timedelta": pd.Series([datetime.timedelta(d) for d in range(12)], dtype=object),
        "time": [datetime.time(d) for d in range(12)],
        "Period": pd.period_range("2026-01", periods=12, freq="M"),
        "Timestamp": pd.Categorical(stamps),
        "complex": pd.Series([1j, *range(11)], dtype=object),
        "datetime64": pd.Series([np.datetime64(day) for day in days], dtype=object),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen", [None, ["a"]])
def test_times_as_objects_are_refused_too(kind, chosen, random):
    pd = pytest.importorskip("pandas")
    X, y = pd.DataFrame({"a": times_as_objects()[kind]}), random.normal(size=12)
    with pytest.raises(TypeError, match=r"column 'a' of X has dtype .*; accepted: numbers"):
        pnn.TabularRegressor(categorical_features=chosen, **FEW).fit(X, y)


def test_times_of_arrow_are_refused(random):
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    values = pd.Series([datetime.time(d) for d in range(12)], dtype=pd.ArrowDtype(pa.time32("s")))
    with pytest.raises(TypeError, match=r"column 'a' of X has dtype time32.*; accepted: numbers"):
        pnn.TabularRegressor(**FEW).fit(pd.DataFrame({"a": values}), random.normal(size=12))


def test_decimals_and_fractions_are_numbers(random):
    plain = [1.5, None, -2.0, 4.25]
    for kind in (Decimal, Fraction):
        held = np.asarray([[None if v is None else kind(v)] for v in plain], dtype=object)
        (column,) = read(held)
        np.testing.assert_array_equal(column.values, np.asarray(plain, dtype=float))
    (column,) = read(np.asarray([[Decimal("1.50")], [Decimal("NaN")]], dtype=object))
    np.testing.assert_array_equal(column.values, [1.5, math.nan])
    assert [key(v) for v in (Decimal("1.50"), Fraction(3), 10**400)] == ["1.5", "3", str(10**400)]


def test_a_column_of_booleans_may_come_as_one_of_numbers(random):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"flag": random.random(40) < 0.5})
    fitted = pnn.TabularRegressor(**FEW).fit(X, X["flag"].astype(float))
    for other in ("int64", "float64", "object", "boolean"):
        np.testing.assert_array_equal(fitted.predict(X), fitted.predict(X.astype(other)))


def test_a_frame_without_its_rows_is_refused():
    pl = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"X is a LazyFrame; accepted: X.collect\(\)"):
        pnn.TabularRegressor().fit(pl.DataFrame({"a": [1.0, 2.0]}).lazy(), [1.0, 2.0])


def test_what_is_no_name_of_a_category_is_refused(random):
    X = np.array([[{"a": 1}], [{"a": 2}]] * 10, dtype=object)
    with pytest.raises(TypeError, match=r"column 0 of X holds a dict.*must be a string or a number"):
        pnn.TabularRegressor().fit(X, random.normal(size=20))
