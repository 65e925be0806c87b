"""The state of an estimator's optimizer, and the learning rate by scikit-learn's rules."""

from __future__ import annotations

import math
from collections.abc import Callable

from portable_nn import trees
from portable_nn.equations import Array
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.optimizers import OptimizerState


class Optimization:
    """What partial_fit continues from: the state, the learning rate, and the rule that changes it.

    ``learning_rate_init`` under "constant"; divided by t^power_t, t the samples seen, under
    "invscaling"; divided by 5 at every halt until it is at most 1e-6 under "adaptive" (both for the
    solver sgd only). A `schedule` of the update's number replaces all that.
    """

    def __init__(self, estimator: MLPAttributes, state: OptimizerState) -> None:
        self.solver, self.state = estimator.solver, state
        self.learning_rate = math.nan
        self.rule: tuple[str, float, float] = ("", math.nan, math.nan)
        self.follow(estimator)

    def follow(self, estimator: MLPAttributes) -> None:
        """Follow the estimator's parameters; where they have changed, the learning rate is reset."""
        kind = estimator.learning_rate if self.solver == "sgd" else "constant"
        rule = (kind, float(estimator.learning_rate_init), float(estimator.power_t))
        if rule != self.rule:
            self.rule, self.learning_rate = rule, rule[1]

    def rate(self, step: int) -> float:
        """The learning rate of the next updates, whatever their number is."""
        return self.learning_rate

    def epoch_ends(self, t: int) -> None:
        """Take note of the end of an epoch; t samples have been learned from in all."""
        kind, first, power = self.rule
        if kind == "invscaling":
            try:
                self.learning_rate = first / (t + 1) ** power
            except OverflowError:
                self.learning_rate = 0.0

    def halt(self) -> tuple[bool, str]:
        """Whether training ends now that it no longer improves, and what to print about it."""
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
