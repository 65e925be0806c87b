"""The floor: the matrix products of the training step, and nothing else.

Not even the batch is gathered. Whatever trains with the same products takes longer.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from configurations import Configuration

Product = Callable[[Any, Any, Any], Any]


def products(c: Configuration, place: Callable[[Any], Any], product: Product) -> Callable[[], None]:
    """W A forward, Delta A.T and W.T Delta backward, each into memory set aside before."""
    random = np.random.default_rng(0)

    def make(*shape: int) -> Any:
        return place(random.standard_normal(shape, dtype="float32"))

    layers = [(make(m, k), make(k, c.batch), make(m, c.batch)) for k, m in pairwise(c.sizes)]
    work = [
        [(W, A, make(*Z.shape)), (Z, A.T, make(*W.shape)), (W.T, Z, make(*A.shape))]
        for W, A, Z in layers
    ]
    work[0].pop()  # no gradient is taken with respect to X
    step = [one for layer in work for one in layer]
    steps = c.samples // c.batch

    def run() -> None:
        for _ in range(steps):
            for left, right, out in step:
                product(left, right, out)

    return run


def numpy_products(c: Configuration) -> Callable[[], None]:
    """By `np.matmul(out=)`."""
    return products(c, np.asarray, np.matmul)


def torch_products(c: Configuration) -> Callable[[], None]:
    """By `torch.mm(out=)`."""
    import torch

    def product(left: Any, right: Any, out: Any) -> None:
        torch.mm(left, right, out=out)

    run = products(c, torch.from_numpy, product)
    return torch.inference_mode()(run)
