"""A training that goes on from its checkpoint, in a group of another size."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import portable_nn as pnn

engine, path, epochs, out = sys.argv[1:5]
group: Any = pnn.distributed.mpi() if engine == "mpi" else pnn.distributed.torch()
random = np.random.default_rng(1)
X, Y = random.normal(size=(301, 12)), np.eye(3)[random.integers(0, 3, 301)]
net = pnn.Network((12, 16, 3), ("relu", "softmax"), "categorical_cross_entropy")
checkpoint = pnn.Checkpoint(path, every_steps=7)
options = {"epochs": int(epochs), "batch_size": 64, "dropout": 0.3, "callbacks": [checkpoint]}
params, history = pnn.fit(
    *(net, net.initialize(0, dtype="float64"), X, Y),
    **options,
    resume=checkpoint,
    communicator=group,
)
if group.rank == 0:
    np.savez(out, *[a for layer in params for a in layer], cost=history.cost)
