"""Steps of networks of layers, compiled for NumPy and for a GPU that is none, give the eager ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cuda_helpers import CLOSE, needs_gcc
from helpers import training_difference
from layer_networks import EMBEDDED, NORMALIZED, network_of, rows
from training_helpers import assert_same, traced

import portable_nn as pnn
from portable_nn.compiler.numpy import steps

pytestmark = pytest.mark.usefixtures("host_only")
NETWORKS = [pytest.param(EMBEDDED, id="embedded"), pytest.param(NORMALIZED, id="normalized")]


@traced
@pytest.mark.parametrize("stack", [(), (2,)], ids=["one", "stack"])
@pytest.mark.parametrize("inner", NETWORKS)
def test_layers_train_to_the_eager_bits(inner, stack, mode, fit_eagerly, random, monkeypatch):
    net = network_of(*inner)
    X, Y = rows(random, 50, "float32")
    given = (net, net.initialize(stack=stack), X, Y, pnn.AdamW(0.01), 2, 16)
    options = {"l2": 0.1, "dropout": 0.2}
    expected = fit_eagerly(*given, **options)
    ran, in_place = [], steps.CompiledScan.run_in_place

    def watched(self, *arguments):
        ran.append(in_place(self, *arguments))
        return ran[-1]

    monkeypatch.setattr(steps.CompiledScan, "run_in_place", watched)
    assert_same(pnn.fit(*given, **options), expected)
    assert ran
    assert all(ran)


MIXED = (
    pnn.Dense(6, bias=False),
    pnn.BatchNorm(),
    pnn.ParametricActivation("mish"),
    pnn.SharedDense(4),
    pnn.LayerNorm(),
    "tanh",
    pnn.Scale(),
)


@needs_gcc
@traced
@pytest.mark.parametrize("stack", [(), (2,)], ids=["one", "stack"])
@pytest.mark.parametrize("inner", [*NETWORKS, pytest.param(MIXED, id="mixed")])
def test_layers_train_on_a_gpu_as_they_do_eagerly(inner, stack, train, fit_eagerly, random):
    net = network_of(*inner)
    X, Y = rows(random, 50)
    given = (net, net.initialize(dtype="float64", stack=stack), X, Y, pnn.SGD(0.05, 0.9), 2, 16)
    assert training_difference(train(*given), fit_eagerly(*given)) < CLOSE["float64"]


def test_what_a_user_defined_layer_reads_is_read_again(random, compiled_at_once):
    slope = {"c": 1.0}

    @dataclass(frozen=True)
    class Times(pnn.Layer):
        def forward(self, xp, theta, A):
            return slope["c"] * A, None

        def backward(self, xp, theta, kept, dA):
            return slope["c"] * dA, ()

    net = pnn.Network((5, 4, Times(), 2), loss="squared_error")
    X, Y = rows(random, 50, "float32")
    given = (net, net.initialize(), X, Y, pnn.SGD(0.1), 2, 16)
    first, _ = pnn.fit(*given)
    slope["c"] = 2.0
    second, _ = pnn.fit(*given)
    slope["c"] = 1.0
    assert (first[0][0] != second[0][0]).any()
    assert_same(pnn.fit(*given), (first, pnn.fit(*given)[1]))
