"""Training compiled for NumPy changes nothing that others hold, and holds nothing of theirs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers import samples

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


class Keeper:
    def __init__(self):
        self.kept, self.copies = [], []

    def on_train_begin(self, state):
        self.on_epoch_end(state)

    def on_epoch_end(self, state):
        arrays = [a for layer in state.params for a in layer]
        arrays += [a for layer in state.optimizer_state.slots for those in layer for a in those]
        self.kept.append(arrays)
        self.copies.append([np.array(a) for a in arrays])


def test_arrays_that_a_callback_keeps_do_not_change_later(mode, random):
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    keeper, params = Keeper(), net.initialize(dtype="float64")
    _, history = pnn.fit(net, params, X, Y, epochs=4, batch_size=8, callbacks=[keeper])
    given = history.optimizer_state
    before = [np.array(a) for layer in given.slots for those in layer for a in those]
    pnn.fit(net, params, X, Y, epochs=2, batch_size=8, optimizer_state=given)
    for array, copy in zip(
        (a for layer in given.slots for those in layer for a in those), before, strict=True
    ):
        np.testing.assert_array_equal(array, copy)
    for arrays, copies in zip(keeper.kept, keeper.copies, strict=True):
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_training_continues_from_its_state_to_the_bit(mode, random):
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    params = net.initialize(dtype="float64")

    def order(epoch, n):
        return np.arange(n)

    whole, _ = pnn.fit(net, params, X, Y, epochs=4, batch_size=8, epoch_order=order)
    half, history = pnn.fit(net, params, X, Y, epochs=2, batch_size=8, epoch_order=order)
    state = history.optimizer_state
    rest, _ = pnn.fit(net, half, X, Y, epochs=2, batch_size=8, epoch_order=order, optimizer_state=state)
    for layer, theirs in zip(rest, whole, strict=True):
        for a, b in zip(layer, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_training_holds_no_copy_of_the_data(mode, random):
    net = pnn.Network((64, 16, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 60_000, 64, 2, "float32")
    for rows in (X, np.asfortranarray(X)):
        params = net.initialize()
        pnn.fit(net, params, rows, Y, epochs=1)  # compiles, which takes memory of its own
        tracemalloc.start()
        pnn.fit(net, params, rows, Y, epochs=2)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 4


def test_a_diverging_training_is_noticed(mode, random):
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float32")
    with pytest.raises(pnn.NonFiniteCostError) as caught:
        pnn.fit(net, net.initialize(), X, Y, pnn.SGD(1e30), epochs=9, batch_size=8)
    assert all(np.isfinite(a).all() for layer in caught.value.params for a in layer)
