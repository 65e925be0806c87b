"""``kill_training.py N SEED``: kill trainings that save checkpoints, N times, at random moments.

After each kill the newest checkpoint has to be there, whole; what goes on from it, killed again and
again, has to end with the bits of a training that was never interrupted.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import portable_nn as pnn
from portable_nn.training.resuming import read_snapshot

SECONDS = 0.3  # within which a training is killed
draw = np.random.default_rng(0)
X, Y = draw.normal(size=(500, 8)), np.eye(3)[draw.integers(0, 3, size=500)]
NET = pnn.Network((8, 12, 3), ("relu", "softmax"), "categorical_cross_entropy")
HOW: dict[str, Any] = {
    "epochs": 12,
    "batch_size": 16,
    "dropout": 0.2,
    "schedule": pnn.schedules.cosine(0.01, 400),
    "validation": (X[:50], Y[:50]),
    "early_stopping": pnn.EarlyStopping(patience=50),
    "metrics": "accuracy",
}


def fit(**more: Any) -> tuple[Any, Any]:
    return pnn.fit(NET, NET.initialize(dtype="float64"), X, Y, **HOW, **more)


def start(path: Path) -> int:
    """A process that trains, from the newest checkpoint on, and tells whether the bits are right."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        checkpoint = pnn.Checkpoint(path, every_steps=7)
        params, history = fit(callbacks=[checkpoint], resume=checkpoint)
        wanted, record = EXPECTED
        same = all(
            np.array_equal(a, b)
            for one, other in zip(params, wanted, strict=True)
            for a, b in zip(one, other, strict=True)
        )
        same &= history.cost == record.cost and history.metrics == record.metrics
        same &= history.validation_cost == record.validation_cost
        code = 0 if same and history.best_epoch == record.best_epoch else 2
    finally:
        os._exit(code)


def main() -> None:
    times, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        path, killed = Path(folder) / "run.ckpt", 0
        while True:
            pid = start(path)
            if killed < times:
                time.sleep(chance.uniform(0.0, SECONDS))
                os.kill(pid, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if code == -signal.SIGKILL:
                killed += 1
                if path.exists():
                    read_snapshot(path, "fit")  # raises if it is not whole
                counts["killed, and the newest checkpoint: right"] += 1
                continue
            counts[f"resumed to the end: {'right' if code == 0 else f'exit status {code}'}"] += 1
            names = {each.name for each in path.parent.iterdir()}
            counts[
                f"files left: {'right' if names == {'run.ckpt', 'run.ckpt.1'} else sorted(names)}"
            ] += 1
            for each in path.parent.iterdir():
                each.unlink()
            if killed >= times:
                break
    print(json.dumps(counts))


EXPECTED = fit()
main()
