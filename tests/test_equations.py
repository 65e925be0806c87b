"""The equations: by hand, against differences, in extreme places, in stacks, with dropout masks."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest
from helpers import PAIRS, flat, network, numeric_gradients, problem, relative, worst
from hypothesis import given, settings
from hypothesis import strategies as st

import portable_nn as pnn
from portable_nn.equations import (
    ACTIVATIONS,
    LOSSES,
    backward,
    forward,
    huber,
    leaky_relu,
    output_delta,
    pinball,
)
from portable_nn.network.objective import Batch

pytestmark = pytest.mark.filterwarnings("ignore:.*is not meant for")  # every pair is tested

mpmath.mp.dps = 60
xp = pnn.backends.get("numpy").xp


# ---- worked by hand: every number below was computed on paper -----------------------------------


def test_forward_and_backward_of_a_small_network_worked_by_hand():
    # relu then identity, squared error; two examples, the columns x = (1, 2) and x = (0, -1)
    X = np.array([[1.0, 0.0], [2.0, -1.0]])
    W1, b1 = np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([[0.5], [-1.0]])
    W2, b2 = np.array([[3.0, -2.0]]), np.array([[1.0]])
    Y = np.array([[-4.0, 5.0]])
    g = (ACTIVATIONS["relu"], ACTIVATIONS["identity"])

    Z, A = forward(xp, [(W1, b1), (W2, b2)], X, g)
    np.testing.assert_array_equal(Z[1], [[-0.5, 1.5], [3.0, -2.0]])
    np.testing.assert_array_equal(A[1], [[0.0, 1.5], [3.0, 0.0]])
    np.testing.assert_array_equal(A[2], [[-5.0, 5.5]])

    Delta = output_delta(xp, LOSSES["squared_error"], g[-1], Z[2], A[2], Y)
    np.testing.assert_array_equal(Delta, [[-1.0, 0.5]])
    (dW1, db1), (dW2, db2) = backward(xp, [(W1, b1), (W2, b2)], Z, A, Delta, g)
    np.testing.assert_array_equal(dW2, [[0.375, -1.5]])  # 1/2 (-1 [0, 3] + 0.5 [1.5, 0])
    np.testing.assert_array_equal(db2, [[-0.25]])
    # Delta[1] = W2.T Delta[2] * 1[z >= 0] = [[0, 1.5], [2, 0]]
    np.testing.assert_array_equal(dW1, [[0.0, -0.75], [1.0, 2.0]])
    np.testing.assert_array_equal(db1, [[0.75], [1.0]])

    net = pnn.Network((2, 2, 1), activations=("relu", "identity"), loss="squared_error")
    J, grads = net.cost_and_gradients([(W1, b1), (W2, b2)], X.T, Y.T)
    assert J == 0.3125  # 1/2 (1/2 1^2 + 1/2 0.5^2)
    for ours, paper in zip(flat(grads), (dW1, db1, dW2, db2), strict=True):
        np.testing.assert_array_equal(ours, paper)


def test_logistic_regression_worked_by_hand():
    # z = 0 for both examples: a = 1/2, J = log 2, Delta = (-1/2, 1/2)
    net = pnn.Network((1, 1), activations=("sigmoid",), loss="binary_cross_entropy")
    params = [(np.zeros((1, 1)), np.zeros((1, 1)))]
    X, Y = np.array([[2.0], [4.0]]), np.array([[1.0], [0.0]])
    J, ((dW, db),) = net.cost_and_gradients(params, X, Y)
    np.testing.assert_allclose(J, np.log(2), rtol=1e-15)
    assert dW == [[0.5]]  # 1/2 (-1/2 2 + 1/2 4)
    assert db == [[0.0]]
    J, ((dW, db),) = net.cost_and_gradients(params, X, Y, sample_weight=np.array([3.0, 1.0]))
    assert dW == [[-0.25]]  # 1/4 (3 (-1/2) 2 + 1/2 4)
    assert db == [[-0.25]]


def test_the_derivative_at_zero_is_that_of_the_source():
    zero = np.zeros((1, 1))
    assert ACTIVATIONS["relu"].g_prime(xp, zero) == 1
    assert ACTIVATIONS["leaky_relu"].g_prime(xp, zero) == 1
    assert leaky_relu(0.3).g_prime(xp, -np.ones((1, 1))) == 0.3


# ---- every pair of output activation and loss, every hidden activation ---------------------------


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradients_match_two_sided_differences_for_every_output_and_loss(output, loss, random, margin):
    net = network("tanh", output, loss)
    params, X, Y = problem(net, random)
    weight = random.uniform(0.5, 2.0, size=len(X))
    _, grads = net.cost_and_gradients(params, X, Y, l2=0.3, sample_weight=weight)
    numeric = numeric_gradients(lambda p: float(net.cost(p, X, Y, l2=0.3, sample_weight=weight)), params)
    assert margin("gradients against differences", "numpy", worst(flat(grads), numeric)) < 1e-7


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_gradients_match_two_sided_differences_for_every_hidden_activation(hidden, random, margin):
    net = pnn.Network((4, 6, 5, 3), (hidden, hidden, "sigmoid"), "binary_cross_entropy")
    params, X, Y = problem(net, random)
    _, grads = net.cost_and_gradients(params, X, Y)
    numeric = numeric_gradients(lambda p: float(net.cost(p, X, Y)), params)
    assert margin("gradients against differences", "numpy", worst(flat(grads), numeric)) < 1e-7


@pytest.mark.parametrize("name", [g for g in ACTIVATIONS if g != "softmax"])
def test_each_derivative_is_that_of_its_function(name):
    z = np.linspace(-4, 4, 100)[:, None]  # zero is not among them
    g = ACTIVATIONS[name]
    numeric = (g.g(xp, z + 1e-6) - g.g(xp, z - 1e-6)) / 2e-6
    assert relative(g.g_prime(xp, z), numeric) < 1e-8


@pytest.mark.parametrize("factory", [leaky_relu, huber, pinball])
def test_what_has_a_constant_is_equal_by_value_and_can_be_pickled(factory):
    assert factory(0.25) == factory(0.25)
    assert factory(0.25) != factory(0.5)
    assert pickle.loads(pickle.dumps(factory(0.25))) == factory(0.25)


@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan"), "0.1", True])
def test_a_slope_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`slope`.*accepted"):
        leaky_relu(wrong)


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan"), None])
def test_a_delta_of_huber_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`delta`.*accepted"):
        huber(wrong)


@pytest.mark.parametrize("wrong", [0, 1, -0.5, float("nan"), "0.5", True])
def test_a_quantile_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`quantile`.*accepted"):
        pinball(wrong)


# ---- extreme places: mpmath with 60 digits is the oracle -----------------------------------------

SELU_SCALE = mpmath.mpf("1.0507009873554804934193349852946")
SELU_ALPHA = mpmath.mpf("1.6732632423543772848170429916717")


def _sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def _gelu(z):
    return z * _sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3))


def _gelu_prime(z):
    c, k = 2 * mpmath.sqrt(2 / mpmath.pi), mpmath.mpf("0.044715")
    s = _sigmoid(c * (z + k * z**3))
    return s + z * s * _sigmoid(-c * (z + k * z**3)) * c * (1 + 3 * k * z**2)


EXACT = {  # g and g' in mpmath, written anew
    "identity": (lambda z: z, lambda z: 1),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "relu": (lambda z: max(z, 0), lambda z: int(z >= 0)),
    "leaky_relu": (lambda z: z if z >= 0 else z * 0.01, lambda z: 1 if z >= 0 else 0.01),
    "elu": (
        lambda z: z if z >= 0 else mpmath.expm1(z),
        lambda z: 1 if z >= 0 else mpmath.exp(z),
    ),
    "selu": (
        lambda z: SELU_SCALE * (z if z >= 0 else SELU_ALPHA * mpmath.expm1(z)),
        lambda z: SELU_SCALE * (1 if z >= 0 else SELU_ALPHA * mpmath.exp(z)),
    ),
    "softplus": (lambda z: mpmath.log1p(mpmath.exp(z)), _sigmoid),
    "silu": (
        lambda z: z * _sigmoid(z),
        lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)),
    ),
    "gelu": (_gelu, _gelu_prime),
}
PLACES = [0.0, 1e-30, 1e-8, 0.1, 1, 3, 8, 17, 20, 40, 80, 100, 300, 700, 1e4, 1e30]


def close_to_the_truth(actual, truth, dtype):
    """Right to a relative error, or less than the smallest normal number away."""
    info = np.finfo(dtype)
    tolerance = 3e-13 if dtype == "float64" else 2e-5
    assert np.all(np.isfinite(actual))
    for a, exact in zip(np.ravel(actual), truth, strict=True):
        error = abs(mpmath.mpf(float(a)) - exact)
        assert error <= tolerance * abs(exact) + float(info.smallest_normal), (float(a), exact)


@pytest.mark.parametrize("name", EXACT)
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


def test_pinball_weighs_what_lies_above_by_q_and_what_lies_below_by_one_minus_q():
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


# ---- stacks of networks, and shapes --------------------------------------------------------------

sizes = st.lists(st.integers(1, 5), min_size=2, max_size=5)


@settings(max_examples=40, deadline=None)
@given(
    sizes=sizes,
    n=st.integers(1, 6),
    count=st.integers(1, 4),
    seed=st.integers(0, 99),
    shared=st.booleans(),
)
def test_a_stack_of_networks_equals_separate_networks(sizes, n, count, seed, shared):
    g = ["leaky_relu", "tanh", "softplus", "gelu"][: len(sizes) - 2]
    net = pnn.Network(sizes, (*g, "softmax"), "categorical_cross_entropy")
    random = np.random.default_rng(seed)
    stack = net.initialize(seed=seed, stack=(count,), dtype="float64")
    lead = () if shared else (count,)
    X = random.normal(size=(*lead, n, sizes[0]))
    Y = random.dirichlet(np.ones(sizes[-1]), size=(*lead, n))
    w = random.uniform(0.1, 2, size=(*lead, n))
    J, grads = net.cost_and_gradients(stack, X, Y, l2=0.1, sample_weight=w)
    A = net.predict(stack, X)
    assert J.shape == (count,)
    assert A.shape == (count, n, sizes[-1])
    for k in range(count):
        x, y, v = (X, Y, w) if shared else (X[k], Y[k], w[k])
        one = net.initialize(seed=seed + k, dtype="float64")
        J_k, grads_k = net.cost_and_gradients(one, x, y, l2=0.1, sample_weight=v)
        np.testing.assert_allclose(J[k], J_k, rtol=1e-12)
        np.testing.assert_allclose(A[k], net.predict(one, x), rtol=1e-12, atol=1e-15)
        for stacked, single in zip(flat(grads), flat(grads_k), strict=True):
            np.testing.assert_allclose(stacked[k], single, rtol=1e-10, atol=1e-13)


@settings(max_examples=40, deadline=None)
@given(sizes=sizes, n=st.integers(1, 5), seed=st.integers(0, 99))
def test_gradients_are_right_for_every_shape(sizes, n, seed):
    net = pnn.Network(sizes, ["tanh"] * (len(sizes) - 1), "squared_error")
    random = np.random.default_rng(seed)
    params = net.initialize(seed=seed, dtype="float64")
    X, Y = random.normal(size=(n, sizes[0])), random.normal(size=(n, sizes[-1]))
    _, grads = net.cost_and_gradients(params, X, Y)
    numeric = numeric_gradients(lambda p: float(net.cost(p, X, Y)), params)
    for ours, theirs in zip(flat(grads), numeric, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)  # some gradients are near zero


# ---- dropout masks and weights of zero -----------------------------------------------------------


def test_gradients_with_dropout_masks_match_two_sided_differences(random):
    net = pnn.Network((4, 6, 5, 3), ("tanh", "sigmoid", "softmax"), "categorical_cross_entropy")
    params, X, Y = problem(net, random)
    masks = [(random.uniform(size=(6, 7)) > 0.5) / 0.5, None]

    def J(p):
        _, A = forward(xp, p, X.T, net.g, masks)
        return float(-np.sum(Y.T * np.log(A[-1])) / len(X))

    _, grads = net.objective.gradients(xp, params, Batch(X, Y), masks=masks)
    assert worst(flat(grads), numeric_gradients(J, params)) < 1e-7
    _, A = forward(xp, params, X.T, net.g, masks)
    assert np.all(A[1][masks[0] == 0] == 0)


def test_batches_that_share_a_mean_weight_add_up_to_the_whole(random):
    net = network()
    params, X, Y = problem(net, random, n=8)
    w = np.array([0, 0, 0, 0, 1.0, 2.0, 3.0, 10.0])  # the first half's own weights are all zero
    whole, expected = net.cost_and_gradients(params, X, Y, l2=0.5, sample_weight=w)
    halves = [
        net.objective.gradients(xp, params, Batch(X[h], Y[h], w[h], np.mean(w)), 0.5)
        for h in (slice(0, 4), slice(4, 8))
    ]
    norm = sum(
        np.sum(W * W) for W, _ in params
    )  # each half has the penalty l2/(2 B w): twice the whole's
    extra = 0.5 / (2 * 8 * np.mean(w)) * norm
    assert np.mean([J for J, _ in halves]) - extra == pytest.approx(float(whole), rel=1e-13)
    bias = (halves[0][1][0][1] + halves[1][1][0][1]) / 2
    np.testing.assert_allclose(bias, expected[0][1], rtol=1e-12)


def test_a_batch_whose_own_weights_are_all_zero_counts_for_nothing(random):
    net = network()
    params, X, Y = problem(net, random)
    J, grads = net.objective.gradients(xp, params, Batch(X, Y, np.zeros(7)), 0.5)
    assert pytest.approx(0.5 / (2 * 7) * sum(np.sum(W * W) for W, _ in params), rel=1e-13) == J
    for (W, _), (dW, db) in zip(params, grads, strict=True):
        np.testing.assert_allclose(dW, 0.5 / 7 * W, rtol=1e-13)
        assert np.all(db == 0)


def test_the_cost_is_its_formula(random):
    net = network("relu", "identity", "squared_error")
    params, X, Y = problem(net, random)
    w = random.uniform(0.5, 2, size=len(X))
    (W1, b1), (W2, b2) = params
    A = np.maximum(X @ W1.T + b1.T, 0) @ W2.T + b2.T
    L = 0.5 * np.sum((A - Y) ** 2, axis=1)
    norm = np.sum(W1**2) + np.sum(W2**2)
    assert net.cost(params, X, Y, l2=0.7, sample_weight=w) == pytest.approx(
        np.sum(w * L) / np.sum(w) + 0.7 / (2 * np.sum(w)) * norm, rel=1e-13
    )
    assert net.cost(params, X, Y, l2=0.7) == pytest.approx(
        np.mean(L) + 0.7 / (2 * len(X)) * norm, rel=1e-13
    )
    half = net.objective.cost(xp, params, Batch(X, Y, w, 2 * np.mean(w)), 0.7)
    assert half == pytest.approx(float(net.cost(params, X, Y, l2=0.7, sample_weight=w)) / 2, rel=1e-13)
