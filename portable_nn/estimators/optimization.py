"""Where an estimator's optimizer stands: its state, and the learning rate by scikit-learn's rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from portable_nn import trees
from portable_nn.equations import Array
from portable_nn.optimizers import OptimizerState


class Optimization:
    """What partial_fit goes on from: the state, and the learning rate, and what changes that.

    ``learning_rate_init`` under "constant"; divided by t^power_t, t the samples seen, under
    "invscaling"; divided by 5 at every halt until it is at most 1e-6 under "adaptive" (both for the
    solver sgd only). A `schedule` of the update's number takes the place of all that.
    """

    def __init__(self, estimator: Any, state: OptimizerState) -> None:
        self.solver, self.state = estimator.solver, state
        self.learning_rate = math.nan
        self.rule: tuple[str, float, float] = ("", math.nan, math.nan)
        self.follow(estimator)

    def follow(self, estimator: Any) -> None:
        """Go by the estimator's parameters; where they have changed, the learning rate begins anew."""
        kind = estimator.learning_rate if self.solver == "sgd" else "constant"
        rule = (kind, float(estimator.learning_rate_init), float(estimator.power_t))
        if rule != self.rule:
            self.rule, self.learning_rate = rule, rule[1]

    def rate(self, step: int) -> float:
        """The learning rate of the next updates, whatever their number is."""
        return self.learning_rate

    def epoch_ends(self, t: int) -> None:
        """Take note of an epoch; t samples have been learned from in all."""
        kind, first, power = self.rule
        if kind == "invscaling":
            self.learning_rate = first / (t + 1) ** power

    def halt(self) -> tuple[bool, str]:
        """Whether training is over now that it no longer gets on, and the word on it."""
        if self.rule[0] != "adaptive":
            return True, "Stopping."
        if self.learning_rate <= 1e-6:
            return True, "Learning rate too small. Stopping."
        self.learning_rate /= 5.0
        return False, f"Setting learning rate to {self.learning_rate:f}"

    def moved(self, move: Callable[[Array], Array]) -> Optimization:
        """The same, with each array moved."""
        twin = Optimization.__new__(Optimization)
        slots = trees.map(move, self.state.slots)
        twin.__dict__.update(self.__dict__, state=OptimizerState(self.state.t, slots))
        return twin
