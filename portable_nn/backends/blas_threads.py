"""One thread for the libraries of matrix products, while somebody needs that.

The settings are those of the whole process: of several users of a library at once the first one changes
its number of threads, and the last one takes that back. Without threadpoolctl, which scikit-learn
requires, nothing is changed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from portable_nn.compiler.locks import Lock


class OneThread:
    """Which libraries have one thread now: how many users want that, and how many threads they had."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.known: dict[str, tuple[int, int]] = {}

    @contextlib.contextmanager
    def within(self, libraries: Sequence[Any]) -> Iterator[None]:
        """Each of these libraries takes one thread until the end of the block."""
        with self.lock:
            for each in libraries:
                users, before = self.known.get(each.filepath, (0, each.num_threads))
                if not users:
                    each.set_num_threads(1)
                self.known[each.filepath] = users + 1, before
        try:
            yield
        finally:
            with self.lock:
                for each in libraries:
                    users, before = self.known.pop(each.filepath)
                    if users > 1:
                        self.known[each.filepath] = users - 1, before
                    else:
                        each.set_num_threads(before)


ONE_THREAD = OneThread()


def loaded() -> list[Any]:
    """The libraries that this process has loaded."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return []
    controller: Any = importlib.import_module("threadpoolctl").ThreadpoolController()
    return [each for each in controller.lib_controllers if each.user_api == "blas"]


@functools.cache
def own_of_scipy() -> list[Any]:
    """SciPy's, where its installation has one of its own beside NumPy's, as wheels have."""
    found = importlib.util.find_spec("scipy")
    if found is None or found.origin is None:
        return []
    package = Path(found.origin).resolve().parent
    folders = package, package.with_name("scipy.libs")
    return [each for each in loaded() if {*folders} & {*Path(each.filepath).resolve().parents}]
