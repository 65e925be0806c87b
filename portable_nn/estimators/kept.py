"""Trainings that are kept, for longer ones of the same estimator to go on from."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from portable_nn.equations import Parameters
from portable_nn.estimators.minibatches import Shuffles
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.resuming import ATTRIBUTES, Course, arguments_of_fit, values_of

OF_TRAINING = (*ATTRIBUTES, "coefs_", "intercepts_", "_best")


def key_of(e: Any, problem: Problem, first: Parameters) -> Hashable:
    """What two trainings have in common that differ in their length only."""
    arguments = arguments_of_fit(e, problem, getattr(e, "classes_", None), first)
    rows = None if problem.rows is None else problem.rows.tobytes()
    return type(e), repr(arguments), repr(values_of(problem.random_start)), rows


class Kept:
    """A training as it was when it left its stack; `is_over` says that more epochs change nothing."""

    def __init__(self, e: Any, course: Course, shuffles: Shuffles) -> None:
        self.attributes = {name: copied(vars(e).get(name)) for name in OF_TRAINING}
        self.state, self.learning_rate = e._optimizer.state, e._optimizer.learning_rate
        self.draws, self.is_over, self.is_finite = shuffles.state(), course.is_over, course.is_finite
        self.history = course.state.history.state()

    def restore(self, e: Any, course: Course, shuffles: Shuffles) -> None:
        """Put an estimator, which is at the beginning, where the training was."""
        vars(e).update({name: copied(value) for name, value in self.attributes.items()})
        e._optimizer.state, e._optimizer.learning_rate = self.state, self.learning_rate
        course.is_over, course.is_finite = self.is_over, self.is_finite
        course.state.history.restore(self.history)
        course.state.epoch = e.n_iter_
        shuffles.restore(self.draws)


def copied(value: Any) -> Any:
    """A list as a list of its own: what is in it is never changed."""
    return list(value) if isinstance(value, list) else value
