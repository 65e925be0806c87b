"""Networks made of a list of layers: which they are, how they are shown, how they begin."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import flat
from layer_networks import EMBEDDED, INNER, network_of, rows

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
DENSE = pnn.Network((4, 3, 2), ("relu", "softmax"), "categorical_cross_entropy")


def test_dense_layers_and_activations_in_turn_are_the_dense_network():
    listed = pnn.Network((4, 3, "relu", 2, "softmax"), loss="categorical_cross_entropy")
    assert listed == DENSE
    assert hash(listed) == hash(DENSE)
    assert listed.layers == (pnn.Dense(3), *DENSE.g[:1], pnn.Dense(2), *DENSE.g[1:]) == DENSE.layers
    assert pnn.Network((4, 3, 2), loss="squared_error").g == (
        pnn.Network((4, 1), ("identity",), "huber").g
    )


def test_a_network_is_frozen_hashable_and_shown_as_it_is_made():
    net = network_of(*EMBEDDED)
    assert net == network_of(*EMBEDDED) != network_of(*EMBEDDED[:-1])
    assert hash(net) == hash(network_of(*EMBEDDED))
    assert pickle.loads(pickle.dumps(net)) == net
    short = pnn.Network((4, 3, pnn.LayerNorm(), "relu", 2, "softmax"), loss="categorical_cross_entropy")
    text = "Network((4, 3, LayerNorm(epsilon=1e-05), 'relu', 2, 'softmax'), loss="
    assert repr(short) == text + "'categorical_cross_entropy')"
    with pytest.raises(AttributeError):
        net.loss = None


def test_the_summary_counts_what_is_trained_and_every_byte():
    dense = pnn.Dense(3)
    net = pnn.Network((5, pnn.Embedding({1: 7}, 2), dense, pnn.BatchNorm(), "relu", 1), loss="huber")
    lines = [line.split() for line in net.summary("float64").splitlines()]
    assert lines[1] == ["layer", "units", "arrays", "parameters", "bytes"]
    assert lines[3] == ["Embedding", "6", "E[1]", "2", "x", "7", "14", "112"]
    assert lines[5][:4] == ["BatchNorm", "3", "gamma[3]", "3"]
    assert lines[5][-2:] == ["6", "96"]  # mean and variance are held, and not trained
    assert lines[-1] == ["in", "all", "45", "408"]
    trained = sum(a.size for a in flat(net.initialize())) - 6
    assert lines[-1][2] == str(trained)
    assert str(net) == net.summary()
    with pytest.raises(TypeError, match="float32 or float64"):
        net.summary("int8")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((4, pnn.BatchNorm, 2), r"`sizes\[1\]` is .*; make one: BatchNorm\(...\)"),
        ((4, 2.5, 2), r"`sizes\[1\]` is 2.5"),
        ((4, True, 2), r"`sizes\[1\]` is True"),
        ((4, "rleu", 2), "did you mean 'relu'"),
        ((4, "relu"), "one layer or more"),
        ((0, 2), r"sizes\[0\]"),
        ((4, 0), r"sizes\[1\]"),
        ((4,), "two or more sizes"),
    ],
)
def test_what_is_no_layer_is_refused(sizes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.Network(sizes, loss="squared_error")


def test_a_loss_is_needed_and_activations_belong_to_sizes():
    with pytest.raises(TypeError, match="`loss` is missing"):
        pnn.Network((4, 3, "relu", 2))
    with pytest.raises((TypeError, ValueError), match=r"sizes\[1\]"):
        pnn.Network((4, pnn.BatchNorm(), 2), ("relu", "identity"), "squared_error")


def test_a_normalization_stands_before_each_hidden_activation():
    sizes, g = (6, 5, 4, 2), ("relu", "tanh", "identity")
    net = pnn.Network(sizes, g, "squared_error", normalization="batch")
    norm, dense = pnn.BatchNorm(), lambda n: pnn.Dense(n, bias=False)
    expected = (dense(5), norm, "relu", dense(4), norm, "tanh", 2)
    assert net == pnn.Network((6, *expected), loss="squared_error")
    net = pnn.Network(sizes, g, "squared_error", normalization=pnn.LayerNorm(epsilon=1e-3))
    norm = pnn.LayerNorm(epsilon=1e-3)
    assert net == pnn.Network((6, 5, norm, "relu", 4, norm, "tanh", 2), loss="squared_error")
    assert pnn.Network((6, *expected), loss="squared_error") == pnn.Network(
        (6, 5, pnn.BatchNorm(), "relu", 4, pnn.BatchNorm(), "tanh", 2), loss="squared_error"
    )
    with pytest.raises(TypeError, match="beside a list of layers"):
        pnn.Network((6, 5, "relu", 2), loss="squared_error", normalization="batch")
    with pytest.raises(ValueError, match="did you mean 'batch'"):
        pnn.Network(sizes, g, "squared_error", normalization="bacth")
    with pytest.raises(TypeError, match="'batch', 'layer', or a layer"):
        pnn.Network(sizes, g, "squared_error", normalization=3)


def test_dropout_comes_after_each_hidden_activation(random):
    net = pnn.Network(
        (5, pnn.Scale(), 4, pnn.ParametricActivation("tanh"), 3, "relu", 2), loss="squared_error"
    )
    assert net.sizes == (5, 4, 3, 2)
    X, Y = rows(random)
    params = net.initialize(dtype="float64")
    with pytest.raises(ValueError, match="each of the 2 hidden layers"):
        pnn.fit(net, params, X, Y, dropout=[0.1, 0.2, 0.3])
    trained, _ = pnn.fit(net, params, X, Y, pnn.SGD(0.1), epochs=1, dropout=[0.999999, 0.0], seed=1)
    np.testing.assert_array_equal(trained[1][0], params[1][0])  # all its units were left out


@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("name", ["dense", "scale", "shared"])
def test_initial_parameters_from_data_standardize_every_unit(name, stack, random):
    inner = (6, "tanh", 4, "relu") if name == "dense" else INNER[name]
    net = network_of(*inner)
    X, _ = rows(random, 200)
    params = net.initialize(dtype="float64", stack=stack, data=X)
    found = net.activations(params, X)
    if name == "dense":
        before = [A @ W.mT + b.mT for A, (W, b) in zip([X, *found], params, strict=False)]
    else:
        before = [A for A, layer in zip(found, net.layers, strict=True) if isinstance(layer, pnn.Layer)]
    assert len(before) == len(params)
    for A in before:
        np.testing.assert_allclose(np.mean(A, axis=-2), 0, atol=1e-12)
        np.testing.assert_allclose(np.std(A, axis=-2), 1, rtol=1e-12)
    with pytest.raises(ValueError, match="`X` has shape"):
        net.initialize(data=X[:, :3])
    with pytest.raises(ValueError, match=r"`data` has shape \(1, 5\).*two rows or more"):
        net.initialize(data=X[:1])
    with pytest.raises(TypeError, match="`data`: "):
        net.initialize(data=X.tolist())


def test_a_constant_unit_keeps_its_scale(random):
    net = network_of(4, "tanh")
    params = net.initialize(dtype="float64", data=np.ones((10, 5)))
    np.testing.assert_allclose(net.activations(params, np.ones((3, 5)))[0], 0, atol=1e-12)
    assert all(np.isfinite(a).all() for a in flat(params))


def test_dropout_of_a_network_without_hidden_activations_is_refused(random):
    X, Y = rows(random, dtype="float32")
    for inner in ((), (4,), (pnn.Scale(), 4, pnn.LayerNorm())):
        net = network_of(*inner)
        with pytest.raises(ValueError, match=r"`dropout` is 0.5, and .* no hidden activation"):
            pnn.fit(net, net.initialize(), X, Y, dropout=0.5)
        pnn.fit(net, net.initialize(), X, Y, epochs=1, dropout=0.0)


def test_numbers_right_after_an_embedding_are_embedded_alone():
    net = pnn.Network((4, pnn.Embedding({0: 5}, 2), pnn.Periodic(), 1), loss="squared_error")
    assert net.layers[1].columns == (0, 1, 2)
    assert net == pnn.Network((4, *net.layers), loss="squared_error")


def test_edges_that_the_dtype_cannot_hold_are_refused():
    for edges in ((0, 1e39), (0, 1e-46, 1)):
        net = pnn.Network((1, pnn.PiecewiseLinear([edges]), 1), loss="squared_error")
        net.initialize(dtype="float64")
        with pytest.raises(ValueError, match=r"\[1\]` begins with values that float32 cannot hold"):
            net.initialize(dtype="float32")
