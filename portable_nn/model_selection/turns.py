"""Functions that take turns: each in a thread of its own, one at a time, until all wait for something.

Nothing runs at the same time, so nothing is random: the functions begin in their order, and go on in
their order after each wait. A thread is only how Python suspends a function in the middle.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

Function = Callable[[], Any]
FILTERS = ("filters", "showwarning", "_showwarnmsg_impl")  # what `warnings.catch_warnings` puts back


class AbandonedError(BaseException):
    """Ends a function that waits, and is not needed any more; no `except Exception` catches it."""


class Turn:
    """One of the functions, and where it stands.

    Attributes
    ----------
    requests : sequence
        What it waits for; empty while it runs and after it has ended.
    is_over : bool
        Whether it has ended: with `result`, or with `error`.
    """

    def __init__(self, function: Function) -> None:
        self.function: Function | None = function
        self.requests: Sequence[Any] = ()
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_over = self.is_abandoned = False
        self._filters: dict[str, Any] = {}
        self._its_turn, self._paused = threading.Event(), threading.Event()
        context = copy_context()  # NumPy's errstate is in it
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)

    # ---- in the thread that gives the turns ---------------------------------------------------------

    def start(self) -> None:
        """Make its thread; RuntimeError where the system has no more of them."""
        self._thread.start()

    def go_on(self) -> None:
        """Let it run until it waits again or has ended."""
        self._paused.clear()
        with self.own_filters():
            self._its_turn.set()
            self._paused.wait()
        if self.is_over:
            self._thread.join()

    def abandon(self) -> None:
        """End it: when this returns it is over, and its ``finally`` clauses have run."""
        self.is_abandoned = True
        if self._thread.ident is not None and not self.is_over:
            with self.own_filters():
                self._its_turn.set()
                self._thread.join()
        self.is_over = True

    @contextmanager
    def own_filters(self) -> Iterator[None]:
        """Its own warning filters: Python has one list for all threads.

        A function that waits within ``warnings.catch_warnings`` leaves others to enter and to leave
        theirs, and finds its own again.
        """
        outside = filters()
        set_filters(self._filters or outside)
        try:
            yield
        finally:
            self._filters = filters()
            set_filters(outside)

    # ---- in its own thread --------------------------------------------------------------------------

    @property
    def is_here(self) -> bool:
        """Whether this is its thread."""
        return threading.current_thread() is self._thread

    def wait_for(self, requests: Sequence[Any]) -> None:
        """Return once the requests have been carried out and it is its turn again."""
        if not self.is_abandoned:
            self.requests = requests
            self._its_turn.clear()
            self._paused.set()
            self._its_turn.wait()
            self.requests = ()
        if self.is_abandoned:
            raise AbandonedError

    def _run(self) -> None:
        self._its_turn.wait()
        CURRENT.set(self)
        try:
            if not self.is_abandoned and self.function is not None:
                self.result = self.function()
        except BaseException as error:
            self.error = error
        self.function = None  # and what it holds
        self.is_over = True
        self._paused.set()


CURRENT: ContextVar[Turn | None] = ContextVar("CURRENT", default=None)


def current() -> Turn | None:
    """Whose turn it is in this thread; None in a thread that takes no turns."""
    turn = CURRENT.get()
    return turn if turn is not None and turn.is_here else None


def filters() -> dict[str, Any]:
    """The warning filters as they are."""
    return {name: getattr(warnings, name) for name in FILTERS if hasattr(warnings, name)}


def set_filters(wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        setattr(warnings, name, value)
    with warnings.catch_warnings():  # leaving it tells the interpreter that the filters have changed
        pass


class Turns:
    """Functions that take turns.

    Parameters
    ----------
    functions : sequence of functions without arguments
    carry_out : function
        Gets the requests of all that wait, in their order.
    is_enough : function
        ``is_enough(requests)``: whether no further function is to begin before those are carried out.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        carry_out: Callable[[list[Any]], None],
        is_enough: Callable[[list[Any]], bool],
    ) -> None:
        self.carry_out, self.is_enough = carry_out, is_enough
        self.turns = [Turn(function) for function in functions]
        self.to_begin = deque(self.turns)
        self.waiting: list[Turn] = []
        self.running: Turn | None = None

    def run(self) -> list[Any]:
        """The results, in the order of the functions.

        Raises the error that a loop over the functions would raise, the first: those before it are
        carried out, those after it abandoned. Whatever is raised, no thread is left behind.
        """
        outside = filters()
        try:
            while self.to_begin or self.waiting:
                self.begin_some()
                if self.waiting:
                    with self.waiting[0].own_filters():  # what a training warns of, a task warns of
                        self.carry_out(self.requests)
                going_on, self.waiting = self.waiting, []
                for turn in going_on:
                    if not turn.is_over:
                        self.go_on(turn)
        finally:
            first = [] if self.running is None else [self.running]  # after an interrupt it still runs
            for turn in [*first, *self.turns]:
                turn.abandon()
            set_filters(outside)
        for turn in self.turns:
            if turn.error is not None:
                raise turn.error
        return [turn.result for turn in self.turns]

    @property
    def requests(self) -> list[Any]:
        """Those of all that wait."""
        return [request for turn in self.waiting for request in turn.requests]

    def begin_some(self) -> None:
        """Let functions begin until there are no more, or those that wait are enough."""
        while self.to_begin and not self.is_enough(self.requests):
            try:
                self.to_begin[0].start()
            except RuntimeError:  # the system has no more threads: some have to end first
                if not self.waiting:
                    raise
                return
            self.go_on(self.to_begin.popleft())

    def go_on(self, turn: Turn) -> None:
        """Let one go on; where it fails, those after it are not needed."""
        self.running = turn
        turn.go_on()
        self.running = None
        if not turn.is_over:
            self.waiting.append(turn)
        elif turn.error is not None:
            for later in self.turns[self.turns.index(turn) + 1 :]:
                later.abandon()
            self.to_begin.clear()
            self.waiting = [other for other in self.waiting if not other.is_over]
