"""Columns of Parquet files as rows of numbers."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
N = 25


@pytest.fixture
def columns(random):
    return {
        "a": random.normal(size=N).astype("float32"),
        "b": random.integers(-5, 5, size=N).astype("int16"),
        "c": random.random(N) < 0.5,
        "label": random.integers(0, 3, size=N),
        "city": np.array(["Rome"] * N),
    }


@pytest.fixture
def path(columns, tmp_path):
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=10)
    return tmp_path / "x.parquet"


def test_rows_are_those_of_the_columns(columns, path):
    X = pnn.ParquetRows(path, ["c", "a", "b"])
    expected = np.column_stack([columns[name] for name in "cab"])
    assert X.shape == (N, 3)
    assert X.dtype == expected.dtype == np.float32
    assert X.chunks == (10, 3)
    for start, stop in ((0, N), (3, 7), (9, 21), (24, 25), (10, 20), (5, 5), (20, 99)):
        found = X[start:stop]
        np.testing.assert_array_equal(found, expected[start:stop])
        found[...] = 0  # of which the reader must not know
    y = pnn.ParquetRows(str(path), "label")
    assert y.shape == (N,)
    assert y.chunks == (10,)
    assert y.dtype == np.int64
    np.testing.assert_array_equal(y[4:12], columns["label"][4:12])
    one = pnn.ParquetRows(path, ["label"], dtype="float64")
    np.testing.assert_array_equal(one[4:12], columns["label"][4:12, None].astype("float64"))
    assert repr(y).startswith("<ParquetRows ['label'] of ")


def test_a_row_group_is_decoded_once_where_it_is_read_in_parts(path, monkeypatch):
    X, groups = pnn.ParquetRows(path, "a"), []
    original = parquet.ParquetFile.read_row_group

    def read(self, number, **options):
        groups.append(number)
        return original(self, number, **options)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_group", read)
    for start in range(0, N, 3):
        X[start : start + 3]
    assert groups == [0, 1, 2]


def test_several_files_follow_one_another(columns, path, tmp_path):
    parquet.write_table(pa.table({"a": np.arange(3.0)}), tmp_path / "y.parquet")
    a = pnn.ParquetRows([path, str(tmp_path / "y.parquet")], "a")
    assert a.shape == (N + 3,)
    assert a.dtype == np.float64
    np.testing.assert_array_equal(a[23:28], [*columns["a"][23:], 0, 1, 2])


def test_all_columns_are_taken_where_none_is_chosen(columns, tmp_path):
    columns.pop("city")
    parquet.write_table(pa.table(columns), tmp_path / "numbers.parquet")
    X = pnn.ParquetRows(tmp_path / "numbers.parquet")
    np.testing.assert_array_equal(X[0:N], np.column_stack(list(columns.values())))


def test_missing_values_are_nan_in_floats_and_errors_in_integers(tmp_path):
    table = pa.table({"x": [1.0, None, 2.0], "k": [1, 2, None], "d": pa.array([1, 2, 3], pa.float16())})
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=2)
    np.testing.assert_array_equal(pnn.ParquetRows(tmp_path / "x.parquet", "x")[0:3], [1, np.nan, 2])
    k = pnn.ParquetRows(tmp_path / "x.parquet", "k")
    np.testing.assert_array_equal(k[0:2], [1, 2])
    with pytest.raises(ValueError, match=r"rows 2 to 2 of the column 'k' of .*missing values.*int64"):
        k[2:3]
    k = pnn.ParquetRows(tmp_path / "x.parquet", "k", dtype="float32")
    np.testing.assert_array_equal(k[0:3], [1, 2, np.nan])
    with pytest.raises(ValueError, match=r"rows 0 to 1 of the column 'x' of .*missing values"):
        pnn.ParquetRows(tmp_path / "x.parquet", "x", dtype="int64")[0:1]
    assert pnn.ParquetRows(tmp_path / "x.parquet", "d").dtype == np.float16


def test_numbers_that_would_be_others_are_refused(tmp_path):
    parquet.write_table(pa.table({"x": [1.0, 2.5], "k": [1, 300]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"rows 0 to 1 of the column 'x' of .* no int64"):
        pnn.ParquetRows(tmp_path / "x.parquet", "x", dtype="int64")[0:1]
    with pytest.raises(ValueError, match="no uint8"):
        pnn.ParquetRows(tmp_path / "x.parquet", "k", dtype="uint8")[0:1]


def test_bad_arguments_are_refused(path, tmp_path):
    for arguments, error, message in (
        ((3,), TypeError, "`path` is 3; accepted: the path of a file, or a list of paths"),
        (([],), TypeError, r"`path` is \[\]"),
        ((path, 3), TypeError, "`columns` is 3; accepted: the name of a column, or a list of names"),
        ((path, []), TypeError, r"`columns` is \[\]"),
        ((path, ["a", 1]), TypeError, "`columns` is"),
        ((path, "z"), ValueError, "has no column 'z'; accepted: one of 'a', 'b', 'c', 'label', 'city'"),
        ((path, "city"), TypeError, "'city' of .* is of type string; accepted: numbers and booleans"),
        ((path,), TypeError, "'city' of .* is of type string"),
        ((path, "a", "str"), TypeError, "`dtype` is 'str'; accepted: floats, integers or booleans"),
        ((tmp_path / "none.parquet",), FileNotFoundError, r"none\.parquet"),
    ):
        with pytest.raises(error, match=message):
            pnn.ParquetRows(*arguments)
    with pytest.raises(IndexError, match="the step of a slice of rows is 2; accepted: 1"):
        pnn.ParquetRows(path, "a")[0:4:2]
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(ValueError, match="has several columns 'a'"):
        pnn.ParquetRows(tmp_path / "twice.parquet", "a")


def test_without_pyarrow_the_error_says_how_to_get_it(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"ParquetRows needs pyarrow .*: pip install pyarrow"):
        pnn.ParquetRows(path)
