"""A table with codes of categories beside numbers: embeddings, and what they are compared with.

    python examples/categories.py

A generator makes sales: a shop, a product, a price and an hour. What is sold depends on how well shop
and product suit each other, which is a matter of two traits of each, and on the time of the day, in
waves. A sum over the categories cannot say that. A network of one-hot columns can, and needs a weight
for each unit and category; an embedding has a short vector for each category, and learns the traits.

Errors are root mean squares, of standardized targets, on rows that training has not seen, over three
tables. All networks are trained alike. The last column is of shops that were never seen:

- The labels of the training rows become codes by `numpy.unique(labels, return_inverse=True)`. They are
  counted from 1: the code 0 is reserved for all that is unknown.
- A code that no training row has keeps the vector that was drawn for it, and means nothing. So the shop
  of a few training rows is made unknown, and the vector 0 learns what is right on average.

The parameters are in groups: vectors of categories, each of which few rows of a batch move, learn three
times as fast as the rest; biases do not decay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from command_line import get_backend, parser

import portable_nn as pnn

SHOPS, NEW_SHOPS, PRODUCTS = 120, 20, 60
ROWS, EPOCHS, BATCH, RATE, TABLES = 6000, 20, 128, 1e-2, 3
UNKNOWN, SHARE_UNKNOWN = 0, 0.03
LEVELS = {2: SHOPS + 1, 3: PRODUCTS + 1}  # of the columns of codes, the unknown included


class Sales(NamedTuple):
    """Labels (n,), numbers (n, 2), and what was sold (n, 1)."""

    shop: np.ndarray
    product: np.ndarray
    numbers: np.ndarray
    Y: np.ndarray


class World:
    """What is to be learned: the traits of each shop and product."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.shops = self.random.standard_normal((SHOPS + NEW_SHOPS, 2))
        self.products = self.random.standard_normal((PRODUCTS, 2))

    def sales(self, n: int, first: int = 0, last: int = SHOPS) -> Sales:
        """`n` sales in the shops from `first` to `last`, with noise of the deviation 0.3."""
        shop, product = self.random.integers(first, last, n), self.random.integers(0, PRODUCTS, n)
        price, hour = self.random.uniform(0, 1, n), self.random.uniform(0, 24, n)
        suit = np.sum(self.shops[shop] * self.products[product], axis=1) / np.sqrt(2)
        sold = suit + 0.7 * np.sin(2 * np.pi * hour / 6) - price + 0.3 * self.random.standard_normal(n)
        names = [np.char.add(kind, each.astype(str)) for kind, each in (("s", shop), ("p", product))]
        return Sales(*names, np.stack([price, hour], axis=1), sold[:, None])


