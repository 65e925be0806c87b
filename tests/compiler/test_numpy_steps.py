"""Steps compiled for NumPy give the bits of eager steps."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import HIDDEN, OPTIMIZERS, OUTPUTS, samples
from training_helpers import assert_same

import portable_nn as pnn
from portable_nn.compiler.numpy import CompiledScan

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_gives_the_same_bits(hidden, dtype, mode, fit_eagerly, random):
    net = pnn.Network((12, 33, 20, 4), (hidden, hidden, "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 100, 12, 4, dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    assert_same(pnn.fit(*given, validation=(X, Y)), fit_eagerly(*given, validation=(X, Y)))


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_every_pair_of_output_and_loss_gives_the_same_bits(
    output, loss, dtype, mode, fit_eagerly, random
):
    net = pnn.Network((7, 9, 3), ("tanh", output), loss)
    X, Y = samples(random, 60, 7, 3, dtype)
    weight = random.uniform(size=60).astype(dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    options = {"sample_weight": weight, "l2": 0.1, "clip_norm": 0.5, "dropout": 0.25}
    assert_same(pnn.fit(*given, **options), fit_eagerly(*given, **options))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{type(o).__name__}-{o.slots}")
@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_every_optimizer_gives_the_same_bits(optimizer, stack, dtype, mode, fit_eagerly, random):
    net = pnn.Network((300, 90, 2), ("relu", "sigmoid"), "binary_cross_entropy")
    X, Y = samples(random, 90, 300, 2, dtype)
    params = net.initialize(dtype=dtype, stack=stack)  # 27,000 weights: more than one block
    given = (net, params, X, Y, optimizer, 2, 20)
    assert_same(pnn.fit(*given), fit_eagerly(*given))


def test_data_in_any_memory_layout_gives_the_same(mode, fit_eagerly, random, tmp_path):
    net = pnn.Network((6, 8, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 80, 6, 2, "float64")
    params = net.initialize(dtype="float64")
    expected = fit_eagerly(net, params, X, Y, batch_size=8)
    on_disk = np.memmap(tmp_path / "X", dtype="float64", mode="w+", shape=X.shape)
    on_disk[...] = X
    wide = np.repeat(X, 2, axis=1)
    for other in (np.asfortranarray(X), on_disk, wide[:, ::2]):
        assert_same(pnn.fit(net, params, other, Y, batch_size=8), expected)


@pytest.mark.parametrize("seed", range(40))
def test_random_steps_give_the_same_bits(seed, mode, random):
    """Sums, products, reductions and views at random, on a carry that is overwritten."""
    random = np.random.default_rng(seed)
    rows, columns = (130, 140) if seed % 4 == 0 else (5, 7)  # more than one block, or less
    unary = [np.negative, np.abs, np.square, np.tanh, lambda x: np.maximum(x, 0.25), lambda x: 0.5 - x]
    binary = [np.add, np.subtract, np.multiply, np.minimum, lambda x, y: np.where(x > y, x, 2 * y)]
    plan = random.integers(0, 10**6, size=(14, 4))

    def step(xp, carry, fixed, one):
        known = [*carry, *fixed]
        square = [x for x in known if x.shape == (rows, columns)]
        for kind, i, j, k in plan:
            x, y = square[i % len(square)], square[j % len(square)]
            new = [
                lambda x=x, y=y, k=k: binary[k % len(binary)](x, y),
                lambda x=x, k=k: unary[k % len(unary)](x),
                lambda x=x: x - xp.sum(x, axis=-1, keepdims=True) / columns,
                lambda x=x: x / (1 + xp.max(xp.abs(x), axis=-2, keepdims=True)),
                lambda x=x, y=y: (x @ y.mT) @ x / (rows * columns),
                lambda x=x: x * one[0] + xp.astype(x > one[1], x.dtype),
            ][kind % 6]()
            square.append(new / (1 + xp.abs(new)))
        return tuple(square[-len(carry) :])

    carry = tuple(random.normal(size=(rows, columns)).astype("float32") for _ in range(3))
    fixed = (random.normal(size=(rows, columns)).astype("float32"),)
    each = random.normal(size=(6, 2)).astype("float32")
    expected = carry
    with np.errstate(all="ignore"):
        for one in each:
            expected = step(np, expected, fixed, one)
    kept = [x.copy() for x in carry]
    found = CompiledScan(step, np)(carry, fixed, each, (False, False, False))
    for x, y, z, old in zip(found, expected, carry, kept, strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(z, old)


def old_values_are_read_after_the_new(xp, carry, fixed, one):
    x, y = carry
    new = x + one[0]
    return new, y * new + x * 0.5  # x itself, which `new` may have overwritten


def a_dead_array_is_read_after_another_is_ready(xp, carry, fixed, one):
    x, y = carry
    P = x @ y.mT
    a = P + one[0]
    b = a * P  # P again, which `a` may have overwritten
    return xp.tanh((a @ b.mT) @ x), xp.tanh(y - (b @ a) @ y)


@pytest.mark.parametrize(
    "step", [old_values_are_read_after_the_new, a_dead_array_is_read_after_another_is_ready]
)
@pytest.mark.parametrize("rows", [4, 150])
def test_nothing_is_overwritten_before_it_is_read(step, rows, mode, random):
    carry = tuple(random.normal(size=(rows, 140)).astype("float32") for _ in range(2))
    each = random.uniform(0, 0.1, size=(6, 1)).astype("float32")
    expected = carry
    for one in each:
        expected = step(np, expected, (), one)
    found = CompiledScan(step, np)(carry, (), each, (False, False))
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_pass_through_as_they_do_in_numpy(bad, mode):
    def step(xp, carry, fixed, one):
        x, y = carry
        return xp.maximum(x, y) * one[0], xp.minimum(x, xp.sqrt(xp.abs(y))) * one[0]

    x, y = np.array([bad, 1, bad, -1, 0], "float32"), np.array([1, bad, bad, 0, -0.0], "float32")
    expected, each = (x, y), np.ones((1, 1), "float32")
    with np.errstate(all="ignore"):
        for one in each:
            expected = step(np, expected, (), one)
    for found, wanted in zip(
        CompiledScan(step, np)((x, y), (), each, (False, False)), expected, strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_zeros_have_the_sign_that_numpy_gives_them(mode, random):
    def step(xp, carry, fixed, one):
        (z,) = carry
        return (xp.maximum(-z + 0.0 * one[0], z) * 1.0 + xp.minimum(z, -z) * 0.0,)

    z = np.array([0.0, -0.0, 1.0, -1.0], "float32")
    expected = (z,)
    for _ in range(9):
        expected = step(np, expected, (), np.ones(1, "float32"))
    found = CompiledScan(step, np)((z,), (), np.ones((9, 1), "float32"), (False,))
    np.testing.assert_array_equal(np.signbit(found[0]), np.signbit(expected[0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_class_indices_and_bytes_give_the_eager_bits(mode, dtype, random, fit_eagerly):
    X = random.integers(0, 255, size=(90, 30)).astype("uint8")
    for net, Y in (
        (pnn.Network((30, 19, 4), ("relu", "softmax"), "categorical_cross_entropy"), X[:, 0] % 4),
        (pnn.Network((30, 19, 1), ("relu", "sigmoid"), "binary_cross_entropy"), X[:, 0] > 99),
        (pnn.Network((30, 2), ("softplus",), "poisson"), X[:, :2].astype("int32")),
    ):
        first = net.initialize(dtype=dtype, scheme="normal")
        given = (net, first, X, Y, pnn.SGD(1e-5), 3, 20)
        assert_same(pnn.fit(*given, validation=(X, Y)), fit_eagerly(*given, validation=(X, Y)))
