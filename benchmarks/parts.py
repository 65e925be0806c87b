"""The parts beside dense layers, ours and torch's: what is trained, and the contenders' rounds."""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from configurations import MNIST_SHAPED, Array, Configuration, one_hot

SMALL = Configuration((20, 64, 64, 3), batch=256, batches=200)
CODES = Configuration((8, 64, 1), batch=256, batches=200)
MANY = Configuration((1, 64, 1), batch=256, batches=20)
NUMBERS = Configuration((10, 64, 1), batch=256, batches=200)
FREQUENCIES, DIM, BINS, MEMBERS = 16, 4, 16, 8


@dataclass(frozen=True)
class Part:
    """A part in a network: its configuration; how many levels its columns of codes have, if any.

    One output is trained with the squared error, more with softmax and cross-entropy.
    """

    title: str
    c: Configuration
    levels: int = 0
    dim: int = 8
    members: int = 0

    def data(self, n: int | None = None) -> tuple[Array, Array]:
        """The rows, `n` or as many as are trained with, and labels or numbers."""
        X, labels = self.c.data(n)
        random = np.random.default_rng(1)
        if self.levels:
            X = random.integers(0, self.levels, X.shape)
        if self.c.sizes[-1] == 1:
            return X, random.standard_normal((len(X), 1), dtype="float32")
        return X, labels


PARTS = {
    "dense": Part("dense alone", SMALL),
    "batch": Part("BatchNorm", SMALL),
    "layer": Part("LayerNorm", SMALL),
    "share": Part("ParametricActivation(mish)", SMALL),
    "embedding": Part("Embedding, 8 columns of 100", CODES, levels=100),
    "million": Part("Embedding of 1e6", MANY, levels=1_000_000),
    "periodic": Part("Periodic, 10 columns", NUMBERS),
    "piecewise": Part("PiecewiseLinear, 10 columns", NUMBERS),
    "shared": Part(f"SharedDense, {MEMBERS} networks", SMALL, members=MEMBERS),
    "wide": Part("BatchNorm, wide", replace(MNIST_SHAPED, batches=100)),
}


def our_network(name: str) -> Any:
    """The network with this part."""
    import portable_nn as pnn

    part = PARTS[name]
    n, *hidden, last = part.c.sizes
    before: list[Any] = {
        "embedding": lambda: [pnn.Embedding(dict.fromkeys(range(n), part.levels), part.dim)],
        "million": lambda: [pnn.Embedding({0: part.levels}, part.dim)],
        "periodic": lambda: [pnn.Periodic(DIM, FREQUENCIES)],
        "piecewise": lambda: [pnn.PiecewiseLinear.from_data(part.data()[0], BINS)],
    }.get(name, list)()
    activation = pnn.ParametricActivation("mish") if name == "share" else "relu"
    dense = pnn.SharedDense if part.members else pnn.Dense
    norm = {"batch": [pnn.BatchNorm()], "wide": [pnn.BatchNorm()], "layer": [pnn.LayerNorm()]}
    between = norm.get(name, [])
    bias = {} if part.members else {"bias": not any(isinstance(n, pnn.BatchNorm) for n in between)}
    inner = [each for units in hidden for each in (dense(units, **bias), *between, activation)]
    output = (1,) if last == 1 else (last, "softmax")
    return pnn.Network(
        (n, *before, *inner, *((dense(output[0]), *output[1:]) if part.members else output)),
        loss="squared_error" if last == 1 else "categorical_cross_entropy",
    )


def ours(c: Configuration, part: str, backend: str, optimizer: str = "adam") -> Callable[[], Any]:
    """`pnn.fit` of the part, each round from the same parameters."""
    from ours import fits

    import portable_nn as pnn

    library, net, members = pnn.backends.get(backend), our_network(part), PARTS[part].members
    X, targets = PARTS[part].data(c.n)
    Y = targets if c.sizes[-1] == 1 else one_hot(targets, c.sizes[-1])
    params = net.initialize(seed=0, backend=library, stack=(members,) if members else ())
    made = pnn.Adam() if optimizer == "adam" else pnn.SGD(1e-2)
    run = fits(c, library, net, params, library.asarray(X), library.asarray(Y), made)
    return with_memory(run)


def theirs(
    c: Configuration, part: str, optimizer: str = "adam", compiled: bool = False, sparse: bool = False
) -> Callable[[], Any]:
    """The same as an nn.Module; `sparse`: gradients of the embedding hold the picked rows alone."""
    import torch
    from peers import torch_epochs
    from torch.nn import functional

    torch.manual_seed(0)
    net = their_module(part, sparse)
    X, targets = map(torch.from_numpy, PARTS[part].data(c.n))

    def cost(x: Any, y: Any) -> Any:
        A = net(x)
        if A.shape[-1] == 1:
            return 0.5 * functional.mse_loss(A, y)
        if A.ndim == 2:
            return functional.cross_entropy(A, y)
        many = y.expand(A.shape[0], -1).flatten()
        return A.shape[0] * functional.cross_entropy(A.flatten(0, 1), many)

    if optimizer == "adam":
        made: Any = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    else:  # the fused one takes no sparse gradients
        made = torch.optim.SGD(net.parameters(), lr=1e-2, fused=not sparse)
    loss_of = torch.compile(cost) if compiled else cost
    run = torch_epochs(c, made, loss_of, made.step, (X, targets))
    return with_memory(run, PARTS[part].members or 1)


