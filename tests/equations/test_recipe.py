"""Forward and backward: by hand, against differences, in stacks, with dropout masks."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import PAIRS, flat, network, numeric_gradients, problem, worst
from hypothesis import given, settings
from hypothesis import strategies as st

import portable_nn as pnn
from portable_nn.equations import (
    ACTIVATIONS,
    LOSSES,
    backward,
    forward,
    output_delta,
)
from portable_nn.network.objective import Batch

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore:.*is not meant for"),  # every pair is tested
]
xp = pnn.backends.get("numpy").xp


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


def test_a_name_in_the_place_of_an_activation_is_refused():
    params = [(np.ones((2, 3)), np.zeros((2, 1)))]
    with pytest.raises(TypeError, match=r"'sigmoid' was given.*ACTIVATIONS\['sigmoid'\]"):
        forward(xp, params, np.ones((3, 4)), ["sigmoid"])
