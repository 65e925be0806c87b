"""The numbers that reach a compiled step as data: one row for each update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn.checks import Value, as_array
from portable_nn.optimizers.array_names import UNTRAINED
from portable_nn.optimizers.parts import numbers_of, parts_of
from portable_nn.training.clipping import limits_of
from portable_nn.training.description import Training
from portable_nn.training.steps import StepKind


class StepNumbers:
    """What each update takes: l2 and the limits of the norms, if there are any, and the coefficients.

    `rules`, `parts` and `limited` are those of the `StepKind` that takes them.
    """

    def __init__(self, training: Training) -> None:
        arrays = training.net.arrays
        self.stack = training.stack
        parts = parts_of(training.optimizer, arrays)
        limits, self.limited = limits_of(training.clip_norm, arrays)
        self.rules, self.parts, self.members = parts.rules, parts.places, parts
        first, *others = parts.members
        self.plain = None if others else first.plain
        self.constants = (training.l2,) * training.has_penalty + limits

    def kind_of_step(self, training: Training, own_means: bool = False) -> StepKind:
        """The kind of step that takes these numbers; `own_means` is that of `StepKind`."""
        return StepKind(
            training.net.objective.with_smoothing(training.smoothing),
            self.rules,
            self.parts,
            training.has_penalty,
            self.limited,
            tuple(array.kind not in UNTRAINED for array in training.net.arrays),
            own_means,
        )

    def row(self, step: int, rate: Value) -> tuple[Any, ...]:
        """The numbers of update 0, 1, ... at this learning rate."""
        if self.plain is not None:
            return (*self.constants, *numbers_of(self.plain(step + 1, as_array(rate))))
        found = self.members.coefficients(step, as_array(rate), self.stack)
        return sum(found, self.constants)

    def rows(self, steps: Sequence[int], rates: Sequence[Value]) -> np.ndarray[Any, Any]:
        """The numbers of these updates, (steps, how many), or as of `stacked`."""
        if self.plain is not None and not self.stack:  # of small networks calls are the time of a step
            constants, plain, pairs = self.constants, self.plain, zip(steps, rates, strict=True)
            found = [plain(step + 1, rate) for step, rate in pairs]
            if found:
                numbers_of(found[0])  # the others are alike
            return np.asarray([(*constants, *each) for each in found])
        numbers = [self.row(step, rate) for step, rate in zip(steps, rates, strict=True)]
        return stacked(numbers) if self.stack else np.asarray(numbers)


def stacked(numbers: Sequence[Sequence[Any]]) -> np.ndarray[Any, Any]:
    """The numbers of each step as one array: (steps, how many), or (steps, how many, *stack, 1, 1).

    Where one of them differs from network to network, all are given for each.
    """
    flat = [each for step in numbers for each in step]
    if not any(np.ndim(each) for each in flat):
        return np.asarray(numbers)
    shaped = np.stack(np.broadcast_arrays(*flat))
    return shaped.reshape(len(numbers), -1, *shaped.shape[1:], 1, 1)
