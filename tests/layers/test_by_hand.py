"""One small case of each layer, worked by hand; those of the normalizations are with the equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
xp = pnn.backends.get("numpy").xp


def passed(layer, theta, A, dA):
    """Its output, dL/dA below, and dJ/dtheta."""
    theta = [np.asarray(array, dtype="float64") for array in theta]
    out, kept = layer.forward(xp, theta, np.asarray(A, dtype="float64"))
    return out, *layer.backward(xp, theta, kept, np.asarray(dA, dtype="float64"))


def test_a_scale_and_a_shift():
    # 2 z + 1 of z = 3, 5; dL/dA = 1, 4: below 2, 8; dgamma = (3 + 20) / 2; dbeta = 5 / 2
    out, below, (dgamma, dbeta) = passed(pnn.Scale(), [[[2]], [[1]]], [[3, 5]], [[1, 4]])
    np.testing.assert_array_equal(out, [[7, 11]])
    np.testing.assert_array_equal(below, [[2, 8]])
    assert (dgamma.item(), dbeta.item()) == (11.5, 2.5)


def test_a_dense_layer_without_b():
    # W = (1, -1): z = 1 - 2 = -1; dL/dz = 3: below (3, -3), dW = (3 1, 3 2)
    out, below, (dW,) = passed(pnn.Dense(1, bias=False), [[[1, -1]]], [[1], [2]], [[3]])
    np.testing.assert_array_equal(out, [[-1]])
    np.testing.assert_array_equal(below, [[3], [-3]])
    np.testing.assert_array_equal(dW, [[3, 6]])


def test_a_share_of_an_activation():
    # alpha = 1/4 of relu: z = 4 stays 4; z = -4: 3/4 (-4) = -3, slope 3/4; dalpha = (0 + 4 2) / 2
    layer = pnn.ParametricActivation("relu")
    out, below, (dalpha,) = passed(layer, [[[0.25]]], [[4, -4]], [[1, 2]])
    np.testing.assert_array_equal(out, [[4, -3]])
    np.testing.assert_array_equal(below, [[1, 1.5]])
    assert dalpha.item() == 4


def test_an_embedding():
    # column 0 has codes of 2, column 2 of 3 categories; column 1 is a number and comes first
    layer = pnn.Embedding({0: 2, 2: 3}, dim=1)
    E = [[10, 20, 1, 2, 3]]
    A = [[1, 0], [7, 8], [2, 2]]
    out, _, (dE,) = passed(layer, [E], A, [[5, 6], [1, 2], [3, 4]])
    np.testing.assert_array_equal(out, [[7, 8], [20, 10], [3, 3]])
    np.testing.assert_array_equal(dE, [[1, 0.5, 0, 0, 3.5]])  # 2/2, 1/2; nothing; (3 + 4)/2


def test_a_periodic_embedding():
    # x = 1/4, w = 1, c = 0: cos(pi/2) = 0, its derivative by x -2 pi sin(pi/2) = -2 pi; V = 3, e = 2
    layer = pnn.Periodic(dim=2, frequencies=1)
    theta = [[[1]], [[0]], [[3]], [[2]]]
    out, below, (dw, dc, dV, de) = passed(layer, theta, [[0.25]], [[1], [1]])
    np.testing.assert_allclose(out, [[0.25], [2]], rtol=1e-15)
    np.testing.assert_allclose(below, [[1 - 6 * math.pi]], rtol=1e-15)
    np.testing.assert_allclose(dw, [[-1.5 * math.pi]], rtol=1e-15)  # 3 (-sin) 2 pi x
    np.testing.assert_allclose(dc, [[-3]], rtol=1e-15)
    np.testing.assert_allclose(dV, [[0]], atol=1e-15)
    assert de.item() == 1


def test_a_piecewise_linear_encoding():
    # bins [0, 1] and [1, 3]: x = 2 is all through the first, half through the second
    layer = pnn.PiecewiseLinear([(0, 1, 3)])
    (theta,) = pnn.Network((1, layer, "relu"), loss="squared_error").initialize(dtype="float64")
    out, below, grads = passed(layer, theta, [[-1, 0.5, 2, 5]], [[1, 1, 1, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(out, [[-1, 0.5, 1, 1], [0, 0, 0.5, 2]])
    np.testing.assert_array_equal(below, [[1, 1, 0.5, 0.5]])
    assert grads == (None,) * 5


def test_a_shared_dense_layer():
    # networks with r = 1, -1 and s = 1, 2: W = 3, a = 2: z = 6 + 0 and 2 (-6) + 1
    layer = pnn.SharedDense(1)
    theta = [[[3]], [[[1]], [[-1]]], [[[1]], [[2]]], [[[0]], [[1]]]]
    out, below, (dW, dr, ds, db) = passed(layer, theta, [[2]], [[[1]], [[1]]])
    np.testing.assert_array_equal(out, [[[6]], [[-11]]])
    np.testing.assert_array_equal(below, [[[3]], [[-6]]])
    np.testing.assert_array_equal(dW, [[2 - 4]])  # s r a of both
    np.testing.assert_array_equal(dr, [[[6]], [[12]]])
    np.testing.assert_array_equal(ds, [[[6]], [[-6]]])
    np.testing.assert_array_equal(db, [[[1]], [[1]]])
