"""Steps as programs for a GPU: their kernels, order and graphs, on a GPU that is none."""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib.util
import itertools
import re
import sys
import threading
import types
import weakref
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import array_api_compat.numpy
import numpy as np
import pytest
from fake_cuda import COMPILER, CUBLAS, FakeDevice, compiled
from helpers import HIDDEN, OPTIMIZERS, OUTPUTS, Own, samples, training_difference

import portable_nn as pnn
from portable_nn.backends import cupy_backend
from portable_nn.backends.cupy_device import CupyDevice
from portable_nn.backends.numpy_backend import NumpyBackend
from portable_nn.compiler.cuda import CudaScan
from portable_nn.compiler.cuda.cublas import Cublas, mapped_library
from portable_nn.compiler.cuda.device import MODE_VARIABLE, OPTIONS
from portable_nn.compiler.cuda.indexing import element_index
from portable_nn.compiler.cuda.kernels import Kernel
from portable_nn.compiler.cuda.parts import index_type
from portable_nn.compiler.cuda.products import operand_of, product_of
from portable_nn.compiler.cuda.program import CudaProgram, ProductLaunch
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.layout import Layout
from portable_nn.compiler.numpy import CompiledStep
from portable_nn.training.steps import training_steps

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no g++ here to compile kernels with")
pytestmark = [pytest.mark.usefixtures("host_only"), needs_compiler]

CLOSE = {"float64": 1e-12, "float32": 2e-5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def replay() -> bool:
    """By graphs, which give the bits of their launches: see below."""
    return True


@pytest.fixture
def device(folder) -> FakeDevice:
    return FakeDevice(folder)


def steps_on(device, replay, step) -> CudaScan:
    return CudaScan(*2 * [functools.partial(step, array_api_compat.numpy)], device, replay)


@pytest.fixture
def train(device, replay, monkeypatch):
    """`pnn.fit` with NumPy's arrays for those of the device."""
    made: list[CudaScan] = []

    def fit(*arguments, on=device, by_graph=replay, **options):
        def scan(self, step):
            made.append(steps_on(on, by_graph, step))
            return made[-1]

        training_steps.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(NumpyBackend, "scan", scan)
            found = pnn.fit(*arguments, **options)
        training_steps.cache_clear()
        programs = [program for steps in made for program in steps.programs.values()]
        assert programs
        assert None not in programs, "run as it stands"
        return found

    fit.made = made
    return fit


def as_it_stands(*arguments, **options):
    training_steps.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CompiledStep, "program", lambda *_, **__: None)
        found = pnn.fit(*arguments, **options)
    training_steps.cache_clear()
    return found


