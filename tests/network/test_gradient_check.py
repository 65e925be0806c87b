"""The gradient check: right gradients pass, wrong ones do not."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import network, problem, to

import portable_nn as pnn
from portable_nn.network.gradient_check import relative_errors
from portable_nn.network.objective import Batch

pytestmark = pytest.mark.usefixtures("host_only")


def test_the_gradient_check_finds_right_gradients_right(backend, random):
    net = pnn.Network((2, 2), ("softmax",), "categorical_cross_entropy")
    params, X, Y = problem(net, random)
    x, y, w = backend.asarray(X), backend.asarray(Y), backend.asarray(random.uniform(0.5, 2, size=7))
    assert net.check_gradients(to(backend, params), x, y, l2=0.2, sample_weight=w) < 1e-7


def test_the_gradient_check_looks_at_every_entry(random):
    net = pnn.Network((50, 40, 3), ("tanh", "softmax"), "categorical_cross_entropy")
    params = net.initialize(dtype="float64")
    last = np.zeros((40, 50))
    last[-1, -1] = 1.0

    X, Y = random.normal(size=(4, 50)), np.eye(3)[[0, 1, 2, 0]]
    _, grads = net.cost_and_gradients(params, X, Y)

    def J(p):
        return net.objective.cost(np, p, Batch(X, Y))

    assert max(each.max() for each in relative_errors(J, params, grads, 1e-5)) < 1e-7
    wrong = [(grads[0][0] + last, grads[0][1]), grads[1]]
    weights, *others = relative_errors(J, params, wrong, 1e-5)
    assert weights[-1, -1] > 0.1
    assert weights.ravel()[:-1].max() < 1e-7
    assert max(each.max() for each in others) < 1e-7


def test_the_gradient_check_finds_a_wrong_derivative(random):
    wrong = pnn.Activation("wrong", lambda xp, Z: xp.tanh(Z), lambda xp, Z: 1 - xp.tanh(Z))
    with pytest.warns(UserWarning, match=r"`g_prime` of Activation\('wrong'\)"):
        net = pnn.Network((4, 5, 3), (wrong, "softmax"), "categorical_cross_entropy")
    data = problem(net, random)
    found = net.gradient_errors(*data)
    assert [(name, errors.shape) for name, errors in found.items()] == [
        *(("W[1]", (5, 4)), ("b[1]", (5, 1)), ("W[2]", (3, 5)), ("b[2]", (3, 1)))
    ]
    assert {name for name, errors in found.items() if errors.max() > 0.01} == {"W[1]", "b[1]"}
    assert net.check_gradients(*data) == max(errors.max() for errors in found.values()) > 0.01


@pytest.mark.filterwarnings("ignore:`g_prime` of Activation:UserWarning")
def test_a_derivative_that_is_nan_is_not_right(random):
    never = pnn.Activation("never", lambda xp, Z: xp.tanh(Z), lambda xp, Z: xp.full_like(Z, xp.nan))
    net = pnn.Network((4, 5, 3), (never, "softmax"), "categorical_cross_entropy")
    assert np.isnan(net.check_gradients(*problem(net, random)))


def test_what_is_not_trained_has_no_gradient_errors(random):
    net = pnn.Network((3, pnn.BatchNorm(), "relu", 1), loss="squared_error")
    params, X = net.initialize(dtype="float64"), random.normal(size=(9, 3))
    assert list(net.gradient_errors(params, X, X[:, :1])) == ["gamma[1]", "beta[1]", "W[2]", "b[2]"]


def test_a_gradient_of_zero_that_is_zero_has_no_error():
    net = pnn.Network((1, 1), ("identity",), "squared_error")
    found = net.gradient_errors(
        [(np.zeros((1, 1)), np.zeros((1, 1)))], np.zeros((2, 1)), np.zeros((2, 1))
    )
    assert max(errors.max() for errors in found.values()) == 0


def test_the_gradient_check_is_right_at_a_kink(random):
    net = pnn.Network((3, 5, 4, 1), ("relu", "relu", "sigmoid"), "binary_cross_entropy")
    X = random.normal(size=(20, 3))
    Y = (X[:, :1] > 0).astype("float64")
    for seed in range(4):  # biases of zero: where the first layer is dead, z = 0 in the second
        assert net.check_gradients(net.initialize(seed=seed, dtype="float64"), X, Y) < 1e-6


def test_a_kink_that_a_few_of_many_rows_have_is_one_too():
    random = np.random.default_rng(0)
    X = random.normal(size=(1000, 4))
    Y = (np.sin(2 * X[:, :1]) + X[:, 1:2] > 0).astype("float64")
    net = pnn.Network((4, 6, 5, 1), ("relu", "relu", "sigmoid"), "binary_cross_entropy")
    for seed in range(6):
        assert net.check_gradients(net.initialize(seed=seed, dtype="float64"), X, Y) < 1e-6


def test_a_long_step_is_as_wrong_as_it_is_long(random):
    net = pnn.Network((3, 4, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
    data = problem(net, random)
    errors = [net.check_gradients(*data, epsilon=h) for h in (1e-3, 1e-2, 1e-1)]
    np.testing.assert_allclose(np.diff(np.log10(errors)), 2, atol=0.1)


def test_a_step_that_moves_nothing_is_refused(random):
    net = network()
    params, X, Y = problem(net, random)
    far = [(1e12 * W, b) for W, b in params]
    for given, epsilon in ((params, 1e-20), (far, 1e-5)):
        with pytest.raises(ValueError, match=r"`epsilon` is .*, too small to move a parameter of"):
            net.check_gradients(given, X, Y, epsilon=epsilon)
    single = [tuple(array.astype("float32") for array in layer) for layer in params]
    assert net.check_gradients(single, X.astype("float32"), Y.astype("float32"), epsilon=1e-2) < 1e-2


def test_the_gradient_check_refuses_a_stack_and_an_epsilon_of_zero(random):
    net = network()
    params, X, Y = problem(net, random)
    with pytest.raises(ValueError, match="`epsilon`"):
        net.check_gradients(params, X, Y, epsilon=0.0)
    with pytest.raises(ValueError, match="`params` is a stack"):
        net.check_gradients(net.initialize(stack=(2,), dtype="float64"), X, Y)
