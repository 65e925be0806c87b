"""Trains alone and in a group, and prints how far the two are apart: a line of JSON for each case."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from typing import Any

import numpy as np

import portable_nn as pnn

n, RNG = 301, np.random.default_rng(1)
X, LABELS = RNG.normal(size=(n, 12)), RNG.integers(0, 3, n)
Y, WEIGHT = np.eye(3)[LABELS], RNG.uniform(0.1, 2, n)
NET = pnn.Network((12, 16, 3), ("relu", "softmax"), "categorical_cross_entropy")
CASES: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": pnn.Adam(0.01), "batch_size": 64},
    "nesterov, l2, clip_norm": {
        "optimizer": pnn.SGD(0.05, 0.9, True),
        "batch_size": 50,
        "l2": 0.3,
        "clip_norm": 0.5,
    },
    "adamw, weights, batches of 7": {
        "optimizer": pnn.AdamW(0.003),
        "batch_size": 7,
        "l2": 0.1,
        "sample_weight": WEIGHT,
        "epochs": 2,
    },
    "rmsprop, all rows at once": {"optimizer": pnn.RMSprop(0.01), "batch_size": None},
    "sgd, a last batch of one": {"optimizer": pnn.SGD(0.1), "batch_size": 300},
    "batches of one": {"optimizer": pnn.Adam(0.01), "batch_size": 1, "epochs": 1},
    "early stopping, metrics": {
        "optimizer": pnn.Adam(0.1),
        "batch_size": 64,
        "validation": (X[:100], Y[:100]),
        "early_stopping": pnn.EarlyStopping(2, min_delta=0.05),
        "metrics": ["accuracy", "r2"],
        "epochs": 40,
    },
    "metrics of the training data": {"metrics": ["r2"], "batch_size": 64, "epochs": 2},
    "dropout by a schedule": {"dropout": lambda step: 0.4 if step % 2 else 0.2, "batch_size": 64},
    "stream, weights": {"stream": True, "sample_weight": WEIGHT, "batch_size": 64},
    "stream, batches of one": {"stream": True, "batch_size": 1, "epochs": 1, "sample_weight": WEIGHT},
    "labels": {"labels": True, "metrics": "accuracy", "batch_size": 50},
}


def communicator_of(engine: str) -> Any:
    return pnn.distributed.mpi() if engine == "mpi" else pnn.distributed.torch()


def flat(arrays: Any, backend: Any) -> Any:
    return np.concatenate([backend.to_numpy(a).ravel() for layer in arrays for a in layer])


def same_bits(communicator: Any, array: Any) -> bool:
    digests = np.zeros(communicator.size)
    digests[communicator.rank] = int(hashlib.sha256(array.tobytes()).hexdigest()[:12], 16)
    communicator.sum_(digests)
    return len(set(digests.tolist())) == 1


def fits(communicator: Any, backend: Any) -> None:
    for name, case in CASES.items():
        options = {"epochs": 5} | case
        stays = options.get("stream", False)
        on_device = (lambda x: x) if stays else backend.asarray
        inputs, targets = on_device(X), on_device(LABELS if options.pop("labels", False) else Y)
        for key in ("sample_weight", "validation"):
            given = options.get(key)
            if given is not None:
                is_pair = isinstance(given, tuple)
                options[key] = tuple(map(on_device, given)) if is_pair else on_device(given)
        params = NET.initialize(0, backend=backend, dtype="float64")
        one, alone = pnn.fit(NET, params, inputs, targets, seed=3, **options)
        many, history = pnn.fit(
            NET, params, inputs, targets, seed=3, communicator=communicator, **options
        )
        a, b = flat(one, backend), flat(many, backend)
        pairs = zip(alone.curves.values(), history.curves.values(), strict=True)
        report(
            communicator,
            case=name,
            difference=float(np.max(np.abs(a - b)) / np.max(np.abs(a))),
            curves=float(np.max([np.max(np.abs(np.subtract(u, v))) for u, v in pairs])),
            epochs=[alone.epochs, history.epochs],
            best=[alone.best_epoch, history.best_epoch],
            bits=same_bits(communicator, b),
        )


def estimators(communicator: Any) -> None:
    from scipy.sparse import csr_array
    from sklearn.base import clone
    from sklearn.datasets import load_digits

    digits, labels = load_digits(return_X_y=True)
    digits, labels = digits[:300] / 16, labels[:300]
    weight = np.linspace(0.5, 2, 300)
    common = {"hidden_layer_sizes": (12,), "max_iter": 4, "random_state": 0}
    cases: dict[str, Any] = {
        "classifier": (pnn.MLPClassifier(**common), digits, {}),
        "early stopping": (
            pnn.MLPClassifier(**common | {"max_iter": 40}, early_stopping=True, n_iter_no_change=2),
            digits,
            {},
        ),
        "weights, dropout, sgd": (
            pnn.MLPClassifier(**common, solver="sgd", dropout=0.2, class_weight="balanced"),
            digits,
            {"sample_weight": weight},
        ),
        "X_val": (
            pnn.MLPClassifier(**common, batch_size=7),
            digits,
            {"X_val": digits[:50], "y_val": labels[:50]},
        ),
        "sparse": (pnn.MLPClassifier(**common), csr_array(digits), {}),
        "regressor": (pnn.MLPRegressor(**common, alpha=0.1), digits, {}),
    }
    for name, (estimator, rows, options) in cases.items():
        one = clone(estimator).fit(rows, labels, **options)
        many = clone(estimator).fit(rows, labels, communicator=communicator, **options)
        a, b = (np.concatenate([x.ravel() for x in (*e.coefs_, *e.intercepts_)]) for e in (one, many))
        report(
            communicator,
            case=name,
            difference=float(np.max(np.abs(a - b)) / np.max(np.abs(a))),
            curves=float(np.max(np.abs(np.subtract(one.loss_curve_, many.loss_curve_)))),
            epochs=[one.n_iter_, many.n_iter_],
            best=[0, 0],
            bits=same_bits(communicator, b),
        )


def report(communicator: Any, **found: Any) -> None:
    if communicator.rank == 0:
        print("FOUND", json.dumps(found), flush=True)


if __name__ == "__main__":
    engine, what = sys.argv[1:3]
    group = communicator_of(engine)
    if what == "estimators":
        warnings.simplefilter("ignore")  # of trainings that have not converged
        estimators(group)
    else:
        warnings.simplefilter("error")
        fits(group, pnn.backends.get(what))
    group.max(0)  # the first one has printed all that it found
    print("ENDED", flush=True)
