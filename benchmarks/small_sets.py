"""scikit-learn's own small sets: who is fitted to them in turns, in one process or in a fresh one.

python benchmarks/small_sets.py iris ours        (one fit of a fresh process, as `small.py` times it)
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from configurations import Array, Configuration

PAUSE = 0.05  # seconds; the threads of BLAS spin for a while, and that is CPU time of whoever is next
EPOCHS, BATCH = 200, 200  # the estimators' defaults, of both libraries


def shape(sizes: tuple[int, ...], rows: int) -> Configuration:
    """What the estimators make of such rows by default."""
    batch = min(BATCH, rows)
    return Configuration(sizes, batch, math.ceil(rows / batch), EPOCHS, rows)


SETS = {
    "iris": shape((4, 100, 3), 150),
    "moons": shape((2, 100, 1), 100),
    "circles": shape((2, 100, 1), 100),
    "breast_cancer": shape((30, 100, 1), 569),
    "digits": shape((64, 100, 10), 1797),
    "diabetes": shape((10, 100, 1), 442),
}
OURS, PLAIN, THEIRS = "ours", "ours without fast", "scikit-learn"
Turns = Mapping[str, Callable[[], Any]]


def load(name: str) -> tuple[Array, Array]:
    """X, float64, and y of a set: tables standardized, pictures from 0 to 1, the others as they are."""
    from sklearn import datasets

    if name == "moons":
        return datasets.make_moons(100, noise=0.2, random_state=0)
    if name == "circles":
        return datasets.make_circles(100, noise=0.1, factor=0.5, random_state=0)
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        return X / 16, y
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def kind_of(name: str, who: str) -> Any:
    """The class that is fitted to a set."""
    if who == THEIRS:
        from sklearn import neural_network as library
    else:
        import portable_nn as library
    return library.MLPRegressor if name == "diabetes" else library.MLPClassifier


def fitting(name: str, who: str, solver: str = "adam") -> Callable[[], Any]:
    """A fit with the defaults, but for the solver; gives the estimator."""
    kind, (X, y) = kind_of(name, who), load(name)

    def fit() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            return kind(solver=solver, random_state=0).fit(X, y)

    return fit


def estimators(
    c: Configuration, name: str, warm: float, at_least: float
) -> Callable[[], dict[str, Any]]:
    """Rounds in which ours and scikit-learn's take turns with each solver, and how far they went."""
    X, _ = load(name)
    if X.shape != (c.n, c.sizes[0]):
        raise ValueError(f"{name} is {X.shape}; known as {c.n} rows of {c.sizes[0]}")
    parts, about = {}, {}
    for solver in ("adam", "lbfgs"):
        turns = {who: fitting(name, who, solver) for who in (OURS, THEIRS)}
        about |= {f"{solver} {who} iterations": fit().n_iter_ for who, fit in turns.items()}
        parts[solver] = in_turns(turns, warm, at_least)

    def run() -> dict[str, Any]:
        found = {f"{solver} {key}": s for solver, part in parts.items() for key, s in part().items()}
        return found | about

    return run


def in_turns(turns: Turns, warm: float, at_least: float) -> Callable[[], dict[str, float]]:
    """Rounds of all of them, one after the other: the wall and the CPU seconds of each.

    Each has run for `warm` seconds before, and takes at least `at_least` seconds in its turn.
    Who comes first changes from round to round.
    """
    repeats = {key: warmed(run, warm, at_least) for key, run in turns.items()}
    order = list(turns)

    def run() -> dict[str, float]:
        found = {}
        for key in order:
            time.sleep(PAUSE)
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats[key]):
                turns[key]()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            found |= {f"{key} CPU": cpu / repeats[key], f"{key} wall": wall / repeats[key]}
        order.append(order.pop(0))
        return found

    return run


def warmed(run: Callable[[], Any], warm: float, at_least: float) -> int:
    """How often `run` is repeated in a turn, after `warm` seconds of it."""
    start = time.perf_counter()
    count = 0
    while not count or time.perf_counter() - start < warm:
        last = time.perf_counter()
        run()
        count, last = count + 1, time.perf_counter() - last
    return max(1, math.ceil(at_least / last))


def relu(xp: Any, Z: Any) -> Any:
    """max(0, z), as a user writes it."""
    return xp.maximum(Z, 0.0)


def relu_prime(xp: Any, Z: Any) -> Any:
    """1 where z > 0, else 0."""
    return xp.astype(Z > 0, Z.dtype)


class Rectifier:
    """The same as methods, which read a constant of their object."""

    def __init__(self, bend: float) -> None:
        self.bend = bend

    def g(self, xp: Any, Z: Any) -> Any:
        """The larger of z and the constant."""
        return xp.maximum(Z, self.bend)

    def g_prime(self, xp: Any, Z: Any) -> Any:
        """1 above the constant, else 0."""
        return xp.astype(self.bend < Z, Z.dtype)


def activations(c: Configuration, warm: float, at_least: float) -> Callable[[], dict[str, float]]:
    """Rounds of `pnn.fit` in float64 with the built-in relu, and with a user's in three forms."""
    import portable_nn as pnn

    X, labels = c.data()
    X, Y = X.astype("float64"), (labels % 2).astype("float64")[:, None]
    bent = Rectifier(0.0)
    relus = {
        "built in": "relu",
        "def": pnn.Activation("a def", relu, relu_prime),
        "lambda": pnn.Activation(
            "a lambda", lambda xp, Z: xp.maximum(Z, 0.0), lambda xp, Z: xp.astype(Z > 0, Z.dtype)
        ),
        "method": pnn.Activation("a method", bent.g, bent.g_prime),
    }

    def training(g: Any) -> Callable[[], Any]:
        net = pnn.Network(c.sizes, [*[g] * (len(c.sizes) - 2), "sigmoid"], "binary_cross_entropy")
        params = net.initialize(seed=0, dtype="float64")
        return lambda: pnn.fit(net, params, X, Y, epochs=c.epochs, batch_size=c.batch)

    return in_turns({form: training(g) for form, g in relus.items()}, warm, at_least)


if __name__ == "__main__":
    if sys.argv[2] == PLAIN:
        sys.modules["numba"] = None  # type: ignore[assignment]  # its import fails, as if not installed
    fitting(sys.argv[1], sys.argv[2])()
