"""The activations and their derivatives, in extreme places too."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest
from exact import EXACT, PLACES, close_to_the_truth
from helpers import relative

import portable_nn as pnn
from portable_nn.equations import (
    ACTIVATIONS,
    leaky_relu,
    relu,
)

pytestmark = pytest.mark.usefixtures("host_only")
xp = pnn.backends.get("numpy").xp


def test_the_derivative_at_zero_is_that_of_the_source():
    zero = np.zeros((1, 1))
    assert ACTIVATIONS["relu"].g_prime(xp, zero) == 1
    assert ACTIVATIONS["leaky_relu"].g_prime(xp, zero) == 1
    assert leaky_relu(0.3).g_prime(xp, -np.ones((1, 1))) == 0.3


@pytest.mark.parametrize(
    ("g", "expected"),  # at z = -1, 0, 1
    [
        ("relu", [0, 1, 1]),
        (relu(), [0, 1, 1]),
        (relu(at_zero=0.0), [0, 0, 1]),
        (relu(at_zero=0.5), [0, 0.5, 1]),
        (leaky_relu(0.25), [0.25, 1, 1]),
        (leaky_relu(0.25, at_zero=0.25), [0.25, 0.25, 1]),
        (leaky_relu(0.25, at_zero=0.5), [0.25, 0.5, 1]),
    ],
)
def test_the_derivative_at_zero_is_the_one_chosen(g, expected, backend, dtype):
    net = pnn.Network((1, 1), (g,), "squared_error")
    one, x = np.ones((1, 1), dtype=dtype), np.array([[-1.0], [0.0], [1.0]], dtype=dtype)
    params = [(backend.asarray(one), backend.asarray(0 * one))]
    X = backend.asarray(x)
    found = backend.to_numpy(net.g[0].g_prime(backend.xp, X))
    np.testing.assert_array_equal(found, np.reshape(expected, (3, 1)))
    for x, slope in zip((-1.0, 0.0, 1.0), expected, strict=True):
        row = backend.asarray(x * one)
        A = net.predict(params, row)
        _, ((_, db),) = net.cost_and_gradients(params, row, A - 1)  # A - Y = 1
        assert float(backend.to_numpy(db)[0, 0]) == slope


def test_relu_is_the_name_unless_its_derivative_at_zero_is_another():
    assert relu() == ACTIVATIONS["relu"] != relu(at_zero=0.0)
    assert leaky_relu() == ACTIVATIONS["leaky_relu"] != leaky_relu(at_zero=0.01)
    assert pickle.loads(pickle.dumps(relu(at_zero=0.0))) == relu(at_zero=0.0)


@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan"), "0", True])
def test_a_derivative_at_zero_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`at_zero` of relu.*accepted.*\[0, 1\]"):
        relu(at_zero=wrong)
    with pytest.raises(ValueError, match=r"`at_zero` of leaky_relu.*accepted.*\[0.1, 1\]"):
        leaky_relu(0.1, at_zero=wrong)


@pytest.mark.parametrize("name", [g for g in ACTIVATIONS if g != "softmax"])
def test_each_derivative_is_that_of_its_function(name):
    z = np.linspace(-4, 4, 100)[:, None]  # zero is not among them
    g = ACTIVATIONS[name]
    numeric = (g.g(xp, z + 1e-6) - g.g(xp, z - 1e-6)) / 2e-6
    assert relative(g.g_prime(xp, z), numeric) < 1e-8


@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan"), "0.1", True])
def test_a_slope_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`slope`.*accepted"):
        leaky_relu(wrong)


@pytest.mark.parametrize("name", [g for g in EXACT if g != "exp"])  # which may overflow
def test_activations_are_right_and_finite_everywhere(name, backend, dtype):
    z = np.array([sign * p for p in PLACES for sign in (1, -1)], dtype=dtype)[:, None]
    exact = [mpmath.mpf(float(v)) for v in z.ravel()]
    Z = backend.asarray(z)
    for function, truth in zip(
        (ACTIVATIONS[name].g, ACTIVATIONS[name].g_prime), EXACT[name], strict=True
    ):
        found = function(backend.xp, Z)
        assert found.dtype == Z.dtype
        close_to_the_truth(backend.to_numpy(found), [truth(v) for v in exact], dtype)
