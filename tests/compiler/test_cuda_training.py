"""Training by CUDA programs, on a GPU that is none, gives what eager training gives."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_helpers import CLOSE, needs_gcc
from helpers import HIDDEN, OPTIMIZERS, OUTPUTS, Own, samples, training_difference

import portable_nn as pnn

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_trains_as_it_does_eagerly(hidden, dtype, train, fit_eagerly, random, margin):
    net = pnn.Network((12, 33, 20, 4), (hidden, hidden, "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 100, 12, 4, dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    found = training_difference(train(*given), fit_eagerly(*given))
    assert margin(f"GPU program without a GPU, {dtype}", "numpy", found) < CLOSE[dtype]


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_every_pair_of_output_and_loss_trains_as_it_does_eagerly(
    output, loss, dtype, train, fit_eagerly, random
):
    net = pnn.Network((7, 9, 3), ("tanh", output), loss)
    X, Y = samples(random, 60, 7, 3, dtype)
    weight = random.uniform(size=60).astype(dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    options = {"sample_weight": weight, "l2": 0.1, "clip_norm": 0.5, "dropout": 0.25}
    assert training_difference(train(*given, **options), fit_eagerly(*given, **options)) < CLOSE[dtype]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{type(o).__name__}-{o.slots}")
@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_every_optimizer_trains_as_it_does_eagerly(optimizer, stack, train, fit_eagerly, random):
    net = pnn.Network((30, 19, 2), ("relu", "sigmoid"), "binary_cross_entropy")
    X, Y = samples(random, 90, 30, 2, "float64")
    given = (net, net.initialize(dtype="float64", stack=stack), X, Y, optimizer, 2, 20)
    assert training_difference(train(*given), fit_eagerly(*given)) < CLOSE["float64"]


@pytest.mark.parametrize("shape", [(200, 600, 300), (3, 70, 40), (3, 20, 70)], ids=str)
def test_layers_of_any_width_and_batches_of_any_size(shape, train, fit_eagerly, random):
    n, inputs, outputs = shape  # several blocks of threads; lines longer than a block; many outputs
    net = pnn.Network((inputs, outputs), ("softmax",), "categorical_cross_entropy")
    X, Y = samples(random, n, inputs, outputs, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.SGD(0.1), 1, 150)
    options = {"l2": 0.1}
    assert (
        training_difference(train(*given, **options), fit_eagerly(*given, **options)) < CLOSE["float64"]
    )


def test_data_in_any_memory_layout_gives_the_same(train, random):
    net = pnn.Network((6, 8, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 80, 6, 2, "float64")
    given = {"params": net.initialize(dtype="float64"), "Y": Y, "batch_size": 8, "epochs": 2}
    expected = train(net, X=X, **given)
    wide = np.repeat(X, 2, axis=1)
    for other in (np.asfortranarray(X), wide[:, ::2], X[::-1].copy()[::-1]):
        assert training_difference(train(net, X=other, **given), expected) == 0.0


def test_schedules_early_stopping_and_continued_training_give_the_same(train, fit_eagerly, random):
    net = pnn.Network((6, 8, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 70, 6, 2, "float64")
    options = {
        "schedule": pnn.schedules.cosine(0.05, 60),
        "validation": (X[:30], Y[:30]),
        "early_stopping": pnn.EarlyStopping(patience=2),
    }
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(), 30, 16)
    found, expected = train(*given, **options), fit_eagerly(*given, **options)
    assert len(found[1].cost) == len(expected[1].cost)
    assert training_difference(found, expected) < 1e-11
    state = {"optimizer_state": found[1].optimizer_state}
    again = (net, found[0], X, Y, pnn.Adam(), 2, 16)
    assert training_difference(train(*again, **state), fit_eagerly(*again, **state)) < 1e-11


@pytest.mark.parametrize("kind", ["shift", "swap", "turn", "keep", "twice"])
def test_a_user_defined_rule_may_use_its_arrays_in_any_order(kind, train, fit_eagerly, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 64, 3, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, Own(0.05, way=kind), 5, 10)
    assert training_difference(train(*given), fit_eagerly(*given)) < CLOSE["float64"]


@pytest.mark.parametrize("kind", ["classes", "two classes"])
def test_class_indices_and_bytes_train_as_they_do_eagerly(kind, train, fit_eagerly, random):
    X = random.integers(0, 255, size=(90, 30)).astype("uint8")
    if kind == "classes":
        net = pnn.Network((30, 19, 4), ("relu", "softmax"), "categorical_cross_entropy")
        Y = random.integers(0, 4, size=90)
    else:
        net = pnn.Network((30, 19, 1), ("relu", "sigmoid"), "binary_cross_entropy")
        Y = X[:, 0] > 99
    given = (net, net.initialize(dtype="float64", scheme="normal"), X, Y, pnn.SGD(0.001), 2, 20)
    assert training_difference(train(*given), fit_eagerly(*given)) < CLOSE["float64"]


@pytest.mark.parametrize("data_stack", [(), (3,)], ids=["shared", "own"])
def test_networks_with_rows_of_their_own_train_as_they_do_eagerly(
    data_stack, train, fit_eagerly, random
):
    net = pnn.Network((9, 12, 2), ("tanh", "identity"), "squared_error")
    X, Y = random.normal(size=(*data_stack, 50, 9)), random.normal(size=(50, 2))
    rows = [random.permutation(50)[:n] for n in (40, 30, 40)]
    given = (net, net.initialize(dtype="float64", stack=(3,)), X, Y, pnn.Adam([0.01, 0.02, 0.03]), 3, 16)
    options = {"rows": rows, "seed": [3, 1, 4], "dropout": [0.1, 0.0, 0.3], "l2": [0.1, 0.0, 0.2]}
    options["sample_weight"] = random.uniform(0.5, 2, size=50)
    found = training_difference(train(*given, **options), fit_eagerly(*given, **options))
    assert found < CLOSE["float64"]
