"""User-defined activations and optimizers in steps compiled for NumPy, or run eagerly."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import Own, samples
from training_helpers import assert_same, assert_same_with

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.mark.parametrize(
    "g",
    [
        lambda xp, Z: Z if float(xp.max(Z)) > 0 else -Z,
        lambda xp, Z: np.vectorize(lambda z: z)(np.asarray(Z)),
        lambda xp, Z: -Z if max(Z[0, :]) > 0 else Z,
    ],
)
def test_an_activation_that_reads_values_runs_eagerly(g, fit_eagerly, random):
    own = pnn.Activation("own", g, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(), 2, 8)
    assert_same(pnn.fit(*given), fit_eagerly(*given))


def test_an_error_in_a_user_defined_function_reaches_the_user(random):
    def wrong(xp, Z):
        if Z.shape[-1] == 8:
            raise ZeroDivisionError("mine")
        return Z

    own = pnn.Activation("own", wrong, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    with pytest.raises(ZeroDivisionError, match="mine"):
        pnn.fit(net, net.initialize(dtype="float64"), X, Y, batch_size=8)


def test_a_value_that_is_read_prevents_tracing_even_if_the_error_is_caught(fit_eagerly, random):
    def scaled(xp, Z):
        try:
            largest = float(xp.max(xp.abs(Z)))
        except TypeError:
            largest = 1.0
        return Z / (1 + largest)

    own = pnn.Activation("own", scaled, lambda xp, Z: xp.ones_like(Z))
    assert_same_with(own, fit_eagerly, random)


def filled(xp, Z):
    """Z, by mode of an array that a function of NumPy fills."""
    out = np.zeros(Z.shape, Z.dtype)
    np.concatenate([Z[:20, :], Z[20:, :]], out=out)
    return out


@pytest.mark.parametrize(
    "g",
    [
        lambda xp, Z: xp.clip(Z, -1.0, 1.0),  # array_api_compat passes `out` to NumPy
        filled,
        lambda xp, Z: (0.3 > 0) * Z,  # noqa: PLR0133  (a Python bool in the formula)
        lambda xp, Z: xp.where(Z > 0, Z, xp.zeros_like(Z)),
        lambda xp, Z: 0.3 * xp.astype((Z > 0) + (Z < 1), Z.dtype),  # of bools: or
        lambda xp, Z: xp.matrix_transpose(xp.matrix_transpose(Z) * 0.5),
        lambda xp, Z: xp.maximum(Z, -Z) * xp.asarray([0.5], dtype=Z.dtype),
        lambda xp, Z: Z[::-1, :],
    ],
    ids=["clip", "out", "bool", "where", "bools", "transpose", "constant", "reversed"],
)
def test_user_defined_functions_give_the_same_bits(g, mode, fit_eagerly, random):
    own = pnn.Activation("own", g, lambda xp, Z: xp.ones_like(Z))
    assert_same_with(own, fit_eagerly, random)


def test_random_numbers_are_drawn_in_each_step(random):
    drawn = []

    def noisy(xp, Z):
        drawn.append(random.normal())
        return Z + drawn[-1]

    own = pnn.Activation("own", noisy, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 160, 5, 2, "float64")
    drawn.clear()
    pnn.fit(net, net.initialize(dtype="float64"), X, Y, epochs=2, batch_size=8)
    assert len(drawn) >= 2 * 20


@pytest.mark.parametrize("in_place", [False, True])
def test_what_a_user_defined_function_reads_may_change_between_epochs(in_place, fit_eagerly, random):
    factor = np.ones(1, "float32")

    def scaled(xp, Z):
        return Z * factor if in_place else Z * float(factor[0])

    class Anneal:
        def on_epoch_end(self, state):
            factor[0] = 0.5**state.epoch

    own = pnn.Activation("own", scaled, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 160, 5, 2, "float32")
    given = (net, net.initialize(), X, Y, pnn.SGD(0.05), 4, 16)
    found = pnn.fit(*given, callbacks=[Anneal()], validation=(X, Y))
    factor[0] = 1.0
    assert_same(found, fit_eagerly(*given, callbacks=[Anneal()], validation=(X, Y)))


@pytest.mark.parametrize("kind", ["shift", "swap", "turn", "keep", "twice"])
@pytest.mark.parametrize("batch_size", [8, 30])
def test_a_user_defined_rule_may_use_its_arrays_in_any_order(kind, batch_size, fit_eagerly, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 64, 3, 2, "float64")
    start = net.initialize(dtype="float64")
    given = (net, start, X, Y, Own(0.05, way=kind), 5, batch_size)
    found = pnn.fit(*given)
    assert_same(found, fit_eagerly(*given))
