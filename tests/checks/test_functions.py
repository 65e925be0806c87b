"""Derivatives of user-defined activations and losses that are not those of their functions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS, LOSSES

pytestmark = pytest.mark.usefixtures("host_only")


def with_activation(g):
    return pnn.Network((2, 3, 3), (g, "identity"), "squared_error")


def with_loss(loss):
    return pnn.Network((2, 3), ("sigmoid",), loss)


def mixed(xp, Z):
    return Z - xp.mean(Z, axis=-2, keepdims=True)


WRONG = {
    "sign": pnn.Activation("own", lambda xp, Z: xp.tanh(Z), lambda xp, Z: xp.tanh(Z) ** 2 - 1),
    "of A": pnn.Activation("own", lambda xp, Z: xp.exp(Z), lambda xp, Z: Z),
    "factor": pnn.Activation("own", lambda xp, Z: Z * Z, lambda xp, Z: 1.98 * Z),
    "one side": pnn.Activation(
        "own", lambda xp, Z: xp.maximum(Z, 0.1 * Z), lambda xp, Z: xp.astype(Z > 0, Z.dtype)
    ),
    "not elementwise": pnn.Activation("own", mixed, lambda xp, Z: xp.ones_like(Z)),
    "Jacobian": pnn.Activation("own", mixed, None, lambda xp, Z, dA: dA),
}
RIGHT = {
    "relu": pnn.Activation(
        "own", lambda xp, Z: xp.maximum(Z, 0.0), lambda xp, Z: xp.astype(Z > 0, Z.dtype)
    ),
    "kinks at the points": pnn.Activation(
        "own", lambda xp, Z: xp.abs(Z - 0.37), lambda xp, Z: 2 * xp.astype(Z > 0.37, Z.dtype) - 1
    ),
    "swinging": pnn.Activation(
        "own", lambda xp, Z: xp.sin(200 * Z), lambda xp, Z: 200 * xp.cos(200 * Z)
    ),
    "coarse": pnn.Activation(
        "own",
        lambda xp, Z: xp.astype(xp.tanh(xp.astype(Z, xp.float32)), Z.dtype),
        lambda xp, Z: 1 - xp.tanh(Z) ** 2,
    ),
    "Jacobian": pnn.Activation("own", mixed, None, lambda xp, Z, dA: mixed(xp, dA)),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_derivative_of_an_activation_is_warned_of(case):
    name = "delta" if case == "Jacobian" else "g_prime"
    message = (
        rf"`{name}` of Activation\('own'\) is \S+ where its argument is \S+, but .* give \S+:.*correct"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        with_activation(WRONG[case])
    assert [each.filename for each in caught] == [__file__]


def test_the_warning_names_the_point_and_both_values():
    g = pnn.Activation("square", lambda xp, Z: Z * Z, lambda xp, Z: Z)
    with pytest.warns(UserWarning, match=r"is 0\.37 where its argument is 0\.37, but .* give 0\.74:"):
        with_activation(g)


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_derivative_is_not_warned_of(case):
    with_activation(RIGHT[case])  # warnings are errors here


def test_random_activations_are_not_judged():
    random = np.random.default_rng(0)
    noisy = pnn.Activation(
        "noisy", lambda xp, Z: Z + random.normal(size=Z.shape).astype(Z.dtype), lambda xp, Z: Z**0
    )
    with_activation(noisy)


def squared(xp, A, Y):
    return (A - Y) ** 2


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (pnn.Loss("own", squared, lambda xp, A, Y: A - Y), r"`derivative` of Loss\('own'\) is"),
        (pnn.Loss("own", squared, lambda xp, A, Y: 2 * (Y - A)), r"`derivative` of Loss\('own'\) is"),
        (
            pnn.Loss(
                "own", lambda xp, A, Y: xp.mean(squared(xp, A, Y), axis=-2, keepdims=True), squared
            ),
            r"`derivative` of Loss\('own'\) is",
        ),
        (
            pnn.Loss("own", squared, lambda xp, A, Y: 2 * (A - Y), ACTIVATIONS["identity"]),
            r"A - Y, which `matched` promises of Loss\('own'\), is",
        ),
    ],
)
def test_a_wrong_derivative_of_a_loss_is_warned_of(loss, message):
    with pytest.warns(UserWarning, match=message):
        with_loss(loss)


def test_right_derivatives_of_losses_are_not_warned_of():
    for loss in LOSSES.values():
        own = pnn.Loss(
            "own",
            lambda xp, A, Y, loss=loss: loss.value(xp, A, Y),
            lambda xp, A, Y, loss=loss: loss.derivative(xp, A, Y),
            loss.matched,
            loss.value_from_Z and (lambda xp, Z, Y, loss=loss: loss.value_from_Z(xp, Z, Y)),
        )
        with_loss(own)


def test_functions_of_the_package_are_not_tried(monkeypatch):
    def fail(*arguments):
        raise AssertionError

    monkeypatch.setattr("portable_nn.network.choices.check_activation", fail)
    monkeypatch.setattr("portable_nn.network.choices.check_loss", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for g in (*ACTIVATIONS.values(), pnn.relu(0.5), pnn.leaky_relu(0.3, 0.4)):
            for loss in (*LOSSES.values(), pnn.huber(2.0), pnn.pinball(0.9)):
                pnn.Network((2, 3), (g,), loss)


def doubled(xp, Z):
    Z *= 2
    return xp.tanh(Z)


def shifted(xp, A, Y):
    A -= Y
    return A * A


IN_PLACE = {
    "activation": lambda: with_activation(
        pnn.Activation("own", doubled, lambda xp, Z: 2 * (1 - xp.tanh(2 * Z) ** 2))
    ),
    "loss": lambda: with_loss(pnn.Loss("own", shifted, lambda xp, A, Y: 2 * (A - Y))),
    "metric": lambda: pnn.fit(
        with_activation("tanh"),
        with_activation("tanh").initialize(),
        np.ones((4, 2), "float32"),
        np.ones((4, 3), "float32"),
        metrics={"own": lambda xp, A, Y: xp.sum(shifted(xp, A, Y), axis=-1)},
    ),
}


@pytest.mark.parametrize("case", IN_PLACE)
def test_a_function_that_writes_into_its_arguments_is_refused(case):
    for _ in range(2):  # what it is tried on is not changed for the next one
        with pytest.raises(ValueError, match=r"changes its arguments in place.*accepted"):
            IN_PLACE[case]()


def test_two_numbers_in_where_are_said_to_have_another_dtype():
    wrong = pnn.Activation(
        "own", lambda xp, Z: xp.maximum(Z, 0.0), lambda xp, Z: xp.where(Z > 0, 1.0, 0.0)
    )
    with pytest.raises(
        ValueError, match=r"dtype float64 .* write xp\.where\(Z > 0, xp\.ones_like\(Z\), 0\.0\)"
    ):
        with_activation(wrong)


def test_what_holds_more_than_an_array_is_said_to_be_converted_as_a_whole():
    net = with_activation("tanh")
    masked, sparse = (
        np.ma.masked_array(np.ones((3, 2)), [[0, 1]] * 3),
        pytest.importorskip("scipy.sparse"),
    )
    for X, advice in (
        (masked, r"fill its gaps, with x\.filled\(value\)$"),
        (sparse.csr_array(np.ones((3, 2))), r"with x\.toarray\(\) say$"),
        ([[1.0, 2.0]], r"with numpy\.asarray\(x\) say$"),
    ):
        with pytest.raises(TypeError, match=advice):
            net.predict(net.initialize(), X)
