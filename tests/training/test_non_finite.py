"""A cost or parameters that are not finite stop the training, and the last finite ones are kept."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import OPTIMIZERS, host, network, to

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


def test_a_cost_that_is_not_finite_stops_and_keeps_the_last_finite_parameters(training_problem, backend):
    net = network("identity", "identity", "squared_error")
    _, params, X, Y = training_problem
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    rate = pnn.schedules.step_decay(1e-3, every=2, factor=1e200)  # the second epoch explodes
    with pytest.raises(pnn.NonFiniteCostError, match=r"in epoch 2.*smaller learning rate") as caught:
        pnn.fit(net, ours, x, y, pnn.SGD(), epochs=5, batch_size=20, schedule=rate)
    assert caught.value.epoch == 2
    expected, history = pnn.fit(net, ours, x, y, pnn.SGD(), epochs=1, batch_size=20, schedule=rate)
    for a, b in zip(host(backend, caught.value.params), host(backend, expected), strict=True):
        np.testing.assert_array_equal(a, b)
    assert caught.value.history.cost == history.cost
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.epoch) == (str(caught.value), 2)


def test_a_cost_that_overflows_in_the_first_epoch_is_reported(training_problem):
    net = network("identity", "identity", "squared_error")
    _, params, X, Y = training_problem
    with pytest.raises(pnn.NonFiniteCostError, match="epoch 1"):
        pnn.fit(
            net,
            params,
            X * 1e200,
            Y,
            pnn.SGD(1e200),
            epochs=1,
            batch_size=None,
            schedule=lambda s: 1e200,
        )


@pytest.mark.parametrize("broken", ["weight", "bias"])
def test_parameters_that_overflow_after_a_finite_cost_are_reported(broken, backend):
    net = pnn.Network((1, 1), ("identity",), "squared_error")
    params = [(backend.asarray([[0.0]]), backend.asarray([[0.0]]))]
    x = backend.asarray([[100.0 if broken == "weight" else 0.0]])
    y = backend.asarray([[1.0 if broken == "weight" else 100.0]])
    seen = []

    class Watch(pnn.Callback):
        def on_epoch_end(self, state):
            seen.append(state.history.cost[-1])

    with pytest.raises(pnn.NonFiniteCostError, match="epoch 1"):
        pnn.fit(net, params, x, y, pnn.SGD(), epochs=1, schedule=lambda s: 1e308, callbacks=[Watch()])
    assert not seen
    assert np.isfinite(float(net.cost(params, x, y)))  # the cost of that epoch, taken before the update


def test_a_validation_cost_that_is_not_finite_stops_the_training(training_problem):
    net = network("identity", "identity", "squared_error")
    _, params, X, Y = training_problem
    with pytest.raises(pnn.NonFiniteCostError, match="epoch 1"):
        pnn.fit(net, params, X, Y, epochs=2, validation=(X * 1e200, Y))


def huge(backend, dtype):
    """A regression whose gradients are finite, and their squares, in this dtype, are not."""
    random = np.random.default_rng(0)
    size = 1e11 if dtype == "float32" else 1e100
    X = random.normal(size=(80, 4))
    Y = 2 * X[:, :1] + X[:, 1:2]
    net = pnn.Network((4, 1), ("identity",), "squared_error")
    params = net.initialize(backend=backend, dtype=dtype)
    return net, params, *(backend.asarray((size * each).astype(dtype)) for each in (X, Y))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_huge_gradient_that_is_clipped_makes_a_step(optimizer, backend, dtype):
    net, params, X, Y = huge(backend, dtype)
    found, history = pnn.fit(
        net, params, X, Y, optimizer, epochs=20, batch_size=None, clip_norm=1.0, seed=0
    )
    assert history.cost[-1] < history.cost[0]
    moved = [
        np.max(np.abs(a - b)) for a, b in zip(host(backend, found), host(backend, params), strict=True)
    ]
    assert max(moved) > 10 * 5e-4  # ten of RMSprop's steps and more


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_where_squares_of_gradients_overflow_training_never_stands_still_in_silence(
    optimizer, backend, dtype
):
    net, params, X, Y = huge(backend, dtype)
    if isinstance(optimizer, pnn.SGD):  # which keeps no squares: the right rate for such data is enough
        size = float(backend.to_numpy(X).std()) ** 2
        _, history = pnn.fit(net, params, X, Y, pnn.SGD(0.5 / size), epochs=20, batch_size=None)
        assert history.cost[-1] < 1e-3 * history.cost[0]
    else:
        with pytest.raises(pnn.NonFiniteCostError, match=r"square of a gradient.*epoch 1"):
            pnn.fit(net, params, X, Y, optimizer, epochs=3, batch_size=None)
