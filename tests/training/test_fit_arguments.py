"""Arguments that fit refuses before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adan"}, "unknown optimizer 'adan'"),
        ({"epochs": 0}, "`epochs` is 0; accepted: a whole number >= 1"),
        ({"epochs": 2.0}, "`epochs` is 2.0"),
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"batch_size": True}, "`batch_size` is True"),
        ({"l2": -1}, "`l2` is -1"),
        ({"seed": "zero"}, "`seed` is 'zero'; accepted"),
        ({"seed": -1}, "`seed` is -1; accepted"),
        ({"seed": None}, "`seed` is None; accepted"),
        ({"optimizer": pnn.Optimizer()}, "`optimizer` is .*; accepted: one such as"),
        ({"schedule": pnn.schedules.cosine}, "`schedule` is .*; accepted: a function"),
        ({"early_stopping": True}, "`early_stopping` is True; accepted"),
        ({"schedule": 0.1}, "`schedule` is 0.1; accepted: a function"),
        ({"schedule": lambda step: -1.0}, r"`schedule\(0\)` is -1.0"),
        ({"schedule": lambda step: "slow"}, r"`schedule\(0\)` is 'slow'"),
        ({"callbacks": 3}, "`callbacks` is 3"),
        ({"callbacks": [print]}, "`callbacks` holds .*on_epoch_end"),
        ({"callbacks": [pnn.Callback]}, "`callbacks` holds .*on_epoch_end"),
        ({"epoch_order": [0, 1]}, "`epoch_order` is .*accepted: a function"),
        ({"epoch_order": lambda e, n: np.array([0, 40])}, "rows from 0 to 40; accepted: from 0 to 39"),
        ({"epoch_order": lambda e, n: np.array([-1, 4])}, "rows from -1 to 4"),
        ({"epoch_order": lambda e, n: np.array([])}, "`epoch_order` gave an array"),
        ({"epoch_order": lambda e, n: np.array([[1]])}, "`epoch_order` gave an array"),
        ({"epoch_order": lambda e, n: np.array([0.5])}, "`epoch_order` gave an array"),
        ({"validation": 3}, "`validation` is a int; accepted"),
        ({"validation": (np.ones((2, 4)),)}, "`validation` is a tuple of 1; accepted"),
        ({"validation": (np.ones((2, 3)), np.ones((2, 3)))}, r"`validation X` has shape \(2, 3\)"),
        ({"validation": (np.ones((2, 4)), np.ones((2, 3)))}, "`validation Y`.*add up to 1"),
        ({"sample_weight": -np.ones(40)}, "`sample_weight` has negative"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_trained(options, message, training_problem):
    net, params, X, Y = training_problem
    begun = []

    class Witness(pnn.Callback):
        def on_train_begin(self, state):
            begun.append(state.epoch)

        def on_epoch_end(self, state):
            begun.append(state.epoch)

    copies = [a.copy() for a in (X, Y, *flat(params))]
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.fit(net, params, X, Y, **{"callbacks": [Witness()], **options})
    assert not begun
    for array, copy in zip((X, Y, *flat(params)), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_something_other_than_a_network_is_refused(training_problem):
    _, params, X, Y = training_problem
    with pytest.raises(TypeError, match=r"`net` is .*accepted: a portable_nn\.Network"):
        pnn.fit((4, 5, 3), params, X, Y)


def test_an_optimizer_that_is_not_a_dataclass_is_refused(training_problem):
    net, params, X, Y = training_problem

    class Mine(pnn.Optimizer):
        def rule(self, xp, theta, g, *rest):
            return (theta,)

    with pytest.raises(TypeError, match=r"`optimizer` is a Mine.*dataclass"):
        pnn.fit(net, params, X, Y, Mine())


def test_fit_cannot_be_traced(jax):
    net = pnn.Network((4, 3), ("softmax",), "categorical_cross_entropy")
    params, X = net.initialize(backend="jax"), jax.numpy.zeros((5, 4))
    with pytest.raises(TypeError, match=r"`params` are being traced.*trace `net.cost`"):
        jax.jit(lambda p: pnn.fit(net, p, X, jax.numpy.zeros(5, int))[0])(params)
