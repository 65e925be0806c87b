"""Programs of small networks keep memory of their own between calls.

Their steps are so short that it would take as long to look at the arguments and to make the views as to
run them. Everything is copied to that memory, but for arrays of which rows are taken, and the results
are copied out of it, so nobody else ever sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portable_nn.compiler.numpy.matching import builder, matcher
from portable_nn.compiler.numpy.program import BoundProgram, NumpyProgram
from portable_nn.compiler.signatures import HostArray
from portable_nn.trees import Form, Tree


class SmallScan:
    """``scan(carry, fixed, each)``: the last carry, where the arguments are of this form.

    `form` is that of the three together; of their `leaves` the first `states` are the carry's, and those
    from number `first` on are of one step, without the axis of steps.
    """

    def __init__(
        self, program: NumpyProgram, form: Form, leaves: Sequence[HostArray], states: int, first: int
    ) -> None:
        self.program, self.states, self.first = program, states, first
        self.match = matcher(form, leaves, first)
        self.build = builder(form[1])
        self.free: list[BoundProgram] = []  # empty while it runs: another thread makes memory anew

    def __call__(self, carry: Tree, fixed: Tree, each: Tree) -> Tree | None:
        """None, and nothing done, where the arguments are others."""
        leaves = self.match((carry, fixed, each))
        if leaves is None or self.program.is_outdated():
            return None
        return self.build(self.run(leaves))

    def run(self, leaves: Sequence[HostArray]) -> list[HostArray]:
        """The arrays of the last carry."""
        try:
            bound = self.free.pop()
        except IndexError:
            bound = BoundProgram(self.program)
        inputs = self.program.inputs
        for array, i in zip(bound.arrays, inputs.bound, strict=True):
            np.copyto(array, leaves[i])
        bound.run_steps([leaves[i] for i in inputs.given], len(leaves[self.first]))
        results = [array.copy() for array in bound.arrays[: self.states]]
        self.free[:] = [bound]
        return results
