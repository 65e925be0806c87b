"""WindowShuffle: every row once, near those it is stored with, and the same whoever asks."""

from __future__ import annotations

import numpy as np
import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.mark.parametrize("n", [1, 7, 8, 100, 1003])
def test_every_row_comes_once_in_an_epoch(n):
    for chunk, window in ((1, 1), (8, 3), (10, 1), (7, 99), (5000, 2)):
        for epoch in (0, 1):
            rows = pnn.WindowShuffle(chunk, window)(epoch, n)
            np.testing.assert_array_equal(np.sort(rows), np.arange(n))


def test_rows_of_a_window_are_those_of_its_chunks():
    rows = pnn.WindowShuffle(chunk=10, window=4, seed=3)(2, 400)
    for start in range(0, 400, 40):
        chunks, counts = np.unique(rows[start : start + 40] // 10, return_counts=True)
        assert counts.tolist() == [10] * 4
        assert np.ptp(chunks) > 3  # they are drawn from everywhere
        assert not np.array_equal(rows[start : start + 40] // 10, np.repeat(chunks, 10))


def test_the_order_is_a_function_of_seed_epoch_and_number_of_rows():
    known = pnn.WindowShuffle(chunk=2, window=2, seed=5)(1, 9)
    assert known.tolist() == pnn.WindowShuffle(2, 2, 5)(1, 9).tolist()
    assert known.tolist() == [5, 1, 0, 4, 8, 6, 7, 2, 3]  # on every machine
    others = (
        pnn.WindowShuffle(2, 2, 5)(2, 9),
        pnn.WindowShuffle(2, 2, 6)(1, 9),
        pnn.WindowShuffle(2, 3, 5)(1, 9),
        pnn.WindowShuffle(3, 2, 5)(1, 9),
    )
    assert all(known.tolist() != other.tolist() for other in others)


def test_one_window_of_all_rows_is_a_permutation():
    """A row is equally often in the first tenth, wherever it is stored."""
    order = pnn.WindowShuffle(chunk=5, window=20)
    first = np.concatenate([order(epoch, 100)[:10] for epoch in range(1000)])
    counts = np.bincount(first, minlength=100)
    assert abs(counts - 100).max() < 5 * np.sqrt(100 * 0.9)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"chunk": 0}, ValueError, "`chunk` is 0"),
        ({"chunk": 2.5}, TypeError, "`chunk` is 2.5"),
        ({"window": -1}, ValueError, "`window` is -1"),
        ({"window": True}, TypeError, "`window` is True"),
        ({"seed": -1}, ValueError, "`seed` is -1"),
        ({"seed": None}, TypeError, "`seed` is None"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        pnn.WindowShuffle(**arguments)
    assert pnn.WindowShuffle(np.int64(3)) == pnn.WindowShuffle(3)
