"""The steps of training: compiled once, read once an epoch, the same for every memory layout."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import network, to

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


def test_a_step_is_given_to_the_backend_once(training_problem, monkeypatch):
    _, _, X, Y = training_problem
    net = network("silu")  # no other test has trained with it and plain Adam
    params = net.initialize(dtype="float64")
    numpy = pnn.backends.get("numpy")
    scanned = []
    original = type(numpy).scan
    monkeypatch.setattr(type(numpy), "scan", lambda s, f: (scanned.append(f), original(s, f))[1])
    for rate in (0.1, 0.2):
        pnn.fit(net, params, X, Y, pnn.Adam(rate), epochs=2, batch_size=8)
    assert [f.__name__ for f in scanned] == ["step"]


def test_the_host_reads_once_an_epoch(training_problem, backend, monkeypatch):
    net, params, X, Y = training_problem
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    reads = []
    original = type(backend).to_numpy
    monkeypatch.setattr(
        type(backend), "to_numpy", lambda self, a: (reads.append(1), original(self, a))[1]
    )
    if backend.name == "array_api_strict":  # nor is a value looked at behind to_numpy
        for look in ("__float__", "__bool__", "__int__"):
            monkeypatch.setattr(type(x), look, lambda self, look=look: pytest.fail(look))
    counts = []
    for epochs in (2, 7):
        reads.clear()
        pnn.fit(net, ours, x, y, epochs=epochs, batch_size=8, validation=(x, y))
        counts.append(len(reads))
    assert counts[1] - counts[0] == 5


@pytest.mark.device_only
def test_data_for_the_next_epoch_is_sent_before_the_host_waits(training_problem, backend, monkeypatch):
    net, params, X, Y = training_problem
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    said = []
    for name in ("to_numpy", "from_host"):
        original = getattr(type(backend), name)

        def noted(self, a, *rest, name=name, original=original):
            said.append(name if name == "to_numpy" or a.dtype.kind == "f" else "rows")
            return original(self, a, *rest)

        monkeypatch.setattr(type(backend), name, noted)

    def order_of(**options):
        said.clear()
        pnn.fit(net, ours, x, y, epochs=3, batch_size=len(X), **options)
        return [word for word in said if word in ("to_numpy", "rows")][-6:]

    read, sent = "to_numpy", "rows"
    assert order_of() == [sent, sent, read, sent, read, read]
    in_turn = [sent, read, sent, read, sent, read]  # where an epoch may decide on the next
    assert order_of(callbacks=[pnn.Callback()]) == in_turn
    assert order_of(early_stopping=pnn.EarlyStopping()) == in_turn
    assert order_of(epoch_order=lambda epoch, n: np.arange(n)) == in_turn
    assert order_of(seed=np.random.default_rng(0)) == in_turn


@pytest.mark.parametrize("turned", [False, True])
def test_the_optimizer_state_is_kept_for_every_memory_layout_of_the_parameters(turned, backend, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    xp = backend.xp
    X, Y = (backend.asarray(random.normal(size=(64, n))) for n in (3, 2))
    params = net.initialize(dtype="float64", backend=backend)
    if turned:
        columns = [backend.asarray(np.array(backend.to_numpy(W).T, order="C")) for W, _ in params]
        params = [(xp.matrix_transpose(W), b) for W, (_, b) in zip(columns, params, strict=True)]
    _, history = pnn.fit(net, params, X, Y, pnn.SGD(0.05, momentum=0.9), epochs=3, batch_size=8)
    (velocities,) = history.optimizer_state.slots
    for layer in velocities:
        for velocity in layer:
            assert np.abs(backend.to_numpy(velocity)).max() > 0
