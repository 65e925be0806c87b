"""Networks of layers on every backend: the same parameters, gradients and trainings."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_place, flat, relative
from layer_networks import EMBEDDED, NORMALIZED, network_of, rows

import portable_nn as pnn

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
NETWORKS = {"embedded": EMBEDDED, "normalized": NORMALIZED}


def compared(backend, ours, theirs, dtype):
    """The largest difference, each array being where and what it should be."""
    worst = 0.0
    for array, expected in zip(flat(ours), flat(theirs), strict=True):
        assert (array is None) == (expected is None)
        if array is not None:
            assert_place(array, backend, dtype, expected.shape)
            worst = max(worst, relative(backend.to_numpy(array), expected))
    return worst


# each of them once as a stack, and once in float32: on JAX they are compiled operation by operation
@pytest.mark.parametrize(
    ("name", "stack", "dtype"),
    [
        ("embedded", (2,), "float64"),
        ("embedded", (), "float32"),
        ("normalized", (2,), "float64"),
        ("normalized", (), "float32"),
    ],
)
def test_gradients_and_predictions_match(name, stack, dtype, backend, random, margin):
    net = network_of(*NETWORKS[name])
    expected = net.initialize(dtype=dtype, stack=stack)
    params = net.initialize(dtype=dtype, stack=stack, backend=backend)
    for array, theirs in zip(flat(params), flat(expected), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(array), theirs)
    X, Y = rows(random, dtype=dtype)
    x, y = backend.asarray(X), backend.asarray(Y)
    J, grads = net.cost_and_gradients(params, x, y, l2=0.1)
    expected_J, expected_grads = net.cost_and_gradients(expected, X, Y, l2=0.1)
    assert_place(J, backend, dtype, stack)
    found = compared(backend, grads, expected_grads, dtype)
    found = max(found, relative(backend.to_numpy(J), expected_J))
    A = net.predict(params, x)
    assert_place(A, backend, dtype, (*stack, len(X), 2))
    found = max(found, relative(backend.to_numpy(A), net.predict(expected, X)))
    what = f"{backend.name} {backend.device_name()} {dtype}"
    assert margin("layers' gradients", what, found) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", NETWORKS)
def test_trainings_match(name, backend, random, margin):
    net = network_of(*NETWORKS[name])
    X, Y = rows(random, 50)
    # what a batch normalization takes out again has no gradient but rounding, which Adam would enlarge
    optimizer = pnn.SGD(0.05, momentum=0.9)
    how = {"optimizer": optimizer, "epochs": 3, "batch_size": 16, "dropout": 0.2, "seed": 4}
    expected, history = pnn.fit(net, net.initialize(dtype="float64"), X, Y, validation=(X, Y), **how)
    x, y = backend.asarray(X), backend.asarray(Y)
    start = net.initialize(dtype="float64", backend=backend)
    params, ours = pnn.fit(net, start, x, y, validation=(x, y), **how)
    found = max(
        compared(backend, params, expected, "float64"),
        relative(ours.cost, history.cost),
        relative(ours.validation_cost, history.validation_cost),
    )
    what = f"{backend.name} {backend.device_name()}"
    assert margin("layers' parameters after training", what, found) < 1e-10
