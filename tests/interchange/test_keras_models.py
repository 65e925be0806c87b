"""Keras models, both ways: what Keras computes is the oracle."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS
from portable_nn.interchange import from_keras, to_keras

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras
]
CLOSE = 1e-6  # Keras computes products in float32, those of float64 too


def outputs(model, X):
    return keras.ops.convert_to_numpy(model(X))


def difference(found, expected):
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_activation_gives_keras_the_predictions_and_comes_back(dtype, random, margin):
    X = random.normal(size=(100, 6)).astype(dtype)
    for name in ACTIVATIONS:
        net = pnn.Network((6, 5, 4), (name, "softmax"), "categorical_cross_entropy")
        params = net.initialize(seed=1, dtype=dtype)
        model, expected = to_keras((net, params)), net.predict(params, X)
        assert margin("to keras", dtype, difference(outputs(model, X), expected)) <= CLOSE, name
        back, again = from_keras(model)
        assert [g.name for g in back.g] == [name, "softmax"]
        np.testing.assert_array_equal(back.predict(again, X), expected)


def test_the_usual_ways_to_write_a_model_are_read(random):
    layers = keras.layers
    inputs = keras.Input((4,))
    x = layers.Dense(5, use_bias=False)(layers.Flatten()(inputs))
    x = layers.Dropout(0.5)(layers.LeakyReLU(negative_slope=0.3)(x))
    functional = keras.Model(inputs, layers.Softmax()(layers.Dense(3)(x)))
    names = ["relu", "leaky_relu", "elu", "swish", "exponential", "linear"]
    sequential = keras.Sequential(
        [keras.Input((4,)), *(layers.Dense(5, activation=name) for name in names), layers.ReLU()]
    )
    X = random.normal(size=(50, 4)).astype("float32")
    for model in (functional, sequential):
        net, params = from_keras(model)
        assert difference(net.predict(params, X), outputs(model, X)) <= CLOSE
    assert net.g[0] == pnn.relu(at_zero=0.0)
    logits = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    net, params = from_keras(logits, output="softmax", backend="numpy")
    expected = np.exp(outputs(logits, X))
    expected /= expected.sum(axis=1, keepdims=True)
    assert difference(net.predict(params, X), expected) <= CLOSE


def test_what_has_no_counterpart_is_named(random):
    layers = keras.layers

    def model(*inner):
        return keras.Sequential([keras.Input((4,)), *inner])

    refused = {
        "erf form of gelu": model(layers.Dense(3, activation="gelu", name="mine")),
        "'mine', a UnitNormalization, has no counterpart": model(
            layers.Dense(3), layers.UnitNormalization(name="mine")
        ),
        "activation 'hard_sigmoid'": model(layers.Dense(3, activation="hard_sigmoid")),
        "follows the activation 'relu'": model(layers.Dense(3, activation="relu"), layers.ReLU()),
    }
    inputs = keras.Input((4,))
    refused["a Add, has no counterpart"] = keras.Model(inputs, inputs + layers.Dense(4)(inputs))
    shared = layers.Dense(4)
    refused["gives something else than its layers"] = keras.Model(inputs, shared(shared(inputs)))
    refused["is not built"] = keras.Sequential([layers.Dense(3)])
    for message, given in refused.items():
        with pytest.raises(ValueError, match=message):
            from_keras(given)
    with pytest.raises(TypeError, match=r"accepted: a keras\.Sequential"):
        from_keras(3)


def test_nested_models_are_read(random):
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dropout(0.1)]
    )
    inputs = keras.Input((5,))
    middle = keras.Model(inputs, layers.ReLU()(layers.Dense(6)(inputs)))
    model = keras.Sequential([keras.Input((4,)), inner, middle, layers.Dense(2)])
    net, params = from_keras(model)
    assert net.sizes == (4, 5, 6, 2)
    X = random.normal(size=(50, 4)).astype("float32")
    assert difference(net.predict(params, X), outputs(model, X)) <= CLOSE


def bounded(x):
    return keras.ops.minimum(keras.ops.relu(x), 100.0)


bounded.__name__ = "relu"  # as it may be called


def test_what_may_compute_something_else_is_refused():
    layers = keras.layers

    class Dense(layers.Dense):
        def call(self, inputs):
            return keras.ops.clip(super().call(inputs), -100, 100)

    class Doubled(keras.Sequential):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training, mask=mask)

    def model(*inner, kind=keras.Sequential):
        return kind([keras.Input((4,)), *inner])

    patched, quantized, lora = (model(layers.Dense(3, name="mine")) for _ in range(3))
    patched.layers[0].call = lambda x: x
    quantized.layers[0].quantize("int8")
    lora.layers[0].enable_lora(2)
    nested = keras.Sequential([keras.Input((4,)), model(layers.Dense(3), kind=Doubled)])
    refused = [
        (model(Dense(3, name="mine")), "the layer 'mine' is a .*Dense, which may compute"),
        (model(layers.Dense(3), kind=Doubled), "`model` is a .*Doubled, which may compute"),
        (nested, "is a .*Doubled, which may compute"),
        (patched, "the layer 'mine' has a `call` of its own"),
        (quantized, "the layer 'mine' is quantized"),
        (lora, "the layer 'mine' has LoRA weights"),
        (model(layers.Dense(3, dtype="mixed_float16", name="mine")), "'mine' computes in float16"),
        (model(layers.Dense(3, activation=bounded)), "'relu', which is none of Keras' own"),
    ]
    for given, message in refused:
        with pytest.raises(ValueError, match=message):
            from_keras(given)


def test_without_keras_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['keras'] = None\n"
        "from portable_nn.interchange import from_keras\n"
        "from_keras(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install keras" in done.stderr.splitlines()[-1]
