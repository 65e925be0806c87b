"""Caches damaged, processes killed, forked and interrupted: a few of each, or many.

The environment variable PORTABLE_NN_ABUSE asks for many; ``nox -s abuse`` sets it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portable_nn.compiler.numpy import loop_cache

pytestmark = pytest.mark.usefixtures("host_only")
needs_numba = pytest.mark.skipif(not loop_cache.installed(), reason="no numba here")
HERE = Path(__file__).parent
AT_ONCE = 100  # files that one process damages


@pytest.fixture
def how_many() -> Callable[[int, int], int]:
    """``how_many(few, many)``: `few`, or `many` in the long form."""
    return lambda few, many: many if os.environ.get("PORTABLE_NN_ABUSE") else few


@pytest.fixture
def outcomes(tmp_path, count) -> Callable[..., set[str]]:
    """``outcomes(script, *arguments)``: what became of the processes of a script of this folder.

    They have a cache of their own; how many ended how is printed when all is done.
    """

    def run(script: str, *arguments: Any) -> set[str]:
        if not hasattr(os, "fork"):
            pytest.skip("no fork on this system")
        where = {"XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(HERE / script), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **where}
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        for kind, times in found.items():
            for _ in range(times):
                count(f"abuse: {script.removesuffix('.py')}", kind)
        assert {kind.rpartition(": ")[2] for kind in found} <= {"right", "KeyboardInterrupt"}, (
            f"{found}\n{done.stderr}"
        )
        return set(found)

    return run


@needs_numba
def test_a_damaged_cache_gives_right_numbers_and_is_repaired(outcomes, how_many):
    times = how_many(44, 1000)
    for seed, first in enumerate(range(0, times, AT_ONCE)):
        outcomes("damage.py", min(AT_ONCE, times - first), seed)


@needs_numba
def test_a_process_killed_while_it_writes_loops_leaves_a_cache_that_works(outcomes, how_many):
    outcomes("kill.py", how_many(3, 50), 0)


def test_a_child_forked_while_other_threads_trace_and_compile_trains(outcomes, how_many):
    for holder in ("a loop of ours", "a function of theirs"):
        outcomes("fork.py", how_many(7, 50), holder)


@needs_numba
def test_an_interrupt_while_numba_compiles_reaches_the_user(outcomes, how_many):
    found = outcomes("interrupt.py", how_many(3, 100), 0)
    assert {
        "in a call of LLVM: KeyboardInterrupt",
        "at a random time: KeyboardInterrupt",
        "at either end: KeyboardInterrupt",
    } == found


def test_a_training_killed_at_any_moment_resumes_to_the_bit(outcomes, how_many):
    outcomes("kill_training.py", how_many(6, 200), 0)
