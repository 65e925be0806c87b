"""A step whose first argument stays the same, for one array after the other.

Such are predictions of a few rows by a fitted model, and the cost as a function of the parameters. The
views of what stays are made once; a call copies the array in, runs and copies the results out.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.numpy.matching import builder
from portable_nn.compiler.numpy.program import BoundProgram
from portable_nn.compiler.numpy.steps import CompiledStep
from portable_nn.compiler.signatures import HostArray
from portable_nn.trees import Tree

MOST_SHAPES = 8  # of arrays for which there is a program
SOME_TIMES = 8  # an array of some shape comes before it is worth tracing


class PreparedStep:
    """``prepared(x)`` is ``step(first, x)``, to the bit, or None where there is no program for it.

    `first` is a tree of NumPy arrays, which are read each time; x an array, or a tree of them. The step
    depends on its arguments alone.
    """

    def __init__(self, step: CompiledStep, first: Tree, at_once: bool) -> None:
        self.step, self.first = step, first
        self.awaited = 1 if at_once else SOME_TIMES
        self.seen: Counter[Any] = Counter()
        self.programs: dict[Any, PreparedProgram | None] = {}

    def __call__(self, x: Tree) -> Tree | None:
        leaves = [x] if isinstance(x, np.ndarray) else trees.leaves(x)
        key = tuple([(leaf.shape, leaf.dtype) for leaf in leaves])
        try:
            program = self.programs[key]
        except KeyError:
            program = self.make_program(key, x)
        if program is None or not all(leaf.flags.c_contiguous for leaf in leaves):
            return None
        return program(leaves)

    def make_program(self, key: Any, x: Tree) -> PreparedProgram | None:
        """The program for arrays like those in `x`; None if there is none, or no room for one more."""
        self.seen[key] += 1
        if self.seen[key] < self.awaited or len(self.programs) == MOST_SHAPES:
            return None
        try:
            found = PreparedProgram(self.step, self.first, x)
        except Exception:  # of any kind: the step itself is right, or raises what is wrong
            found = None
        self.programs[key] = found
        return found


class PreparedProgram:
    """A program, and memory for arrays like those in `x`."""

    def __init__(self, step: CompiledStep, first: Tree, x: Tree) -> None:
        leaves, form = trees.flatten((first, x))
        program = step.program_of_one(form, leaves)
        self.build, self.first = builder(program.results), len(trees.leaves(first))
        memory = [np.empty(leaf.shape, leaf.dtype) for leaf in leaves[self.first :]]
        self.free = [BoundProgram(program, [*leaves[: self.first], *memory])]

    def __call__(self, leaves: list[HostArray]) -> Tree | None:
        """The results; None where another thread uses the memory."""
        try:
            bound = self.free.pop()
        except IndexError:
            return None
        with np.errstate(all="ignore"):
            for array, leaf in zip(bound.arrays[self.first :], leaves, strict=True):
                np.copyto(array, leaf)
            bound.run_steps((), 1)
            found = self.build([result.copy() for result in bound.outputs])
        self.free.append(bound)
        return found
