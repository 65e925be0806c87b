"""``interrupt.py N SEED``: interrupt numba in a call that LLVM makes, and N times anywhere."""

from __future__ import annotations

import collections
import json
import random
import signal
import sys
import time

import numpy as np
from numba.core.codegen import CPUCodeLibrary
from small_loops import source

from portable_nn.compiler.numpy.deferred_signals import signals_deferred
from portable_nn.compiler.numpy.loop_cache import load_loop

SECONDS = 0.2  # within which an interrupt arrives


def in_a_call_of_llvm() -> str:
    """What becomes of an interrupt that arrives in one."""
    called = []
    inner = CPUCodeLibrary._object_compiled_hook.__func__

    def hook(cls, *given):
        if not called:
            called.append(True)
            signal.raise_signal(signal.SIGINT)
        return inner(cls, *given)

    CPUCodeLibrary._object_compiled_hook = classmethod(hook)  # before numba hands it to LLVM
    found = compile_one(0)
    if not called:
        raise AssertionError("LLVM has called nothing")
    return found


def compile_one(k: int) -> str:
    """Compile a loop: what it raises."""
    x = np.zeros(3)
    try:
        load_loop(source(k)).compile_for(x)
    except BaseException as error:
        found = type(error).__name__
    else:
        found = "nothing"
    loop = load_loop(source(k))  # what was interrupted is to work
    loop.compile_for(x)
    loop.call(x)
    return found if (x == k + 1).all() else "wrong numbers"


def at_a_random_time(chance: random.Random, k: int) -> str:
    """What becomes of an interrupt by a timer; nothing if it came too late."""
    arrived = []

    def handler(number, frame):
        arrived.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, SECONDS * chance.random())
    try:
        found = compile_one(k)
        while not arrived:
            signal.pause()
    except KeyboardInterrupt:  # after the loop was compiled
        return "KeyboardInterrupt"
    return found


def at_either_end(chance: random.Random) -> str:
    """What becomes of an interrupt that arrives where signals begin, or end, to wait."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    started = time.perf_counter()
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-5 + 3e-4 * chance.random())
        while time.perf_counter() < started + SECONDS:
            with signals_deferred():
                pass
    except KeyboardInterrupt as error:
        return type(error).__name__
    return "nothing"


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    counts = collections.Counter({f"in a call of LLVM: {in_a_call_of_llvm()}": 1})
    times, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    for k in range(1, times + 1):
        counts[f"at a random time: {at_a_random_time(chance, k)}"] += 1
    for _ in range(100 * times):
        counts[f"at either end: {at_either_end(chance)}"] += 1
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            raise AssertionError("the handler was not put back")
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        raise AssertionError("the handler was not put back")
    print(json.dumps(counts))


main()
