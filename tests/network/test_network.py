"""Network: what it is, its predictions, functions of the user, and what it refuses to be."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import assert_place, flat, network, problem, relative, to

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


def test_a_network_is_frozen_hashable_and_equal_by_value():
    net = pnn.Network((4, 5, 3), ("relu", pnn.leaky_relu(0.2)), "huber")
    same = pnn.Network([4, 5, 3], ["relu", pnn.leaky_relu(0.2)], pnn.huber(1.0))
    assert net == same
    assert hash(net) == hash(same)
    assert net != pnn.Network((4, 5, 3), ("relu", pnn.leaky_relu(0.1)), "huber")
    assert pickle.loads(pickle.dumps(net)) == net
    assert repr(net) == "Network((4, 5, 3), activations=('relu', 'leaky_relu'), loss='huber')"
    with pytest.raises(AttributeError):
        net.sizes = (1, 2)  # type: ignore[misc]


def test_predictions_and_activations_are_rows(backend, dtype, random):
    net = network("relu")
    params, X, _ = problem(net, random, dtype=dtype)
    ours, x = to(backend, params), backend.asarray(X)
    A = net.activations(ours, x)
    assert_place(A[0], backend, dtype, (7, 5))
    assert_place(A[1], backend, dtype, (7, 3))
    (W, b), _ = params
    assert relative(backend.to_numpy(A[0]), np.maximum(X @ W.T + b.T, 0)) < 1e-5
    np.testing.assert_allclose(backend.to_numpy(net.predict(ours, x)).sum(axis=1), 1, rtol=1e-5)


def test_a_user_defined_activation_and_loss_train(backend, random):
    square = pnn.Activation("square", lambda xp, Z: Z * Z, lambda xp, Z: 2 * Z)
    quartic = pnn.Loss("quartic", lambda xp, A, Y: (A - Y) ** 4 / 4, lambda xp, A, Y: (A - Y) ** 3)
    net = pnn.Network((2, 2, 2), (square, square), quartic)
    params, X, Y = problem(net, random)
    ours, x, y = to(backend, params), backend.asarray(X / 3), backend.asarray(Y)
    assert net.check_gradients(ours, x, y) < 1e-7
    start = float(net.cost(ours, x, y))
    trained, _ = pnn.fit(net, ours, x, y, epochs=20)
    assert float(net.cost(trained, x, y)) < start


@pytest.mark.usefixtures("host_only")
def test_parameters_of_another_dtype_than_the_data_are_refused_with_the_way_out(random):
    net = pnn.Network((2, 1), ("identity",), "squared_error")
    X = random.normal(size=(4, 2))
    with pytest.raises(TypeError, match=r"begin with net\.initialize\(dtype='float64'\)"):
        pnn.fit(net, net.initialize(0), X, X[:, :1])
    with pytest.raises(TypeError) as caught:
        pnn.fit(net, net.initialize(0), X.astype("float32"), X[:, :1])
    assert "initialize" not in str(caught.value)  # X is as the parameters are


@pytest.mark.usefixtures("host_only")
def test_functions_that_no_module_has_defined_are_user_defined(random):
    names: dict = {}
    exec("def g(xp, Z): return Z * Z\ndef g_prime(xp, Z): return 2 * Z", {}, names)
    assert names["g"].__module__ is None
    square = pnn.Activation("square", names["g"], names["g_prime"])
    net = pnn.Network((2, 2, 2), (square, square), "squared_error")
    params, X, Y = problem(net, random)
    callbacks = [pnn.EarlyStopping()]
    assert pnn.fit(net, params, X / 3, Y, epochs=2, callbacks=callbacks)[1].epochs == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: pnn.Activation("mine", np.sin, np.cos),
            r"`g` of Activation\('mine'\) fails.*g\(xp, Z\)",
        ),
        (
            lambda: pnn.Activation("mine", lambda xp, Z: np.float64(2) * Z, lambda xp, Z: Z),
            "dtype float64",
        ),
        (
            lambda: pnn.Activation("mine", lambda xp, Z: Z, lambda xp, Z: Z.T),
            r"`g_prime`.*shape \(2, 3\)",
        ),
        (lambda: pnn.Activation("mine", lambda xp, Z: Z, None, lambda xp, Z: Z), r"`delta`.*fails"),
        (
            lambda: pnn.Loss("mine", lambda xp, A, Y: xp.mean((A - Y) ** 2), lambda xp, A, Y: A),
            r"shape \(\)",
        ),
        (lambda: pnn.Loss("mine", lambda xp, A, Y: (A - Y).T, lambda xp, A, Y: A), r"shape \(2, 3\)"),
        (lambda: pnn.Loss("mine", lambda xp, A, Y: A, lambda xp, A, Y: 1.0), "`derivative`.*fails"),
    ],
)
def test_a_user_defined_activation_or_loss_is_first_tried_on_a_tiny_batch(make, message):
    mine = make()
    activation = mine if isinstance(mine, pnn.Activation) else "tanh"
    loss = mine if isinstance(mine, pnn.Loss) else "squared_error"
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.Network((4, 3), (activation,), loss)


@pytest.mark.parametrize(
    ("output", "loss", "units", "message"),
    [
        (
            "identity",
            "binary_cross_entropy",
            3,
            "'identity' is not meant for .*: use sigmoid or softmax",
        ),
        ("relu", "categorical_cross_entropy", 3, "'relu' is not meant for categorical.*: use softmax"),
        (pnn.relu(at_zero=0.0), "poisson", 3, "'relu' is not meant for poisson: use exp or softplus"),
        (pnn.leaky_relu(0.3), "binary_cross_entropy", 1, "'leaky_relu' is not meant for binary.*"),
        ("tanh", "poisson", 3, "'tanh' is not meant for poisson: use exp or softplus"),
        (
            "softmax",
            "categorical_cross_entropy",
            1,
            "softmax is not meant for a single output.*use sigmoid",
        ),
    ],
)
def test_an_output_activation_that_does_not_suit_the_loss_gives_a_warning(output, loss, units, message):
    with pytest.warns(UserWarning, match=message) as caught:
        pnn.Network((4, units), (output,), loss)
    assert caught[0].filename == __file__


def test_an_activation_with_the_name_of_the_matched_one_is_not_mistaken_for_it(random):
    fake = pnn.Activation("softmax", lambda xp, Z: xp.exp(-Z * Z), lambda xp, Z: -2 * Z * xp.exp(-Z * Z))
    net = pnn.Network((4, 3), (fake,), "categorical_cross_entropy")
    assert net.check_gradients(*problem(net, random)) < 1e-7


def test_a_network_can_be_traced_by_jax(random, jax):
    net = network()
    params, X, Y = problem(net, random)
    J, grads = jax.jit(net.cost_and_gradients)(params, X, Y)
    assert float(J) == pytest.approx(float(net.cost(params, X, Y)), rel=1e-12)
    x, y = jax.numpy.asarray(X), jax.numpy.asarray(Y)
    closed_over = jax.jit(jax.grad(lambda p: net.cost(p, x, y)))(
        [(jax.numpy.asarray(W), jax.numpy.asarray(b)) for W, b in params]
    )
    for ours, theirs in zip(flat(grads), flat(closed_over), strict=True):
        assert relative(ours, theirs) < 1e-12
    autodiff = jax.grad(lambda p: net.cost(p, jax.numpy.asarray(X), jax.numpy.asarray(Y)))(
        [(jax.numpy.asarray(W), jax.numpy.asarray(b)) for W, b in params]
    )
    for ours, theirs in zip(flat(grads), flat(autodiff), strict=True):
        assert relative(ours, theirs) < 1e-12


@pytest.mark.parametrize(
    "make",
    [
        lambda: pnn.Activation(3, abs, abs),
        lambda: pnn.Activation("mine", abs, None),
        lambda: pnn.Activation("mine", [1], abs),
        lambda: pnn.Loss("mine", abs, {}),
        lambda: pnn.Loss("mine", abs, abs, targets="labels"),
        lambda: pnn.Loss("mine", abs, abs, matched="sigmoid"),
        lambda: pnn.Loss("mine", abs, abs, value_from_Z=3),
        lambda: pnn.Activation("mine", abs, abs, 5),
    ],
)
def test_an_invalid_activation_or_loss_is_refused(make):
    with pytest.raises((TypeError, ValueError), match="accepted"):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4,), (), "huber"), "`sizes`"),
        ((4, ("relu",), "huber"), "`sizes`"),
        (((4, 0), ("relu",), "huber"), r"`sizes\[1\]` is 0"),
        (((4, 2.5), ("relu",), "huber"), r"`sizes\[1\]` is 2.5"),
        (((4, True), ("relu",), "huber"), r"`sizes\[1\]` is True"),
        (((4, 3), ("relu", "relu"), "huber"), "`activations`.*1 of them"),
        (((4, 3), "relu", "huber"), "`activations` is 'relu'"),
        (((4, 3), ("rellu",), "huber"), "unknown activation 'rellu'.*did you mean 'relu'"),
        (((4, 3), (None,), "huber"), "None.*portable_nn.Activation"),
        (((4, 3), ("relu",), "mse"), "unknown loss 'mse'; known: absolute_error"),
        (((4, 3), ("relu",), 7), "7.*portable_nn.Loss"),
    ],
)
def test_an_invalid_network_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.Network(*arguments)
