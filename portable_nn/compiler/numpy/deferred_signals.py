"""Signals that wait until numba has finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Within, the handlers of signals wait; those of the signals that arrived are run at the end.

    LLVM calls back into Python while it compiles. What a handler raises in such a call, such as
    KeyboardInterrupt, is printed by ctypes and lost. Does nothing outside the main thread, which alone
    handles signals.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    found = {int(number): signal.getsignal(number) for number in signal.valid_signals()}
    handlers = {n: handler for n, handler in found.items() if callable(handler) and in_main_thread}
    arrived: list[int] = []
    is_over = False

    def note(number: int, _: Any) -> None:
        arrived.append(number)
        if is_over:  # a handler has raised an exception before this one was back in its place
            signal.signal(number, handlers[number])
            signal.raise_signal(number)

    try:
        for number in handlers:
            signal.signal(number, note)
        yield
    finally:
        is_over = True
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(arrived):
            signal.raise_signal(number)
