"""Many steps in a row: what `Backend.scan` and `Backend.scan_in_halves` do by default.

A step may have two halves, and between them an `Exchange` that overwrites what the first has computed,
in one flat piece: it adds up the arrays of several processes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from portable_nn import trees
from portable_nn.compiler.signatures import HostArray, Scan, ScanStep, Step
from portable_nn.equations import Array, Namespace
from portable_nn.trees import Tree

First: TypeAlias = Callable[[Namespace, Tree, Tree, Tree], list[Array]]
Second: TypeAlias = Callable[[Namespace, Tree, Tree, Tree, Array], Tree]


class Exchange(Protocol):
    """Overwrites a flat array, of NumPy; `takes` says whether it does so with one of a device too."""

    def __call__(self, flat: Any) -> None:
        """Overwrite the array."""

    def takes(self, flat: Any) -> bool:
        """Whether `flat`, which is not on the host, can be overwritten where it is."""


class Compiles(Protocol):
    """What is asked of a backend."""

    xp: Namespace

    def compile(self, step: Step) -> Step:
        """The step, compiled."""

    def to_numpy(self, x: Array) -> HostArray:
        """The values on the host."""

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """`x` on the device."""


def as_one_step(first: First, second: Second, exchange: Exchange) -> ScanStep:
    """Both halves and the exchange between them as one step on NumPy's arrays."""
    from portable_nn.compiler.exchange import exchanged  # noqa: PLC0415  (a fast import)

    def step(xp: Namespace, carry: Tree, fixed: Tree, one: Tree) -> Tree:
        flat = exchanged(exchange, first(xp, carry, fixed, one))
        return second(xp, carry, fixed, one, flat)

    one: ScanStep = like(first, step)
    return one


def scan(backend: Compiles, step: ScanStep) -> Scan:
    """See `Backend.scan`: the step is compiled, and called again and again."""
    compiled = backend.compile(functools.partial(step, backend.xp))

    def run(carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
        for i in range(trees.length(each)):
            carry = compiled(carry, fixed, trees.at(each, i))
        return carry

    return run


def scan_in_halves(backend: Compiles, first: First, second: Second, exchange: Exchange) -> Scan:
    """See `Backend.scan_in_halves`: each half is compiled, and the host has what is between them."""
    xp = backend.xp

    def packed(carry: Tree, fixed: Tree, one: Tree) -> Array:
        arrays = first(xp, carry, fixed, one)
        return xp.concat([xp.reshape(x, (-1,)) for x in arrays])

    begin = backend.compile(like(first, packed))
    end = backend.compile(like(second, functools.partial(second, xp)))

    def run(carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
        for i in range(trees.length(each)):
            one = trees.at(each, i)
            carry = end(carry, fixed, one, exchange_of(backend, exchange, begin(carry, fixed, one)))
        return carry

    return run


def exchange_of(backend: Compiles, exchange: Exchange, flat: Array) -> Array:
    """What the exchange makes of a flat array: where it is, or in a copy on the host."""
    if exchange.takes(flat):
        exchange(flat)
        return flat
    host = np.array(backend.to_numpy(flat))
    exchange(host)
    return backend.asarray(host)


def like(half: Any, step: Any) -> Any:
    """`step`, which depends on what the half depends on: see `Backend.compile`."""
    step.steady, step.functions = half.steady, half.functions
    return step
