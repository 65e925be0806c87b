"""Where the time of a step goes on a GPU, and how often the host reads: under torch's profiler.

python benchmarks/gpu_profile.py [--backend cupy torch] [--steps eager fused replayed]

The profiler sees all of a process, CuPy's work included. What it adds makes short kernels look longer.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections import defaultdict
from dataclasses import replace
from typing import Any

import ours
from configurations import HUGE, MNIST_SHAPED, TINY, Configuration
from gpu import STEPS, WAYS
from tables import table

import portable_nn as pnn
from portable_nn.training.steps import training_steps

NETS = {
    "tiny": replace(TINY, batches=64),
    "mnist": replace(MNIST_SHAPED, batches=64),
    "huge": replace(HUGE, batches=2),
}
EPOCHS = (1, 3)  # what three epochs do more than one is what two epochs do


def events(c: Configuration, backend: str, steps: str, epochs: int) -> dict[str, tuple[int, float]]:
    """How often, and for how many microseconds in all, each thing ran on the device in one `fit`."""
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415

    os.environ[STEPS] = steps
    training_steps.cache_clear()  # the way was read when the steps were made
    library = pnn.backends.get(backend, None if backend == "cupy" else "cuda:0")
    net = ours.network(c)
    params = net.initialize(seed=0, backend=library, dtype="float32")
    X, Y = ours.data_on(library, c)

    def run() -> None:
        trained, _ = pnn.fit(net, params, X, Y, pnn.Adam(), epochs=epochs, batch_size=c.batch, seed=0)
        library.ready(*(array for layer in trained for array in layer))

    run()
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as found:
        run()
    totals: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for event in found.events():
        if str(event.device_type).endswith("CUDA"):
            n, us = totals[event.name]
            totals[event.name] = n + 1, us + event.time_range.elapsed_us()
    return totals


def report(name: str, c: Configuration, backend: str, steps: str) -> None:
    """A table of what runs in a step, and what is read by the host in an epoch."""
    few, many = (events(c, backend, steps, epochs) for epochs in EPOCHS)
    more, in_all = EPOCHS[1] - EPOCHS[0], (EPOCHS[1] - EPOCHS[0]) * c.batches
    rows: list[tuple[Any, ...]] = []
    for what, (n, us) in sorted(many.items(), key=lambda one: -one[1][1]):
        before = few.get(what, (0, 0.0))
        rows.append((what[:70], (n - before[0]) / in_all, (us - before[1]) / in_all))
    reads = sum(
        (n - few.get(what, (0, 0.0))[0]) / more for what, (n, _) in many.items() if "DtoH" in what
    )
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))
    title = f"{name} on {backend}, {steps}: reads by the host in an epoch: {reads:g}"
    table(title, ["on the device", "times a step", "us a step"], [total, *rows[:14]])


def main() -> int:
    """Every net, backend and way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", nargs="+", choices=("cupy", "torch"), default=["cupy", "torch"])
    parser.add_argument("--steps", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--net", nargs="+", choices=tuple(NETS), default=["tiny", "mnist"])
    given, failed = parser.parse_args(), False
    for backend in given.backend:
        for steps in given.steps:
            for name in given.net:
                try:
                    report(name, NETS[name], backend, steps)
                except Exception:  # the others are profiled all the same
                    failed = True
                    print(f"{name} on {backend}, {steps}: FAILED", flush=True)
                    traceback.print_exc()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
