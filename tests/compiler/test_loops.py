"""Loops compiled by numba: their arguments, their cache, and when they are used."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from helpers import samples
from training_helpers import assert_same

import portable_nn as pnn
from portable_nn.compiler.numpy import CompiledScan, cache_folder, loop_cache, program

needs_numba = pytest.mark.skipif(not loop_cache.installed(), reason="no numba here")

pytestmark = pytest.mark.usefixtures("host_only")


def adam_like(xp, carry, fixed, one):
    """An update whose eight numbers are elements of one array."""
    (theta, m, v), (g,), (numbers,) = carry, fixed, one
    b_1, c_1, b_2, c_2, epsilon, alpha, root, l2 = (numbers[i, ...] for i in range(8))
    d = g + l2 * theta
    m = b_1 * m + c_1 * d
    v = b_2 * v + c_2 * (d * d)
    return theta - alpha * (m / (root * xp.sqrt(v) + epsilon)), m, v


@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_the_numbers_of_a_step_are_one_argument_of_its_loop(stack, dtype, mode, monkeypatch, random):
    sources, loop_for = [], program.loop_for
    monkeypatch.setattr(
        program, "loop_for", lambda *given: sources.append(loop_for(*given)) or sources[-1]
    )
    carry = tuple(np.abs(random.normal(size=(*stack, 50, 70))).astype(dtype) for _ in range(3))
    fixed = (random.normal(size=(*stack, 50, 70)).astype(dtype),)
    numbers = random.uniform(size=(5, 8, *stack, *(1, 1) * len(stack))).astype(dtype)
    expected = carry
    for one in numbers:
        expected = adam_like(np, expected, fixed, (one,))
    found = CompiledScan(adam_like, np)(carry, fixed, (numbers,), (False,) * 3)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)
    if mode == "loops":
        ((source, arguments),) = sources
        assert len(arguments) == 5  # the numbers, theta, g, m, v
        assert all(f"p0[{i}" in source for i in range(8))


def every_axis_on_its_own(xp, carry, fixed, one):
    (x,), (rows, columns, networks) = carry, fixed
    return (x * rows + columns / (1 + x * x) - networks * one[0],)


def test_a_loop_may_have_arrays_that_repeat_over_any_axis(mode, random):
    carry = (random.normal(size=(3, 4, 5)),)
    fixed = tuple(random.normal(size=shape) for shape in [(3, 4, 1), (5,), (3, 1, 1)])
    each = random.uniform(size=(6, 1))
    expected = carry
    for one in each:
        expected = every_axis_on_its_own(np, expected, fixed, one)
    found = CompiledScan(every_axis_on_its_own, np)(carry, fixed, each, (False,))
    np.testing.assert_array_equal(found[0], expected[0])


def test_a_short_training_does_not_import_numba():
    script = (
        "import sys, numpy as np, portable_nn as pnn\n"
        "net = pnn.Network((20, 32, 3), ('relu', 'softmax'), 'categorical_cross_entropy')\n"
        "X, Y = np.ones((640, 20), 'float32'), np.eye(3, dtype='float32')[np.zeros(640, int)]\n"
        "pnn.fit(net, net.initialize(), X, Y, epochs=20, batch_size=32)\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


LOOP = "def loop(p0):\n    for i in range(p0.shape[0]):\n        p0[i] = p0[i] + float32(1)\n"


@needs_numba
def test_threads_may_load_loops_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setattr(loop_cache, "cache_folder", lambda: tmp_path)
    sources = [LOOP.replace("(1)", f"({k})") for k in range(12)]
    failed = []

    def ask():
        try:
            for source in sources:
                loop_cache.load_loop(source)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@needs_numba
def test_a_cached_loop_that_was_changed_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(loop_cache, "cache_folder", lambda: tmp_path)
    for planted in (None, b"raise SystemExit('not ours')\n"):
        for path in tmp_path.iterdir() if planted else ():
            path.write_bytes(planted)
        x = np.zeros(3, "float32")
        loop = loop_cache.Loop(LOOP)
        loop.compile_for(x)
        loop.call(x)
        np.testing.assert_array_equal(x, np.ones(3))
    (path,) = tmp_path.iterdir()
    assert b"SystemExit" not in path.read_bytes()


@needs_numba
def test_without_a_writable_cache_loops_are_compiled_for_this_process_alone(tmp_path, monkeypatch):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(blocked))
    folder = cache_folder.folder_of.__wrapped__(0)
    assert folder is None
    monkeypatch.setattr(loop_cache, "cache_folder", lambda: folder)
    x = np.zeros(3, "float32")
    loop = loop_cache.Loop(LOOP)
    loop.compile_for(x)
    loop.call(x)
    np.testing.assert_array_equal(x, np.ones(3))
    assert list(tmp_path.iterdir()) == [blocked]


def test_if_numba_fails_numpy_goes_on_and_a_warning_says_so(monkeypatch, fit_eagerly, forget, random):
    forget()
    monkeypatch.setattr(program, "PATIENCE", (0.0, 0.0))
    monkeypatch.setattr(program, "installed", lambda: True)
    monkeypatch.setattr(program, "warned", [])

    def broken(source):
        raise RuntimeError("no compiler today")

    monkeypatch.setattr(program, "load_loop", broken)
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(0.5), 2, 8)
    with pytest.warns(UserWarning, match="no compiler today"):
        found = pnn.fit(*given)
    forget()
    again = pnn.fit(*given)  # without another warning: it would be an error
    forget()
    expected = fit_eagerly(*given)
    assert_same(found, expected)
    assert_same(again, expected)


def test_if_the_cache_cannot_be_looked_at_numpy_goes_on(monkeypatch, fit_eagerly, forget, random):
    forget()
    monkeypatch.setattr(program, "PATIENCE", (0.0, 1e9))
    monkeypatch.setattr(program, "installed", lambda: True)
    monkeypatch.setattr(program, "warned", [])

    def broken(source):
        raise RuntimeError("no folder today")

    monkeypatch.setattr(program, "is_cached", broken)
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(0.5), 2, 8)
    with pytest.warns(UserWarning, match="no folder today"):
        found = pnn.fit(*given)
    forget()
    assert_same(found, fit_eagerly(*given))
