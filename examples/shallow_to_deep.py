"""From logistic regression to deep networks: the story of *Neural Networks and Deep Learning*.

    python examples/shallow_to_deep.py

Two classes wind around each other as the arms of a spiral. Logistic regression, which is a network of
one layer, can only draw a straight line between them; one hidden layer of tanh units bends the line; two
and three hidden layers of relu units follow the arms. Each network is trained in the same way, a row of
figures is printed for it, and one picture shows where each draws its boundary. It needs:

    pip install matplotlib
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from command_line import get_backend, parser

import portable_nn as pnn

try:
    from matplotlib.figure import Figure  # without pyplot: no window, pictures drawn by Agg
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install matplotlib"
    )

NETS = [
    pnn.Network((2, 1), ("sigmoid",), "binary_cross_entropy"),
    pnn.Network((2, 8, 1), ("tanh", "sigmoid"), "binary_cross_entropy"),
    pnn.Network((2, 16, 16, 1), ("relu", "relu", "sigmoid"), "binary_cross_entropy"),
    pnn.Network((2, 16, 16, 16, 1), ("relu", "relu", "relu", "sigmoid"), "binary_cross_entropy"),
]
COLORS = ("tab:blue", "tab:red")


class Part(NamedTuple):
    """Points as rows (x1, x2), and their classes as rows (0) or (1)."""

    X: Any
    Y: Any


class Result(NamedTuple):
    """A trained network and how well it does."""

    net: pnn.Network
    params: Any
    cost: float
    training_accuracy: float
    test_accuracy: float
    seconds: float


def spiral(n: int, turns: float = 1.5, noise: float = 0.12, seed: int = 1) -> Part:
    """`n` points on the two arms of a spiral, which has the radius 2, blurred by the noise."""
    random = np.random.default_rng(seed)
    label = np.arange(n) % 2
    radius = np.sqrt(random.uniform(0.02, 1, n))  # the root: as many points per area everywhere
    angle = np.pi * (2 * turns * radius + label)
    arms = 2 * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Part(arms + noise * random.standard_normal((n, 2)), label[:, None])


def train(backend: pnn.backends.Backend, net: pnn.Network, training: Part, test: Part) -> Result:
    """`net` trained on the backend: 300 times through the training points."""
    X, Y = (backend.asarray(a, dtype="float32") for a in training)
    first = net.initialize(seed=0, backend=backend, dtype="float32")
    params, history = pnn.fit(
        net, first, X, Y, pnn.Adam(learning_rate=0.01), epochs=300, batch_size=50, l2=0.01
    )
    cost = float(net.cost(params, X, Y))
    seen, unseen = (accuracy(backend, net, params, part) for part in (training, test))
    return Result(net, params, cost, seen, unseen, sum(history.seconds))


def predict(backend: pnn.backends.Backend, net: pnn.Network, params: Any, X: np.ndarray) -> np.ndarray:
    """The probability of class 1 for each row of X, on the host."""
    return backend.to_numpy(net.predict(params, backend.asarray(X, dtype="float32")))


def accuracy(backend: pnn.backends.Backend, net: pnn.Network, params: Any, part: Part) -> float:
    """The share of the points whose class is predicted."""
    return float(np.mean((predict(backend, net, params, part.X) > 0.5) == part.Y))


def title(net: pnn.Network) -> str:
    """Such as "2-8-1, tanh": the sizes, and the activation of the hidden layers."""
    kind = net.g[0].name if len(net.g) > 1 else "logistic regression"
    return f"{'-'.join(map(str, net.sizes))}, {kind}"


def save_boundaries(
    backend: pnn.backends.Backend, results: Sequence[Result], training: Part, test: Part, path: Path
) -> None:
    """One panel per network: its probabilities as colours, its boundary as a line, and the points."""
    figure = Figure(figsize=(9, 10), layout="compressed")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    side = np.linspace(-2.5, 2.5, 251)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    for axes, result in zip(panels.flat, results, strict=True):
        A = predict(backend, result.net, result.params, grid.reshape(-1, 2)).reshape(grid.shape[:-1])
        shades = axes.contourf(side, side, A, np.linspace(0, 1, 11), cmap="coolwarm", alpha=0.45)
        axes.contour(side, side, A, [0.5], colors="black", linewidths=1.2)
        scatter(axes, training, test)
        axes.set_title(f"{title(result.net)}: test accuracy {result.test_accuracy:.1%}", fontsize=11)
        axes.set_aspect("equal")
    for axes in panels[-1]:
        axes.set_xlabel("x1")
    for axes in panels[:, 0]:
        axes.set_ylabel("x2")
    figure.colorbar(
        shades, ax=panels, location="bottom", shrink=0.6, aspect=40, label="probability of class 1"
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    figure.savefig(path, dpi=130)


def scatter(axes: Any, training: Part, test: Part) -> None:
    """The points: training points filled, test points as rings."""
    for label, color in enumerate(COLORS):
        seen, unseen = (part.X[part.Y[:, 0] == label] for part in (training, test))
        axes.scatter(*seen.T, s=9, color=color, label=f"class {label}, training")
        axes.scatter(*unseen.T, s=18, facecolors="white", edgecolors=color, label=f"class {label}, test")


def main() -> None:
    """Train each network, print its row, and save the picture."""
    given = parser("Train ever deeper networks on a spiral.").parse_args()
    backend = get_backend(given.backend, given.device)
    points = spiral(600)
    training, test = Part(*(a[:400] for a in points)), Part(*(a[400:] for a in points))
    print(f"backend {backend.name} {backend.version()} on {backend.device_name()}")
    print(f"{'network':24s}  cost J  training accuracy  test accuracy  seconds")
    results = []
    for net in NETS:
        results.append(train(backend, net, training, test))
        _, _, cost, seen, unseen, seconds = results[-1]
        print(f"{title(net):24s}  {cost:6.4f}  {seen:17.1%}  {unseen:13.1%}  {seconds:7.2f}")

    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / "shallow_to_deep.png"
    save_boundaries(backend, results, training, test, path)
    print(f"saved {path}")


if __name__ == "__main__":
    main()
