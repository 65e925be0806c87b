"""What tests of compiled steps share: comparing two trainings to the bit, and when views are traced."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import samples

import portable_nn as pnn
from portable_nn.compiler.known_functions import FOLLOWS_VIEWS

traced = pytest.mark.skipif(
    not FOLLOWS_VIEWS, reason="with NumPy before 2.2 what joins or reshapes arrays runs eagerly"
)


def assert_same(found, expected):
    (params, history), (their_params, their_history) = found, expected
    np.testing.assert_array_equal(history.cost, their_history.cost)
    np.testing.assert_array_equal(history.validation_cost, their_history.validation_cost)
    for layer, their_layer in zip(params, their_params, strict=True):
        for theta, theirs in zip(layer, their_layer, strict=True):
            assert type(theta) is np.ndarray
            assert theta.dtype == theirs.dtype
            np.testing.assert_array_equal(theta, theirs)


def assert_same_with(own, fit_eagerly, random, **options):
    """The same training with a user-defined activation, compiled and eagerly."""
    net = pnn.Network((5, 40, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 640, 5, 2, "float32")
    given = (net, net.initialize(), X, Y, pnn.SGD(0.05), 3, 16)
    assert_same(pnn.fit(*given, **options), fit_eagerly(*given, **options))
