"""One contender in a process of its own: `rounds.py` starts it, and says when a round is to be run.

Thread pools of different libraries in one process fight, and an import or an option of one can change
another; apart, each is measured as its user has it. To debug: python benchmarks/worker.py 'SPEC', and
then "go" on each line.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def main() -> None:
    """Set up; then a round for each line of stdin, blocked, asleep, between.

    Before the first of them comes another, and the warming up: several workers may be set up at once,
    but only one at a time runs.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not come between the replies

    def tell(**reply: Any) -> None:
        print(json.dumps(reply), file=replies, flush=True)

    spec = json.loads(sys.argv[1])
    for name in spec["hide"]:
        sys.modules[name] = None  # type: ignore[assignment]  # its import fails, as if not installed
    missing = [name for name in spec["needs"] if find_spec(name) is None]
    if missing:
        tell(state=f"not installed: {', '.join(missing)}")
        return
    try:
        run = prepare(spec)
        first = timed(run)[0] if spec["is_first_at_once"] else None
        tell(state="ok")
        repeats, about = 0, {}
        for _ in sys.stdin:
            if not repeats:
                first = timed(run)[0] if first is None else first
                repeats = warmed(run, spec["warm"], spec["at_least"])
                about = {"about": {"first_round": first, **surroundings()}}
            seconds, found = timed(run, repeats)
            tell(**({"seconds": seconds} | found | about))
            about = {}
    except Exception as error:  # whatever it is, the others' rounds go on and the table shows it
        tell(state=f"failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        raise


def prepare(spec: dict[str, Any]) -> Any:
    """The round of the spec's function ("module:name"), set up with its configuration and options."""
    from configurations import Configuration  # noqa: PLC0415  (NumPy comes after what is hidden)

    module, name = spec["function"].split(":")
    configuration = Configuration(**spec["configuration"])
    function = getattr(import_module(module), name)
    return function(configuration, **spec["options"])


def timed(run: Any, repeats: int = 1) -> tuple[float, dict[str, Any]]:
    """The mean seconds of a run, and what the last one found besides, if anything."""
    start = time.perf_counter()
    for _ in range(repeats):
        found = run()
    return (time.perf_counter() - start) / repeats, found or {}


def warmed(run: Any, seconds: float, at_least: float) -> int:
    """How often a round repeats its run, after `seconds` of them; once where nothing is to be warm."""
    if not at_least:
        return 1
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:  # compilers that wait for work, caches, pages
        run()
    # a round too short for the clock, and for what else the machine does
    return max(1, math.ceil(at_least / timed(run)[0]))


def surroundings() -> dict[str, Any]:
    """The thread pools that this process ended up with, and what its libraries say of CUDA."""
    record = import_module("record")
    return {"pools": record.pools(), "settings": record.settings()}


if __name__ == "__main__":
    main()
