"""Signals that wait until numba has finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
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

    def note(number: int, _: Any) -> None:
        arrived.append(number)

    try:
        for number in handlers:
            signal.signal(number, note)
        yield
    finally:
        raised = put_back(handlers)
        for number in dict.fromkeys(arrived):
            signal.raise_signal(number)
        if raised is not None:
            raise raised


def put_back(handlers: Mapping[int, Any]) -> BaseException | None:
    """Give each signal its handler again; what a handler that is back raises meanwhile."""
    raised: BaseException | None = None
    waiting = list(handlers.items())
    while waiting:
        try:
            while waiting:
                signal.signal(*waiting[-1])
                waiting.pop()
        except BaseException as error:
            raised = error
    return raised
