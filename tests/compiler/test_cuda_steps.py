"""Single steps by CUDA programs, on a GPU that is none, give what eager steps give."""

from __future__ import annotations

import array_api_compat.numpy
import numpy as np
import pytest
from cuda_helpers import needs_gcc, scan_on
from fake_cuda import FakeDevice

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


@pytest.mark.parametrize("seed", range(30))
def test_random_steps_give_the_same(seed, device, replay):
    """Sums, products, reductions and views at random, on a carry that is overwritten."""
    random = np.random.default_rng(seed)
    rows, columns = [(5, 7), (40, 300), (33, 5), (1, 9), (9, 1)][seed % 5]
    unary = [np.negative, np.abs, np.square, np.tanh, lambda x: np.maximum(x, 0.25), lambda x: 0.5 - x]
    binary = [np.add, np.subtract, np.multiply, np.minimum, lambda x, y: np.where(x > y, x, 2 * y)]
    plan = random.integers(0, 10**6, size=(14, 4))

    def step(xp, carry, fixed, one):
        square = [x for x in (*carry, *fixed) if x.shape == (rows, columns)]
        for kind, i, j, k in plan:
            x, y = square[i % len(square)], square[j % len(square)]
            new = [
                lambda x=x, y=y, k=k: binary[k % len(binary)](x, y),
                lambda x=x, k=k: unary[k % len(unary)](x),
                lambda x=x: x - xp.sum(x, axis=-1, keepdims=True) / columns,
                lambda x=x: x / (1 + xp.max(xp.abs(x), axis=-2, keepdims=True)),
                lambda x=x, y=y: (x @ y.mT) @ x / (rows * columns),
                lambda x=x: x * one[0] + xp.astype(x > one[1], x.dtype),
                lambda x=x, y=y: x + xp.min(y, axis=(-2, -1)) * xp.sum(x * y),
                lambda x=x, y=y: xp.exp(-xp.abs(x[::-1, :])) * y + x[:, :1] * y[-1, :],
            ][kind % 8]()
            square.append(new / (1 + xp.abs(new)))
        return tuple(square[-len(carry) :])

    carry = tuple(random.normal(size=(rows, columns)) for _ in range(3))
    fixed = (random.normal(size=(rows, columns)),)
    each = random.normal(size=(6, 2))
    expected = carry
    for one in each:
        expected = step(array_api_compat.numpy, expected, fixed, one)
    kept = [x.copy() for x in carry]
    steps = scan_on(device, replay, step)
    for _ in range(2):
        found = steps(carry, fixed, each, (False,) * 3)
        assert None not in steps.programs.values()
        for x, y, z, old in zip(found, expected, carry, kept, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)
            np.testing.assert_array_equal(z, old)


def old_values_are_read_after_the_new(xp, carry, fixed, one):
    x, y = carry
    new = x + one[0]
    return new, y * new + x * 0.5  # x itself, which `new` may have overwritten


def rows_meet_columns(xp, carry, fixed, one):
    x, y = carry
    total = xp.sum(x, axis=-1, keepdims=True)
    return x - total * xp.max(y, axis=-2, keepdims=True) / 99, y.mT[::-1, ::-1].mT * one[0] + total


@pytest.mark.parametrize("step", [old_values_are_read_after_the_new, rows_meet_columns])
@pytest.mark.parametrize("rows", [4, 60])
def test_nothing_is_overwritten_before_it_is_read(step, rows, device, replay, random):
    carry = tuple(random.normal(size=(rows, 300)) for _ in range(2))
    each = random.uniform(0, 0.1, size=(6, 1))
    expected = carry
    for one in each:
        expected = step(np, expected, (), one)
    steps = scan_on(device, replay, step)
    for x, y in zip(steps(carry, (), each, (False, False)), expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)
    assert None not in steps.programs.values()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_pass_through_as_they_do_in_numpy(bad, device, replay):
    def step(xp, carry, fixed, one):
        x, y, m = carry
        least = xp.min(y, axis=-1, keepdims=True)
        m = xp.where(xp.max(x, axis=-1, keepdims=True) > 2, np.inf, least) + m
        return xp.maximum(x, y) * one[0], xp.minimum(x, xp.sqrt(xp.abs(y))) * one[0], m

    x, y = np.array([[bad, 1, bad, -1, 0]]), np.array([[1, bad, bad, 0, -0.0]])
    carry, each = (x, y, np.zeros((1, 1))), np.ones((1, 1))
    with np.errstate(all="ignore"):
        expected = step(np, carry, (), each[0])
    found = scan_on(device, replay, step)(carry, (), each, (False,) * 3)
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_elementwise_operations_are_rounded_as_by_numpy(dtype, device, replay, random):
    def step(xp, carry, fixed, one):
        x, y = carry
        z = xp.sqrt(xp.abs(0.9 * x + 0.1 * y)) / (1e-8 + y * y) - one[0] * x
        return z, xp.where(z > x, 0.999 * y + z * (1 - 0.999), xp.maximum(-z, 0.5))

    carry = tuple(random.normal(size=(50, 70)).astype(dtype) for _ in range(2))
    each = random.uniform(size=(5, 1)).astype(dtype)
    expected = carry
    for one in each:
        expected = step(np, expected, (), one)
    found = scan_on(device, replay, step)(carry, (), each, (False, False))
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)


