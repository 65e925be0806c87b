"""Memory of training: of `pnn.fit` on NumPy beyond its data; of whole processes, beside the peers.

The first is counted by tracemalloc: what NumPy and Python allocate at the peak, less data, parameters,
optimizer and gradients, in mini-batches of activations, batch * (n_0 + ... + n_L) * 4 bytes. Buffers
that are kept from one training to the next count as well, as they are held. The second is what the
system says, compilers and threads included.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import contextlib
import gc
import resource
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import training
from configurations import CONFIGURATIONS, MNIST_SHAPED, TINY, Configuration, one_hot
from goals import Goal
from record import Record
from rounds import Circumstances, Contender, interleave, notes
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
WARM = 6.0  # seconds of training: by then the loops are compiled
BESIDE = ("numpy", "torch-module", "optax-scan")


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


def of_the_process(c: Configuration, function: str, more: dict[str, Any]) -> Callable[[], Any]:
    """Rounds of a contender in training, and its process's peak over what it held before the first."""
    module, name = function.split(":")
    run = getattr(import_module(module), name)(c, **more)
    gc.collect()
    with contextlib.suppress(OSError):  # where Linux allows it, the peak counts from here
        Path("/proc/self/clear_refs").write_text("5")
    before = high_water()

    def measured() -> dict[str, int]:
        run()
        return {"bytes": high_water() - before}

    return measured


def high_water() -> int:
    """The most memory that this process has held so far, in bytes."""
    try:  # ru_maxrss may be that of the process by which this one was started
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def beside_the_peers(record: Record, is_quick: bool) -> None:
    """The same training by ours on NumPy and by the peers, each in a process of its own."""
    contenders = {}
    for key in BESIDE:
        one = training.CONTENDERS[key]
        options = {"function": one.function, "more": one.options}
        contenders[key] = replace(one, function="memory:of_the_process", options=options)
    rows, failed = [], []
    for c in (TINY,) if is_quick else (MNIST_SHAPED, TINY):
        how, at_least = Circumstances(warm=WARM), 0.0 if is_quick else 0.1
        results = interleave(contenders, c, 1, warm_up=0, at_least=at_least, how=how)
        failed.extend(notes(results))
        for key, result in results.items():
            taken = result.median("bytes")
            mega = None if taken is None else taken / 1e6
            rows.append((c.name, result.label, mega, 4 * c.parameters / 1e6))
            record.write(
                "memory_of_processes",
                configuration=c.name,
                sizes=c.sizes,
                contender=key,
                label=result.label,
                state=result.state,
                bytes_over_those_before_training=taken,
            )
    head = ["memory of the process", "", "MB over that before", "parameters, MB"]
    table("Peak of whole processes while they train", head, rows, failed)


def measure(rounds: int, record: Record, is_quick: bool) -> list[Goal]:
    """In `fit` alone; then of whole processes, ours and the peers'."""
    goals = in_fit(rounds, record, is_quick)
    beside_the_peers(record, is_quick)
    return goals


def in_fit(rounds: int, record: Record, is_quick: bool) -> list[Goal]:
    """A few steps of each configuration and of a deep net; then many rows, for a copy of X to show."""
    rows, goals, failed = [], [], []
    few = [replace(c, batches=4) for c in CONFIGURATIONS]
    for c in (few[1],) if is_quick else (*few, DEEP, MANY_ROWS):
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
