"""Predictions in parts: the same numbers, in memory that does not grow with the hidden layers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers import host, network, to, worst

import portable_nn as pnn
from portable_nn.network import prediction


@pytest.mark.parametrize("stack", [(), (2,)], ids=["one", "stack"])
@pytest.mark.parametrize("n", [8, 24, 25])
def test_rows_predicted_in_parts_are_those_predicted_at_once(n, stack, backend, random, monkeypatch):
    net = network("tanh")
    params = to(backend, net.initialize(dtype="float64", stack=stack))
    own = (*stack, n, 4) if n == 24 else (n, 4)  # data of each network's own, too
    X = backend.asarray(random.normal(size=own))
    expected = backend.to_numpy(net.predict(params, X))
    asked = []
    layers = prediction.layers
    monkeypatch.setattr(prediction, "AT_ONCE", 8)
    monkeypatch.setattr(
        "portable_nn.network.network.layers", lambda *a: (asked.append(a[-1].shape[-2]), layers(*a))[1]
    )
    found = net.predict(params, X)
    assert tuple(found.shape) == (*stack, n, 3)
    assert worst([backend.to_numpy(found)], [expected]) < 1e-14
    if not backend.padded_bytes:  # else it is compiled, in the parts of tests/backends/test_padding.py
        assert asked == [8] * (n // 8) + ([n % 8] if n % 8 else [])
    assert worst(host(backend, [(net.activations(params, X)[-1],)]), [expected]) < 1e-14


def test_the_hidden_layers_of_all_rows_never_exist_at_once(random, host_only):
    net = pnn.Network((4, 300, 300, 2), ("relu", "relu", "softmax"), "categorical_cross_entropy")
    params, X = net.initialize(), random.normal(size=(40_000, 4)).astype("float32")
    net.predict(params, X[:10])
    tracemalloc.start()
    try:
        A = net.predict(params, X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * A.nbytes + 6 * 300 * 4096 * 4 < X.shape[0] * 300 * 4


def test_estimators_predict_by_the_same_parts(random, host_only, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    X, y = random.normal(size=(50, 3)), random.normal(size=50)
    model = pnn.MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, tol=1e9, n_iter_no_change=1).fit(X, y)
    expected = model.predict(X)
    monkeypatch.setattr(prediction, "AT_ONCE", 8)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


@pytest.mark.parametrize("stack", [(), (3,)])
def test_rows_on_the_host_are_predicted_in_parts(backend, random, monkeypatch, tmp_path, stack):
    net = pnn.Network((4, 5, 3), ("tanh", "softmax"), "categorical_cross_entropy")
    host_params = net.initialize(dtype="float64", stack=stack)
    X = np.memmap(tmp_path / "X", dtype="uint16", mode="w+", shape=(50, 4))
    X[:] = random.integers(0, 9, size=X.shape)
    monkeypatch.setattr(prediction, "AT_ONCE", 8)
    found = net.predict(to(backend, host_params), X, stream=True)
    assert type(found) is np.ndarray
    assert found.dtype == "float64"
    assert worst([found], [net.predict(host_params, np.asarray(X, "float64"))]) < 1e-14


def test_a_prediction_of_rows_on_the_host_takes_little_memory(host_only, tmp_path):
    n = 100_000
    net = pnn.Network((64, 8, 1), ("relu", "identity"), "squared_error")
    params = net.initialize()
    X = np.memmap(tmp_path / "X", dtype="float32", mode="w+", shape=(n, 64))
    net.predict(params, X[:9999], stream=True)
    tracemalloc.start()
    try:
        net.predict(params, X, stream=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 4


@pytest.mark.device_only
def test_only_rows_on_the_host_are_streamed(backend):
    net = pnn.Network((4, 3), ("softmax",), "categorical_cross_entropy")
    params, X = net.initialize(backend=backend), np.zeros((5, 4), "float32")
    with pytest.raises(ValueError, match=r"`X` is on .*accepted with `stream=True`"):
        net.predict(params, backend.asarray(X), stream=True)
    with pytest.raises(ValueError, match="one library and one device"):
        net.predict(params, X)
