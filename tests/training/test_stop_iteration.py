"""A StopIteration of a user's function ends nothing in silence: it reaches the user as it is."""

from __future__ import annotations

import numpy as np
import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


class Stops(pnn.Callback):
    """Raises in the method of this name."""

    def __init__(self, name):
        setattr(self, name, self.stop)

    def stop(self, *_):
        raise StopIteration("mine")


def late(first):
    """A function that gives `first`, and raises when it is called a few times more."""
    calls = []

    def function(*_):
        calls.append(1)
        if len(calls) > 3:
            raise StopIteration("mine")
        return first

    return function


CASES = {
    "schedule": lambda: {"schedule": late(0.1)},
    "epoch_order": lambda: {"epoch_order": late(np.arange(40))},
    "begin": lambda: {"callbacks": [Stops("on_train_begin")]},
    "epoch end": lambda: {"callbacks": [Stops("on_epoch_end")]},
    "end": lambda: {"callbacks": [Stops("on_train_end")]},
    "optimizer": lambda: {"optimizer": pnn.SGD(late(0.1))},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("progress", [False, True])
def test_a_stop_iteration_of_a_users_function_reaches_the_user(case, progress, training_problem):
    net, params, X, Y = training_problem
    with pytest.raises(StopIteration, match="mine"):
        pnn.fit(net, params, X, Y, epochs=9, batch_size=16, progress=progress, **CASES[case]())


def test_another_error_of_a_generator_stays_as_it_is(training_problem):
    net, params, X, Y = training_problem

    def schedule(step):
        raise RuntimeError("generator raised StopIteration")

    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        pnn.fit(net, params, X, Y, schedule=schedule)
