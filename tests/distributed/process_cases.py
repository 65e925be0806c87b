"""One of two processes, of two devices each, that train together: ``process_cases.py RANK PORT FOLDER``.

Prints figures as JSON: how far the results are from those of NumPy alone, and what has to be the same in
both processes.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

# compiling would take most of the time
os.environ |= {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
    "JAX_ENABLE_X64": "1",
}

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import portable_nn as pnn
from portable_nn.backends import get, of, to_host

RANK, PORT, FOLDER = int(sys.argv[1]), sys.argv[2], sys.argv[3]
warnings.simplefilter("error")
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{PORT}", num_processes=2, process_id=RANK)
DEVICES = np.array(jax.devices())
LINE = Mesh(DEVICES, ("data",))
GRID = Mesh(DEVICES.reshape(2, 2).T, ("data", "model"))  # each half of the model in one process
NETWORK = pnn.Network((20, 40, 3), ("tanh", "softmax"), "categorical_cross_entropy")
random = np.random.default_rng(0)
N = 500
X, Y = random.normal(size=(N, 20)), np.eye(3)[random.integers(0, 3, N)]
WEIGHT = random.uniform(0.1, 2.0, size=N)
FIRST = NETWORK.initialize(seed=0, dtype="float64")
ALL: dict[str, Any] = {"batch_size": 97, "epochs": 3, "l2": 0.1, "clip_norm": 0.3, "dropout": 0.2}


def put(array: Any, *spec: Any, mesh: Mesh = LINE) -> Any:
    """The array over the mesh, of which this process makes its part."""
    return jax.make_array_from_callback(array.shape, NamedSharding(mesh, P(*spec)), array.__getitem__)


def flat(tree: Any) -> Any:
    return np.concatenate([to_host(leaf).ravel() for leaf in jax.tree.leaves(tree)])


def apart(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest value."""
    a, b = flat(found), flat(expected)
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def refused(function: Callable[[], Any]) -> str:
    try:
        function()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"


class Parts(pnn.Callback):
    """Remembers after how many batches it was called."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_batches_end(self, state: Any, done: int, total: int) -> None:
        self.seen.append(done)


def cases() -> dict[str, Any]:
    whole = NETWORK.initialize(seed=0, dtype="float64", backend="jax", device=LINE)
    rows = [put(array, "data") for array in (X, Y)]
    weight = put(WEIGHT, "data")
    split = [
        tuple(put(array, "model", mesh=GRID) for array in FIRST[0]),
        (put(FIRST[1][0], None, "model", mesh=GRID), put(FIRST[1][1], mesh=GRID)),
    ]
    on_grid = [put(array, "data", mesh=GRID) for array in (X, Y)]
    figures: dict[str, float] = {}

    expected, history = pnn.fit(NETWORK, FIRST, X, Y, sample_weight=WEIGHT, **ALL)
    parts = Parts()
    found, ours = pnn.fit(NETWORK, whole, *rows, sample_weight=weight, callbacks=[parts], **ALL)
    figures["data"] = max(apart(found, expected), apart(np.array(ours.cost), np.array(history.cost)))
    digest = hashlib.sha256(flat(found).tobytes()).hexdigest()
    found, _ = pnn.fit(NETWORK, whole, X, Y, sample_weight=WEIGHT, stream=True, **ALL)
    figures["streamed"] = apart(found, expected)

    stopping = {"early_stopping": pnn.EarlyStopping(patience=1), "metrics": "accuracy", **ALL}
    stopping |= {"optimizer": pnn.Adam(0.3), "epochs": 50}
    held_out = X[:100], Y[:100]
    expected, history = pnn.fit(NETWORK, FIRST, X, Y, validation=held_out, **stopping)
    there = [put(array, "data", mesh=GRID) for array in held_out]
    found, ours = pnn.fit(NETWORK, split, *on_grid, validation=there, **stopping)
    figures["model, early stopping"] = apart(found, expected)
    figures["metrics"] = apart(np.array(ours.metrics["accuracy"]), np.array(history.metrics["accuracy"]))

    checkpoint = [pnn.Checkpoint(os.path.join(FOLDER, f"checkpoint {RANK}"))]
    expected, _ = pnn.fit(NETWORK, FIRST, X, Y, **ALL)
    pnn.fit(NETWORK, split, *on_grid, callbacks=checkpoint, **(ALL | {"epochs": 2}))
    found, _ = pnn.fit(NETWORK, split, *on_grid, callbacks=checkpoint, resume=checkpoint[0], **ALL)
    figures["resumed"] = apart(found, expected)
    kept = [
        a.sharding.is_equivalent_to(b.sharding, a.ndim)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(split), strict=True)
    ]

    figures["predict"] = apart(NETWORK.predict(split, on_grid[0]), NETWORK.predict(FIRST, X))
    figures["cost"] = apart(NETWORK.cost(whole, *rows, l2=0.1), NETWORK.cost(FIRST, X, Y, l2=0.1))
    ours, theirs = NETWORK.cost_and_gradients(split, *on_grid), NETWORK.cost_and_gradients(FIRST, X, Y)
    figures["gradients"] = apart(ours, theirs)

    warnings.simplefilter("ignore")  # so few epochs do not converge
    how: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
    y = np.argmax(Y, axis=1)
    classifier = pnn.MLPClassifier(**how, early_stopping=True).fit(rows[0], y)
    expected = pnn.MLPClassifier(**how, early_stopping=True).fit(X, y)
    figures["classifier"] = apart(classifier.predict_proba(rows[0]), expected.predict_proba(X))
    return {
        "apart": figures,
        "kept": kept,
        "same": [digest, parts.seen, repr(of(rows[0])), checkpoint[0].path[:-1]],
        "refused": {
            "NaN": refused(lambda: NETWORK.predict(whole, put(X * np.nan, "data"))),
            "another class": refused(lambda: NETWORK.cost(whole, rows[0], put(y + 1, "data"))),
            "different values": refused(lambda: of(rows[0]).asarray(np.full(3, float(RANK)))),
            "different shapes": refused(lambda: of(rows[0]).asarray(np.zeros(3 + RANK))),
        },
        "own": repr(get("jax", get("jax").device_name())),
    }


print(json.dumps(cases()))
