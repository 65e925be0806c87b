"""What a processor's cores and caches suggest for networks that are trained side by side."""

from __future__ import annotations

import os

CACHE = 8 * 2**20  # bytes; what a core may expect of a cache that it shares with others
FEWEST = 8  # networks: with fewer, the calls of a step take as long as its work


def networks_in_cache(bytes_of_one: int) -> int:
    """How many networks a stack should have, of which a step touches so many bytes each."""
    return max(FEWEST, CACHE // max(1, bytes_of_one))


def cores() -> int:
    """The cores that this process may use, but no more than OMP_NUM_THREADS says."""
    has_affinity = hasattr(os, "sched_getaffinity")
    found = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # one for each level of nesting
    return min(found, int(asked)) if asked.isdecimal() and int(asked) > 0 else found
