"""Layers of PyTorch beside the dense one, both ways; and modules for layers that torch.nn lacks."""

from __future__ import annotations

import functools
import importlib
import math
from itertools import accumulate
from typing import Any

import numpy as np

from portable_nn.backends import get, to_host
from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.layers import Chain
from portable_nn.interchange.parts import Part
from portable_nn.layers import BatchNorm, Dense, Embedding, Layer, LayerNorm
from portable_nn.layers.columns import others
from portable_nn.optimizers.array_names import KINDS, UNTRAINED

OWN = ("EmbeddedColumns", "LayerModule")


def __getattr__(name: str) -> Any:
    """The modules of `own_modules`, which pickles find here by their names."""
    if name in OWN:
        return own_modules()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def own_modules() -> dict[str, Any]:
    """The classes, by name; made when they are first asked for, as torch is loaded by then."""
    torch = importlib.import_module("torch")

    class EmbeddedColumns(torch.nn.Module):  # type: ignore[misc,name-defined]
        """The columns of numbers as they are, then the vectors of the columns of codes.

        Of each entry of the vectors, first to last, those of all columns of codes. `embedding` has one
        table for all; codes of column c begin at `starts[c]`; what is no code gives NaN.
        """

        def __init__(self, levels: Any, dim: int, n: int) -> None:
            super().__init__()
            counts = [count for _, count in levels]
            self.levels, self.columns = tuple(levels), [column for column, _ in levels]
            self.numbers, self.inputs = list(others(self.columns, n)), n
            self.embedding = torch.nn.Embedding(sum(counts), dim)
            starts = torch.tensor([0, *accumulate(counts)][:-1])
            self.register_buffer("starts", starts, persistent=False)
            self.register_buffer("counts", torch.tensor(counts), persistent=False)

        def forward(self, x: Any) -> Any:
            codes = x[:, self.columns]
            is_code = (codes >= 0) & (codes < self.counts) & (codes == codes.floor())
            safe = torch.where(is_code, codes, torch.zeros_like(codes)).long()
            vectors = self.embedding(safe + self.starts)
            vectors = torch.where(is_code[..., None], vectors, torch.full_like(vectors, math.nan))
            return torch.cat([x[:, self.numbers], vectors.mT.flatten(1)], dim=1)

    class LayerModule(torch.nn.Module):  # type: ignore[misc,name-defined]
        """A layer of portable_nn, computed by its own equations; its arrays have their symbols."""

        def __init__(self, layer: Layer, inputs: int) -> None:
            super().__init__()
            self.layer, self.inputs = layer, inputs
            self.symbols = []
            for array in layer.parameters(inputs):
                value = torch.zeros(array.shape)
                self.symbols.append(array.symbol)
                if array.kind in KINDS:
                    self.register_parameter(array.symbol, torch.nn.Parameter(value))
                else:
                    self.register_buffer(array.symbol, value)

        def forward(self, x: Any) -> Any:
            theta = [getattr(self, symbol) for symbol in self.symbols]
            return self.layer.forward(get("torch").xp, theta, x.mT)[0].mT

        def extra_repr(self) -> str:
            return repr(self.layer)

    found = {"EmbeddedColumns": EmbeddedColumns, "LayerModule": LayerModule}
    for name, kind in found.items():
        kind.__qualname__ = name
    return found


def is_own(kind: type) -> bool:
    """Whether it is one of these modules."""
    return kind.__module__ == __name__ and kind in own_modules().values()


