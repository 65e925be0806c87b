"""Normalizations of Keras, both ways: its own outputs and statistics are the oracle."""

from __future__ import annotations

import os

import numpy as np
import pytest

import portable_nn as pnn

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")

from layer_models import models

from portable_nn.interchange import from_keras, to_keras

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras
]
CLOSE = 1e-6


def outputs(model, X, **how):
    return keras.ops.convert_to_numpy(model(X, **how))


def difference(found, expected):
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


def test_normalizations_give_keras_the_predictions_and_come_back(margin):
    for name, ((net, params), X) in models("float32").items():
        if name.startswith(("batch_norm", "layer_norm")):
            model, expected = to_keras((net, params)), net.predict(params, X)
            found = margin("layers to keras", "float32", difference(outputs(model, X), expected))
            assert found <= CLOSE, name
            back, again = from_keras(model)
            assert repr(back) == repr(net), name  # but relu, whose derivative at 0 is that of Keras
            pairs = zip(params, again, strict=True)
            assert all(np.array_equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))
        elif not name.startswith("user"):
            with pytest.raises(
                TypeError, match=r"the layer '\w+' of layer \d has no counterpart in Keras"
            ):
                to_keras((net, params))


def test_a_trained_model_is_read(random, margin):
    layers = keras.layers
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            *(keras.Input((4,)), layers.BatchNormalization(momentum=0.7, scale=False)),
            layers.Dense(6, use_bias=False, activation="mish"),
            layers.LayerNormalization(epsilon=0.1),
            *(layers.LayerNormalization(epsilon=0.1, center=False), layers.Dense(3)),
            layers.BatchNormalization(center=False, scale=False),
        ]
    )
    X = random.normal(size=(60, 4)).astype("float32")
    for k in range(6):  # which moves the statistics
        outputs(model, X[k::6], training=True)
    net, params = from_keras(model)
    assert net.layers[0] == pnn.BatchNorm(momentum=0.3, epsilon=0.001)
    found = difference(net.predict(params, X), outputs(model, X, training=False))
    assert margin("layers from keras", "float32", found) <= CLOSE


def test_a_running_mean_moves_by_one_less_the_momentum(random):
    net = pnn.Network((3, pnn.BatchNorm(momentum=0.3), 2), loss="squared_error")
    params, X = net.initialize(), random.normal(size=(20, 3)).astype("float32")
    model = to_keras((net, params))
    outputs(model, X, training=True)
    moved = net.described.model
    params = moved.moved(np, params, moved.forward(np, params, X.T, training=True))
    _, _, mean, variance = (np.asarray(array) for array in model.layers[1].get_weights())
    np.testing.assert_allclose(mean, params[0][2][:, 0], rtol=1e-5)
    # Keras takes the variance of the batch, without B / (B - 1)
    share = (params[0][3][:, 0] - 0.7) * 19 / 20 + 0.7
    np.testing.assert_allclose(variance, share, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
def test_normalizations_without_a_counterpart_are_named():
    layers = keras.layers
    for layer, message in {
        layers.LayerNormalization(rms_scaling=True): "LayerNormalization, normalizes other axes, or in",
        layers.BatchNormalization(momentum=1.0): r"has the momentum 1\.0; accepted: from 0",
        layers.RMSNormalization(): "a RMSNormalization, has no counterpart",
    }.items():
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layer])
        with pytest.raises(ValueError, match=message):
            from_keras(model)
