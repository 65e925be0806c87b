"""One of two processes that train over a mesh for ever, until the second one fails: RANK PORT HOW."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import portable_nn as pnn

RANK, PORT, HOW = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(
    *(f"127.0.0.1:{PORT}", 2, RANK), heartbeat_timeout_seconds=10, shutdown_timeout_seconds=5
)


class Fault(pnn.Callback):
    """Ends the second process, by a signal or by an error."""

    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == 3 and RANK == 1:
            print("FAULT", flush=True)
            if HOW == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyError("the fault")


random = np.random.default_rng(0)
rows = NamedSharding(Mesh(np.array(jax.devices()), ("data",)), P("data"))
X, Y = random.normal(size=(200, 20)), np.eye(3)[random.integers(0, 3, 200)]
net = pnn.Network((20, 8, 3), ("tanh", "softmax"), "categorical_cross_entropy")
place = pnn.backends.get("jax", rows.mesh)
params = net.initialize(seed=0, backend=place)
X, Y = (jax.make_array_from_callback(x.shape, rows, x.astype("float32").__getitem__) for x in (X, Y))
pnn.fit(net, params, X, Y, epochs=1_000_000, batch_size=100, callbacks=[Fault()])
