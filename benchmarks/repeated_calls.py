"""What repeated calls of ours on JAX take: each with something not seen before, then the same again."""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from configurations import Configuration, one_hot

COMPILED = "/jax/core/compile/backend_compile_duration"  # JAX reports it once for each compilation
AGAIN = 3  # equal calls that follow, and whose median is subtracted
OTHER_ROWS = (-1, 3, -100, 200, -400)  # than those of the first fit
AT_ONCE = (2, 7, 100, 333, 900)  # rows of a prediction
FIRST = ("the first fit", "the first partial_fit", "the first predict_proba")
Step = tuple[str, str, Callable[[], Any]]


def calls(c: Configuration) -> Callable[[], dict[str, Any]]:
    """All of them, as it is set up: what was not seen before cannot be measured twice."""
    warnings.simplefilter("ignore")  # that so few epochs have not converged
    found = [one for steps in (fits(c), estimators(c)) for one in timed(steps)]
    return lambda: {"calls": found}


def timed(steps: Iterator[Step]) -> Iterator[dict[str, Any]]:
    """Each call's seconds and compilations, and the seconds of the same call again."""
    import jax

    compilations: list[float] = []

    def listen(event: str, seconds: float, **_: Any) -> None:
        if event == COMPILED:
            compilations.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    for what, value, call in steps:
        compilations.clear()
        first, count, compiling = clocked(call), len(compilations), sum(compilations)
        again = statistics.median(clocked(call) for _ in range(AGAIN))
        numbers = {"seconds": first, "again": again, "compilations": count, "compiling": compiling}
        yield {"what": what, "value": value} | numbers


def clocked(call: Callable[[], Any]) -> float:
    """The seconds of a call; ours return when the host has read the costs, or the probabilities."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fits(c: Configuration) -> Iterator[Step]:
    """`pnn.fit`: the first one, and others from the same parameters with one thing changed."""
    from ours import network

    import portable_nn as pnn

    library, net = pnn.backends.get("jax"), network(c)
    params = net.initialize(seed=0, backend=library, dtype="float32")

    def fit(rows: int = c.n, rate: float = 1e-3, seed: int = 0, **more: Any) -> Callable[[], Any]:
        X, labels = c.data(rows)
        X, Y = library.asarray(X), library.asarray(one_hot(labels, c.sizes[-1]))
        settings = {"epochs": c.epochs, "batch_size": c.batch, "seed": seed} | more

        def call() -> None:
            trained, _ = pnn.fit(net, params, X, Y, pnn.Adam(rate), **settings)
            library.ready(*(array for layer in trained for array in layer))

        return call

    yield FIRST[0], f"{c.n} rows", fit()
    yield "a fit with an l2 after one without", "0.0001", fit(l2=1e-4)
    for l2 in (3e-4, 1e-3, 1e-2):
        yield "a fit with another l2", f"{l2:g}", fit(l2=l2)
    for rate in (2e-3, 5e-3, 1e-2):
        yield "a fit with another learning rate", f"{rate:g}", fit(rate=rate)
    for seed in (1, 2, 3):
        yield "a fit with another seed", f"{seed}", fit(seed=seed)
    for more in OTHER_ROWS:
        yield "a fit with another row count", f"{c.n + more} rows", fit(rows=c.n + more)


def estimators(c: Configuration) -> Iterator[Step]:
    """`MLPClassifier` with backend="jax" on the host's rows: `partial_fit` and `predict_proba`."""
    from ours import estimator_settings

    import portable_nn as pnn

    settings = estimator_settings(c) | {"backend": "jax", "warm_start": False}
    model = pnn.MLPClassifier(**settings)
    classes = list(range(c.sizes[-1]))

    def partial_fit(rows: int) -> Callable[[], Any]:
        X, labels = c.data(rows)
        return lambda: model.partial_fit(X, labels, classes=classes)

    def predict(rows: int) -> Callable[[], Any]:
        X, _ = c.data(rows)
        return lambda: model.predict_proba(X)

    yield FIRST[1], f"{c.n} rows", partial_fit(c.n)
    for more in OTHER_ROWS:
        yield "partial_fit with another row count", f"{c.n + more} rows", partial_fit(c.n + more)
    yield FIRST[2], f"{c.n} rows", predict(c.n)
    yield "predict_proba of one row", "1 row", predict(1)
    for rows in AT_ONCE:
        yield "predict_proba of another row count", f"{rows} rows", predict(rows)
