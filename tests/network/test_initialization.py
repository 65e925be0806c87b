"""Initial parameters: their spread, one seed for each network, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat, network

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


def test_initial_parameters_have_the_spread_of_their_scheme():
    net = pnn.Network((300, 400, 200), ("relu", "tanh"), "squared_error")
    spreads = {
        "normal": (0.01, 0.01),
        "he": (np.sqrt(2 / 300), np.sqrt(2 / 400)),
        "glorot": (np.sqrt(2 / 700), np.sqrt(2 / 600)),
        "auto": (np.sqrt(2 / 300), np.sqrt(2 / 600)),
    }
    for scheme, (first, second) in spreads.items():
        (W1, b1), (W2, b2) = net.initialize(seed=0, scheme=scheme)
        assert np.std(W1) == pytest.approx(first, rel=0.02)
        assert np.std(W2) == pytest.approx(second, rel=0.02)
        assert abs(np.mean(W1)) < 0.02 * first
        assert not b1.any()
        assert not b2.any()
        assert (W1.shape, b1.shape, W2.shape, b2.shape) == ((400, 300), (400, 1), (200, 400), (200, 1))


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "mish", "hard_swish"]
)
def test_auto_is_he_for_the_relu_family(name):
    net = pnn.Network((30, 40), (name,), "squared_error")
    np.testing.assert_array_equal(net.initialize()[0][0], net.initialize(scheme="he")[0][0])


def test_a_stack_starts_from_one_seed_per_network():
    net = network()
    stack = net.initialize(seed=[4, 9], stack=(2,), dtype="float64")
    for k, seed in enumerate((4, 9)):
        one = net.initialize(seed=seed, dtype="float64")
        for stacked, single in zip(flat(stack), flat(one), strict=True):
            np.testing.assert_array_equal(stacked[k], single)
    grid = net.initialize(seed=0, stack=(2, 3))
    assert [a.shape for a in flat(grid)] == [(2, 3, 5, 4), (2, 3, 5, 1), (2, 3, 3, 5), (2, 3, 3, 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "xavier"}, "unknown scheme 'xavier'; known: auto, glorot, he, normal"),
        ({"dtype": "float16"}, "`dtype` is 'float16'; accepted: float32 or float64"),
        ({"dtype": "int64"}, "`dtype`.*accepted"),
        ({"dtype": None}, "`dtype` is None"),
        ({"stack": 3.0}, "`stack` is 3.0"),
        ({"stack": (0,)}, "`stack` is 0"),
        ({"seed": -1}, "`seed` is -1"),
        ({"seed": 0.5}, "`seed` is 0.5"),
        ({"seed": [1, 2]}, "`seed` holds 2 seeds"),
        ({"seed": [1, 2], "stack": (3,)}, "`seed` holds 2 seeds; accepted: an int, or 3"),
        ({"backend": "nummpy"}, "unknown backend 'nummpy'.*did you mean 'numpy'"),
        ({"device": "gpu"}, "no device 'gpu'; accepted: cpu"),
    ],
)
def test_invalid_arguments_of_initialize_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        network().initialize(**options)
