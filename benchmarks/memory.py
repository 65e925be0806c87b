"""Memory of `pnn.fit` on NumPy: what it takes at its peak beyond data, parameters, optimizer, gradients.

In mini-batches of activations, batch * (n_0 + ... + n_L) * 4 bytes. tracemalloc counts what NumPy and
Python allocate. Buffers that are kept from one training to the next count as well, as they are held.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from configurations import CONFIGURATIONS, Configuration, one_hot
from goals import Goal
from record import Record
from rounds import Contender, interleave, notes
from tables import table

MOST = 3.0  # mini-batches of activations
DEEP = Configuration((256,) * 12 + (10,), batch=512, batches=10, rows=5000)
# X of 51 MB, beside which all the rest is small
MANY_ROWS = Configuration((64, 32, 3), batch=128, batches=1563, rows=200_000)
CONTENDERS = {
    "numpy": Contender("ours, numpy", "memory:peak", {"backend": "numpy"}),
    "numpy-plain": Contender(
        "ours, numpy without fast", "memory:peak", {"backend": "numpy"}, hide=("numba",)
    ),
}


def numpy_bytes() -> int:
    """What NumPy's arrays hold at the moment."""
    domain = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([domain]).traces
    return sum(trace.size for trace in traces)


def peak(c: Configuration, backend: str) -> Callable[[], dict[str, int]]:
    """Rounds that train and give the bytes at the peak, less those of data and initial parameters."""
    from ours import network

    import portable_nn as pnn

    net = network(c)
    params = net.initialize(seed=0, backend=backend, dtype="float32")
    X, labels = c.data()
    Y = one_hot(labels, c.sizes[-1])
    tracemalloc.start()

    def run() -> dict[str, int]:
        gc.collect()
        kept, before = numpy_bytes(), tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        pnn.fit(net, params, X, Y, pnn.Adam(), epochs=1, batch_size=c.batch)
        return {"bytes": tracemalloc.get_traced_memory()[1] - before + kept, "x_bytes": X.nbytes}

    return run


def in_batches(c: Configuration, taken: float) -> float:
    """The bytes less Adam's two moments, the trained parameters and one set of gradients, in batches."""
    set_of_parameters, batch = 4 * c.parameters, 4 * c.batch * sum(c.sizes)
    return (taken - 4 * set_of_parameters) / batch


def measure(rounds: int, record: Record) -> list[Goal]:
    """A few steps of each configuration and of a deep net; then many rows, for a copy of X to show."""
    rows, goals, failed = [], [], []
    few = [replace(c, batches=4) for c in CONFIGURATIONS]
    for c in (*few, DEEP, MANY_ROWS):
        results = interleave(CONTENDERS, c, rounds)
        failed.extend(notes(results))
        for key, result in results.items():
            taken = result.median("bytes")
            batches = None if taken is None else in_batches(c, taken)
            share = None if taken is None else taken / result.rounds[0]["x_bytes"]
            if c is MANY_ROWS:
                what, value, bound = "memory, in sizes of X", share, 1.0
            else:
                what, value, bound = "memory, batches of activations", batches, MOST
            sizes = c.sizes if c in few else None
            goals.append(Goal(f"{what}: {result.label}", sizes, value, bound, at_most=True))
            mega = None if taken is None else taken / 1e6
            rows.append((c.name, result.label, c.n, mega, batches, share))
            record.write(
                "memory",
                configuration=c.name,
                sizes=c.sizes,
                batch=c.batch,
                rows=c.n,
                contender=key,
                state=result.state,
                bytes_over_data_and_parameters=taken,
                batches_of_activations=batches,
                sizes_of_x=share,
            )
    head = ["memory", "", "rows", "over the data, MB", "batches of activations", "sizes of X"]
    table("Peak memory of fit, by tracemalloc", head, rows, failed)
    return goals