def with_memory(run: Callable[[], dict[str, Any]], networks: int = 1) -> Callable[[], dict[str, Any]]:
    """Rounds that also tell how far memory rose over what there was before the first one.

    A cost that is the sum over so many networks becomes their mean.
    """
    before = high_water_mark()

    def measured() -> dict[str, Any]:
        found = run()
        risen = high_water_mark(start_again=False) - before
        return found | {"cost": found["cost"] / networks, "bytes": risen}

    return measured


def high_water_mark(start_again: bool = True) -> int:
    """The most bytes of memory that this process has held, on Linux since it started again; else 0."""
    try:
        if start_again:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return 1024 * int(re.findall(r"^VmHWM:\s+(\d+) kB", status, flags=re.M)[0])


def their_module(name: str, sparse: bool) -> Any:
    """The module of logits, or of one output."""
    from torch import nn

    part = PARTS[name]
    n, *hidden, last = part.c.sizes
    first = torch_first(name, sparse)
    modules: list[Any] = [] if first is None else [first]
    width = {"periodic": n * DIM, "piecewise": n * BINS}.get(name, n * part.dim if part.levels else n)
    bias = name not in ("batch", "wide")
    for below, units in pairwise((width, *hidden)):
        modules.append(torch_shared(below, units) if part.members else nn.Linear(below, units, bias))
        if not bias:
            modules.append(nn.BatchNorm1d(units))
        elif name == "layer":
            modules.append(nn.LayerNorm(units))
        modules.append(torch_share(units) if name == "share" else nn.ReLU())
    width = hidden[-1]
    return nn.Sequential(*modules, torch_shared(width, last) if part.members else nn.Linear(width, last))


def torch_first(name: str, sparse: bool) -> Any:
    """What stands before the dense layers, if anything."""
    part = PARTS[name]
    n = part.c.sizes[0]
    if part.levels:
        return torch_embedding([part.levels] * n, part.dim, sparse)
    if name == "periodic":
        return torch_periodic(n)
    return torch_piecewise(part.data()[0]) if name == "piecewise" else None


def torch_embedding(levels: Sequence[int], dim: int, sparse: bool) -> Any:
    """One table for all columns, each with its place in it."""
    import torch
    from torch import nn

    class Columns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(sum(levels), dim, sparse=sparse)
            starts = torch.tensor(np.cumsum([0, *levels[:-1]]))
            self.register_buffer("starts", starts)

        def forward(self, x: Any) -> Any:
            return self.table(x + self.starts).flatten(1)

    return Columns()


def torch_periodic(n: int) -> Any:
    """PBLD: each number x, and V cos(2 pi w x + c) + e."""
    import torch
    from torch import nn

    def evenly(bound: float, *shape: int) -> Any:
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    class Periodic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            bound = FREQUENCIES**-0.5
            self.w = nn.Parameter(0.1 * torch.randn(n, FREQUENCIES))
            self.c = evenly(math.pi, n, FREQUENCIES)
            self.V = evenly(bound, n, FREQUENCIES, DIM - 1)
            self.e = evenly(bound, n, DIM - 1)

        def forward(self, x: Any) -> Any:
            P = torch.cos(2 * math.pi * self.w * x[..., None] + self.c)
            P = torch.einsum("bfk,fkd->bfd", P, self.V) + self.e
            return torch.cat([x[..., None], P], dim=-1).flatten(1)

    return Periodic()


def torch_piecewise(X: Array) -> Any:
    """Quantile bins: clamped within, but open below the first and above the last."""
    import torch
    from torch import nn

    edges = torch.tensor(np.quantile(X, np.linspace(0, 1, BINS + 1), axis=0).T, dtype=torch.float32)

    class PiecewiseLinear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("low", edges[:, :-1].contiguous())
            self.register_buffer("width", (edges[:, 1:] - edges[:, :-1]).contiguous())

        def forward(self, x: Any) -> Any:
            U = (x[..., None] - self.low) / self.width
            first, last = U[..., :1].clamp(max=1.0), U[..., -1:].clamp(min=0.0)
            return torch.cat([first, U[..., 1:-1].clamp(0.0, 1.0), last], dim=-1).flatten(1)

    return PiecewiseLinear()


def torch_share(units: int) -> Any:
    """(1 - alpha) z + alpha mish(z)."""
    import torch
    from torch import nn

    class Share(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.alpha = nn.Parameter(torch.ones(units))

        def forward(self, z: Any) -> Any:
            return torch.lerp(z, nn.functional.mish(z), self.alpha)

    return Share()


def torch_shared(n: int, units: int) -> Any:
    """BatchEnsemble: s (W (r a)) + b, for a (MEMBERS, B, n), or (B, n) at first."""
    import torch
    from torch import nn

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(n, units, bias=False)
            self.r = nn.Parameter(torch.randint(0, 2, (MEMBERS, 1, n)) * 2.0 - 1.0)
            self.s = nn.Parameter(torch.ones(MEMBERS, 1, units))
            self.b = nn.Parameter(torch.zeros(MEMBERS, 1, units))

        def forward(self, a: Any) -> Any:
            return torch.addcmul(self.b, self.linear(a * self.r), self.s)

    return Shared()
