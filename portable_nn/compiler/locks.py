"""Locks that a forked child process can take."""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet


class Lock:
    """A reentrant lock that is free in a forked child if another thread of the parent held it.

    That thread does not live in the child and would never release it. `was_abandoned` says that it
    happened: then what the lock protects may have been left half done.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.was_abandoned = False
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def recover(self) -> None:
        """In a child that has just been forked: replace a lock that nobody would release."""
        if is_held_by_another_thread(self._lock):
            self._lock, self.was_abandoned = threading.RLock(), True


_locks: WeakSet[Lock] = WeakSet()


def is_held_by_another_thread(lock: Any) -> bool:
    """Whether a reentrant lock is held, and not by this thread."""
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True


def recover_locks() -> None:
    """Recover every lock."""
    for lock in list(_locks):
        lock.recover()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=recover_locks)
