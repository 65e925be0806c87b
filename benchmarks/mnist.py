"""Seconds of training until 98 % of MNIST's test images are recognised, ours and scikit-learn's.

Epoch by epoch with `partial_fit`; after each the test images are looked at, which is not counted. A
round is one training from the start, with another seed in each round and the same seeds for both.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from configurations import Array, Configuration
from goals import Goal
from record import Record
from rounds import Contender, interleave, notes, speed_ratio
from tables import table

NETWORK = Configuration((784, 256, 128, 10), batch=128, batches=390, epochs=40)  # epochs at most
ACCURACY = 0.98
CONTENDERS = {
    "estimator": Contender("ours, MLPClassifier on numpy", "mnist:ours", {}, ("sklearn",)),
    "sklearn": Contender("scikit-learn MLPClassifier", "mnist:sklearn", {}, ("sklearn",)),
}


def read(path: str | None, n: int) -> tuple[Array, Array, Array, Array]:
    """X and labels to train with and to test with: of an .npz, or generated in the same shape."""
    if path is None:
        X, labels = generated(n + n // 5)
        return X[:n], labels[:n], X[n:], labels[n:]
    with np.load(path) as file:
        X, test = (file[name].astype("float32") / np.float32(255) for name in ("train_x", "test_x"))
        return X[:n], file["train_y"][:n].astype(int), test, file["test_y"].astype(int)


def generated(n: int) -> tuple[Array, Array]:
    """Pixels in [0, 1] around three prototypes of each of ten classes: learnt in a few epochs."""
    random = np.random.default_rng(0)
    prototypes = random.random((30, 784), dtype="float32")
    which = random.integers(0, 30, size=n)
    X = 0.215 * prototypes[which] + 0.785 * random.random((n, 784), dtype="float32")
    return X, which % 10


def training(kind: Any, path: str | None, n: int, most_epochs: int) -> Callable[[], dict[str, Any]]:
    """Rounds of a classifier's training from the start, until it is good or `most_epochs` are over."""
    X, labels, test, truth = read(path, n)
    classes, seeds = np.unique(labels), count()

    def run() -> dict[str, Any]:
        estimator = kind(
            hidden_layer_sizes=NETWORK.sizes[1:-1],
            batch_size=NETWORK.batch,
            solver="adam",
            learning_rate_init=1e-3,
            alpha=1e-4,
            random_state=next(seeds),
        )
        seconds, accuracies = 0.0, [0.0]
        while accuracies[-1] < ACCURACY and len(accuracies) <= most_epochs:
            start = time.perf_counter()
            estimator.partial_fit(X, labels, classes=classes)
            seconds += time.perf_counter() - start
            accuracies.append(float(np.mean(estimator.predict(test) == truth)))
        return {"seconds": seconds, "epochs": len(accuracies) - 1, "accuracy": accuracies[-1]}

    return run


def ours(c: Configuration, path: str | None) -> Callable[[], dict[str, Any]]:
    """Our estimator."""
    from portable_nn import MLPClassifier

    return training(MLPClassifier, path, c.n, c.epochs)


def sklearn(c: Configuration, path: str | None) -> Callable[[], dict[str, Any]]:
    """scikit-learn's estimator."""
    from sklearn.neural_network import MLPClassifier

    return training(MLPClassifier, path, c.n, c.epochs)


def measure(path: str | None, rounds: int, record: Record, is_quick: bool) -> list[Goal]:
    """Rounds of both, and the ratio of their times."""
    c = replace(NETWORK, batches=20, epochs=2) if is_quick else NETWORK
    results = interleave(CONTENDERS, c, rounds, warm_up=0, path=path)
    source = "GENERATED data of MNIST's shape: no --data was given" if path is None else "MNIST"
    ratio = speed_ratio(results, "estimator", "sklearn")
    if any(found < ACCURACY for one in results.values() for found in one.all("accuracy")):
        ratio = None  # a training that has not arrived says nothing of how long it takes
    rows = []
    for key, result in results.items():
        found = (result.median(), result.median("epochs"), result.median("accuracy"))
        rows.append((result.label, *found))
        record.write(
            "mnist",
            source=source,
            rows=c.n,
            contender=key,
            label=result.label,
            state=result.state,
            seconds=result.all(),
            epochs=result.all("epochs"),
            accuracy=result.all("accuracy"),
            ours_faster_by=ratio,
        )
    head = [source, "seconds", "epochs", "test accuracy"]
    table(
        f"Training until {ACCURACY:.0%} of the test rows are right, {c.n:,} rows",
        head,
        rows,
        notes(results),
    )
    what = f"{source.split(maxsplit=1)[0]}, seconds to {ACCURACY:.0%}: scikit-learn / MLPClassifier"
    return [Goal(what, None, ratio, 3.0)]
