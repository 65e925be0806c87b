"""Training on torch tensors on the CPU: by NumPy where that works, else by torch."""

from __future__ import annotations

import numpy as np
import pytest

import portable_nn as pnn


@pytest.fixture
def data(random):
    return random.normal(size=(64, 5)), random.normal(size=(64, 2))


def costs(name, g, data, g_prime=lambda xp, Z: xp.ones_like(Z)):
    backend = pnn.backends.get(name)
    net = pnn.Network((5, 6, 2), (pnn.Activation("own", g, g_prime), "identity"), "squared_error")
    params = net.initialize(backend=backend, dtype="float64")
    _, history = pnn.fit(net, params, *map(backend.asarray, data), epochs=2, batch_size=16)
    return history.cost


@pytest.mark.filterwarnings("ignore:`g_prime`")
def test_a_function_that_cannot_be_traced_gives_what_it_gives_on_numpy(torch, data):
    def g(xp, Z):  # `size` is an attribute in the standard, and a method of tensors
        return Z / xp.unique_values(xp.round(Z)).size

    assert costs("torch", g, data) == costs("numpy", g, data)


def test_a_function_for_tensors_alone_is_run_by_torch(torch, data, monkeypatch):
    monkeypatch.setattr("portable_nn.network.choices.check_activation", lambda g: None)
    seen = []

    def g(xp, Z):  # the standard has no error function
        seen.append(type(Z))
        return torch.special.erf(Z)

    found = costs("torch", g, data, lambda xp, Z: 2 / np.pi**0.5 * xp.exp(-Z * Z))
    assert seen[-1] is torch.Tensor
    assert found[1] < found[0]


def test_a_training_on_the_cpu_gives_the_bits_of_numpy(torch, random):
    net = pnn.Network((40, 300, 70, 5), ("relu", "tanh", "softmax"), "categorical_cross_entropy")
    params = net.initialize(seed=1, dtype="float32")
    X = random.normal(size=(200, 40)).astype("float32")
    labels = random.integers(0, 5, size=200)
    options = {"epochs": 3, "batch_size": 64, "l2": 0.1, "clip_norm": 1.0}
    expected, history = pnn.fit(net, params, X, labels, **options)
    theirs = [tuple(torch.from_numpy(array) for array in layer) for layer in params]
    found, ours = pnn.fit(net, theirs, torch.from_numpy(X), torch.from_numpy(labels), **options)
    assert ours.cost == history.cost
    for layer, other in zip(found, expected, strict=True):
        for array, reference in zip(layer, other, strict=True):
            np.testing.assert_array_equal(array.numpy(), reference)
