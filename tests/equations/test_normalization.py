"""Standardizing, scales, picked columns: by hand, at extreme values, against exact arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.equations.features import piecewise_linear, piecewise_linear_prime
from portable_nn.equations.normalization import moments, standardized, standardized_delta
from portable_nn.equations.segments import picked, picked_prime

pytestmark = pytest.mark.usefixtures("host_only")
xp = pnn.backends.get("numpy").xp


def test_batch_normalization_worked_by_hand():
    # the course's formulas: mu = 1/m sum z, sigma^2 = 1/m sum (z - mu)^2, z_norm, gamma z_norm + beta.
    # Two units; of the first, z = 1, 3: mu = 2, sigma = 1; of the second z = -4, 4: mu = 0, sigma = 4
    Z = np.array([[1.0, 3.0], [-4.0, 4.0]])
    gamma, beta = np.array([[2.0], [0.5]]), np.array([[10.0], [-1.0]])
    layer, zero = pnn.BatchNorm(momentum=0.25, epsilon=1e-30), np.zeros((2, 1))
    theta = (gamma, beta, zero, zero + 1.0)
    out, kept = layer.forward_in_training(xp, theta, Z)
    np.testing.assert_allclose(out, [[8.0, 12.0], [-1.5, -0.5]], rtol=1e-15)
    # dY = 1, 0 in both: dbeta = 1/2, dgamma = 1/2 (1 n_1) = -1/2; two points on a line always are -1
    # and 1, however z moves: dZ = 0
    dZ, (dgamma, dbeta, *others) = layer.backward(xp, theta, kept, np.array([[1.0, 0.0]] * 2))
    np.testing.assert_allclose(dgamma, [[-0.5], [-0.5]], rtol=1e-15)
    np.testing.assert_array_equal(dbeta, [[0.5], [0.5]])
    np.testing.assert_allclose(dZ, np.zeros((2, 2)), atol=1e-15)
    assert others == [None, None]
    # running: 3/4 0 + 1/4 mu; 3/4 1 + 1/4 sigma^2 2/(2 - 1)
    _, _, mean, variance = layer.moved(xp, theta, kept)
    np.testing.assert_array_equal(mean, [[0.5], [0.0]])
    np.testing.assert_allclose(variance, [[1.25], [8.75]], rtol=1e-15)
    # a prediction takes the running ones: (z - 0) / sqrt(1)
    np.testing.assert_allclose(layer.forward(xp, theta, Z)[0], [[12.0, 16.0], [-3.0, 1.0]], rtol=1e-15)


def test_layer_normalization_worked_by_hand():
    # one example z = (-1, -1, 2): mu = 0, sigma^2 = 2
    Z = np.array([[-1.0], [-1.0], [2.0]])
    layer, theta = pnn.LayerNorm(epsilon=1e-30), (np.ones((3, 1)), np.zeros((3, 1)))
    out, kept = layer.forward(xp, theta, Z)
    np.testing.assert_allclose(out, Z / np.sqrt(2), rtol=1e-15)
    # dY = (1, 0, 0): dz = (dy - mean(dy) - n mean(n dy)) / sigma, (1 - 1/3 - 1/6, ...) / sqrt 2
    dZ, _ = layer.backward(xp, theta, kept, np.array([[1.0], [0.0], [0.0]]))
    np.testing.assert_allclose(dZ, np.array([[0.5], [-0.5], [0.0]]) / np.sqrt(2), atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-30, 1e-4, 1.0, 1e4, 1e18, 1e30])
@pytest.mark.parametrize("axis", [-1, -2])
def test_values_of_any_size_are_standardized(size, axis, dtype, random):
    Z = (size * random.normal(size=(4, 6))).astype(dtype)
    epsilon = 1e-5
    with np.errstate(all="raise", under="ignore"):
        mu, v, s = moments(xp, Z, axis)
        root = s * np.sqrt(v + epsilon / s / s)
        N = standardized(Z, mu, root)
        delta = standardized_delta(xp, N, root, np.ones_like(Z) * Z / np.max(np.abs(Z)), axis)
    exact = Z.astype("longdouble")
    centred = exact - exact.mean(axis, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis, keepdims=True) + np.longdouble(epsilon))
    digits = {"float32": 2e-6, "float64": 1e-14}[dtype]
    assert np.max(np.abs(N - expected)) <= digits * np.max(np.abs(expected))
    assert np.all(np.isfinite(delta))


def test_a_constant_unit_is_standardized_to_zero():
    mu, v, s = moments(xp, np.full((2, 3), 7.0), -1)
    N = standardized(np.full((2, 3), 7.0), mu, s * np.sqrt(v + 1e-5))
    np.testing.assert_array_equal(N, np.zeros((2, 3)))
    assert np.all(np.isfinite(standardized_delta(xp, N, s * np.sqrt(v + 1e-5), np.ones((2, 3)), -1)))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 129])
@pytest.mark.parametrize("levels", [1, 2, 5, 300])
def test_the_derivative_of_a_gather_is_the_sum_of_each_segment(count, levels, random):
    codes = random.integers(0, levels, count).astype("int32")
    E, dA = random.normal(size=(2, 3, levels)), random.normal(size=(2, 3, count))
    np.testing.assert_array_equal(picked(xp, E, codes), E[..., codes])
    expected = np.zeros_like(E)
    np.add.at(expected, (slice(None), slice(None), codes), dA)
    np.testing.assert_allclose(picked_prime(xp, dA, codes, levels), expected, rtol=1e-13, atol=1e-15)


def test_sums_of_segments_do_not_cancel():
    # 1e8 beside 1: a difference of cumulative sums in float32 would give 0 or 8 for the second code
    dA, codes = np.array([[1e8, 1.0, 2.0]], dtype="float32"), np.array([0, 1, 1], dtype="int32")
    np.testing.assert_array_equal(picked_prime(xp, dA, codes, 3), [[1e8, 3.0, 0.0]])


def test_a_piecewise_linear_bin_goes_on_only_at_the_ends():
    U = np.array([[-2.0, 0.25, 3.0]] * 3)
    first, last = np.array([[1.0], [0.0], [0.0]]), np.array([[0.0], [0.0], [1.0]])
    np.testing.assert_array_equal(
        piecewise_linear(xp, U, first, last), [[-2.0, 0.25, 1.0], [0.0, 0.25, 1.0], [0.0, 0.25, 3.0]]
    )
    np.testing.assert_array_equal(
        piecewise_linear_prime(xp, U, first, last), [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
    )
