"""What any backend has saved, any other loads with equal bits."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import flat, host

import portable_nn as pnn

NET = pnn.Network((4, 5, 3), (pnn.leaky_relu(0.2), "softmax"), "categorical_cross_entropy")


def same_bits(a, b):
    return all(
        (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("stack", [(), (3,), (2, 3)], ids=str)
def test_what_any_backend_saves_any_backend_loads_with_equal_bits(backend, tmp_path, dtype, stack):
    seeds = np.arange(int(np.prod(stack))).reshape(stack).tolist() if stack else 7
    params = NET.initialize(seed=seeds, backend=backend, dtype=dtype, stack=stack)
    expected = host(backend, params)
    pnn.save(tmp_path / "net", (NET, params))
    net, found = pnn.load(tmp_path / "net")
    assert net == NET
    assert isinstance(found, list)
    assert all(isinstance(layer, tuple) for layer in found)
    assert same_bits(flat(found), expected)
    assert all(type(array) is np.ndarray and array.flags.writeable for array in flat(found))
    net, found = pnn.load(tmp_path / "net", backend.name, backend.device_name())
    assert all(pnn.backends.of(array) is backend for array in flat(found))
    assert same_bits(host(backend, found), expected)
    _, found = pnn.load(tmp_path / "net", backend, mmap=True)
    assert same_bits(host(backend, found), expected)


def test_a_loaded_network_predicts_and_trains_as_before(backend, tmp_path, random):
    params = NET.initialize(seed=1, backend=backend, dtype="float64")
    X = backend.asarray(random.normal(size=(20, 4)))
    y = backend.asarray(random.integers(0, 3, size=20))
    params, _ = pnn.fit(NET, params, X, y, epochs=2, batch_size=8)
    pnn.save(tmp_path / "net", (NET, params))
    net, again = pnn.load(tmp_path / "net", backend)
    assert np.array_equal(
        backend.to_numpy(net.predict(again, X)), backend.to_numpy(NET.predict(params, X))
    )
    one, _ = pnn.fit(NET, params, X, y, epochs=2, batch_size=8)
    other, _ = pnn.fit(net, again, X, y, epochs=2, batch_size=8)
    assert same_bits(host(backend, one), host(backend, other))


def test_float64_is_refused_on_jax_without_it(jax, tmp_path):
    pnn.save(tmp_path / "f", (NET, NET.initialize(dtype="float64")))
    program = f"import portable_nn as pnn\npnn.load({str(tmp_path / 'f')!r}, 'jax')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "JAX_ENABLE_X64": "0"},
    )
    assert "no dtype 'float64'" in done.stderr
