"""Loops that are compiled quickly, and children that run them: for the scripts of this folder."""

from __future__ import annotations

import os
import signal
import sys
import warnings

import numpy as np

from portable_nn.compiler.numpy.loop_cache import Loop

LOOPS = 4
SECONDS = 40  # after which a child hangs


def source(k: int) -> str:
    """A loop that adds k + 1 to each number."""
    return f"def loop(p0):\n    for i in range(p0.shape[0]):\n        p0[i] = p0[i] + float64({k + 1})\n"


def use(k: int) -> None:
    """Load or compile a loop and run it; raises AssertionError for a wrong result."""
    loop, x = Loop(source(k)), np.zeros(7)
    loop.compile_for(x)
    loop.call(x)
    if not (x == k + 1).all():
        raise AssertionError("wrong numbers")


def use_all() -> None:
    """Use every loop."""
    for k in range(LOOPS):
        use(k)


def start(work, *given) -> int:
    """The process id of a child that does this work, without a warning, and ends with status 0."""
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.alarm(SECONDS)
        warnings.simplefilter("error")
        work(*given)
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def outcome(pid: int) -> str:
    """What became of a child."""
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return "hung" if os.WTERMSIG(status) == signal.SIGALRM else f"signal {os.WTERMSIG(status)}"
    return "right" if os.WEXITSTATUS(status) == 0 else "raised"
