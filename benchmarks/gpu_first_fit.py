"""How long first and short fits take on a GPU, in each way of making the steps: fresh processes.

python benchmarks/gpu_first_fit.py --device cuda --out results.jsonl

A fit of one epoch of 20-32-3, then one of the same, then one of rows that make other shapes. "empty" is
with an empty cache of CuPy's kernels, as on a new machine (torch has none on disk); "kept" with what the
process before left. On the CPU torch stands in, whatever is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import record
from configurations import TINY
from gpu import STEPS, WAYS
from tables import table

BATCHES = (4, 50, 200)  # steps of an epoch


def fits(backend: str, device: str | None) -> None:
    """Seconds of the fits, as a line of JSON."""
    start = time.perf_counter()
    from ours import data_on, network  # noqa: PLC0415

    import portable_nn as pnn  # noqa: PLC0415

    library, found = pnn.backends.get(backend, device), {}
    library.ready(library.asarray([1.0]))
    found["import and device"] = time.perf_counter() - start
    for name, batches, batch in (
        *((f"{n} steps{again}", n, 32) for n in BATCHES for again in ("", ", again")),
        ("50 steps, batch 48", 50, 48),
    ):
        c = replace(TINY, batches=batches, batch=batch)
        X, Y = data_on(library, c)
        net = network(c)
        start = time.perf_counter()
        params = net.initialize(seed=0, backend=library, dtype="float32")
        trained, _ = pnn.fit(net, params, X, Y, pnn.Adam(), epochs=1, batch_size=batch, seed=0)
        library.ready(*(array for layer in trained for array in layer))
        found[name] = time.perf_counter() - start
    print(json.dumps(found))


def main() -> int:
    """Each backend and way, twice."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--backend", nargs="+", choices=("cupy", "torch"), default=["cupy", "torch"])
    parser.add_argument("--steps", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        fits(given.one[0], given.one[1] if len(given.one) > 1 else None)
        return 0
    cards = record.cards() if given.device == "cuda" else []
    out = record.Record(given.out, cards[0]["name"] if cards else None, device=given.device)
    on_cuda = [place for place in (("cupy",), ("torch", "cuda:0")) if place[0] in given.backend]
    places = on_cuda if given.device == "cuda" else [("torch", "cpu")]
    rows, names, failed = [], [], 0
    for place in places:
        for way in given.steps if given.device == "cuda" else ("eager",):
            with tempfile.TemporaryDirectory() as cache:
                for kept in ("empty", "kept"):
                    command = [sys.executable, __file__, "--one", *place]
                    env = os.environ | {"CUPY_CACHE_DIR": cache, STEPS: way}
                    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
                    if done.returncode:
                        failed += 1
                        print(f"{place[0]}, {way}: FAILED\n{done.stderr}")
                        continue
                    found = json.loads(done.stdout.splitlines()[-1])
                    out.write("first fit", backend=place[0], steps=way, cache=kept, seconds=found)
                    names = list(found)
                    rows.append((f"{place[0]}, {way}, {kept}", *found.values()))
    if rows:
        table("Seconds of fits in fresh processes", ["", *names], rows)
    out.close()
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
