"""``fork.py N HOLDER``: fork while other threads trace and compile; the children are to train.

HOLDER says what is compiled: "a loop of ours", or else something that the user compiles by numba.
"""

from __future__ import annotations

import collections
import functools
import json
import sys
import threading
import warnings

import numpy as np
from small_loops import outcome, source, start

import portable_nn as pnn
from portable_nn.compiler.numpy import loop_cache, program, steps

X = np.random.default_rng(0).normal(size=(64, 5))
net = pnn.Network((5, 4, 1), ("tanh", "identity"), "squared_error")
is_tracing, is_compiling, end = threading.Event(), threading.Event(), threading.Event()


def train() -> None:
    _, history = pnn.fit(net, net.initialize(dtype="float64"), X, X[:, :1], epochs=3, batch_size=8)
    if not np.isfinite(history.cost).all():
        raise AssertionError("no training")


def trace_for_ever() -> None:
    """Train in a thread that stays where it traces the step."""
    make = steps.CompiledStep.make_program

    def wait(self, *given):
        if threading.current_thread() is thread:
            is_tracing.set()
            end.wait()
        return make(self, *given)

    steps.CompiledStep.make_program = wait
    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    is_tracing.wait()


def wait_in_the_compiler(*_) -> None:
    """Stay there."""
    is_compiling.set()
    end.wait()


def compile_for_ever(holder: str) -> None:
    """Stay in a thread where it compiles by numba."""
    loop = loop_cache.Loop(source(0))
    loop.call.compile = wait_in_the_compiler
    of_ours = functools.partial(loop.compile_for, np.zeros(3))

    def of_theirs():
        from numba.core.compiler_lock import global_compiler_lock

        with global_compiler_lock:
            wait_in_the_compiler()

    work = of_ours if holder == "a loop of ours" else of_theirs
    threading.Thread(target=work, daemon=True).start()
    is_compiling.wait()


def main() -> None:
    steps.FEW_STEPS, program.PATIENCE = 0, (0.0, 0.0)
    trace_for_ever()
    if loop_cache.installed():
        compile_for_ever(sys.argv[2])
    warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
    children = [start(train) for _ in range(int(sys.argv[1]))]
    counts = collections.Counter(outcome(child) for child in children)
    print(json.dumps(counts), flush=True)
    end.set()


main()
