"""One script, alone or in several processes: the numbers it prints are the same.

python examples/many_processes.py
mpiexec -n 2 python examples/many_processes.py       (pip install mpi4py mpich)
torchrun --nproc-per-node 2 examples/many_processes.py
"""

from __future__ import annotations

import os

import numpy as np

import portable_nn as pnn

group: pnn.distributed.Communicator
if "TORCHELASTIC_RUN_ID" in os.environ:
    group = pnn.distributed.torch()
else:
    try:
        group = pnn.distributed.mpi()
    except ImportError:  # there is no MPI: one process
        group = pnn.distributed.Alone()

random = np.random.default_rng(0)
X = random.normal(size=(2000, 20))
Y = (X[:, :1] * X[:, 1:2] > 0).astype("float64")

net = pnn.Network((20, 32, 1), ("relu", "sigmoid"), "binary_cross_entropy")
params, history = pnn.fit(
    *(net, net.initialize(seed=0, dtype="float64"), X, Y, pnn.Adam(0.01)),
    epochs=20,
    batch_size=100,
    metrics="accuracy",
    communicator=group,
)
if group.rank == 0:
    print(f"cost {history.cost[-1]:.10f}, accuracy {history.metrics['accuracy'][-1]:.4f}")
