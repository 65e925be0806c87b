"""Columns of a store, cast as they are read."""

from __future__ import annotations

import numpy as np
import pytest
from counting_stores import Chunked, CountingStore

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.mark.parametrize(
    "columns",
    [None, 0, -1, np.int64(2), slice(1, 4), slice(None, None, -2), [3, 0, -2], np.array([1, 1])],
)
def test_they_are_those_of_numpy(columns, random):
    array = random.normal(size=(9, 5))
    store = CountingStore(array)
    found = pnn.Columns(store, columns)
    expected = array[:, slice(None) if columns is None else columns]
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert not store.slices
    np.testing.assert_array_equal(found[2:7], expected[2:7])
    assert store.slices == [(2, 7)]


def test_they_are_arrays_where_one_is_asked_for():
    array = np.arange(20.0).reshape(5, 4)
    found = pnn.Columns(array, [3, 1], dtype="float32")
    assert len(found) == 5
    made = np.asarray(found)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, array[:, [3, 1]])
    assert np.asarray(pnn.Columns(array, 0), dtype="int64").tolist() == [0, 4, 8, 12, 16]
    for rows in (3, [3, 1]):
        with pytest.raises(TypeError, match=r"accepted: a slice, such as \[10:20\]"):
            found[rows]


def test_they_know_the_chunks_of_the_store_and_may_be_nested():
    store = Chunked(np.arange(20.0).reshape(5, 4), chunks=(2, 4))
    outer = pnn.Columns(pnn.Columns(store, [3, 1]), 1, dtype="int64")
    assert outer.chunks == (2, 4)
    np.testing.assert_array_equal(outer[1:3], [5, 9])
    assert pnn.Columns(np.zeros((3, 2))).chunks is None
    assert repr(outer) == "<Columns 1 of Columns, (5,), int64>"


def test_values_are_cast_and_integers_stay_the_same_numbers():
    array = np.array([[1.0, 300.0], [0.0, np.nan], [1.0, 1e300], [-1.0, 0.5]])
    assert pnn.Columns(array, 0, dtype="int64")[0:4].tolist() == [1, 0, 1, -1]
    assert pnn.Columns(array[:, 0], dtype="float32")[0:2].dtype == np.float32
    assert pnn.Columns(array, 1, dtype="float32")[2:3][0] == np.inf  # which `fit` refuses
    assert pnn.Columns(array, 0, dtype=bool)[0:3].tolist() == [True, False, True]
    for column, rows, dtype in (
        (0, slice(3, 4), "uint8"),
        (0, slice(0, 4), "bool"),
        (1, slice(0, 1), "int8"),
        (1, slice(0, 2), "int64"),
        (1, slice(2, 3), "int64"),
        (1, slice(3, 4), "int64"),
    ):
        with pytest.raises(ValueError, match=rf"rows {rows.start} to {rows.stop - 1} .* no {dtype}"):
            pnn.Columns(array, column, dtype=dtype)[rows]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1.0]],), TypeError, "`store` is <class 'list'>; accepted: what has `shape`, `dtype`"),
        ((np.zeros((3, 2)), 2), IndexError, "`columns` has 2; accepted: 0 to 1, or from the end"),
        ((np.zeros((3, 2)), [0, -3]), IndexError, "`columns` has -3; accepted: 0 to 1"),
        ((np.zeros((3, 2)), "a"), TypeError, "`columns` is 'a'; accepted: an integer, a slice or a l"),
        ((np.zeros((3, 2)), True), TypeError, "`columns` is True"),
        ((np.zeros((3, 2)), [True, False]), TypeError, r"accepted: .*of a mask: numpy.flatnonzero"),
        ((np.zeros((3, 2)), np.array([True, False])), TypeError, "of a mask: numpy.flatnonzero"),
        ((np.zeros((3, 2)), [0.0]), TypeError, r"`columns` is \[0.0\]"),
        ((np.zeros(3), 0), ValueError, r"`store` has shape \(3,\); accepted where `columns`"),
        ((np.zeros((3, 2)), 0, "complex64"), TypeError, "`dtype` is 'complex64'; accepted: floats"),
        ((np.zeros((3, 2)), 0, "nonsense"), TypeError, "`dtype` is 'nonsense'; accepted: one of NumPy"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        pnn.Columns(*arguments)
