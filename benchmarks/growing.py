"""Ours in the curves of growth: loops are compiled at once, so that short rounds are warm ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from configurations import Array, Configuration
from ours import fits, network

import portable_nn as pnn
from portable_nn.compiler.numpy import program

CHUNK = 1_000_000  # rows that are written to the disk together


def training(c: Configuration) -> Callable[[], dict[str, Any]]:
    """`pnn.fit` on NumPy's arrays; the targets are class indices, of which there may be many."""
    return rounds(c, *c.data())


def from_disk(c: Configuration, dtype: str) -> Callable[[], dict[str, Any]]:
    """The same from a memory map of this dtype, whose file has no name any more and leaves nothing."""
    random = np.random.default_rng(0)
    with tempfile.NamedTemporaryFile() as file:
        X = np.memmap(file, dtype=dtype, mode="w+", shape=(c.n, c.sizes[0]))
    scale = 255.0 if dtype == "uint8" else 1.0
    for start in range(0, c.n, CHUNK):
        part = X[start : start + CHUNK]
        part[...] = scale * random.random(part.shape, dtype="float32")
    return rounds(c, X, np.arange(c.n) % c.sizes[-1])


def rounds(c: Configuration, X: Array, labels: Array) -> Callable[[], dict[str, Any]]:
    """Rounds of `pnn.fit`, whose loops are compiled in the first."""
    program.PATIENCE = (0.0, 0.0)
    net = network(c)
    params = net.initialize(seed=0, dtype="float32")
    return fits(c, pnn.backends.get("numpy"), net, params, X, labels)
