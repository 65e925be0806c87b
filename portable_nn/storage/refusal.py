"""Why a file is not read, and the limits of what is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from portable_nn.errors import ModelFormatError

DAMAGED = "the file is damaged, or was changed after it was written: use a copy, or save it again"
LONGEST_HEADER = 1 << 24  # bytes; a header says what the arrays are, and holds all values that are none
DEEPEST = 64  # values within values
MOST_LABEL_BYTES = (
    1 << 22
)  # of all arrays of strings together, which may be wider in memory than as text


class Unreadable(Exception):  # noqa: N818  (becomes a ModelFormatError with the path)
    """The cause, and what to do about it."""

    def __init__(self, cause: str, remedy: str = DAMAGED) -> None:
        super().__init__(cause)
        self.cause, self.remedy = cause, remedy


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """What is Unreadable in the block is a ModelFormatError, which names the path."""
    try:
        yield
    except Unreadable as error:
        raise ModelFormatError(f"{path}: {error.cause}; {error.remedy}") from None


def most_values(size: int) -> int:
    """How many JSON values a file of `size` bytes may hold.

    A few bytes of JSON can take a hundred in memory; those of a model are few beside its arrays.
    """
    return 250_000 + size // 64
