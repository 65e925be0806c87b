"""Rows of a store in any order, from few slices, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from counting_stores import Chunked, CountingStore

from portable_nn.backends.streaming import Piece, cast_to_send
from portable_nn.stores import BlockReader, StoredRows
from portable_nn.stores.block_reader import BLOCK

pytestmark = pytest.mark.usefixtures("host_only")


def reader(array, most=10**6, **options):
    store = CountingStore(array)
    return BlockReader(StoredRows("X", store), most, **options), store


def some_rows(random, n):
    """Rows in some order, some of them several times, or a slice."""
    start, stop = np.sort(random.integers(0, n + 1, size=2)).tolist()
    way = random.integers(0, 4)
    if way == 0 and start < stop:
        return slice(start, stop)
    if way == 1:
        return random.permutation(n)[: max(1, stop)]
    if way == 2:
        return np.arange(n)[::-1][start : start + 5]
    return random.integers(0, n, size=random.integers(1, 30)).astype(random.choice(["i4", "u8", "i8"]))


@pytest.mark.parametrize("shape", [(53, 3), (53,), (1, 2)])
def test_any_rows_in_any_order_are_those_of_the_array(shape, random):
    array = random.normal(size=shape)
    for _ in range(30):
        block, count = random.integers(1, 60), random.integers(1, 9)
        few, store = reader(array, int(random.integers(1, 800)), block=int(block), count=int(count))
        for _ in range(10):
            rows = some_rows(random, shape[0])
            found = few.take(rows)
            np.testing.assert_array_equal(found, array[rows])
            assert not np.shares_memory(found, array)
            assert len(few.kept) <= count
            found[...] = np.nan  # of which the reader must not know
        longest = max(block, few.most // few.row_bytes)
        assert max(stop - start for start, stop in store.slices) <= longest


def test_the_blocks_used_last_stay_in_memory():
    array = np.arange(40.0)[:, None]
    few, store = reader(array, block=10, count=2)
    few.take(np.array([25, 3, 31, 12]))  # of blocks 2, 0, 3, 1
    assert store.slices == [(0, 40)]
    assert list(few.kept) == [3, 1]
    few.take(np.array([15, 38]))
    assert len(store.slices) == 1
    few.take(np.array([0, 15]))
    assert store.slices[1:] == [(0, 10)]
    assert list(few.kept) == [0, 1]
    few.take(np.array([39]))
    assert list(few.kept) == [1, 3]


def test_neighbouring_blocks_are_one_slice_that_is_not_too_long():
    array = np.zeros((100, 1))
    few, store = reader(array, most=30 * 8, block=10)
    few.take(np.array([5, 15, 25, 35, 45, 75]))
    assert store.slices == [(0, 30), (30, 50), (70, 80)]
    large, store = reader(array, most=1, block=60)
    large.take(np.arange(100))
    assert store.slices == [(0, 60), (60, 100)]  # a block at least


def test_a_kept_block_does_not_keep_the_slice_that_it_was_part_of():
    few, _ = reader(np.zeros((1000, 4)), block=10, count=3)
    few.take(np.arange(1000))
    assert sorted(few.kept) == [97, 98, 99]
    assert all(block.base is None or block.base.nbytes <= 320 for block in few.kept.values())


def test_blocks_are_whole_chunks_of_the_store_unless_those_are_large():
    array = np.zeros((100_000, 2), "float32")  # 8 bytes a row
    most = 4 * BLOCK
    for chunks, expected in (
        (None, BLOCK // 8),
        ((1000, 2), 1000 * (BLOCK // 8000)),
        ((40_000, 2), 40_000),
        (((300, 200, 300), (2,)), 300 * (BLOCK // 2400)),
        ((2**20, 2), 2**18 // 2),  # eighths of a chunk, as that has 8 MB and may have 1
        ("auto", BLOCK // 8),
        ((), BLOCK // 8),
        (((), (2,)), BLOCK // 8),
        (7, BLOCK // 8),
    ):
        found = BlockReader(StoredRows("X", Chunked(array, chunks)), most)
        assert found.block == expected, chunks
        assert found.count == max(1, most // (8 * expected))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("rows", [slice(5, 9), np.array([7, 0, 7])])
def test_rows_are_cast_and_copied_to_buffers_as_those_of_arrays(order, rows, random):
    array = random.integers(0, 99, size=(20, 3)).astype(f"{order}i4")
    few, _ = reader(array)
    for known in (["int32"], ["float64"]):
        cast = cast_to_send(few, known, "float64")
        piece, expected = Piece(few, rows, -2, cast), Piece(array, rows, -2, cast)
        assert (piece.shape, piece.dtype) == (expected.shape, expected.dtype)
        out = np.empty(piece.shape, piece.dtype)
        assert piece.gather(out) is out
        for found in (out, piece.gather()):
            np.testing.assert_array_equal(found, expected.gather())