# ---- the same numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_trains_as_it_does_as_it_stands(hidden, dtype, train, random, margin):
    net = pnn.Network((12, 33, 20, 4), (hidden, hidden, "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 100, 12, 4, dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    found = training_difference(train(*given), as_it_stands(*given))
    assert margin(f"GPU program without a GPU, {dtype}", "numpy", found) < CLOSE[dtype]


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_every_pair_of_output_and_loss_trains_as_it_stands(output, loss, dtype, train, random):
    net = pnn.Network((7, 9, 3), ("tanh", output), loss)
    X, Y = samples(random, 60, 7, 3, dtype)
    weight = random.uniform(size=60).astype(dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    options = {"sample_weight": weight, "l2": 0.1, "clip_norm": 0.5, "dropout": 0.25}
    assert training_difference(train(*given, **options), as_it_stands(*given, **options)) < CLOSE[dtype]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{type(o).__name__}-{o.slots}")
@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_every_optimizer_trains_as_it_stands(optimizer, stack, train, random):
    net = pnn.Network((30, 19, 2), ("relu", "sigmoid"), "binary_cross_entropy")
    X, Y = samples(random, 90, 30, 2, "float64")
    given = (net, net.initialize(dtype="float64", stack=stack), X, Y, optimizer, 2, 20)
    assert training_difference(train(*given), as_it_stands(*given)) < CLOSE["float64"]


@pytest.mark.parametrize("shape", [(200, 600, 300), (3, 70, 40), (3, 20, 70)], ids=str)
def test_layers_of_any_width_and_batches_of_any_size(shape, train, random):
    n, inputs, outputs = shape  # several blocks of threads; lines longer than a block; many outputs
    net = pnn.Network((inputs, outputs), ("softmax",), "categorical_cross_entropy")
    X, Y = samples(random, n, inputs, outputs, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.SGD(0.1), 1, 150)
    options = {"l2": 0.1}
    assert (
        training_difference(train(*given, **options), as_it_stands(*given, **options)) < CLOSE["float64"]
    )


def test_rows_in_any_order_of_memory_give_the_same(train, random):
    net = pnn.Network((6, 8, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 80, 6, 2, "float64")
    given = {"params": net.initialize(dtype="float64"), "Y": Y, "batch_size": 8, "epochs": 2}
    expected = train(net, X=X, **given)
    wide = np.repeat(X, 2, axis=1)
    for other in (np.asfortranarray(X), wide[:, ::2], X[::-1].copy()[::-1]):
        assert training_difference(train(net, X=other, **given), expected) == 0.0


def test_schedules_early_stopping_and_going_on_give_the_same(train, random):
    net = pnn.Network((6, 8, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 70, 6, 2, "float64")
    options = {
        "schedule": pnn.schedules.cosine(0.05, 60),
        "validation": (X[:30], Y[:30]),
        "early_stopping": pnn.EarlyStopping(patience=2),
    }
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(), 30, 16)
    found, expected = train(*given, **options), as_it_stands(*given, **options)
    assert len(found[1].cost) == len(expected[1].cost)
    assert training_difference(found, expected) < 1e-11
    state = {"optimizer_state": found[1].optimizer_state}
    again = (net, found[0], X, Y, pnn.Adam(), 2, 16)
    assert training_difference(train(*again, **state), as_it_stands(*again, **state)) < 1e-11


@pytest.mark.parametrize("way", ["shift", "swap", "turn", "keep", "twice"])
def test_a_rule_may_do_what_it_likes_with_its_arrays(way, train, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 64, 3, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, Own(0.05, way=way), 5, 10)
    assert training_difference(train(*given), as_it_stands(*given)) < CLOSE["float64"]


@pytest.mark.parametrize("seed", range(30))
def test_random_steps_give_the_same(seed, device, replay):
    """Sums, products, reductions and views at random, over a carry that is written over."""
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
    steps = steps_on(device, replay, step)
    for _ in range(2):
        found = steps(carry, fixed, each, (False,) * 3)
        assert None not in steps.programs.values()
        for x, y, z, old in zip(found, expected, carry, kept, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)
            np.testing.assert_array_equal(z, old)


def old_values_are_read_after_the_new(xp, carry, fixed, one):
    x, y = carry
    new = x + one[0]
    return new, y * new + x * 0.5  # x itself, when `new` may have taken its place


def rows_meet_columns(xp, carry, fixed, one):
    x, y = carry
    total = xp.sum(x, axis=-1, keepdims=True)
    return x - total * xp.max(y, axis=-2, keepdims=True) / 99, y.mT[::-1, ::-1].mT * one[0] + total


@pytest.mark.parametrize("step", [old_values_are_read_after_the_new, rows_meet_columns])
@pytest.mark.parametrize("rows", [4, 60])
def test_nothing_is_written_over_before_it_is_read(step, rows, device, replay, random):
    carry = tuple(random.normal(size=(rows, 300)) for _ in range(2))
    each = random.uniform(0, 0.1, size=(6, 1))
    expected = carry
    for one in each:
        expected = step(np, expected, (), one)
    steps = steps_on(device, replay, step)
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
    found = steps_on(device, replay, step)(carry, (), each, (False,) * 3)
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_what_is_elementwise_is_rounded_as_numpy_rounds_it(dtype, device, replay, random):
    def step(xp, carry, fixed, one):
        x, y = carry
        z = xp.sqrt(xp.abs(0.9 * x + 0.1 * y)) / (1e-8 + y * y) - one[0] * x
        return z, xp.where(z > x, 0.999 * y + z * (1 - 0.999), xp.maximum(-z, 0.5))

    carry = tuple(random.normal(size=(50, 70)).astype(dtype) for _ in range(2))
    each = random.uniform(size=(5, 1)).astype(dtype)
    expected = carry
    for one in each:
        expected = step(np, expected, (), one)
    found = steps_on(device, replay, step)(carry, (), each, (False, False))
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
def test_small_steps_that_are_easily_got_wrong(case, backwards, folder, random):
    step, shapes, fixed = CASES[case]
    carry = tuple(random.normal(size=shape) for shape in shapes)
    each = random.uniform(0.5, 1.0, size=(5, 2))
    expected = carry
    with np.errstate(all="ignore"):
        for one in each:
            expected = step(array_api_compat.numpy, expected, tuple(fixed), one)
    steps = steps_on(FakeDevice(folder, backwards=backwards), True, step)
    found = steps(carry, tuple(fixed), each, (False,) * len(carry))
    assert None not in steps.programs.values()
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n", [2**18 - 1, 2**18, 2**18 + 255])
def test_where_a_thread_takes_several_elements_none_is_left_out(n, device, replay, random):
    x, each = random.normal(size=n), np.array([[0.5], [0.25]])
    step = lambda xp, carry, fixed, one: (carry[0] * one[0] - 1.0,)  # noqa: E731
    (found,) = steps_on(device, replay, step)((x,), (), each, (False,))
    np.testing.assert_array_equal(found, (x * 0.5 - 1.0) * 0.25 - 1.0)


def test_indices_count_as_far_as_they_have_to():
    assert index_type(2**31 - 2000) == "int"
    assert index_type(2**31) == "long long"
    assert element_index(Layout((2, 3), (2**30, 1)), (2, 3), "e") == f"(e % 3) + (e / 3) * {2**30}LL"
    assert "LL" not in element_index(Layout((2, 3), (2**28, 1)), (2, 3), "e")


def test_a_launch_takes_no_more_than_it_can_be_handed(device, replay):
    step = lambda xp, carry, fixed, one: tuple(x * one[0] for x in carry)  # noqa: E731
    carry = tuple(np.full(2, float(i)) for i in range(60))
    steps = steps_on(device, replay, step)
    for i, x in enumerate(steps(carry, (), np.full((3, 1), 0.5), (False,) * 60)):
        np.testing.assert_array_equal(x, i / 8)
    (program,) = steps.programs.values()
    assert [len(one.arguments) for one in program.launches][:3] == [25, 25, 13]


# ---- kernels, order, graphs ----------------------------------------------------------------------


def trained(train, random, epochs=2, n=70, **options):
    net = pnn.Network((8, 16, 12, 3), ("relu", "tanh", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, n, 8, 3, "float32")
    options = {"l2": 0.1, "clip_norm": 1.0} | options
    return train(net, net.initialize(), X, Y, pnn.Adam(0.01), epochs, 16, **options)


def test_blocks_and_threads_may_come_in_any_order(train, folder):
    found = [
        trained(train, np.random.default_rng(3), on=FakeDevice(folder, backwards=backwards))
        for backwards in (False, True)
    ]
    assert training_difference(*found) == 0.0


def test_a_replayed_graph_gives_the_bits_of_its_launches(train, folder):
    for n in (16, 70, 8 * 37 + 5):  # one step, a ragged last batch, more steps than a graph has
        fused, replayed = (
            trained(train, np.random.default_rng(3), n=n, on=FakeDevice(folder), by_graph=by_graph)
            for by_graph in (False, True)
        )
        assert training_difference(replayed, fused) == 0.0


def test_a_graph_is_captured_once(train, folder):
    counts = []
    for epochs in (1, 4):
        device = FakeDevice(folder)
        trained(train, np.random.default_rng(3), epochs=epochs, on=device, by_graph=True)
        counts.append((device.captured, device.launches))
    assert counts[0][0] == counts[1][0] > 0
    assert counts[1][1] > counts[0][1]


def test_without_a_handle_of_our_own_nothing_is_captured(train, folder):
    device = FakeDevice(folder, can_capture=False)
    found = trained(train, np.random.default_rng(3), on=device, by_graph=True)
    assert device.captured == 0
    assert training_difference(found, trained(train, np.random.default_rng(3), by_graph=False)) == 0.0


def program_of(train) -> CudaProgram:
    return next(iter(train.made[-1].programs.values()))


def test_a_step_is_few_launches(train, random):
    net = pnn.Network((20, 16, 12, 10), ("relu", "relu", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 32, 20, 10, "float32")
    train(net, net.initialize(), X, Y, pnn.Adam(), 1, 16)
    kinds = Counter(type(one) for one in program_of(train).launches)
    assert kinds[ProductLaunch] == 8  # three forward, three for dJ/dW, two for Delta
    # rows gathered; three activations, the last with its cost and its Delta; two Delta; the last update
    assert kinds[Kernel] == 7


@pytest.mark.parametrize("shape", [(300, 40), (3, 400, 50), (20, 9000)], ids=str)
def test_a_sum_of_all_is_made_by_many_blocks(shape, device, replay, random):
    step = lambda xp, carry, fixed, one: (carry[0] + xp.sum(fixed[0], axis=(-2, -1)) * one[0],)  # noqa: E731
    steps, X, each = steps_on(device, replay, step), random.normal(size=shape), np.ones((2, 1))
    (found,) = steps((np.zeros(shape[:-2]),), (X,), each, (False,))
    np.testing.assert_allclose(found, 2 * X.sum(axis=(-2, -1)), rtol=1e-11)
    (program,) = steps.programs.values()
    assert program.launches[0].blocks >= 35


def test_all_parameters_are_updated_in_one_launch_where_nothing_else_is_to_do(train, random):
    @dataclass(frozen=True)
    class Late(pnn.Adam):
        pass

    net = pnn.Network((5, 1), ("identity",), "squared_error")
    X, Y = samples(random, 32, 5, 1, "float32")
    train(net, net.initialize(stack=(3,)), X, Y, Late(), 1, 16)
    last = program_of(train).launches[-1]
    assert isinstance(last, Kernel)
    assert last.source.count("sqrt(") == 2  # W's and b's


def test_the_step_is_counted_on_the_device_also_where_each_launch_reads_its_own(device, replay):
    def step(xp, carry, fixed, one):
        return (carry[0] * 0.5 + one[0],)

    each = np.arange(40.0).reshape(40, 1)
    expected = np.zeros(3)
    for one in each:
        expected = expected * 0.5 + one[0]
    (found,) = steps_on(device, replay, step)((np.zeros(3),), (), each, (False,))
    np.testing.assert_array_equal(found, expected)


# ---- what is kept, and what is not ---------------------------------------------------------------


def test_programs_keep_memory_for_the_latest_steps_alone(device, replay):
    made = []
    for i in range(4):
        step = lambda xp, carry, fixed, one, i=i: (carry[0] + one[0] + i,)  # noqa: E731
        made.append(steps_on(device, replay, step))
        made[-1]((np.zeros(3),), (), np.ones((2, 1)), (False,))
    assert [bool(steps.loaded) for steps in made] == [False, False, True, True]
    (again,) = made[0]((np.zeros(3),), (), np.ones((2, 1)), (False,))
    np.testing.assert_array_equal(again, 2.0)


def test_other_data_of_the_same_shape_is_read_where_it_lies(device, replay, random):
    def step(xp, carry, fixed, one):
        return (carry[0] + one[0] * xp.sum(fixed[0], axis=-1, keepdims=True),)

    steps, each = steps_on(device, replay, step), np.ones((3, 1))
    datasets = [(random.normal(size=(4, 5)),) for _ in range(12)]  # all there at once: no address twice
    for fixed in datasets:
        (X,) = fixed
        (found,) = steps((np.zeros((4, 1)),), fixed, each, (False,))
        np.testing.assert_allclose(found[:, 0], 3 * X.sum(axis=1), rtol=1e-12)
    assert len(steps.programs) == 1
    assert len(steps.loaded) == 8


def test_the_data_is_not_kept(device, replay, random):
    step = lambda xp, carry, fixed, one: (carry[0] + one[0] * fixed[0],)  # noqa: E731
    steps, X = steps_on(device, replay, step), random.normal(size=(4, 5))
    for _ in range(2):
        steps((np.zeros((4, 5)),), (X, None), np.ones((3, 1)), (False,))
    seen = weakref.ref(X)
    del X
    gc.collect()
    assert seen() is None


def test_programs_of_other_batch_sizes_share_their_memory(train, random):
    net = pnn.Network((5, 40, 2), ("relu", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 50, 5, 2, "float32")
    train(net, net.initialize(), X, Y, pnn.Adam(), 2, 16)
    (steps,) = train.made
    full, last = steps.loaded.values()
    assert len(steps.programs) == 2
    for bound in (full, last):
        pieces = [array for key, array in bound.memory.items() if key[0] == "buffer"]
        assert len(pieces) > 5
        assert all(np.shares_memory(piece, steps.memory) for piece in pieces)
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(pieces, 2))


def test_what_comes_for_a_step_may_be_its_result(device, replay):
    def step(xp, carry, fixed, one):
        return one[:2], carry[0] + 0.0, one[2:] * 2

    each = np.arange(21.0).reshape(7, 3)
    carry = (np.zeros(2), np.zeros(2), np.zeros(1))
    found = steps_on(device, replay, step)(carry, (), each, (False,) * 3)
    for x, y in zip(found, ([18, 19], [15, 16], [40]), strict=True):
        np.testing.assert_array_equal(x, y)


def test_more_steps_than_before_find_room(device, replay):
    steps = steps_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    for n in (3, 2, 50, 7):
        (found,) = steps((np.zeros(2),), (), np.ones((n, 1)), (False,))
        np.testing.assert_array_equal(found, float(n))


def test_a_function_that_reads_what_changes_is_looked_at_again(device, replay):
    factor = [1.0]
    steps = steps_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + factor[0] * one[0],))
    for value in (1.0, 5.0, 5.0, 0.5):
        factor[0] = value
        (found,) = steps((np.zeros(2),), (), np.ones((2, 1)), (False,))
        np.testing.assert_array_equal(found, 2 * value)


def test_threads_take_turns(device, replay):
    def work(i):
        step = lambda xp, carry, fixed, one: (carry[0] * 1.5 + one[0] + i,)  # noqa: E731
        steps = steps_on(device, replay, step)
        expected = np.zeros(50)
        for one in each:
            expected = expected * 1.5 + one[0] + i
        for _ in range(5):
            (found,) = steps((np.zeros(50),), (), each, (False,))
            right.append(np.array_equal(found, expected))

    each, right = np.linspace(0, 1, 20).reshape(20, 1), []
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 20


# ---- what cannot be a program is run as it stands ------------------------------------------------


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
        "looks at a value",
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
def test_what_no_kernel_is_written_for_is_run_as_it_stands(g, device, replay, random):
    def step(xp, carry, fixed, one):
        return (xp.asarray(g(xp, carry[0]) * one[0]),)

    steps, x = steps_on(device, replay, step), random.normal(size=(4, 3))
    expected = x
    for _ in range(2):
        expected = g(array_api_compat.numpy, expected) * 0.5
    (found,) = steps((x,), (), np.full((2, 1), 0.5), (False,))
    np.testing.assert_array_equal(found, expected)
    assert list(steps.programs.values()) == [None]
    assert device.launches == 0


def test_where_kernels_cannot_be_compiled_it_is_said_and_nothing_is_lost(device, replay, monkeypatch):
    def fail(self, source, names):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(FakeDevice, "compile", fail)
    steps = steps_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    start = np.zeros(2)
    with pytest.warns(UserWarning, match="runs eagerly, not compiled: no compiler here"):
        (found,) = steps((start,), (), np.ones((3, 1)), (True,))
    np.testing.assert_array_equal(found, 3.0)
    (found,) = steps((found,), (), np.ones((3, 1)), (True,))  # and not said again
    np.testing.assert_array_equal(found, 6.0)


def test_where_nothing_can_be_captured_it_is_said_and_nothing_is_lost(device, monkeypatch):
    def fail(self, work):
        work()
        raise RuntimeError("cannot be captured")

    monkeypatch.setattr(FakeDevice, "capture", fail)
    steps = steps_on(device, True, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    with pytest.warns(UserWarning, match="runs eagerly, not compiled: cannot be captured"):
        (found,) = steps((np.zeros(2),), (), np.ones((3, 1)), (True,))
    np.testing.assert_array_equal(found, 3.0)
    assert (len(steps.loaded), len(steps.carries), steps.memory) == (0, 0, None)


def test_without_steps_or_arrays_there_is_nothing_to_do(device, replay):
    step = lambda xp, carry, fixed, one: carry  # noqa: E731
    x = np.ones(3)
    for carry, each in (((x,), np.zeros((0, 2))), ((x,), ()), ((x,), None), ((None,), np.ones((2, 1)))):
        assert steps_on(device, replay, step)(carry, (), each, (False,)) is carry
    assert device.launches == 0


def test_what_cannot_be_a_key_is_run_as_it_stands(device, replay):
    steps = steps_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + fixed[0]["a"],))
    (found,) = steps((np.zeros(2),), ({"a": 1.0},), np.ones((3, 1)), (True,))
    np.testing.assert_array_equal(found, 3.0)
    assert device.launches == 0


def test_a_step_that_changes_all_the_time_is_not_compiled_all_the_time(device, replay):
    factor = [0.0]
    steps = steps_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + factor[0] * one[0],))
    for i in range(15):
        factor[0] = float(i)
        (found,) = steps((np.zeros(2),), (), np.ones((2, 1)), (False,))
        np.testing.assert_array_equal(found, 2.0 * i)
    assert list(steps.programs.values()) == [None]


@pytest.mark.parametrize("change", ["order", "dtype"])
def test_arrays_that_lie_or_count_otherwise_have_a_program_of_their_own(change, device, replay, random):
    step = lambda xp, carry, fixed, one: (carry[0] * one[0] + fixed[0],)  # noqa: E731
    steps, X = steps_on(device, replay, step), random.normal(size=(3, 3))
    other = np.asfortranarray(X) if change == "order" else X.astype("float32")
    for fixed in (X, other, X):
        carry, each = (np.ones((3, 3), fixed.dtype),), np.full((2, 1), 0.5, fixed.dtype)
        (found,) = steps(carry, (fixed,), each, (False,))
        assert found.dtype == fixed.dtype
        np.testing.assert_allclose(found, 0.25 + 1.5 * fixed, rtol=1e-6)
    assert len(steps.programs) == 2


def test_the_programs_used_longest_ago_are_forgotten(device, replay):
    steps = steps_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    for n in [*range(1, 33), 1, 33, 27, 34]:  # some more than are kept; some have been used again
        steps((np.zeros(n),), (), np.ones((1, 1)), (False,))
    lengths = [key[0][1][0][0] for key in steps.programs]
    assert lengths == [(n,) for n in [*range(4, 27), *range(28, 33), 1, 33, 27, 34]]
    assert [where[0][0][1][0][0] for where in steps.loaded] == [
        (n,) for n in [*range(29, 33), 1, 33, 27, 34]
    ]


def test_products_that_cublas_does_not_take_as_they_lie_are_refused():
    assert operand_of(Layout((2, 3), (3, 1))) == operand_of(Layout((2, 3), (3, 1), 7))
    for strides in [(6, 2), (3, -1), (0, 1)]:
        with pytest.raises(UntraceableError, match="no kernel for a product"):
            operand_of(Layout((2, 3), strides))
    with pytest.raises(UntraceableError, match="a stack"):
        operand_of(Layout((2, 2, 2, 3), (100, 6, 3, 1)))


@pytest.mark.parametrize("strides", [(12, 4, 1), (1, 2, 6), (0, 4, 1), (-12, 4, 2), (0, 0, 0)])
def test_a_place_is_where_numpy_has_the_element(strides):
    shape = (2, 3, 4)
    where = element_index(Layout(shape, strides, 50), shape, "e")
    for e in range(24):
        i, j, k = np.unravel_index(e, shape)
        expected = 50 + int(i) * strides[0] + int(j) * strides[1] + int(k) * strides[2]
        assert eval(where.replace("/", "//"), {"e": e}) == expected


# ---- CuPy ----------------------------------------------------------------------------------------


class Recorder:
    """A stand-in for CuPy that writes down in which order streams and events are used."""

    def __init__(self):
        self.said: list[str] = []
        self.current = ["the caller's"]
        outer = self

        class OurStream:
            def __init__(self, non_blocking=False, name="ours"):
                self.name, self.ptr = name, 1

            def record(self):
                outer.said.append(f"{self.name} is marked")
                return self.name

            def wait_event(self, event):
                outer.said.append(f"{self.name} waits for {event}")

            def __enter__(self):
                outer.current.append(self.name)

            def __exit__(self, *_):
                outer.current.pop()

        class Cuda:
            @staticmethod
            def Stream(non_blocking):
                assert non_blocking
                return OurStream()

            @staticmethod
            def get_current_stream():
                return OurStream(name=outer.current[-1])

        self.cuda = Cuda


class NoDevice:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_the_programs_stream_comes_after_the_callers_and_before_what_he_does_next(monkeypatch):
    cupy = Recorder()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    device = CupyDevice(NoDevice())

    def work():
        with device.own_stream():
            cupy.said.append(f"work on {cupy.current[-1]}")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert cupy.said == [
        "the caller's is marked",
        "ours waits for the caller's",
        "work on ours",
        "ours is marked",
        "the caller's waits for ours",
    ]


@pytest.mark.parametrize("how", ["eager", "fused", "replayed", None, "fast"])
def test_how_steps_are_run_on_cupy_is_the_users_choice(how, monkeypatch):
    if how is None:
        monkeypatch.delenv(MODE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(MODE_VARIABLE, how)
    backend = object.__new__(cupy_backend.CupyBackend)
    backend.xp, backend.device, backend.__dict__["cuda"] = array_api_compat.numpy, NoDevice(), None
    if how == "fast":
        with pytest.raises(ValueError, match="'fast'; accepted: eager, fused, replayed"):
            backend.scan(lambda xp, *_: None)
        return
    steps = backend.scan(lambda xp, *_: None)
    assert isinstance(steps, CudaScan) == (how in ("fused", "replayed"))
    assert not isinstance(steps, CudaScan) or steps.replay == (how == "replayed")


def test_cupy_takes_what_is_asked_of_it():
    """As far as it can be told without a GPU: memory is looked at, and never touched."""
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    memory = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(4096, 8 * 600, None, 0), 0)
    device = object.__new__(CupyDevice)
    device.cupy, device.device = cupy, NoDevice()
    whole = cupy.ndarray((8 * 600,), "uint8", memory)
    seen = device.view(whole, np.dtype("float32"), Layout((2, 3), (1, 10), 7))
    assert (seen.shape, seen.strides, seen.dtype) == ((2, 3), (4, 40), np.dtype("float32"))
    assert device.address(seen) == 4096 + 7 * 4
    assert device.view(whole, np.dtype("float64"), Layout((), ())).shape == ()
    module = cupy.RawModule(code="", options=OPTIONS)
    assert callable(module.get_function)
    for name in ("begin_capture", "end_capture", "wait_event", "record"):
        assert hasattr(cupy.cuda.Stream, name)
    assert callable(cupy.cuda.Graph.launch)


def test_the_namespace_of_cupy_has_all_that_the_package_takes_from_one():
    pytest.importorskip("cupy", reason="cupy is not installed")
    import array_api_compat.cupy as xp

    folder = Path(pnn.__file__).parent
    rooms = [path for path in folder.rglob("*.py") if "backends" not in path.parts]
    names = {name for path in rooms for name in re.findall(r"\bxp\.(\w+)", path.read_text())}
    assert {"take", "maximum", "sum"} <= names
    assert [name for name in sorted(names) if not hasattr(xp, name)] == []


@pytest.mark.parametrize(
    "maps", ["", "7f r-xp 0 0 1 /a/libcublas.so.13\n7f r-xp 0 0 2 /b/libcublas.so.12\n", None]
)
def test_where_libcublas_cannot_be_told_there_is_no_handle_and_no_capture(maps, monkeypatch):
    def read(path, encoding):
        assert str(path) == "/proc/self/maps"
        if maps is None:
            raise FileNotFoundError(path)
        return maps

    monkeypatch.setattr(Path, "read_text", read)
    assert mapped_library() is None
    device = object.__new__(CupyDevice)
    device.cupy = types.SimpleNamespace(ones=lambda *_: np.ones((2, 2)), matmul=np.matmul)
    assert not device.can_capture
    left, right, out = np.ones((2, 3)), np.ones((3, 2)), np.zeros((2, 2))
    device.product(None, left, right, out)()
    assert (out == 3).all()


def test_the_one_libcublas_in_memory_is_found(folder, monkeypatch):
    path = folder / "libcublas.so.13"
    path.write_bytes(Path(compiled(CUBLAS, folder)._name).read_bytes())
    maps = f"7f r-xp 0 0 1 {path}\n8f r--p 0 0 1 {path}\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: maps)
    assert mapped_library()._name == str(path)


def test_a_call_of_cublas_that_fails_is_no_product(folder):
    cublas = Cublas(compiled(CUBLAS, folder), 0, 1)  # no stream: the fake refuses
    layout = Layout((2, 2), (2, 1))
    product = product_of(layout, layout, layout, np.dtype("float64"))
    with pytest.raises(RuntimeError, match="cuBLAS gave status 1; accepted: 0, success"):
        cublas.prepared(product, 1, 1, 1)()


@pytest.mark.parametrize("goes_well", [True, False])
def test_a_capture_is_ended_in_any_case(goes_well):
    said = []

    class OurStream:
        def begin_capture(self):
            said.append("begin")

        def end_capture(self):
            said.append("end")
            return types.SimpleNamespace(launch=said.append)

    def work():
        said.append("work")
        if not goes_well:
            raise KeyError

    device = object.__new__(CupyDevice)
    device.stream = OurStream()
    if goes_well:
        device.capture(work)()
        assert said == ["begin", "work", "end", device.stream]
    else:
        with pytest.raises(KeyError):
            device.capture(work)
        assert said == ["begin", "work", "end"]


def nvrtc() -> ctypes.CDLL | None:
    """NVIDIA's compiler, where its wheel is installed: it needs no GPU."""
    found = importlib.util.find_spec("nvidia")
    roots = [] if found is None else found.submodule_search_locations
    paths = [path for root in roots for path in Path(root).rglob("libnvrtc.so.*")]
    return ctypes.CDLL(str(paths[0])) if paths else None


@pytest.mark.skipif(nvrtc() is None, reason="NVIDIA's compiler (nvidia-cuda-nvrtc) is not installed")
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90", "sm_100"])
@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_nvidias_compiler_takes_the_kernels_without_a_word(architecture, stack, train, random):
    library, program = nvrtc(), ctypes.c_void_p()
    options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={architecture}")]
    for hidden in (HIDDEN[:5], HIDDEN[5:]):
        sizes = (7, *[9] * len(hidden), 3)
        net = pnn.Network(sizes, (*hidden, "softmax"), "categorical_cross_entropy")
        X, Y = samples(random, 60, 7, 3, "float32")
        params = net.initialize(stack=stack)
        train(net, params, X, Y, pnn.AdamW(), 1, 16, l2=0.1, clip_norm=0.5, dropout=0.25)
        source = program_of(train).source.encode()
        assert library.nvrtcCreateProgram(ctypes.byref(program), source, b"step", 0, None, None) == 0
        given = (ctypes.c_char_p * len(options))(*options)
        status = library.nvrtcCompileProgram(program, len(options), given)
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        library.nvrtcDestroyProgram(ctypes.byref(program))
        assert (status, log.value) == (0, b"")
