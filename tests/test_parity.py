"""Parity, the heart: every backend against NumPy, from the same seed, on the same batches."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import PAIRS, assert_place, flat, host, network, problem, to, worst

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS, LOSSES

pytestmark = pytest.mark.filterwarnings("ignore:.*is not meant for")  # every pair is tested

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
OPTIMIZERS = {
    "sgd": pnn.SGD(0.1),
    "momentum": pnn.SGD(0.05, momentum=0.9),
    "nesterov": pnn.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": pnn.RMSprop(0.003),
    "adam": pnn.Adam(0.01),
    "adamw": pnn.AdamW(0.01),
}


def label(backend: pnn.backends.Backend) -> str:
    return f"{backend.name} {backend.device_name()}"


def where(backend: pnn.backends.Backend, dtype: str) -> str:
    return f"{label(backend)} {dtype}"


@pytest.mark.parametrize("scheme", ["auto", "he", "glorot", "normal"])
def test_the_same_seed_gives_the_same_parameters(scheme, backend, dtype):
    net = network("relu")
    expected = net.initialize(seed=7, dtype=dtype, scheme=scheme)
    params = net.initialize(
        seed=7, backend=backend.name, device=backend.device_name(), dtype=dtype, scheme=scheme
    )
    for ours, theirs in zip(flat(params), flat(expected), strict=True):
        assert_place(ours, backend, dtype, theirs.shape)
        np.testing.assert_array_equal(backend.to_numpy(ours), theirs)


# in float32 every output once and every loss once: what a pair adds is their product
IN_FLOAT32 = [(g, "squared_error") for g in ACTIVATIONS] + [("sigmoid", loss) for loss in LOSSES]
IN_FLOAT32 += [("softmax", "categorical_cross_entropy")]


@pytest.mark.parametrize(
    ("output", "loss", "dtype"),
    [(*pair, "float64") for pair in PAIRS] + [(*pair, "float32") for pair in dict.fromkeys(IN_FLOAT32)],
)
def test_gradients_match_for_every_output_and_loss(output, loss, backend, dtype, random, margin):
    net = network("tanh", output, loss)
    params, X, Y = problem(net, random, dtype=dtype)
    w = random.uniform(0.5, 2, size=len(X)).astype(dtype)
    expected_J, expected = net.cost_and_gradients(params, X, Y, l2=0.1, sample_weight=w)
    J, grads = net.cost_and_gradients(
        to(backend, params),
        backend.asarray(X),
        backend.asarray(Y),
        l2=0.1,
        sample_weight=backend.asarray(w),
    )
    assert_place(J, backend, dtype, ())
    for ours, theirs in zip(flat(grads), flat(expected), strict=True):
        assert_place(ours, backend, dtype, theirs.shape)
    difference = worst([backend.to_numpy(J), *host(backend, grads)], [expected_J, *flat(expected)])
    assert margin("gradients", where(backend, dtype), difference) < TOLERANCE[dtype]


# stacks differ in their products and in softmax alone; each activation has its own test in float32
HIDDEN = [(g, (), "float64") for g in ACTIVATIONS]
HIDDEN += [("relu", (3,), "float64"), ("softmax", (3,), "float64"), ("relu", (), "float32")]
HIDDEN += [("softmax", (3,), "float32")]


@pytest.mark.parametrize(("hidden", "stack", "dtype"), HIDDEN)
def test_gradients_and_predictions_match_for_every_hidden(hidden, stack, backend, dtype, random, margin):
    net = pnn.Network((20, 33, 17, 10), (hidden, hidden, "softmax"), "categorical_cross_entropy")
    params = net.initialize(seed=1, dtype=dtype, stack=stack)
    X = random.normal(size=(64, 20)).astype(dtype)
    Y = np.eye(10, dtype=dtype)[random.integers(0, 10, size=64)]
    _, expected = net.cost_and_gradients(params, X, Y)
    x, y, theirs = backend.asarray(X), backend.asarray(Y), to(backend, params)
    J, grads = net.cost_and_gradients(theirs, x, y)
    A = net.predict(theirs, x)
    assert_place(A, backend, dtype, (*stack, 64, 10))
    assert_place(J, backend, dtype, stack)
    difference = worst(host(backend, grads), flat(expected))
    assert margin("gradients", where(backend, dtype), difference) < TOLERANCE[dtype]
    difference = worst([backend.to_numpy(A)], [net.predict(params, X)])
    assert margin("predictions", where(backend, dtype), difference) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_of_each_optimizer_match(name, backend, random, margin):
    net = network("tanh")
    params, X, Y = problem(net, random, n=16)
    expected, ours = params, to(backend, params)
    x, y, optimizer = backend.asarray(X), backend.asarray(Y), OPTIMIZERS[name]
    state, expected_state = optimizer.init(ours), optimizer.init(expected)
    for _ in range(50):
        _, grads = net.cost_and_gradients(ours, x, y)
        ours, state = optimizer.update(ours, grads, state)
        _, grads = net.cost_and_gradients(expected, X, Y)
        expected, expected_state = optimizer.update(expected, grads, expected_state)
    for array, theirs in zip(flat(ours), flat(expected), strict=True):
        assert_place(array, backend, "float64", theirs.shape)
    difference = worst(host(backend, ours), flat(expected))
    assert margin("parameters after 50 steps", label(backend), difference) < 1e-10
    assert worst(flat(expected), flat(params)) > 1e-2  # they did move


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_matches_epoch_by_epoch(name, backend, random, margin):
    net = network("relu")
    params, X, Y = problem(net, random, n=50)
    w = random.uniform(0.5, 2, size=50)
    options = {"optimizer": OPTIMIZERS[name], "epochs": 7, "batch_size": 8, "l2": 0.1, "seed": 4}
    expected, history = pnn.fit(net, params, X, Y, sample_weight=w, validation=(X[:9], Y[:9]), **options)
    x, y = backend.asarray(X), backend.asarray(Y)
    ours, found = pnn.fit(
        net,
        to(backend, params),
        x,
        y,
        sample_weight=backend.asarray(w),
        validation=(x[:9, :], y[:9, :]),
        **options,
    )
    for array, theirs in zip(flat(ours), flat(expected), strict=True):
        assert_place(array, backend, "float64", theirs.shape)
    costs = worst([found.cost, found.validation_cost], [history.cost, history.validation_cost])
    difference = max(costs, worst(host(backend, ours), flat(expected)))
    assert margin("parameters and costs of fit", label(backend), difference) < 1e-10


def test_a_device_without_float64_refuses_it_and_trains_in_float32(random, strict):
    net = network("tanh")
    with pytest.raises(TypeError, match=r"no_float64 has no dtype 'float64'; accepted: .*float32"):
        net.initialize(backend="array_api_strict", device="no_float64", dtype="float64")
    params, X, Y = problem(net, random, dtype="float32")
    device = pnn.backends.get("array_api_strict", "no_float64")
    with pytest.raises(TypeError, match="no dtype 'float64'"):
        device.asarray(X.astype("float64"))
    expected, _ = pnn.fit(net, params, X, Y, epochs=3)
    ours, _ = pnn.fit(net, to(device, params), device.asarray(X), device.asarray(Y), epochs=3)
    for array, theirs in zip(flat(ours), flat(expected), strict=True):
        assert_place(array, device, "float32", theirs.shape)
    assert worst(host(device, ours), flat(expected)) < 1e-5
