"""The floor: the matrix products of the training step, and nothing else.

Not even the batch is gathered. Whatever trains with the same products takes longer.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from configurations import Configuration

Product = Callable[[Any, Any, Any], Any]
TOGETHER = 100  # steps in a CUDA graph at most


def products(
    c: Configuration, place: Callable[[Any], Any], product: Product, steps: int | None = None
) -> Callable[[], None]:
    """W A forward, Delta A.T and W.T Delta backward, each into memory set aside before.

    As often as a round has steps, or `steps` times.
    """
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
    steps = c.samples // c.batch if steps is None else steps

    def run() -> None:
        for _ in range(steps):
            for left, right, out in step:
                product(left, right, out)

    return run


def numpy_products(c: Configuration) -> Callable[[], None]:
    """By `np.matmul(out=)`."""
    return products(c, np.asarray, np.matmul)


def torch_products(c: Configuration, device: str = "cpu", replayed: bool = False) -> Callable[[], None]:
    """By `torch.mm(out=)`.

    `replayed`: from a CUDA graph of many steps, so that neither the launches of the products nor, but
    for one in many steps, that of the graph takes any of the time.
    """
    import torch
    from torch_graph import captured, finished

    def place(x: Any) -> Any:
        return torch.from_numpy(x).to(device)

    def product(left: Any, right: Any, out: Any) -> None:
        torch.mm(left, right, out=out)

    steps = c.samples // c.batch
    together = math.gcd(steps, TOGETHER) if replayed else steps
    part = products(c, place, product, together)
    if replayed:
        part = captured(part, device)

    @torch.inference_mode()
    def run() -> None:
        for _ in range(steps // together):
            part()
        finished(device)

    return run


def cupy_products(c: Configuration, device: str) -> Callable[[], None]:
    """By `cupy.matmul(out=)`."""
    import cupy

    def product(left: Any, right: Any, out: Any) -> None:
        cupy.matmul(left, right, out=out)

    part = products(c, cupy.asarray, product)

    def run() -> None:
        part()
        cupy.cuda.Device().synchronize()

    return run
