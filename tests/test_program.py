"""Steps run as programs: to the bit what they give as they stand, in place, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from helpers import HIDDEN, OPTIMIZERS, OUTPUTS, Own, samples

import portable_nn as pnn
from portable_nn.compiler.graph import UntraceableError, is_elementwise
from portable_nn.compiler.numpy import CompiledScan, CompiledStep, program, steps
from portable_nn.compiler.numpy import loop_cache as kernels
from portable_nn.compiler.plan import make_plan
from portable_nn.compiler.trace import trace
from portable_nn.training.steps import evaluation_step, summary, training_steps

pytestmark = pytest.mark.usefixtures("host_only")

NUMBA = kernels.installed()
WAYS = ["blocks", pytest.param("loops", marks=pytest.mark.skipif(not NUMBA, reason="no numba here"))]


def forget() -> None:
    for cached in (training_steps, evaluation_step, summary):
        cached.cache_clear()


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Programs at once: by NumPy in blocks, or by compiled loops."""
    forget()
    monkeypatch.setattr(steps, "FEW_STEPS", 0)
    monkeypatch.setattr(program, "PATIENCE", (0.0, 0.0) if request.param == "loops" else (1e9, 1e9))
    yield request.param
    forget()


@pytest.fixture
def as_it_stands(monkeypatch):
    """A function that trains with the step as it stands."""

    def fit(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(CompiledStep, "program", lambda *_, **__: None)
            return pnn.fit(*arguments, **options)

    return fit


def assert_same(found, expected):
    (params, history), (their_params, their_history) = found, expected
    np.testing.assert_array_equal(history.cost, their_history.cost)
    np.testing.assert_array_equal(history.validation_cost, their_history.validation_cost)
    for layer, their_layer in zip(params, their_params, strict=True):
        for theta, theirs in zip(layer, their_layer, strict=True):
            assert type(theta) is np.ndarray
            assert theta.dtype == theirs.dtype
            np.testing.assert_array_equal(theta, theirs)


# ---- to the bit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_gives_the_same_bits(hidden, dtype, way, as_it_stands, random):
    net = pnn.Network((12, 33, 20, 4), (hidden, hidden, "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 100, 12, 4, dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    assert_same(pnn.fit(*given, validation=(X, Y)), as_it_stands(*given, validation=(X, Y)))


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_every_pair_of_output_and_loss_gives_the_same_bits(
    output, loss, dtype, way, as_it_stands, random
):
    net = pnn.Network((7, 9, 3), ("tanh", output), loss)
    X, Y = samples(random, 60, 7, 3, dtype)
    weight = random.uniform(size=60).astype(dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    options = {"sample_weight": weight, "l2": 0.1, "clip_norm": 0.5, "dropout": 0.25}
    assert_same(pnn.fit(*given, **options), as_it_stands(*given, **options))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{type(o).__name__}-{o.slots}")
@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_every_optimizer_gives_the_same_bits(optimizer, stack, dtype, way, as_it_stands, random):
    net = pnn.Network((300, 90, 2), ("relu", "sigmoid"), "binary_cross_entropy")
    X, Y = samples(random, 90, 300, 2, dtype)
    params = net.initialize(dtype=dtype, stack=stack)  # 27,000 weights: more than one block
    given = (net, params, X, Y, optimizer, 2, 20)
    assert_same(pnn.fit(*given), as_it_stands(*given))


def test_rows_in_any_order_of_memory_give_the_same(way, as_it_stands, random, tmp_path):
    net = pnn.Network((6, 8, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 80, 6, 2, "float64")
    params = net.initialize(dtype="float64")
    expected = as_it_stands(net, params, X, Y, batch_size=8)
    on_disk = np.memmap(tmp_path / "X", dtype="float64", mode="w+", shape=X.shape)
    on_disk[...] = X
    wide = np.repeat(X, 2, axis=1)
    for other in (np.asfortranarray(X), on_disk, wide[:, ::2]):
        assert_same(pnn.fit(net, params, other, Y, batch_size=8), expected)


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_give_the_same_bits_in_place(seed, way, random):
    """Sums, products, reductions and views at random, over a carry that is written over."""
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


# ---- what cannot be written down is run as it stands ---------------------------------------------


@pytest.mark.parametrize(
    "g",
    [
        lambda xp, Z: Z if float(xp.max(Z)) > 0 else -Z,
        lambda xp, Z: np.vectorize(lambda z: z)(np.asarray(Z)),
        lambda xp, Z: -Z if max(Z[0, :]) > 0 else Z,
    ],
)
def test_an_activation_that_looks_at_values_is_run_as_it_stands(g, as_it_stands, random):
    own = pnn.Activation("own", g, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(), 2, 8)
    assert_same(pnn.fit(*given), as_it_stands(*given))


def test_what_goes_wrong_in_a_step_of_ones_own_shows_as_it_is(random):
    def wrong(xp, Z):
        if Z.shape[-1] == 8:
            raise ZeroDivisionError("mine")
        return Z

    own = pnn.Activation("own", wrong, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    with pytest.raises(ZeroDivisionError, match="mine"):
        pnn.fit(net, net.initialize(dtype="float64"), X, Y, batch_size=8)


def test_a_value_asked_for_cannot_be_traced():
    for function in (bool, float, int, np.asarray, np.linalg.svd, lambda x: x[np.array([0])]):
        with pytest.raises(UntraceableError):
            trace(lambda x, f=function: [f(x)], [np.ones((3, 3))])


def test_a_look_at_values_counts_also_where_its_error_is_caught(as_it_stands, random):
    def scaled(xp, Z):
        try:
            largest = float(xp.max(xp.abs(Z)))
        except TypeError:
            largest = 1.0
        return Z / (1 + largest)

    own = pnn.Activation("own", scaled, lambda xp, Z: xp.ones_like(Z))
    assert_same_with(own, as_it_stands, random)


def assert_same_with(own, as_it_stands, random, **options):
    """The same training with an activation of one's own, by program and as it stands."""
    net = pnn.Network((5, 40, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 640, 5, 2, "float32")
    given = (net, net.initialize(), X, Y, pnn.SGD(0.05), 3, 16)
    assert_same(pnn.fit(*given, **options), as_it_stands(*given, **options))


def filled(xp, Z):
    """Z, by way of an array that a function of NumPy fills."""
    out = np.zeros(Z.shape, Z.dtype)
    np.concatenate([Z[:20, :], Z[20:, :]], out=out)
    return out


@pytest.mark.parametrize(
    "g",
    [
        lambda xp, Z: xp.clip(Z, -1.0, 1.0),  # array_api_compat hands NumPy an output for it
        filled,
        lambda xp, Z: (0.3 > 0) * Z,  # noqa: PLR0133  (a Python bool in the formula)
        lambda xp, Z: xp.where(Z > 0, Z, xp.zeros_like(Z)),
        lambda xp, Z: 0.3 * xp.astype((Z > 0) + (Z < 1), Z.dtype),  # of bools: or
        lambda xp, Z: xp.matrix_transpose(xp.matrix_transpose(Z) * 0.5),
        lambda xp, Z: xp.maximum(Z, -Z) * xp.asarray([0.5], dtype=Z.dtype),
        lambda xp, Z: Z[::-1, :],
    ],
    ids=["clip", "out", "bool", "where", "bools", "transpose", "constant", "reversed"],
)
def test_what_one_writes_oneself_gives_the_same_bits(g, way, as_it_stands, random):
    own = pnn.Activation("own", g, lambda xp, Z: xp.ones_like(Z))
    assert_same_with(own, as_it_stands, random)


def old_values_are_read_after_the_new(xp, carry, fixed, one):
    x, y = carry
    new = x + one[0]
    return new, y * new + x * 0.5  # x itself, when `new` may have taken its place


def a_dead_array_is_read_after_another_is_ready(xp, carry, fixed, one):
    x, y = carry
    P = x @ y.mT
    a = P + one[0]
    b = a * P  # P again, when `a` may have taken its place
    return xp.tanh((a @ b.mT) @ x), xp.tanh(y - (b @ a) @ y)


@pytest.mark.parametrize(
    "step", [old_values_are_read_after_the_new, a_dead_array_is_read_after_another_is_ready]
)
@pytest.mark.parametrize("rows", [4, 150])
def test_nothing_is_written_over_before_it_is_read(step, rows, way, random):
    carry = tuple(random.normal(size=(rows, 140)).astype("float32") for _ in range(2))
    each = random.uniform(0, 0.1, size=(6, 1)).astype("float32")
    expected = carry
    for one in each:
        expected = step(np, expected, (), one)
    found = CompiledScan(step, np)(carry, (), each, (False, False))
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_pass_through_as_they_do_in_numpy(bad, way):
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


def test_zeros_have_the_sign_that_numpy_gives_them(way, random):
    def step(xp, carry, fixed, one):
        (z,) = carry
        return (xp.maximum(-z + 0.0 * one[0], z) * 1.0 + xp.minimum(z, -z) * 0.0,)

    z = np.array([0.0, -0.0, 1.0, -1.0], "float32")
    expected = (z,)
    for _ in range(9):
        expected = step(np, expected, (), np.ones(1, "float32"))
    found = CompiledScan(step, np)((z,), (), np.ones((9, 1), "float32"), (False,))
    np.testing.assert_array_equal(np.signbit(found[0]), np.signbit(expected[0]))


def test_drawn_numbers_are_drawn_at_each_step(random):
    drawn = []

    def noisy(xp, Z):
        drawn.append(random.normal())
        return Z + drawn[-1]

    own = pnn.Activation("own", noisy, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 160, 5, 2, "float64")
    drawn.clear()
    pnn.fit(net, net.initialize(dtype="float64"), X, Y, epochs=2, batch_size=8)
    assert len(drawn) >= 2 * 20


@pytest.mark.parametrize("in_place", [False, True])
def test_what_a_function_of_ones_own_reads_may_change_between_epochs(in_place, as_it_stands, random):
    factor = np.ones(1, "float32")

    def scaled(xp, Z):
        return Z * factor if in_place else Z * float(factor[0])

    class Anneal:
        def on_epoch_end(self, state):
            factor[0] = 0.5**state.epoch

    own = pnn.Activation("own", scaled, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((5, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 160, 5, 2, "float32")
    given = (net, net.initialize(), X, Y, pnn.SGD(0.05), 4, 16)
    found = pnn.fit(*given, callbacks=[Anneal()], validation=(X, Y))
    factor[0] = 1.0
    assert_same(found, as_it_stands(*given, callbacks=[Anneal()], validation=(X, Y)))


# ---- optimizers of one's own ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shift", "swap", "turn", "keep", "twice"])
@pytest.mark.parametrize("batch_size", [8, 30])
def test_a_rule_may_do_what_it_likes_with_its_arrays(kind, batch_size, monkeypatch, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 64, 3, 2, "float64")
    start = net.initialize(dtype="float64")
    given = (net, start, X, Y, Own(0.05, way=kind), 5, batch_size)
    found = pnn.fit(*given)
    with monkeypatch.context() as patch:
        patch.setattr(CompiledStep, "program", lambda *_, **__: None)
        expected = pnn.fit(*given)
    assert_same(found, expected)


@dataclass(frozen=True)
class Widening(pnn.Optimizer):
    def rule(self, xp, theta, g, alpha):
        return (theta - np.float64(0.1) * g,)


def test_a_rule_that_changes_the_dtype_is_run_as_it_stands(as_it_stands, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 64, 3, 2, "float32")
    given = (net, net.initialize(), X, Y, Widening(), 2, 8)
    assert_same(pnn.fit(*given), as_it_stands(*given))


# ---- the plan ------------------------------------------------------------------------------------


def planned(step, *arrays, places=None):
    graph = trace(step, arrays)
    return graph, make_plan(graph, is_elementwise, places or {})


def test_equal_operations_are_made_once_and_unneeded_ones_not_at_all():
    def step(x):
        np.exp(x)
        return [np.tanh(x) + np.tanh(x)]

    graph, plan = planned(step, np.ones((4, 4)))
    assert [n.kind for n in graph.nodes] == ["input", "elementwise", "elementwise"]
    assert len(plan.instructions) == 1  # one chain


def test_memory_is_used_again():
    def step(W, x):
        for _ in range(20):
            x = np.tanh(W @ x)
        return [x]

    _, plan = planned(step, np.ones((50, 50), "float32"), np.ones((50, 30), "float32"))
    assert sum(plan.buffers) <= 3 * 50 * 30 * 4


def test_an_output_takes_the_place_of_an_input_only_where_nobody_needs_the_old_values():
    def swapped(x, y):
        return [y + 0.0, x + 0.0]

    _, plan = planned(swapped, np.ones((3, 3)), np.ones((3, 3)), places={0: 0, 1: 1})
    assert len(plan.in_place_of) < 2
    assert plan.copied_to
    scanned = CompiledScan(lambda xp, carry, fixed, one: (carry[1] + one, carry[0] - one), np)
    x, y = scanned((np.ones(3), np.zeros(3)), (), np.ones((7, 1)), (False, False))
    a, b = np.ones(3), np.zeros(3)
    for _ in range(7):
        a, b = b + 1, a - 1
    np.testing.assert_array_equal(x, a)
    np.testing.assert_array_equal(y, b)


# ---- nothing handed in or kept is changed --------------------------------------------------------


class Keeper:
    def __init__(self):
        self.kept, self.copies = [], []

    def on_train_begin(self, state):
        self.on_epoch_end(state)

    def on_epoch_end(self, state):
        arrays = [a for layer in state.params for a in layer]
        arrays += [a for layer in state.optimizer_state.slots for those in layer for a in those]
        self.kept.append(arrays)
        self.copies.append([np.array(a) for a in arrays])


def test_what_a_callback_keeps_of_an_epoch_does_not_change_later(way, random):
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    keeper, params = Keeper(), net.initialize(dtype="float64")
    _, history = pnn.fit(net, params, X, Y, epochs=4, batch_size=8, callbacks=[keeper])
    given = history.optimizer_state
    before = [np.array(a) for layer in given.slots for those in layer for a in those]
    pnn.fit(net, params, X, Y, epochs=2, batch_size=8, optimizer_state=given)
    for array, copy in zip(
        (a for layer in given.slots for those in layer for a in those), before, strict=True
    ):
        np.testing.assert_array_equal(array, copy)
    for arrays, copies in zip(keeper.kept, keeper.copies, strict=True):
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_training_goes_on_from_its_state_to_the_bit(way, random):
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    params = net.initialize(dtype="float64")

    def order(epoch, n):
        return np.arange(n)

    whole, _ = pnn.fit(net, params, X, Y, epochs=4, batch_size=8, epoch_order=order)
    half, history = pnn.fit(net, params, X, Y, epochs=2, batch_size=8, epoch_order=order)
    state = history.optimizer_state
    rest, _ = pnn.fit(net, half, X, Y, epochs=2, batch_size=8, epoch_order=order, optimizer_state=state)
    for layer, theirs in zip(rest, whole, strict=True):
        for a, b in zip(layer, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_training_holds_no_copy_of_the_data(random):
    net = pnn.Network((64, 16, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 60_000, 64, 2, "float32")
    for rows in (X, np.asfortranarray(X)):
        params = net.initialize()
        pnn.fit(net, params, rows, Y, epochs=1)  # programs are written
        tracemalloc.start()
        pnn.fit(net, params, rows, Y, epochs=2)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 4


def test_a_diverging_training_is_seen(way, random):
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float32")
    with pytest.raises(pnn.NonFiniteCostError) as caught:
        pnn.fit(net, net.initialize(), X, Y, pnn.SGD(1e30), epochs=9, batch_size=8)
    assert all(np.isfinite(a).all() for layer in caught.value.params for a in layer)


# ---- compiled loops ------------------------------------------------------------------------------


def adam_like(xp, carry, fixed, one):
    """An update whose eight numbers are elements of one array."""
    (theta, m, v), (g,), (numbers,) = carry, fixed, one
    b_1, c_1, b_2, c_2, epsilon, alpha, root, l2 = (numbers[i, ...] for i in range(8))
    d = g + l2 * theta
    m = b_1 * m + c_1 * d
    v = b_2 * v + c_2 * (d * d)
    return theta - alpha * (m / (root * xp.sqrt(v) + epsilon)), m, v


@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_the_numbers_of_a_step_are_one_argument_of_its_loop(stack, dtype, way, monkeypatch, random):
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
    if way == "loops":
        ((source, arguments),) = sources
        assert len(arguments) == 5  # the numbers, theta, g, m, v
        assert all(f"p0[{i}" in source for i in range(8))


def every_axis_on_its_own(xp, carry, fixed, one):
    (x,), (rows, columns, networks) = carry, fixed
    return (x * rows + columns / (1 + x * x) - networks * one[0],)


def test_a_loop_may_have_arrays_that_repeat_over_any_axis(way, random):
    carry = (random.normal(size=(3, 4, 5)),)
    fixed = tuple(random.normal(size=shape) for shape in [(3, 4, 1), (5,), (3, 1, 1)])
    each = random.uniform(size=(6, 1))
    expected = carry
    for one in each:
        expected = every_axis_on_its_own(np, expected, fixed, one)
    found = CompiledScan(every_axis_on_its_own, np)(carry, fixed, each, (False,))
    np.testing.assert_array_equal(found[0], expected[0])


def test_a_small_job_waits_for_no_compiler():
    script = (
        "import sys, numpy as np, portable_nn as pnn\n"
        "net = pnn.Network((20, 32, 3), ('relu', 'softmax'), 'categorical_cross_entropy')\n"
        "X, Y = np.ones((640, 20), 'float32'), np.eye(3, dtype='float32')[np.zeros(640, int)]\n"
        "pnn.fit(net, net.initialize(), X, Y, epochs=20, batch_size=32)\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


LOOP = "def loop(p0):\n    for i in range(p0.shape[0]):\n        p0[i] = p0[i] + float32(1)\n"


@pytest.mark.skipif(not NUMBA, reason="no numba here")
def test_threads_may_ask_for_loops_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "cache_folder", lambda: tmp_path)
    sources = [LOOP.replace("(1)", f"({k})") for k in range(12)]
    failed = []

    def ask():
        try:
            for source in sources:
                kernels.load_loop(source)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.skipif(not NUMBA, reason="no numba here")
def test_a_loop_on_disk_that_was_changed_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "cache_folder", lambda: tmp_path)
    path = tmp_path / f"{kernels.module_name(LOOP)}.py"
    path.write_text("raise SystemExit('not ours')\n")
    x = np.zeros(3, "float32")
    kernels.Loop(LOOP).call(x)
    np.testing.assert_array_equal(x, np.ones(3))
    assert "SystemExit" not in path.read_text()


def test_where_nothing_can_be_kept_loops_last_as_long_as_the_process(tmp_path, monkeypatch):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(blocked))
    found = kernels.cache_folder.__wrapped__()
    assert found.is_dir()
    assert blocked not in found.parents


def test_where_the_compiler_fails_numpy_goes_on_and_it_is_said(monkeypatch, as_it_stands, random):
    forget()
    monkeypatch.setattr(program, "PATIENCE", (0.0, 0.0))
    monkeypatch.setattr(program, "installed", lambda: True)

    def broken(source):
        raise RuntimeError("no compiler today")

    monkeypatch.setattr(program, "load_loop", broken)
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 64, 5, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(0.5), 2, 8)
    with pytest.warns(UserWarning, match="no compiler today"):
        found = pnn.fit(*given)
    forget()
    assert_same(found, as_it_stands(*given))
    forget()
