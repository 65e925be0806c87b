"""Inference: probabilities of 10,000 rows, and of one row at a time."""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from configurations import Configuration
from goals import Goal
from record import Record
from rounds import Contender, Result, interleave, notes, speed_ratio
from tables import table

MANY = 10_000
CONTENDERS = {
    "estimator": Contender("ours, MLPClassifier.predict_proba", "inference:ours", {}, ("sklearn",)),
    "numpy": Contender("ours, net.predict on numpy", "inference:predict"),
    "sklearn": Contender("scikit-learn predict_proba", "inference:sklearn", {}, ("sklearn",)),
    "torch-module": Contender("torch nn.Module, inference_mode", "inference:torch", {}, ("torch",)),
}


def fitted(kind: Any, c: Configuration, rows: int) -> Callable[[], None]:
    """`predict_proba` of an estimator that was trained just enough to have weights."""
    import warnings

    from ours import estimator_settings

    estimator = kind(**estimator_settings(c) | {"max_iter": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        estimator.fit(*c.data(2 * c.batch))
    X, _ = c.data(rows)

    def run() -> None:
        estimator.predict_proba(X)

    return run


def ours(c: Configuration, rows: int) -> Callable[[], None]:
    """Our estimator, on NumPy's float32."""
    from portable_nn import MLPClassifier

    return fitted(MLPClassifier, c, rows)


def sklearn(c: Configuration, rows: int) -> Callable[[], None]:
    """scikit-learn's, on NumPy's float32."""
    from sklearn.neural_network import MLPClassifier

    return fitted(MLPClassifier, c, rows)


def predict(c: Configuration, rows: int) -> Callable[[], None]:
    """`net.predict` with the initial parameters."""
    from ours import network

    net = network(c)
    params = net.initialize(seed=0, backend="numpy", dtype="float32")
    X, _ = c.data(rows)

    def run() -> None:
        net.predict(params, X)

    return run


def torch(c: Configuration, rows: int) -> Callable[[], None]:
    """A module and its softmax under `inference_mode`; X is a tensor already."""
    import torch as library
    from peers import torch_module

    net = library.nn.Sequential(torch_module(c.sizes), library.nn.Softmax(dim=-1)).eval()
    X = library.from_numpy(c.data(rows)[0])

    @library.inference_mode()
    def run() -> None:
        net(X)

    return run


def measure(
    configurations: Iterable[Configuration], names: Iterable[str], rounds: int, record: Record
) -> list[Goal]:
    """Both measurements for every configuration; how the issue's goals are met."""
    wanted = set(names)
    contenders = {key: one for key, one in CONTENDERS.items() if key in wanted}
    goals = []
    for c in configurations:
        for rows in (MANY, 1):
            results = interleave(contenders, c, rounds, at_least=0.1, rows=rows)
            report(c, rows, results, record)
            bounds = {"sklearn": 1.0, "torch-module": 1.0} if rows == MANY else {"sklearn": 2.0}
            for peer, bound in bounds.items():
                what = f"predict_proba, rows at once {rows:,}: MLPClassifier / {peer}"
                goals.append(Goal(what, c.sizes, speed_ratio(results, "estimator", peer), bound))
    return goals


def report(c: Configuration, rows: int, results: dict[str, Result], record: Record) -> None:
    """The table of a configuration, and a line for each contender."""
    lines = []
    for key, result in results.items():
        seconds, ratio = result.median(), speed_ratio(results, "estimator", key)
        if seconds is None:
            lines.append((result.label, result.state.split(":")[0], None, None))
        else:
            lines.append((result.label, seconds * 1e6, rows / seconds, ratio))
        record.write(
            "inference",
            configuration=c.name,
            sizes=c.sizes,
            rows=rows,
            contender=key,
            label=result.label,
            state=result.state,
            seconds=result.all(),
            our_estimator_over_it=ratio,
        )
    head = ["inference", "microseconds a call", "rows/s", "our estimator over it"]
    table(
        f"{'-'.join(map(str, c.sizes))}: {rows:,} row{'s' * (rows > 1)} a call",
        head,
        lines,
        notes(results),
    )
