"""Thousands of epochs, with checkpoints: memory stays flat but for the history.

10,000 of them where the environment variable PORTABLE_NN_ABUSE asks for much; ``nox -s abuse`` sets it.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
EPOCHS, FIRST = 10_000 if os.environ.get("PORTABLE_NN_ABUSE") else 2_500, 1_000
HISTORY = EPOCHS * 3 * 40  # bytes: three numbers an epoch, each an object and its place in a list


class Memory(pnn.Callback):
    """The bytes that the process has in memory, after epoch `FIRST` and at the end."""

    def __init__(self):
        self.found = []

    def on_epoch_end(self, state):
        if state.epoch in (FIRST, EPOCHS):
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.found.append(4096 * pages)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc on this system")
def test_memory_is_flat_over_thousands_of_epochs(tmp_path):
    net = pnn.Network((2, 3, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
    X = np.random.default_rng(0).normal(size=(16, 2))
    memory, checkpoint = Memory(), pnn.Checkpoint(tmp_path / "run.ckpt", every_epochs=500)
    how = {"epochs": EPOCHS, "batch_size": 8, "dropout": 0.1, "callbacks": [memory, checkpoint]}
    pnn.fit(net, net.initialize(dtype="float64"), X, X[:, :1] > 0, **how)
    first, last = memory.found
    print(f"from epoch {FIRST} to {EPOCHS}: {(last - first) / 1e6:.2f} MB more")
    assert last - first < HISTORY + 2e6