F64 = np.random.default_rng(7).normal


CASES = {  # (step, carry, fixed): small steps that are easily got wrong
    "all of three axes": (
        lambda xp, c, f, o: (c[0] * 0.5 + xp.sum(c[0] * xp.exp(f[0])) * o[0],),
        [(2, 3, 4)],
        [F64(size=(2, 3, 1))],
    ),
    "three axes kept": (
        lambda xp, c, f, o: (c[0] + xp.sum(c[0] * f[0], axis=(-3, -2, -1), keepdims=True) * o[0],),
        [(5, 2, 3, 4)],
        [F64(size=(5, 2, 3, 1))],
    ),
    "a line's value stored while others need the old": (
        lambda xp, c, f, o: (c[0] + o[0], c[1] * 0.5 + xp.sum(c[1], axis=-1, keepdims=True) * c[0]),
        [(4, 3), (4, 3)],
        [],
    ),
    "a dead product is read by a region": (
        lambda xp, c, f, o: (through_a_product(xp, c[0], f[0], o[0]),),
        [(6, 6)],
        [F64(size=(6, 6))],
    ),
    "sums that do not keep their axis": (
        lambda xp, c, f, o: (crossed(xp, c[0]) * o[0],),
        [(5, 5)],
        [],
    ),
    "rows of a view": (
        lambda xp, c, f, o: (c[0] * o[0] + xp.take(f[0].mT[:, 1:], f[1], axis=0),),
        [(2, 3)],
        [F64(size=(4, 6)), np.array([5, -1])],
    ),
    "rows of a stack": (
        lambda xp, c, f, o: (c[0] * o[0] + xp.take(f[0], f[1], axis=-2),),
        [(2, 3, 4)],
        [F64(size=(2, 5, 4)), np.array([2, 1, 4])],
    ),
    "one row times a matrix": (
        lambda xp, c, f, o: (c[0] * 0.5 + (f[0][None, :] @ f[1]) * o[0],),
        [(1, 4)],
        [F64(size=5), F64(size=(5, 4))],
    ),
    "a stack of one": (
        lambda xp, c, f, o: (c[0] * 0.5 + f[0] @ c[0] * o[0],),
        [(1, 3, 4)],
        [F64(size=(1, 3, 3))],
    ),
    "quotients of integers": (
        lambda xp, c, f, o: (c[0] * 0.5 + f[0] / f[1] * o[0],),
        [(3,)],
        [np.array([1, 2, 3]), np.array([2, 3, 7])],
    ),
    "numbers that are not finite": (
        lambda xp, c, f, o: (xp.minimum(xp.maximum(c[0], -np.inf), np.inf) * o[0],),
        [(3, 2)],
        [],
    ),
    "signs and sums of logarithms": (
        lambda xp, c, f, o: (xp.logaddexp(c[0], f[0]) * o[0], xp.sign(f[0]) + 0.0 * c[0]),
        [(3,), (3,)],
        [np.array([np.inf, np.nan, 0.5])],
    ),
    "whether all, and the least": (
        lambda xp, c, f, o: (
            xp.where(xp.all(f[0] > 0.25, axis=-1, keepdims=True), c[0], -c[0]) + xp.min(f[0]) * o[0],
        ),
        [(2, 3)],
        [np.array([[0.5, 1.0, 2.0], [0.5, 0.1, 3.0]])],
    ),
}


def through_a_product(xp, x, f, number):
    t = x @ f
    r = xp.sum(xp.exp(-xp.abs(t)), axis=-1, keepdims=True)
    return x * 0.5 + (t * number) @ f + r


def crossed(xp, x):
    y = xp.exp(-xp.abs(x)) * xp.sum(x, axis=-1)
    return y + xp.sum(y, axis=-1, keepdims=True)


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_edge_cases_give_the_same(case, backwards, folder, random):
    step, shapes, fixed = CASES[case]
    carry = tuple(random.normal(size=shape) for shape in shapes)
    each = random.uniform(0.5, 1.0, size=(5, 2))
    expected = carry
    with np.errstate(all="ignore"):
        for one in each:
            expected = step(array_api_compat.numpy, expected, tuple(fixed), one)
    steps = scan_on(FakeDevice(folder, backwards=backwards), True, step)
    found = steps(carry, tuple(fixed), each, (False,) * len(carry))
    assert None not in steps.programs.values()
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n", [2**18 - 1, 2**18, 2**18 + 255])
def test_where_a_thread_takes_several_elements_none_is_left_out(n, device, replay, random):
    x, each = random.normal(size=n), np.array([[0.5], [0.25]])
    step = lambda xp, carry, fixed, one: (carry[0] * one[0] - 1.0,)  # noqa: E731
    (found,) = scan_on(device, replay, step)((x,), (), each, (False,))
    np.testing.assert_array_equal(found, (x * 0.5 - 1.0) * 0.25 - 1.0)
