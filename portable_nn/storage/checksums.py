"""CRC-32 checksums, computed by another thread while the caller reads or writes."""

from __future__ import annotations

import queue
import threading
import zlib
from types import TracebackType
from typing import Any, Self

FEW = 1 << 20  # bytes for which a thread is not worth its start


class Checksums:
    """The checksum of each name, over the bytes that `add` was given for it, in that order.

    Computed by a thread of its own where there are many bytes: zlib releases the lock of the
    interpreter.
    """

    def __init__(self, n_bytes: int) -> None:
        self.found: dict[str, int] = {}
        self.waiting: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        if n_bytes > FEW:
            self.thread = threading.Thread(target=self._work, daemon=True)
            try:
                self.thread.start()
            except RuntimeError:  # no thread can be started, such as when the interpreter ends
                self.thread = None

    def add(self, name: str, content: Any) -> None:
        """Continue the checksum of `name`; the bytes must not change any more."""
        if self.thread is None:
            self._take(name, content)
        else:
            self.waiting.put((name, content))

    def _take(self, name: str, content: Any) -> None:
        self.found[name] = zlib.crc32(content, self.found.get(name, 0))

    def _work(self) -> None:
        while (item := self.waiting.get()) is not None:
            self._take(*item)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """All checksums are in `found`."""
        if self.thread is not None:
            self.waiting.put(None)
            self.thread.join()


def checksum_of_texts(*texts: str) -> str:
    """The checksum of the texts in UTF-8, each with a newline after it, in 8 hexadecimal digits."""
    found = 0
    for text in texts:
        for start in range(0, len(text), FEW):
            found = zlib.crc32(text[start : start + FEW].encode("utf-8", "surrogatepass"), found)
        found = zlib.crc32(b"\n", found)
    return digits(found)


def digits(checksum: int) -> str:
    """A checksum as 8 hexadecimal digits."""
    return f"{checksum:08x}"
