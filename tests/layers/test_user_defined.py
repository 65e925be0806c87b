"""A user-defined layer: what is found wrong with it, and that it is trained like ours."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from helpers import flat

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


@dataclass(frozen=True)
class Gate(pnn.Layer):
    """z sigmoid-like by a trained slope: z / (1 + |a z|)."""

    start: float = 1.0

    def parameters(self, n):
        return (pnn.Parameter("a", (n, 1), "scales", self.start),)

    def forward(self, xp, theta, A):
        (a,) = theta
        return A / (1 + xp.abs(a * A)), A

    def backward(self, xp, theta, kept, dA):
        (a,), A = theta, kept
        s = (1 + xp.abs(a * A)) ** 2
        da = -xp.abs(A) * A * xp.sign(a) / s
        return dA / s, ((1 / dA.shape[-1]) * xp.sum(dA * da, axis=-1, keepdims=True),)


@dataclass(frozen=True)
class Pairs(pnn.Layer):
    """The sum of neighbouring units: half as many, and no arrays."""

    def width(self, n):
        if n % 2:
            raise ValueError(f"{n} units are no pairs")
        return n // 2

    def forward(self, xp, theta, A):
        n = A.shape[-2] // 2
        return A[..., :n, :] + A[..., n:, :], None

    def backward(self, xp, theta, kept, dA):
        return xp.concat([dA, dA], axis=-2), ()


NET = pnn.Network((3, 4, Gate(), Pairs(), 2), loss="squared_error")


@pytest.fixture
def data(random):
    return random.normal(size=(12, 3)), random.normal(size=(12, 2))


def test_it_is_trained_like_ours(data):
    params = NET.initialize(dtype="float64")
    assert NET.check_gradients(params, *data) < 1e-7
    assert [a.name for a in NET.arrays] == ["W[1]", "b[1]", "a[2]", "W[3]", "b[3]"]
    trained, history = pnn.fit(NET, params, *data, pnn.Adam(0.05), epochs=20, batch_size=4)
    assert history.cost[-1] < 0.5 * history.cost[0]
    assert np.any(trained[1][0] != params[1][0])
    again, _ = pnn.fit(pickle.loads(pickle.dumps(NET)), params, *data, pnn.Adam(0.05), 20, 4)
    for a, b in zip(flat(trained), flat(again), strict=True):
        np.testing.assert_array_equal(a, b)


def wrong(**methods):
    """`Gate` with other methods."""
    return dataclass(frozen=True)(type("Wrong", (Gate,), {"__annotations__": {}, **methods}))()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (wrong(forward=lambda self, xp, theta, A: A), "fails on a batch"),
        (wrong(forward=lambda self, xp, theta, A: (A[:2], A)), "gave shapes and dtypes"),
        (wrong(backward=lambda self, xp, theta, kept, dA: (dA, ())), "gave shapes and dtypes"),
        (wrong(backward=lambda self, xp, theta, kept, dA: (dA, (dA,))), "gave shapes and dtypes"),
        (wrong(width=lambda self, n: 0), "`width` of Wrong gave 0"),
        (wrong(parameters=lambda self, n: ("a",)), "accepted: portable_nn.Parameter"),
        (wrong(parameters=lambda self, n: (pnn.Parameter("a", (n,), "scales"),)), "two numbers"),
        (wrong(parameters=lambda self, n: (pnn.Parameter("a", (n, 1), "scale"),)), "weights, biases"),
        (wrong(parameters=lambda self, n: 1 / 0), "fails with 4 units below: ZeroDivisionError"),
        (pnn.Layer(), "defines no `forward`"),
        (wrong(parameters=lambda self, n: 2 * (pnn.Parameter("a", (n, 1), "scales"),)), "there twice"),
        (
            wrong(parameters=lambda self, n: (pnn.Parameter("a[1]", (n, 1), "scales"),)),
            "a letter or a word",
        ),
        (wrong(parameters=lambda self, n: (pnn.Parameter("a", (n, 1), "statistics"),)), "no `moved`"),
        (type("Plain", (Gate,), {})(), "is no dataclass"),
    ],
)
def test_what_is_wrong_with_it_is_said_when_the_network_is_made(layer, message):
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.Network((3, 4, layer, 2), loss="squared_error")


def test_a_derivative_that_is_another_functions_is_warned_of():
    def backward(self, xp, theta, kept, dA):
        below, (da,) = Gate().backward(xp, theta, kept, dA)
        return below, (2 * da,)

    with pytest.warns(UserWarning, match="dJ/da by `backward` of Wrong is .* but differences"):
        pnn.Network((3, 4, wrong(backward=backward), 2), loss="squared_error")

    def backward_below(self, xp, theta, kept, dA):
        below, grads = Gate().backward(xp, theta, kept, dA)
        return -below, grads

    with pytest.warns(UserWarning, match="dL/dA by `backward` of Wrong is"):
        pnn.Network((3, 4, wrong(backward=backward_below), 2), loss="squared_error")


def test_units_that_do_not_fit_are_refused():
    with pytest.raises((TypeError, ValueError), match="3 units are no pairs"):
        pnn.Network((3, 3, Pairs(), 2), loss="squared_error")


def test_initial_values_are_drawn_given_or_refused():
    def net(initial):
        layer = wrong(parameters=lambda self, n: (pnn.Parameter("a", (n, 1), "scales", initial),))
        return pnn.Network((3, layer, 2), loss="squared_error")

    np.testing.assert_array_equal(net([[1], [2], [3]]).initialize()[0][0], [[1], [2], [3]])
    drawn = net(lambda random, shape: random.uniform(1, 2, shape))
    values = drawn.initialize(seed=5)[0][0]
    np.testing.assert_array_equal(drawn.initialize(seed=5)[0][0], values)
    assert values.min() > 1
    with pytest.raises(ValueError, match=r"`initial` of 'a' gave .*shape \(2,\)"):
        net([1, 2]).initialize()
    with pytest.raises(ValueError, match="finite"):
        net(float("nan")).initialize()


@dataclass(frozen=True)
class Doubling(pnn.Layer):
    """Right, but it writes into what it is given: below as it goes up, above as it comes back."""

    on_the_way_up: bool = True

    def forward(self, xp, theta, A):
        if self.on_the_way_up:
            A *= 2
            return A, None
        return 2 * A, None

    def backward(self, xp, theta, kept, dA):
        if self.on_the_way_up:
            return 2 * dA, ()
        dA *= 2
        return dA, ()


@pytest.mark.parametrize("on_the_way_up", [True, False])
def test_a_layer_that_writes_into_its_arguments_is_refused(on_the_way_up):
    with pytest.raises(ValueError, match=r"Doubling changes its arguments in place.*accepted"):
        pnn.Network((3, Doubling(on_the_way_up), 2), loss="squared_error")