class Table:
    """Training rows, held-out rows, and rows of new shops, all encoded as the training rows say."""

    def __init__(self, seed: int) -> None:
        world = World(seed)
        training = world.sales(ROWS)
        self.shops, shop = np.unique(training.shop, return_inverse=True)
        self.products, product = np.unique(training.product, return_inverse=True)
        self.numbers = training.numbers.mean(axis=0), training.numbers.std(axis=0)
        self.targets = training.Y.mean(), training.Y.std()
        self.as_known = self.encoded(training, shop + 1, product + 1)
        is_hidden = world.random.uniform(size=ROWS) < SHARE_UNKNOWN
        self.training = self.encoded(training, np.where(is_hidden, UNKNOWN, shop + 1), product + 1)
        self.held_out = self.rows(world.sales(ROWS))
        self.new_shops = self.rows(world.sales(ROWS, SHOPS, SHOPS + NEW_SHOPS))
        self.noise = 0.3 / self.targets[1]

    def rows(self, sales: Sales) -> tuple[np.ndarray, np.ndarray]:
        """X and Y of sales whose labels may be unknown."""
        return self.encoded(sales, codes(self.shops, sales.shop), codes(self.products, sales.product))

    def encoded(
        self, sales: Sales, shop: np.ndarray, product: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """X (n, 4) with price, hour, and the codes of shop and product; Y (n, 1)."""
        mean, deviation = self.numbers
        X = np.column_stack([(sales.numbers - mean) / deviation, shop, product])
        return X.astype("float32"), ((sales.Y - self.targets[0]) / self.targets[1]).astype("float32")


def codes(known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 + the place of each label among the known ones, which are sorted; else UNKNOWN."""
    place = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    return np.where(known[place] == labels, place + 1, UNKNOWN)


def one_hot(X: np.ndarray) -> np.ndarray:
    """The same rows with a column for each category but the unknown."""
    columns = [np.eye(n, dtype="float32")[X[:, c].astype(int), 1:] for c, n in LEVELS.items()]
    return np.column_stack([X[:, :2], *columns])


def as_codes(X: np.ndarray) -> np.ndarray:
    """The rows as they are."""
    return X


class Way(NamedTuple):
    """A network, the columns it takes, how much faster embeddings learn, whether shops are hidden."""

    net: pnn.Network
    columns: Callable[[np.ndarray], np.ndarray]
    factor: float = 1.0
    hides: bool = True


def ways() -> dict[str, Way]:
    """What is compared."""
    embedding, loss = pnn.Embedding(LEVELS, dim=4), "squared_error"
    periodic = pnn.Periodic(columns=(0, 1), sigma=0.5)  # after the embedding the numbers come first
    n = one_hot(np.zeros((1, 4))).shape[1]

    def hidden(units: int) -> tuple[Any, ...]:
        return units, "relu", units, "relu", 1

    whole = pnn.Network((4, embedding, periodic, *hidden(32)), loss=loss)
    return {
        "linear, one-hot": Way(pnn.Network((n, 1), loss=loss), one_hot),
        "one-hot, periodic, 16 units": Way(pnn.Network((n, periodic, *hidden(16)), loss=loss), one_hot),
        "one-hot, periodic, 64 units": Way(pnn.Network((n, periodic, *hidden(64)), loss=loss), one_hot),
        "embeddings, 32 units": Way(pnn.Network((4, embedding, *hidden(32)), loss=loss), as_codes, 3.0),
        "embeddings, periodic, 32 units": Way(whole, as_codes, 3.0),
        "the same, one learning rate": Way(whole, as_codes),
        "the same, no shop made unknown": Way(whole, as_codes, 3.0, hides=False),
    }


def errors(backend: pnn.backends.Backend, way: Way, table: Table, seed: int) -> list[float]:
    """Those of one training, on the held-out rows and on those of new shops."""
    net = way.net
    groups: dict[str, Any] = {"biases": {"weight_decay": 0.0}}
    if any(array.kind == "embeddings" for array in net.arrays):
        groups["embeddings"] = {"factor": way.factor}
    optimizer = pnn.AdamW(RATE, weight_decay=0.1, groups=groups)
    rows, targets = table.training if way.hides else table.as_known
    X, Y = backend.asarray(way.columns(rows)), backend.asarray(targets)
    schedule = pnn.schedules.cosine(RATE, EPOCHS * -(-ROWS // BATCH))
    first = net.initialize(seed, backend)
    params, _ = pnn.fit(net, first, X, Y, optimizer, EPOCHS, BATCH, seed=seed, schedule=schedule)
    found = []
    for X_test, Y_test in (table.held_out, table.new_shops):
        A = backend.to_numpy(net.predict(params, backend.asarray(way.columns(X_test))))
        found.append(float(np.sqrt(np.mean((A - Y_test) ** 2))))
    return found


def main() -> None:
    """Train each network on each table, and print what came out."""
    given = parser("A table with codes of categories beside numbers.", pictures=False).parse_args()
    backend = get_backend(given.backend, given.device)
    tables = [Table(seed) for seed in range(TABLES)]
    print(f"{ways()['embeddings, periodic, 32 units'].net.summary()}\n")
    print(
        f"{'held-out errors, mean and deviation':36}  parameters  known shops    new shops      seconds"
    )
    noise = np.mean([table.noise for table in tables])
    for name, way in ways().items():
        started = time.perf_counter()
        each = [errors(backend, way, table, seed) for seed, table in enumerate(tables)]
        seconds = time.perf_counter() - started
        cells = [
            f"{mean:.3f} +- {deviation:.3f}"
            for mean, deviation in zip(np.mean(each, axis=0), np.std(each, axis=0), strict=True)
        ]
        count = sum(array.size for layer in way.net.initialize() for array in layer)
        print(f"{name:36}  {count:10,}  {'  '.join(cells)}  {seconds:7.1f}")
    print(f"{'noise alone':36}  {'':10}  {noise:.3f}")


if __name__ == "__main__":
    main()
