"""``kill.py N SEED``: kill processes that compile and write loops; then use these in others."""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import sys
import time

import numba
from small_loops import outcome, start, use_all

from portable_nn.compiler.numpy.cache_folder import cache_folder


@numba.njit
def first(x):  # so that a child does not spend its time on what numba does once in a process
    return x + 1.0


def main() -> None:
    times, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    first(1.0)
    folder = cache_folder()
    began = time.monotonic()
    counts = collections.Counter({f"the first: {outcome(start(use_all))}": 1})
    seconds = time.monotonic() - began
    for turn in range(times):
        if turn % 3 == 0:  # else what the last one has left is there
            for path in folder.iterdir():
                path.unlink()
        pid = start(use_all)
        time.sleep(chance.uniform(0.02, seconds))
        os.kill(pid, signal.SIGKILL)
        outcome(pid)
        counts[f"after a kill: {outcome(start(use_all))}"] += 1
    for path in folder.iterdir():
        path.unlink()
    for pid in [start(use_all) for _ in range(4)]:
        counts[f"at the same time: {outcome(pid)}"] += 1
    print(json.dumps(counts))


main()
