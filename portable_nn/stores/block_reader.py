"""Rows of a store in any order, read in slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.stores.stored_rows import StoredRows

BLOCK = 2**18  # bytes that are read about as fast as a slice is begun, where a store has no chunks


class BlockReader:
    """Reads rows of a store in any order: blocks of neighbouring rows, in slices.

    The `count` blocks of `block` rows that were used last stay in memory: by default as many as make
    `most` bytes, of some 256 kB, or of whole chunks of the store. No slice has more than `most` bytes,
    unless it is one block.
    """

    def __init__(
        self, rows: StoredRows, most: int, block: int | None = None, count: int | None = None
    ) -> None:
        self.rows, self.most = rows, most
        self.shape, self.dtype, self.nbytes = rows.shape, rows.dtype, rows.nbytes
        self.row_bytes = max(1, rows.nbytes // rows.shape[0])
        self.block = self.suitable_block() if block is None else block
        self.count = max(1, most // (self.block * self.row_bytes)) if count is None else count
        self.kept: dict[int, HostArray] = {}  # blocks by their number; the one used last is the last

    def suitable_block(self) -> int:
        """How many rows are read at once: whole chunks of the store, if they are not too large."""
        chunk = self.rows.chunk
        if chunk is None:
            return max(1, BLOCK // self.row_bytes)
        size = chunk * self.row_bytes
        if size > self.most:
            return -(-chunk // -(-size // self.most))
        return chunk * max(1, BLOCK // size)

    def take(self, rows: HostArray | slice) -> HostArray:
        """These rows in their order, in an array of their own; any may come several times."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        places = np.argsort(rows, kind="stable")
        ordered = rows[places].astype(np.int64, copy=False)
        blocks = ordered // self.block
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        numbers, stops = blocks[starts].tolist(), [*starts[1:].tolist(), len(rows)]
        parts = dict(zip(numbers, map(slice, starts.tolist(), stops), strict=True))
        last_uses = np.maximum.reduceat(places, starts)
        recent = blocks[starts][np.argsort(last_uses)].tolist()[-self.count :]
        known, wanted = self.kept, set(recent)
        read: dict[int, HostArray] = {}
        for number in numbers:
            if number in known:
                part, first = parts[number], number * self.block
                found[places[part]] = known[number][ordered[part] - first]
        for first, last in self.runs([number for number in numbers if number not in known]):
            start = first * self.block
            array = self.rows.read(start, (last + 1) * self.block)
            part = slice(parts[first].start, parts[last].stop)
            found[places[part]] = array[ordered[part] - start]
            for number in wanted.intersection(range(first, last + 1)):
                at = (number - first) * self.block
                # a copy, or a view would keep all of a longer slice
                read[number] = array if first == last else array[at : at + self.block].copy()
        self.keep(recent, known | read)
        return found

    def runs(self, numbers: list[int]) -> Iterator[tuple[int, int]]:
        """The first and the last block of each slice that is to be read for the blocks, in order."""
        longest = max(1, self.most // (self.block * self.row_bytes))
        first = last = None
        for number in numbers:
            if first is None or last is None:
                first = number
            elif number > last + 1 or number - first >= longest:
                yield first, last
                first = number
            last = number
        if first is not None and last is not None:
            yield first, last

    def keep(self, recent: list[int], blocks: dict[int, HostArray]) -> None:
        """Keep the recent blocks and, where there is room, those used last before."""
        used = set(recent)
        before = [number for number in self.kept if number not in used]
        room = self.count - len(recent)
        chosen = (before[-room:] if room else []) + recent
        self.kept = {number: blocks[number] for number in chosen}
