"""The losses and their derivatives, in extreme places too."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest
from exact import PLACES, close_to_the_truth
from helpers import flat, relative

import portable_nn as pnn
from portable_nn.equations import (
    ACTIVATIONS,
    LOSSES,
    huber,
    leaky_relu,
    pinball,
)

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore:.*is not meant for"),  # every pair is tested
]
xp = pnn.backends.get("numpy").xp


@pytest.mark.parametrize("factory", [leaky_relu, huber, pinball])
def test_functions_with_a_constant_are_equal_by_value_and_can_be_pickled(factory):
    assert factory(0.25) == factory(0.25)
    assert factory(0.25) != factory(0.5)
    assert pickle.loads(pickle.dumps(factory(0.25))) == factory(0.25)
    assert "constants=(0.25," in repr(factory(0.25))
    assert "constants=(0.25," in repr(pickle.loads(pickle.dumps(factory(0.25))))


def test_constants_are_shown_where_they_are_not_the_usual_ones():
    assert [repr(each) for each in (huber(), pinball(), leaky_relu())] == [
        *("Loss('huber')", "Loss('pinball')", "Activation('leaky_relu')")
    ]


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan"), None])
def test_a_delta_of_huber_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`delta`.*accepted"):
        huber(wrong)


@pytest.mark.parametrize("wrong", [0, 1, -0.5, float("nan"), "0.5", True])
def test_a_quantile_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`quantile`.*accepted"):
        pinball(wrong)


@pytest.mark.parametrize("scale", [1.0, 50.0, 1e4, 1e30])
def test_softmax_and_its_cross_entropy_are_right_and_finite_everywhere(scale, backend, dtype):
    z = scale * np.array([[1.0, 0.0, -1.0, 0.5], [0.0, 0.5, 1.0, 0.5], [-1.0, 0.5, 1.0, -0.25]])
    z = z.astype(dtype)
    Z, Y = backend.asarray(z), backend.asarray(np.eye(3, 4, dtype=dtype))
    A = backend.to_numpy(ACTIVATIONS["softmax"].g(backend.xp, Z))
    L = backend.to_numpy(LOSSES["categorical_cross_entropy"].value_from_Z(backend.xp, Z, Y))
    Z_exact = [[mpmath.mpf(float(v)) for v in column] for column in z.T]
    sums = [mpmath.fsum(mpmath.exp(v - max(column)) for v in column) for column in Z_exact]
    a = [mpmath.exp(v - max(c)) / s for c, s in zip(Z_exact, sums, strict=True) for v in c]
    close_to_the_truth(A.T, a, dtype)
    terms = [
        mpmath.log(s) + max(c) - c[k] if k == i else 0
        for i, (c, s) in enumerate(zip(Z_exact, sums, strict=True))
        for k in range(3)
    ]
    close_to_the_truth(L.T, terms, dtype)


def test_binary_cross_entropy_is_right_and_finite_everywhere(backend, dtype):
    z = np.array([sign * p for p in PLACES for sign in (1, -1)], dtype=dtype)
    for y in (0.0, 1.0):
        Y = backend.asarray(np.full((len(z), 1), y, dtype=dtype))
        Z = backend.asarray(z[:, None])
        L = LOSSES["binary_cross_entropy"].value_from_Z(backend.xp, Z, Y)
        sign = 1 - 2 * int(y)
        truth = [mpmath.log1p(mpmath.exp(sign * mpmath.mpf(float(v)))) for v in z]
        close_to_the_truth(backend.to_numpy(L), truth, dtype)


@pytest.mark.parametrize(
    ("output", "loss"),
    [("softmax", "categorical_cross_entropy"), ("sigmoid", "binary_cross_entropy")],
)
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_a_saturated_matched_pair_has_a_finite_cost_and_gradient(output, loss, size, dtype, backend):
    net = pnn.Network((1, 2), activations=(output,), loss=loss)
    W = np.array([[size], [-size]], dtype=dtype)
    params = [(backend.asarray(W), backend.asarray(np.zeros((2, 1), dtype=dtype)))]
    X = backend.asarray(np.array([[1.0], [-1.0], [0.5]], dtype=dtype))
    Y = backend.asarray(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=dtype))
    J, grads = net.cost_and_gradients(params, X, Y)
    per_example = {"softmax": [0, 2 * size, size], "sigmoid": [0, 2 * size, size]}[output]
    assert relative(backend.to_numpy(J), np.mean(per_example)) < 1e-6
    assert all(np.all(np.isfinite(backend.to_numpy(a))) for a in flat(grads))
    assert np.all(np.isfinite(backend.to_numpy(net.predict(params, X))))


def test_a_cross_entropy_with_another_activation_is_finite_where_it_saturates(dtype):
    for output, loss in (("softmax", "binary_cross_entropy"), ("sigmoid", "categorical_cross_entropy")):
        net = pnn.Network((1, 2), activations=(output,), loss=loss)
        params = [(np.array([[1e4], [-1e4]], dtype=dtype), np.zeros((2, 1), dtype=dtype))]
        X, Y = np.array([[1.0], [-1.0]], dtype=dtype), np.array([[1.0, 0], [1, 0]], dtype=dtype)
        J, grads = net.cost_and_gradients(params, X, Y)
        assert np.isfinite(J)
        assert all(np.all(np.isfinite(a)) for a in flat(grads))


@pytest.mark.parametrize("delta", [0.5, 2.0])
def test_huber_is_squared_up_to_delta_and_absolute_beyond(delta):
    A, Y = np.array([[0.25, 3.0, -3.0]]), np.zeros((1, 3))
    loss = huber(delta)
    far = delta * (3 - delta / 2)
    np.testing.assert_allclose(loss.value(xp, A, Y), [[0.03125, far, far]], rtol=1e-15)
    np.testing.assert_allclose(loss.derivative(xp, A, Y), [[0.25, delta, -delta]], rtol=1e-15)


def test_pinball_weighs_targets_above_by_q_and_targets_below_by_one_minus_q():
    A, Y = np.array([[1.0, 3.0, 2.0]]), np.array([[3.0, 1.0, 2.0]])
    loss = pinball(0.9)
    np.testing.assert_allclose(loss.value(xp, A, Y), [[1.8, 0.2, 0.0]], atol=1e-15)
    np.testing.assert_allclose(loss.derivative(xp, A, Y), [[-0.9, 0.1, 0.1]], atol=1e-15)
    ordered = np.arange(101.0)[None, :]
    costs = [np.sum(loss.value(xp, np.full((1, 101), a), ordered)) for a in range(101)]
    assert int(np.argmin(costs)) == 90  # the 0.9 quantile of 0..100


def test_exp_and_poisson_are_right_where_the_truth_can_be_represented(backend, dtype):
    places = [0.0, 1e-8, 0.1, 1, 8, 40, 80] + ([300, 700] if dtype == "float64" else [])
    z = np.array([sign * p for p in places for sign in (1, -1)], dtype=dtype)[:, None]
    exact = [mpmath.mpf(float(v)) for v in z.ravel()]
    Z = backend.asarray(z)
    for function in (ACTIVATIONS["exp"].g, ACTIVATIONS["exp"].g_prime):
        close_to_the_truth(
            backend.to_numpy(function(backend.xp, Z)), [mpmath.exp(v) for v in exact], dtype
        )
    Y = backend.asarray(np.full(z.shape, 3.0, dtype=dtype))
    L = backend.to_numpy(LOSSES["poisson"].value_from_Z(backend.xp, Z, Y))
    truth = [mpmath.exp(v) - 3 + 3 * (mpmath.log(3) - v) for v in exact]
    close_to_the_truth(L, truth, dtype)


def test_poisson_is_half_the_deviance_and_finite_where_a_unit_is_dead(dtype):
    A, Y = np.array([[2.0, 3.0, 0.5]], dtype=dtype), np.array([[3.0, 0.0, 0.5]], dtype=dtype)
    exact = [[2 - 3 + 3 * np.log(1.5), 3.0, 0.0]]
    np.testing.assert_allclose(LOSSES["poisson"].value(xp, A, Y), exact, rtol=1e-6, atol=1e-7)
    for output in ("relu", "softplus"):
        net = pnn.Network((1, 1), (output,), "poisson")
        params = [(np.array([[-200.0]], dtype=dtype), np.zeros((1, 1), dtype=dtype))]
        J, grads = net.cost_and_gradients(params, np.ones((1, 1), dtype), np.full((1, 1), 5, dtype))
        assert np.isfinite(J)
        assert all(np.isfinite(a) for a in flat(grads))
