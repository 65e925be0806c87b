"""Each backend: moving arrays, dtypes, devices, compiled steps."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from helpers import assert_place

from portable_nn import backends


def test_there_is_one_object_per_library_and_device(backend):
    assert backends.get(backend.name, backend.device_name()) is backend
    assert backends.get(backend.name, backend.device) is backend
    assert backends.get(backend) is backend
    assert backends.get(backend, backend.device_name()) is backend
    x = backend.asarray(np.ones((2, 3), dtype="float32"))
    assert backends.of(x) is backend
    assert repr(backend) == f"<backend {backend.name!r} on {backend.device_name()}>"


@pytest.mark.parametrize("name", ["bool", "int32", "uint8", "float32", "float64"])
def test_arrays_come_and_go_unchanged(name, backend):
    host = (np.arange(6) % 2).astype(name).reshape(2, 3)
    array = backend.asarray(host)
    assert_place(array, backend, name, (2, 3))
    back = backend.to_numpy(array)
    assert back.dtype == host.dtype
    np.testing.assert_array_equal(back, host)
    assert backend.asarray(array) is array
    assert_place(backend.asarray(array, dtype="float32"), backend, "float32", (2, 3))
    assert_place(backend.asarray(host, dtype=backend.xp.float64), backend, "float64", (2, 3))
    backend.ready(array, array)


def test_arrays_of_any_memory_layout_are_accepted(backend):
    host = np.arange(24.0).reshape(4, 6)
    frozen = host.copy()
    frozen.flags.writeable = False
    big_endian = host.astype(">f8")
    for awkward in (host[::-1, ::-2], host.T, np.asfortranarray(host), frozen, host[:0], host.tolist()):
        np.testing.assert_array_equal(backend.to_numpy(backend.asarray(awkward)), np.asarray(awkward))
    np.testing.assert_array_equal(backend.to_numpy(backend.asarray(big_endian)), host)


def test_all_and_finite_matrices_say_what_numpy_says(backend):
    host = np.ones((3, 4, 5), dtype=bool)
    host[0, 1, 2] = host[2] = False
    mask = backend.asarray(host)
    for axis in (None, 2, -1, 0, (1, 2), (-1, -2), (0, 1, 2), (0, 2), ()):
        found = backend.to_numpy(backend.xp.all(mask, axis=axis))
        np.testing.assert_array_equal(found, host.all(axis=axis))
    assert backend.to_numpy(backend.xp.all(mask, axis=(1, 2), keepdims=True)).shape == (3, 1, 1)
    assert bool(backend.xp.all(backend.asarray(np.zeros((0, 3), dtype=bool))))
    assert bool(backend.xp.all(backend.asarray(np.array(True))))
    with pytest.raises(Exception, match=r"(?i)axis|dim"):
        backend.xp.all(mask, axis=3)
    for bad in (np.nan, np.inf, -np.inf):
        values = np.ones((3, 4, 5))
        values[1, 3, 4] = bad
        x = backend.asarray(values)
        np.testing.assert_array_equal(backend.to_numpy(backend.finite_matrices(x)), [True, False, True])
        for view, expected in (
            (x, False),
            (x[1:2, 3, :], False),
            (x[:, :3, ::2], True),
            (x[0, ...].T, True),
        ):
            assert bool(backend.all_finite(view)) == expected
        assert not bool(backend.finite_matrices(x[1, ...]))


def test_a_copy_does_not_share_memory_with_the_host(backend):
    if backend.name == "numpy":
        pytest.skip("NumPy arrays are on the host: asarray gives the array itself")
    host = np.ones((2, 3))
    array = backend.asarray(host)
    host[...] = 7
    np.testing.assert_array_equal(backend.to_numpy(array), np.ones((2, 3)))


def test_what_has_no_numbers_is_refused(backend):
    for wrong in (["a", "b"], [object()], np.array(["2020-01-01"], dtype="datetime64[D]")):
        with pytest.raises(TypeError, match=r"accepted: numbers or booleans|has no dtype 'datetime64"):
            backend.asarray(wrong)
    with pytest.raises(TypeError, match="a masked array was given"):
        backend.asarray(np.ma.array([1.0, 2.0], mask=[True, False]))
    with pytest.raises(TypeError, match=r"has no dtype 'float128'|has no dtype 'longdouble'"):
        backend.asarray(np.ones(3, dtype=np.longdouble))


def test_an_unknown_device_is_refused_with_those_there_are(backend):
    with pytest.raises((ValueError, ImportError), match=r"no device 'nowhere'"):
        backends.get(backend.name, "nowhere")


def test_arrays_move_between_the_devices_of_a_library():
    pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    first = backends.get("array_api_strict")
    second = backends.get(first, "device1")
    assert second is not first
    x = first.asarray(np.ones((2, 3)))
    assert_place(second.asarray(x), second, "float64", (2, 3))
    assert_place(first.asarray(second.asarray(x)), first, "float64", (2, 3))


def test_arrays_move_between_libraries_only_when_asked(backend):
    source = backends.get("numpy").asarray(np.ones((2, 3)))
    there = backend.asarray(source)
    assert_place(backends.get("numpy").asarray(there), backends.get("numpy"), "float64", (2, 3))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_is_not_an_array_has_no_backend():
    for wrong in ([1.0], 1.0, None, "x", np.matrix([[1.0]]), np.ma.array([1.0]), object()):
        with pytest.raises(
            TypeError, match=r"was given; accepted: an array of one of the backends.*numpy"
        ):
            backends.of(wrong)


def test_a_compiled_step_computes_the_same(backend):
    xp = backend.xp
    x = backend.asarray(np.linspace(-1, 1, 6).reshape(2, 3))
    step = backend.compile(lambda a, b: (xp.exp(a) @ b, a))
    product, same = step(x, x.mT)
    expected = np.exp(backend.to_numpy(x)) @ backend.to_numpy(x).T
    np.testing.assert_allclose(backend.to_numpy(product), expected, rtol=1e-12)
    np.testing.assert_array_equal(backend.to_numpy(same), backend.to_numpy(x))


def test_a_step_on_torch_records_nothing_for_autograd():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.ones((2, 2), requires_grad=True)
    assert not backends.get("torch").compile(lambda a: a * 2)(x).requires_grad
    np.testing.assert_array_equal(backends.get("torch").to_numpy(x), np.ones((2, 2)))


def test_torch_makes_no_tensor_of_a_python_number(monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    xp, x = backends.get("torch").xp, torch.asarray([-1.0, 2.0])
    for name in ("asarray", "tensor", "as_tensor"):
        monkeypatch.setattr(
            torch, name, lambda *a, name=name, **k: pytest.fail(f"torch.{name} was called")
        )
    assert xp.maximum(x, 0.0).tolist() == [0.0, 2.0]
    assert xp.minimum(x, 0.0).tolist() == [-1.0, 0.0]
    assert xp.maximum(x, -x).tolist() == [1.0, 2.0]
    assert xp.minimum(x, -x).tolist() == [-1.0, -2.0]


def test_float64_on_jax_without_x64_is_refused_and_float32_trains():
    pytest.importorskip("jax", reason="jax is not installed")
    program = textwrap.dedent(
        """
        import warnings; warnings.simplefilter("error")
        import numpy as np, portable_nn as pnn
        net = pnn.Network((4, 3), ("softmax",), "categorical_cross_entropy")
        for make in (lambda: net.initialize(backend="jax", dtype="float64"),
                     lambda: pnn.backends.get("jax").asarray(np.ones(3))):
            try:
                make()
            except TypeError as error:
                assert "no dtype 'float64'" in str(error) and "jax_enable_x64" in str(error), error
            else:
                raise SystemExit("float64 was narrowed silently")
        jax = pnn.backends.get("jax")
        X = jax.asarray(np.ones((5, 4), "float32"))
        Y = jax.asarray(np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]])
        params, history = pnn.fit(net, net.initialize(backend="jax"), X, Y, epochs=3, batch_size=2)
        assert str(params[0][0].dtype) == "float32" and len(history.cost) == 3
        """
    )
    environment = {"PATH": "", "JAX_ENABLE_X64": "0", "JAX_PLATFORMS": "cpu"}
    environment |= {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