def module_of(torch: Any, part: Part) -> Any:
    """The module that a layer is, with copies of its arrays.

    Raises TypeError for a user-defined layer with statistics, which no module here would move.
    """
    layer, n, dtype = part.layer, part.n, part.theta[0].dtype if part.theta else np.float32
    named: dict[str, HostArray] = part.named()
    if isinstance(layer, Dense):
        made = torch.nn.utils.skip_init(torch.nn.Linear, n, layer.units, bias=layer.bias)
        state = {"weight": named["W"]} | ({"bias": named["b"][:, 0]} if layer.bias else {})
    elif type(layer) is BatchNorm:
        made = torch.nn.BatchNorm1d(n, eps=layer.epsilon, momentum=layer.momentum)
        symbols = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}
        state = {theirs: named[ours][:, 0] for theirs, ours in symbols.items()}
        state["num_batches_tracked"] = np.zeros((), np.int64)
    elif type(layer) is LayerNorm:
        made = torch.nn.LayerNorm(n, eps=layer.epsilon)
        state = {"weight": named["gamma"][:, 0], "bias": named["beta"][:, 0]}
    elif type(layer) is Embedding:
        made = own_modules()["EmbeddedColumns"](layer.levels, layer.dim, n)
        state = {"embedding.weight": named["E"].T}
    else:
        assert isinstance(layer, Layer)
        if any(array.kind == UNTRAINED[0] for array in layer.parameters(n)):
            raise TypeError(
                f"{part.described} has statistics; accepted: of user-defined layers those without"
            )
        made, state = own_modules()["LayerModule"](layer, n), named
    made = made.to(getattr(torch, np.dtype(dtype).name))
    made.load_state_dict({key: torch.from_numpy(np.array(x)) for key, x in state.items()})
    return made


def read_layer(chain: Chain, where: str, part: Any) -> bool:
    """Add the layer that a module is to the chain; False for a module that is none of these.

    Raises ValueError for settings that have no counterpart.
    """
    kind = type(part).__name__
    if is_own(type(part)):
        read_own(chain, where, part)
    elif kind == "Linear":
        chain.add_dense(where, host(part.weight), None if part.bias is None else host(part.bias))
    elif kind == "BatchNorm1d":
        if part.running_mean is None or not part.momentum:
            raise ValueError(
                f"{where} has no running statistics with a momentum; accepted: track_running_stats=True "
                "and 0 < momentum <= 1"
            )
        n, layer = part.num_features, BatchNorm(momentum=part.momentum, epsilon=part.eps)
        running = host(part.running_mean), host(part.running_var)
        chain.add(where, layer, n, *affine(part, n, running[0]), *running)
    elif kind == "LayerNorm":
        if len(part.normalized_shape) != 1:
            raise ValueError(f"{where} normalizes several axes; accepted: the units, (n,)")
        n = part.normalized_shape[0]
        chain.add(where, LayerNorm(epsilon=part.eps), n, *affine(part, n, None))
    else:
        return False
    return True


def affine(part: Any, n: int, like: HostArray | None) -> tuple[HostArray, HostArray]:
    """gamma and beta of a normalization: 1 and 0 where it has none."""
    dtype = np.float32 if like is None else like.dtype
    gamma = np.ones(n, dtype) if part.weight is None else host(part.weight)
    return gamma, np.zeros(n, gamma.dtype) if part.bias is None else host(part.bias)


def read_own(chain: Chain, where: str, part: Any) -> None:
    """A module of `own_modules`."""
    if type(part).__name__ == "EmbeddedColumns":
        layer: Layer = Embedding(part.levels, part.embedding.embedding_dim)
        arrays = [host(part.embedding.weight).T]
    else:
        layer, arrays = part.layer, [host(getattr(part, symbol)) for symbol in part.symbols]
    chain.add(where, layer, part.inputs, *arrays)


def read_embedding(chain: Chain, parts: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The first modules Embedding, Flatten and Linear: all columns are codes. Gives the modules left.

    The Linear says how many columns there are; each gets vectors of its own. They lie one after the
    other there, and entry by entry here.
    """
    (where, part), *after = parts
    kinds = [type(each).__name__ for _, each in after[:2]]
    if (
        kinds != ["Flatten", "Linear"]
        or part.max_norm is not None
        or after[1][1].in_features % part.embedding_dim
    ):
        raise ValueError(
            f"{where} has no counterpart here; accepted: as the first module, without `max_norm`, with "
            "Flatten() and a Linear after it, so that all columns are codes"
        )
    (name, linear), dim, E = after[1], part.embedding_dim, host(part.weight).T
    m = linear.in_features // dim
    levels = dict.fromkeys(range(m), E.shape[1])
    chain.add(where, Embedding(levels, dim), m, np.concatenate([E] * m, axis=1))
    W = host(linear.weight).reshape(-1, m, dim).swapaxes(1, 2).reshape(-1, m * dim)
    chain.add_dense(name, W, None if linear.bias is None else host(linear.bias))
    return after[2:]


def host(tensor: Any) -> HostArray:
    """A tensor on the host."""
    return to_host(tensor.detach())
