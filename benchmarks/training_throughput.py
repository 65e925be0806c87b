"""Training throughput: samples per second of `fit`, and its ratio to the bare matrix products.

    python benchmarks/training_throughput.py --backend numpy --backend torch

The rounds of all backends and of the floor (the step's matrix products alone, by numpy.matmul into
memory set aside before) are interleaved; a ratio is the median over the rounds. One JSON line per
result, with the machine and the versions. The products are NumPy's, on the CPU: for a backend on a GPU
the ratio says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import portable_nn as pnn

CONFIGURATIONS = [  # sizes, batch, batches per round
    ((784, 256, 128, 10), 128, 50),
    ((20, 32, 3), 32, 300),
    ((1024, 2048, 2048, 100), 256, 2),
]


def training(name: str, sizes: tuple[int, ...], batch: int, n: int) -> Callable[[], None]:
    """One epoch of Adam over n generated examples on the backend, in float32."""
    backend = pnn.backends.get(name)
    hidden = ["relu"] * (len(sizes) - 2)
    net = pnn.Network(sizes, [*hidden, "softmax"], "categorical_cross_entropy")
    params = net.initialize(backend=name)
    random = np.random.default_rng(0)
    X = backend.asarray(random.normal(size=(n, sizes[0])), dtype="float32")
    Y = backend.asarray(np.eye(sizes[-1])[random.integers(0, sizes[-1], size=n)], dtype="float32")

    def run() -> None:
        trained, _ = pnn.fit(net, params, X, Y, pnn.Adam(), epochs=1, batch_size=batch)
        backend.ready(*(array for layer in trained for array in layer))

    return run


def products(sizes: tuple[int, ...], batch: int, batches: int) -> Callable[[], None]:
    """The matrix products of an epoch: W A forward, Delta A.T and W.T Delta backward."""
    random = np.random.default_rng(0)

    def make(*shape: int) -> Any:
        return random.normal(size=shape).astype("float32")

    layers = [(make(m, k), make(k, batch), make(m, batch)) for k, m in pairwise(sizes)]
    outs = [(np.empty_like(Z), np.empty_like(W), np.empty_like(A)) for W, A, Z in layers]

    def run() -> None:
        for _ in range(batches):
            for l, ((W, A, Z), (forward, dW, dA)) in enumerate(zip(layers, outs, strict=True)):
                np.matmul(W, A, out=forward)
                np.matmul(Z, A.T, out=dW)
                if l:
                    np.matmul(W.T, Z, out=dA)

    return run


def measure(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round, interleaved, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Measure every configuration on every backend asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", help="by default: all that work here")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    names = given.backend or list(pnn.backends.available())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    for sizes, batch, batches in CONFIGURATIONS:
        runs = {name: training(name, sizes, batch, batch * batches) for name in names}
        runs["floor"] = products(sizes, batch, batches)
        seconds = measure(runs, given.rounds)
        for name in names:
            ratios = [floor / s for floor, s in zip(seconds["floor"], seconds[name], strict=True)]
            result = {
                "sizes": sizes,
                "batch": batch,
                "backend": name,
                "version": pnn.backends.get(name).version(),
                "device": pnn.backends.get(name).device_name(),
                "samples_per_second": round(batch * batches / statistics.median(seconds[name])),
                "of_the_floor": round(statistics.median(ratios), 3),
                "machine": machine,
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
