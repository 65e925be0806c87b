"""Checkpoints of networks of layers: statistics, embeddings, weights that a stack shares."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from helpers import flat
from interrupted import Death, DeathAfter, DeathError, checkpoints

import portable_nn as pnn
from portable_nn.storage import read_document

EPOCHS, SIZE = 4, 8  # of 40 rows: 5 updates an epoch


def network(*layers, loss="categorical_cross_entropy"):
    return pnn.Network((4, *layers, 3, "softmax"), loss=loss)


NETS = {
    "normalized": network(6, pnn.BatchNorm(momentum=0.3), "tanh", 5, pnn.LayerNorm(), "relu"),
    "embedded": network(
        pnn.Embedding({3: 5}, 2), pnn.Periodic(3, 2, 1.0), 5, pnn.ParametricActivation("mish")
    ),
    "shared": network(pnn.SharedDense(6), pnn.BatchNorm(), "relu"),
}
HOW = {
    "normalized": {"dropout": 0.3, "clip_norm": 1.0, "l2": 0.1},
    "embedded": {
        "optimizer": pnn.AdamW(0.01, groups={"embeddings": {"weight_decay": 0.0, "learning_rate": 0.1}})
    },
    "shared": {"optimizer": pnn.SGD(0.1, momentum=0.9)},
}


@pytest.fixture
def data(random):
    """40 rows with codes in the last column, and their classes."""
    X = random.normal(size=(40, 4))
    X[:, 3] = random.integers(0, 5, size=40)
    return X, random.integers(0, 3, size=40)


def started(name, dtype="float64"):
    stack = {"stack": 2} if name == "shared" else {}
    return NETS[name], NETS[name].initialize(seed=1, dtype=dtype, **stack)


def same(found, expected):
    (params, history), (wanted, record) = found, expected
    pairs = zip(flat(params), flat(wanted), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs) and np.array_equal(history.cost, record.cost)


@pytest.mark.parametrize("name", NETS)
def test_layers_go_on_to_the_same_bits(name, data, tmp_path, host_only):
    fit = functools.partial(pnn.fit, *started(name), *data, epochs=EPOCHS, batch_size=SIZE, **HOW[name])
    expected, checkpoint = fit(), checkpoints(tmp_path, every_steps=3)
    with pytest.raises(DeathError):  # within an epoch, after the checkpoint of update 12
        fit(callbacks=[Death(13), checkpoint])
    assert same(fit(resume=checkpoint), expected)


def test_statistics_go_on_on_every_backend(backend, data, tmp_path):
    net, host = started("normalized", "float32")
    X, y = backend.asarray(data[0].astype("float32")), backend.asarray(data[1])
    params = [tuple(map(backend.asarray, layer)) for layer in host]
    fit = functools.partial(pnn.fit, net, params, X, y, epochs=3, batch_size=20)
    (expected, _), checkpoint = fit(), checkpoints(tmp_path)
    with pytest.raises(DeathError):
        fit(callbacks=[checkpoint, DeathAfter(2)])
    found, _ = fit(resume=checkpoint)
    for a, b in zip(flat(found), flat(expected), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(a), backend.to_numpy(b))


def test_a_checkpoint_names_the_arrays_of_the_layers_and_of_the_slots(data, tmp_path, host_only):
    stopping = {"early_stopping": pnn.EarlyStopping(), "validation": data}
    fit = functools.partial(pnn.fit, *started("normalized"), *data, epochs=1, **stopping)
    fit(callbacks=[checkpoints(tmp_path)])
    values = read_document(tmp_path / "run.ckpt").values
    wanted = {
        "1": ["W"],
        "2": ["gamma", "beta", "mean", "variance"],
        "3": ["W", "b"],
        "4": ["gamma", "beta"],
        "5": ["W", "b"],
    }
    for tree in (values["params"], *values["optimizer"]["slots"], values["record"]["best_params"]):
        assert {l: list(layer) for l, layer in tree.items()} == wanted


@pytest.mark.parametrize("resumed", [False, True])
def test_the_best_parameters_of_early_stopping_have_the_statistics_of_their_epoch(
    resumed, data, tmp_path, host_only
):
    net, params = started("normalized")
    rises = pnn.EarlyStopping(patience=3)
    fit = functools.partial(
        pnn.fit, net, params, *data, batch_size=SIZE, optimizer=pnn.Adam(0.5), validation=data
    )
    more = {}
    if resumed:
        more = {"resume": checkpoints(tmp_path)}
        with pytest.raises(DeathError):
            fit(epochs=30, early_stopping=rises, callbacks=[more["resume"], Death(20)])
    found, history = fit(epochs=30, early_stopping=rises, **more)
    assert history.stopped_by == "early stopping"
    alone, _ = fit(epochs=history.best_epoch)
    assert history.best_epoch < history.epochs
    assert all(np.array_equal(a, b) for a, b in zip(flat(found), flat(alone), strict=True))


@dataclass(frozen=True)
class Times(pnn.Layer):
    """A user-defined layer: k z."""

    k: float

    def forward(self, xp: Any, theta: Any, A: Any) -> Any:
        return self.k * A, None

    def backward(self, xp: Any, theta: Any, kept: Any, dA: Any) -> Any:
        return self.k * dA, ()


def again(k):
    """A layer of that name that does something else."""
    name = Times.__qualname__
    methods = {
        "forward": lambda self, xp, theta, A: (self.k * A + 1.0, None),
        "backward": Times.backward,
        "__module__": __name__,
        "__qualname__": name,
        "__annotations__": {"k": float},
    }
    return dataclass(frozen=True)(type(name, (pnn.Layer,), methods))(k)


OTHERS = {
    "another number": (
        pnn.BatchNorm(momentum=0.1),
        pnn.BatchNorm(momentum=0.2),
        "`net.listed[1].momentum` was 0.1 and is",
    ),
    "another layer": (pnn.Scale(), pnn.LayerNorm(), "`net.listed[1]` was Scale and is LayerNorm"),
    "user-defined": (Times(2.0), Times(3.0), "`net.listed[1].k` was 2.0 and is 3.0"),
    "other code": (Times(2.0), again(2.0), "`net.listed[1].forward` was forward and is <lambda>"),
    "another share": (
        pnn.ParametricActivation("relu"),
        pnn.ParametricActivation("mish"),
        "`net.listed[1].g` was",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_network_of_layers_is_named(what, data, tmp_path, host_only):
    layer, other, words = OTHERS[what]
    params = network(5, layer).initialize()
    given = params, data[0].astype("float32"), data[1]
    pnn.fit(network(5, layer), *given, epochs=1, callbacks=[checkpoints(tmp_path)])
    with pytest.raises(ValueError, match=r"another training: .*" + re.escape(words)):
        pnn.fit(network(5, other), *given, epochs=2, resume=tmp_path / "run.ckpt")
