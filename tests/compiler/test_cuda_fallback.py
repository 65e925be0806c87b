"""Which steps on a GPU run eagerly, and what a user hears of it."""

from __future__ import annotations

import array_api_compat.numpy
import numpy as np
import pytest
from cuda_helpers import needs_gcc, scan_on
from fake_cuda import FakeDevice

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


@pytest.mark.parametrize(
    "g",
    [
        lambda xp, Z: Z if float(xp.max(Z)) > 0 else -Z,
        lambda xp, Z: xp.flip(Z, axis=0),
        lambda xp, Z: xp.cumulative_sum(Z, axis=0),
        lambda xp, Z: xp.astype(xp.astype(Z, xp.float32), xp.complex64).real + 0 * Z,
        lambda xp, Z: Z + xp.sum(Z, axis=0, keepdims=True) * xp.prod(Z),
        lambda xp, Z: Z @ xp.ones((3, 3), dtype=xp.float32),
        lambda xp, Z: Z + xp.max(Z > 0, axis=-1, keepdims=True),
        lambda xp, Z: Z + xp.sum(Z[:0, :], axis=-2, keepdims=True),
        lambda xp, Z: Z + xp.sum(Z[:, :0], axis=-1, keepdims=True),
        lambda xp, Z: Z + np.take(Z, np.array([0, 1, 2]), axis=None),
        lambda xp, Z: xp.astype(xp.asarray([1, 2, 3]) + 4, Z.dtype) * Z,
        lambda xp, Z: Z + xp.sum(Z[None, :, None, :] * xp.ones((2, 1, 4, 1)), axis=(0, 2)),
    ],
    ids=[
        "reads a value",
        "no ufunc",
        "along an axis",
        "other dtypes",
        "other reductions",
        "dtypes multiplied",
        "bools compared",
        "no rows",
        "no columns",
        "rows of no axis",
        "integers added",
        "axes apart",
    ],
)
def test_what_kernels_do_not_support_runs_eagerly(g, device, replay, random):
    def step(xp, carry, fixed, one):
        return (xp.asarray(g(xp, carry[0]) * one[0]),)

    steps, x = scan_on(device, replay, step), random.normal(size=(4, 3))
    expected = x
    for _ in range(2):
        expected = g(array_api_compat.numpy, expected) * 0.5
    (found,) = steps((x,), (), np.full((2, 1), 0.5), (False,))
    np.testing.assert_array_equal(found, expected)
    assert list(steps.programs.values()) == [None]
    assert device.launches == 0


def test_if_kernels_cannot_be_compiled_a_warning_says_so_and_nothing_is_lost(
    device, replay, monkeypatch
):
    def fail(self, source, names):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(FakeDevice, "compile", fail)
    steps = scan_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    start = np.zeros(2)
    with pytest.warns(UserWarning, match="runs eagerly, not compiled: no compiler here"):
        (found,) = steps((start,), (), np.ones((3, 1)), (True,))
    np.testing.assert_array_equal(found, 3.0)
    (found,) = steps((found,), (), np.ones((3, 1)), (True,))  # and not said again
    np.testing.assert_array_equal(found, 6.0)


def test_if_a_capture_fails_a_warning_says_so_and_nothing_is_lost(device, monkeypatch):
    def fail(self, work):
        work()
        raise RuntimeError("cannot be captured")

    monkeypatch.setattr(FakeDevice, "capture", fail)
    steps = scan_on(device, True, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    with pytest.warns(UserWarning, match="runs eagerly, not compiled: cannot be captured"):
        (found,) = steps((np.zeros(2),), (), np.ones((3, 1)), (True,))
    np.testing.assert_array_equal(found, 3.0)
    assert (len(steps.loaded), len(steps.carries), steps.memory) == (0, 0, None)


def test_without_memory_for_the_results_it_runs_eagerly(device, replay, monkeypatch):
    steps = scan_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    steps((np.zeros(2),), (), np.ones((3, 1)), (True,))

    def fail(self, shape, dtype):
        raise MemoryError("none left")

    monkeypatch.setattr(FakeDevice, "empty", fail)
    with pytest.warns(UserWarning, match="runs eagerly, not compiled: none left"):
        (found,) = steps((np.zeros(2),), (), np.ones((3, 1)), (True,))
    np.testing.assert_array_equal(found, 3.0)
    assert (len(steps.loaded), len(steps.carries), steps.memory) == (0, 0, None)


def test_without_steps_or_arrays_there_is_nothing_to_do(device, replay):
    step = lambda xp, carry, fixed, one: carry  # noqa: E731
    x = np.ones(3)
    for carry, each in (((x,), np.zeros((0, 2))), ((x,), ()), ((x,), None), ((None,), np.ones((2, 1)))):
        assert scan_on(device, replay, step)(carry, (), each, (False,)) is carry
    assert device.launches == 0


def test_arguments_that_cannot_be_hashed_run_eagerly(device, replay):
    steps = scan_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + fixed[0]["a"],))
    (found,) = steps((np.zeros(2),), ({"a": 1.0},), np.ones((3, 1)), (True,))
    np.testing.assert_array_equal(found, 3.0)
    assert device.launches == 0


def test_a_step_that_reads_a_changed_variable_is_traced_again(device, replay):
    factor = [1.0]
    steps = scan_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + factor[0] * one[0],))
    for value in (1.0, 5.0, 5.0, 0.5):
        factor[0] = value
        (found,) = steps((np.zeros(2),), (), np.ones((2, 1)), (False,))
        np.testing.assert_array_equal(found, 2 * value)


def test_a_step_that_keeps_changing_is_not_compiled_forever(device, replay):
    factor = [0.0]
    steps = scan_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + factor[0] * one[0],))
    for i in range(15):
        factor[0] = float(i)
        (found,) = steps((np.zeros(2),), (), np.ones((2, 1)), (False,))
        np.testing.assert_array_equal(found, 2.0 * i)
    assert list(steps.programs.values()) == [None]


@pytest.mark.parametrize("change", ["order", "dtype"])
def test_arrays_of_another_layout_or_dtype_get_a_program_of_their_own(change, device, replay, random):
    step = lambda xp, carry, fixed, one: (carry[0] * one[0] + fixed[0],)  # noqa: E731
    steps, X = scan_on(device, replay, step), random.normal(size=(3, 3))
    other = np.asfortranarray(X) if change == "order" else X.astype("float32")
    for fixed in (X, other, X):
        carry, each = (np.ones((3, 3), fixed.dtype),), np.full((2, 1), 0.5, fixed.dtype)
        (found,) = steps(carry, (fixed,), each, (False,))
        assert found.dtype == fixed.dtype
        np.testing.assert_allclose(found, 0.25 + 1.5 * fixed, rtol=1e-6)
    assert len(steps.programs) == 2
