"""A layer of your own: a residual one, with its derivative under it.

    python examples/own_layer.py

A layer is a frozen dataclass that is a `pnn.Layer`, and has up to five methods of which two must be
written; with these it is checked, stacked, trained, saved and compiled as those of the library are:

- `width(n)`: how many units it gives, n being below it; by default n.
- `parameters(n)`: its arrays, each with symbol, shape, kind and first values; by default none. The kind
  is what groups of an optimizer go by: "weights" (which alone `l2` penalises), "biases", "scales".
- `forward(xp, theta, A)`: its output for A, and what `backward` will need. The columns of A (n, B) are
  the examples; `theta` are its arrays; all is written with `xp`, the functions of any array library.
- `backward(xp, theta, kept, dA)`: from dL/dA of the output, dL/dA of the input, of each example alone;
  and for each array dJ/dtheta, the mean over the examples.
- `moved(xp, theta, kept)`: its arrays after a batch, where they hold running statistics; by default
  those it has. (What statistics do in training is written in `forward_in_training`.)

`A + alpha g(W A + b)` begins with alpha = 0, as the identity, so that even a hundred of them let the
gradient through (ReZero: Bachlechner et al., 2020). The network tries the layer as it is made, and warns
where `backward` is not the derivative of `forward`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

import portable_nn as pnn


@dataclass(frozen=True)
class Residual(pnn.Layer):
    """a + alpha tanh(W a + b), with alpha (n, 1) for each unit."""

    def parameters(self, n: int) -> tuple[pnn.Parameter, ...]:
        return (
            pnn.Parameter("W", (n, n), "weights", "by scheme"),
            pnn.Parameter("b", (n, 1), "biases", 0.0),
            pnn.Parameter("alpha", (n, 1), "scales", 0.0),
        )

    def forward(self, xp: Any, theta: Any, A: Any) -> tuple[Any, Any]:
        W, b, alpha = theta
        G = xp.tanh(W @ A + b)
        return A + alpha * G, (A, G)

    def backward(self, xp: Any, theta: Any, kept: Any, dA: Any) -> tuple[Any, Any]:
        (W, _, alpha), (A, G) = theta, kept
        dZ = alpha * dA * (1 - G * G)
        dW = (1 / A.shape[-1]) * (dZ @ A.mT)
        db, dalpha = (xp.mean(each, axis=-1, keepdims=True) for each in (dZ, dA * G))
        return dA + W.mT @ dZ, (dW, db, dalpha)


def network(inner: list[Any]) -> pnn.Network:
    """Eight inputs, these layers of 16 units, one output."""
    return pnn.Network((8, 16, *inner, 1), loss="squared_error")


def main() -> None:
    """Check the gradients, train with and without the layer, and do the same on torch if it is there."""
    random = np.random.default_rng(0)
    X = random.standard_normal((512, 8))
    Y = np.sin(X[:, :1] * X[:, 1:2]) + X[:, 2:3] * np.tanh(X[:, 3:4])
    deep = {name: network(20 * each) for name, each in (("tanh", [16, "tanh"]), ("own", [Residual()]))}
    names = ["numpy", *(["torch"] if importlib.util.find_spec("torch") else [])]
    predictions = []
    for place, name in [("numpy", "tanh"), *((place, "own") for place in names)]:
        backend, net = pnn.backends.get(place), deep[name]
        first = net.initialize(seed=0, backend=backend, dtype="float64")
        rows = backend.asarray(X), backend.asarray(Y)
        params, history = pnn.fit(net, first, *rows, pnn.Adam(1e-2), epochs=15, batch_size=64)
        cost = f"J {history.cost[0]:.3f} in the first epoch, {history.cost[-1]:.3f} in the last"
        print(f"{place}, 20 {name} layers: {cost}")
        predictions.append(backend.to_numpy(net.predict(params, rows[0])))
    small = network([Residual()])
    trained, _ = pnn.fit(small, small.initialize(dtype="float64"), X, Y)  # alpha is 0 no longer
    print(f"check_gradients of one layer: {small.check_gradients(trained, X[:20], Y[:20]):.0e}")
    if len(names) > 1:
        apart = np.max(np.abs(predictions[2] - predictions[1]))
        print(f"largest difference of torch's predictions from NumPy's: {apart:.0e}")


if __name__ == "__main__":
    main()
