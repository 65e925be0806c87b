"""Inference: probabilities of 10,000 rows, and of one row at a time.

Once estimators, on NumPy's rows; then `net.predict` on torch and JAX, beside what one writes there by
hand, both on the library's own arrays.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from configurations import Configuration
from goals import Goal
from record import Record
from rounds import WARM, Circumstances, Contender, Result, interleave, notes, speed_ratio
from tables import table

ON_NUMPY = {
    "estimator": Contender("ours, MLPClassifier.predict_proba", "inference:ours", {}, ("sklearn",)),
    "numpy": Contender("ours, net.predict on numpy", "inference:predict"),
    "sklearn": Contender("scikit-learn predict_proba", "inference:sklearn", {}, ("sklearn",)),
    "torch-module": Contender("torch nn.Module, inference_mode", "inference:torch", {}, ("torch",)),
}
ON_TORCH = {
    "torch": Contender(
        "ours, net.predict on torch", "inference:predict", {"backend": "torch"}, ("torch",)
    ),
    "torch-module": ON_NUMPY["torch-module"],
}
ON_JAX = {
    "jax": Contender("ours, net.predict on jax", "inference:predict", {"backend": "jax"}, ("jax",)),
    "jax-function": Contender("a function under jax.jit", "inference:jax", {}, ("jax",)),
}
GROUPS = {"estimator": ON_NUMPY, "torch": ON_TORCH, "jax": ON_JAX}  # by the one that is set over all
BRIEFLY = 1.0  # seconds: all that they compile is compiled in the first call
MANY = 10_000
GOALS = {  # one over the other, of many rows at once, and of one; None: no goal was set
    ("estimator", "sklearn"): (1.0, 5.0),
    ("estimator", "torch-module"): (1.0, None),
    ("torch", "torch-module"): (1.0, 1.0),
    ("jax", "jax-function"): (1.0, 1.0),
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


def predict(c: Configuration, rows: int, backend: str = "numpy") -> Callable[[], None]:
    """`net.predict` with the initial parameters; X is an array of the library's already."""
    from ours import network

    import portable_nn as pnn

    library, net = pnn.backends.get(backend), network(c)
    params = net.initialize(seed=0, backend=library, dtype="float32")
    X = library.asarray(c.data(rows)[0])

    def run() -> None:
        library.ready(net.predict(params, X))

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


def jax(c: Configuration, rows: int) -> Callable[[], None]:
    """The network and its softmax as one jitted function; X is on the device already."""
    import jax as library
    import jax.numpy as jnp
    from peers import jax_logits, jax_parameters

    params, X = jax_parameters(c, np.random.default_rng(0)), jnp.asarray(c.data(rows)[0])
    net = library.jit(lambda params, x: library.nn.softmax(jax_logits(params, x)))

    def run() -> None:
        library.block_until_ready(net(params, X))

    return run


def measure(
    configurations: Iterable[Configuration],
    names: Iterable[str],
    rounds: int,
    record: Record,
    warm: float = WARM,
) -> list[Goal]:
    """Both numbers of rows for every configuration; how the issue's goals are met."""
    wanted = {*names, "jax-function"}
    goals = []
    for c in configurations:
        for rows in (MANY, 1):
            for ours, group in GROUPS.items():
                if ours not in wanted:
                    continue
                contenders = {key: one for key, one in group.items() if key in wanted}
                how = Circumstances(warm=warm if ours == "estimator" else min(warm, BRIEFLY))
                results = interleave(contenders, c, rounds, at_least=0.1, how=how, rows=rows)
                report(c, rows, results, ours, record)
                for (one, peer), bounds in GOALS.items():
                    if one == ours and peer in results:
                        what = f"{results[one].label}, rows at once {rows:,}: / {peer}"
                        bound = bounds[rows == 1]
                        goals.append(Goal(what, c.sizes, speed_ratio(results, one, peer), bound))
    return goals


def report(c: Configuration, rows: int, results: dict[str, Result], ours: str, record: Record) -> None:
    """The table of a group of contenders, and a line for each; `ours` is set over the others."""
    lines = []
    for key, result in results.items():
        seconds, ratio = result.median(), speed_ratio(results, ours, key)
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
            ours_over_it=ratio,
        )
    head = ["inference", "microseconds a call", "rows/s", "ours over it"]
    table(
        f"{'-'.join(map(str, c.sizes))}: {rows:,} row{'s' * (rows > 1)} a call",
        head,
        lines,
        notes(results),
    )
