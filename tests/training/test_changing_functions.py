"""User-defined functions whose surroundings change between epochs, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import host, samples, to, worst

import portable_nn as pnn
from portable_nn.compiler.numpy import CompiledStep


class Anneal:
    def __init__(self):
        self.factor, self.more = 1.0, {"shift": [0.0]}

    def g(self, xp, Z):
        return Z * self.factor + self.more["shift"][0]

    def g_prime(self, xp, Z):
        return xp.ones_like(Z) * self.factor

    def on_epoch_end(self, state):
        if state.epoch == 2:
            self.factor, self.more["shift"][0] = 0.5, 0.25


def train(backend, X, Y):
    anneal = Anneal()
    own = pnn.Activation("own", anneal.g, anneal.g_prime)
    net = pnn.Network((3, 4, 2), (own, "identity"), "squared_error")
    params = to(backend, net.initialize(dtype="float64"))
    X, Y = backend.asarray(X), backend.asarray(Y)
    options = {"callbacks": [anneal], "validation": (X, Y)}
    found, history = pnn.fit(net, params, X, Y, pnn.SGD(0.1), 4, 8, **options)
    return [*host(backend, found), np.asarray(history.cost), np.asarray(history.validation_cost)]


def test_an_object_that_changes_between_epochs_is_read_again(backend, monkeypatch, random):
    X, Y = samples(random, 24, 3, 2, "float64")
    found = train(backend, X, Y)
    monkeypatch.setattr(CompiledStep, "program", lambda *_, **__: None)  # NumPy, eagerly
    assert worst(found, train(pnn.backends.get("numpy"), X, Y)) < 1e-12


class Scale:
    factor = 1.0


class Slotted:
    __slots__ = ("factor",)


def slotted():
    found = Slotted()
    found.factor = 1.0
    return found


@pytest.mark.parametrize("make", [lambda: Scale, slotted], ids=["class attribute", "slot"])
def test_what_cannot_be_compared_is_read_again_too(backend, monkeypatch, random, make):
    X, Y = samples(random, 24, 3, 2, "float64")

    def costs(backend):
        holder = make()
        holder.factor = 1.0

        class Mover(pnn.Callback):
            def on_epoch_end(self, state):
                holder.factor = holder.factor + 1

        def g(xp, Z):
            return holder.factor * Z

        def g_prime(xp, Z):
            return holder.factor * xp.ones_like(Z)

        net = pnn.Network((3, 4, 2), (pnn.Activation("own", g, g_prime), "identity"), "squared_error")
        params = net.initialize(backend=backend, dtype="float64")
        given = backend.asarray(X), backend.asarray(Y)
        return pnn.fit(net, params, *given, pnn.SGD(0.1), 3, 8, callbacks=[Mover()])[1].cost

    found = costs(backend)
    monkeypatch.setattr(CompiledStep, "program", lambda *_, **__: None)  # NumPy, eagerly
    assert worst([found], [costs(pnn.backends.get("numpy"))]) < 1e-12
