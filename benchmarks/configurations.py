"""What is trained, everywhere alike: sizes, batches, and data that is generated the same each time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Configuration:
    """Relu hidden layers, softmax, categorical cross-entropy, Adam with its 1e-3, float32.

    A round of the clock is `epochs` epochs of `batches` mini-batches of `batch` rows; `rows` says how
    many rows there are where that is not batch * batches.
    """

    sizes: tuple[int, ...]
    batch: int
    batches: int
    epochs: int = 1
    rows: int | None = None

    @property
    def name(self) -> str:
        """The sizes and the batch, as the tables name them."""
        sizes = [str(size) for size in self.sizes]
        if len(sizes) > 6:  # a deep one: the layers in the middle are alike
            sizes = [*sizes[:2], f"(x{len(sizes) - 2})", sizes[-1]]
        return f"{'-'.join(sizes)}, batch {self.batch}"

    @property
    def n(self) -> int:
        """How many rows the data has."""
        return self.batch * self.batches if self.rows is None else self.rows

    @property
    def samples(self) -> int:
        """How many rows are gone through in a round."""
        return self.n * self.epochs

    @property
    def parameters(self) -> int:
        """How many numbers all W and b hold."""
        return sum((k + 1) * m for k, m in zip(self.sizes[:-1], self.sizes[1:], strict=True))

    def data(self, n: int | None = None) -> tuple[Array, Array]:
        """X (n, n_0) float32 and the labels (n,) int64: random, but each class is there."""
        n = self.n if n is None else n
        random = np.random.default_rng(0)
        X = random.standard_normal((n, self.sizes[0]), dtype="float32")
        return X, random.permutation(np.arange(n) % self.sizes[-1])


def one_hot(labels: Array, classes: int) -> Array:
    """Y (n, classes) float32, one 1 in each row."""
    Y = np.zeros((len(labels), classes), dtype="float32")
    Y[np.arange(len(labels)), labels] = 1.0
    return Y


MNIST_SHAPED = Configuration((784, 256, 128, 10), batch=128, batches=200)
TINY = Configuration((20, 32, 3), batch=32, batches=2000)
WIDE = Configuration((1024, 2048, 2048, 100), batch=256, batches=10)
CONFIGURATIONS = (MNIST_SHAPED, TINY, WIDE)

HUGE = Configuration((4096, 8192, 8192, 1000), batch=8192, batches=4)
ON_A_GPU = (  # more epochs where a round by replayed steps would else be over in milliseconds
    replace(MNIST_SHAPED, epochs=10),
    replace(TINY, epochs=2),
    HUGE,
    replace(WIDE, epochs=10),
)


def quick(configurations: tuple[Configuration, ...]) -> tuple[Configuration, ...]:
    """The same with a tenth of the batches: to see that everything runs, not how fast."""
    return tuple(replace(c, batches=max(2, c.batches // 10)) for c in configurations)
