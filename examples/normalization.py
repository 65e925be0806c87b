"""What normalization does to the gradients of a deep network: a table, and with `--plot` a picture.

    python examples/normalization.py --plot normalization.png

Each sigmoid shrinks what comes back through it at least fourfold, so that the gradients of 20 layers
fade from the output to the inputs: the first layers stand still, and nothing is learned. One network is
trained as it is; with batch normalization; with layer normalization; and from initial parameters that
one batch of data has set, so that every unit starts with the mean 0 and the variance 1.

Layer normalization standardizes over the units of each example, and cannot take away what all examples
share. Outputs of sigmoids have a large share, as all are positive; those of tanh, around 0, have none:

    python examples/normalization.py --activation tanh

Pictures need: pip install matplotlib
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from command_line import get_backend, parser

import portable_nn as pnn

INPUTS, UNITS = 10, 32
EPOCHS, BATCH, RATE = 15, 64, 3e-3
NETS = {  # the normalization, and a colour of Okabe and Ito, which everybody can tell apart
    "as it is": (None, "#000000"),
    "batch normalization": ("batch", "#0072B2"),
    "layer normalization": ("layer", "#D55E00"),
    "set by data": (None, "#009E73"),
}


class Result(NamedTuple):
    """The size of each layer's gradient before and after training, the cost by epoch, the accuracy."""

    name: str
    before: list[float]
    after: list[float]
    cost: list[float]
    accuracy: float


def teacher(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and the class that a fixed network of six tanh units gives each."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, INPUTS))
    W, V = random.standard_normal((INPUTS, 6)), random.standard_normal((6, 1))
    return X.astype("float32"), (np.tanh(X @ W) @ V > 0).astype("float32")


def network(depth: int, activation: str, normalization: str | None) -> pnn.Network:
    """`depth` hidden layers of as many units each, with a normalization before each activation."""
    sizes, g = (INPUTS, *depth * [UNITS], 1), (*depth * [activation], "sigmoid")
    return pnn.Network(sizes, g, "binary_cross_entropy", normalization=normalization)


def gradient_sizes(
    backend: pnn.backends.Backend, net: pnn.Network, params: Any, X: Any, Y: Any
) -> list[float]:
    """The root mean square of the entries of dJ/dW, layer by layer."""
    _, grads = net.cost_and_gradients(params, X, Y)
    each = zip(net.arrays, (array for layer in grads for array in layer), strict=True)
    found = [backend.to_numpy(dW) for array, dW in each if array.kind == "weights"]
    return [float(np.sqrt(np.mean(dW.astype("float64") ** 2))) for dW in found]


def train(
    backend: pnn.backends.Backend, name: str, depth: int, activation: str, X: Any, Y: Any
) -> Result:
    """One of the four networks, and what became of its gradients."""
    net = network(depth, activation, NETS[name][0])
    data = X if name == "set by data" else None
    first = net.initialize(seed=0, backend=backend, scheme="glorot", data=data)
    before = gradient_sizes(backend, net, first, X, Y)
    params, history = pnn.fit(net, first, X, Y, pnn.Adam(RATE), epochs=EPOCHS, batch_size=BATCH)
    after = gradient_sizes(backend, net, params, X, Y)
    right = (net.predict(params, X) > 0.5) == (Y > 0.5)
    cost = [float(net.cost(first, X, Y, training=True)), *map(float, history.cost)]
    return Result(name, before, after, cost, float(np.mean(backend.to_numpy(right))))


def print_table(results: Sequence[Result], depth: int) -> None:
    """A row for each network."""
    layers = (1, (depth + 1) // 2, depth)
    shown = "  ".join(f"{f'layer {l}':>8}" for l in layers)
    width = len(shown)
    print(f"{'':20}  {'gradient, first update':^{width}}  {f'after {EPOCHS} epochs':^{width}}")
    print(f"{'':20}  {shown}  {shown}  {'cost J':>7}  accuracy")
    for result in results:
        sizes = [each[l - 1] for each in (result.before, result.after) for l in layers]
        row = "  ".join(f"{size:8.0e}" for size in sizes)
        print(f"{result.name:20}  {row}  {result.cost[-1]:7.4f}  {result.accuracy:8.1%}")


def draw(results: Sequence[Result], activation: str, path: Path) -> None:
    """The gradients by layer, before and after, and the cost by epoch."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (without pyplot: no window)
    except ModuleNotFoundError as missing:
        sys.exit(
            f"--plot needs the package {missing.name}, which is not installed; install it with: "
            "pip install matplotlib"
        )
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    first, later, costs = figure.subplots(1, 3)
    later.sharey(first)
    for result in results:
        style: dict[str, Any] = {"color": NETS[result.name][1], "linewidth": 2}
        layers = range(1, len(result.before) + 1)
        first.semilogy(layers, result.before, label=result.name, marker="o", markersize=3, **style)
        later.semilogy(layers, result.after, marker="o", markersize=3, **style)
        costs.plot(range(len(result.cost)), result.cost, **style)
    first.set_title("at the first update")
    later.set_title(f"after {EPOCHS} epochs")
    costs.set_title("cost J of the training data")
    first.set_ylabel("size of dJ/dW (root mean square)")
    later.tick_params(labelleft=False)
    depth = len(results[0].before) - 1
    for axes in (first, later):
        axes.set_xlabel("layer, from the inputs")
        axes.set_xticks([1, *range(5, depth + 1, 5)])
    costs.set_xlabel("epoch")
    costs.set_ylim(bottom=0)
    for axes in (first, later, costs):
        axes.grid(alpha=0.3)
    costs.set_xticks(range(0, EPOCHS + 1, 5))
    figure.suptitle(f"{depth} hidden layers of {UNITS} {activation} units: the gradients, and the cost")
    figure.legend(loc="outside lower center", ncols=len(results), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    print(f"saved {path}")


def main() -> None:
    """Train the four, print the table, draw the picture that was asked for."""
    options = parser("What normalization does to the gradients of a deep network.", pictures=False)
    options.add_argument("--activation", default="sigmoid", help="sigmoid, tanh, relu, ...")
    options.add_argument("--layers", type=int, default=20, help="hidden ones; 20")
    options.add_argument("--plot", type=Path, metavar="FILE", help="where a picture goes")
    given = options.parse_args()
    backend = get_backend(given.backend, given.device)
    X, Y = (backend.asarray(part) for part in teacher(1024))
    print(f"{given.layers} hidden layers of {UNITS} {given.activation} units, on {backend.name}")
    results = [train(backend, name, given.layers, given.activation, X, Y) for name in NETS]
    print_table(results, given.layers)
    if given.plot:
        draw(results, given.activation, given.plot)


if __name__ == "__main__":
    main()
