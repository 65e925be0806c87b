"""A group of processes of which the last one, or the first, does something else than the others."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import numpy as np

import portable_nn as pnn
from portable_nn.training import several_processes

engine, fault = sys.argv[1:3]
group: Any = pnn.distributed.mpi() if engine == "mpi" else pnn.distributed.torch()
is_odd = group.rank == group.size - 1
AGREED = (
    *("l2", "optimizer", "data", "shape", "nan", "params", "dtype", "seed", "version", "library"),
    "rate",
)

random = np.random.default_rng(1)
X, Y = random.normal(size=(200, 12)), np.eye(3)[random.integers(0, 3, 200)]
net = pnn.Network((12, 16, 3), ("relu", "softmax"), "categorical_cross_entropy")
params = net.initialize(0, dtype="float64")
options: dict[str, Any] = {"epochs": 100_000, "batch_size": 64, "communicator": group}
short = options | {"epochs": 2}


class OfEach(pnn.Callback):
    """Called in every process."""

    every_rank = True

    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == 3 and is_odd:
            if fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyError("the fault") if fault == "in training" else KeyboardInterrupt


class OfFirst(pnn.Callback):
    """Called in the first process."""

    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == 3:
            raise KeyError("the fault")


if fault in ("in training", "killed", "interrupted"):
    options["callbacks"] = [OfEach()]
if fault == "callback":
    options["callbacks"] = [OfFirst()]
if fault == "rate":
    options |= {"optimizer": pnn.SGD(1e30)}
if is_odd:
    if fault == "in a thread":
        ended = threading.Thread(target=sys.exit)  # which is no error
        ended.start()
        ended.join()
        failing = threading.Thread(target=lambda: {}["the fault"])
        failing.start()
        failing.join()
    if fault == "before":
        raise KeyError("the fault")
    if fault == "l2":
        options["l2"] = 0.5
    if fault == "optimizer":
        options["optimizer"] = pnn.SGD(0.1)
    if fault == "seed":
        options["seed"] = 1
    if fault == "data":
        X = X + 1
    if fault == "shape":
        X, Y = X[:100], Y[:100]
    if fault == "nan":
        X[3, 3] = np.nan
    if fault == "params":
        params = net.initialize(1, dtype="float64")
    if fault == "dtype":
        params, X, Y = net.initialize(0), X.astype("float32"), Y.astype("float32")
    if fault == "version":
        several_processes.__version__ = "0.0.1"
    if fault == "library":
        np.__version__ = "2.0.0"
try:
    pnn.fit(net, params, X, Y, **(short if fault == "after" else options))
except Exception as error:
    print(f"PROCESS {group.rank}: {type(error).__name__}: {error}", flush=True)
    if fault in AGREED:
        sys.exit(0)
    raise
if fault == "after" and is_odd:
    raise KeyError("the fault")
pnn.fit(net, params, X, Y, **short)
print("NOTHING HAPPENED", flush=True)
