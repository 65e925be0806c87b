"""Numbers that a user passes in: in their interval, one or one for each network of a stack."""

from __future__ import annotations

import math
import pickle
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.checks import (
    BELOW_ONE,
    NONNEGATIVE,
    POSITIVE,
    UP_TO_ONE,
    PerNetwork,
    check_number,
    check_stack,
    check_value,
    check_whole,
)
from portable_nn.checks.numbers import along_stack, as_array, is_zero

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (NONNEGATIVE, [0, 1e300, np.float32(0.5)], [-1e-300, math.inf, math.nan]),
        (POSITIVE, [1e-300, np.int64(3)], [0, 0.0, -1, math.nan]),
        (BELOW_ONE, [0, 0.999], [1, 1.0, -0.1]),
        (UP_TO_ONE, [0, 1], [1.0000001, math.nan]),
    ],
)
def test_the_ends_of_an_interval_belong_to_it_or_not(interval, inside, outside):
    for x in inside:
        assert check_number("x", x, interval) == float(x)
        assert type(check_value("x", x, interval)) is float
    for x in outside:
        with pytest.raises(ValueError, match=r"`x` is .*; accepted: a number in [\[(]0.0, \S+[\])]$"):
            check_number("x", x, interval)
        with pytest.raises(ValueError, match=r"`x\[1\]\[0\]` is .*; accepted"):
            check_value("x", [[inside[0]], [x]], interval)


@pytest.mark.parametrize(
    "given", ["1", None, True, 1j, [True, False], ["1"], [[1.0], [1.0, 2.0]], [None]]
)
def test_what_is_no_number_is_refused(given):
    with pytest.raises(TypeError, match=r"`x` is .*; accepted: a number in \[0.0, inf\)"):
        check_value("x", given, NONNEGATIVE)


def test_numbers_of_a_stack_are_frozen_and_compared_by_value(backend):
    found = check_value("x", backend.asarray(np.array([[0.5, 1.0]])), NONNEGATIVE)
    assert found == ((0.5, 1.0),) == check_value("x", [(0.5, 1)], NONNEGATIVE)
    assert isinstance(found, PerNetwork)
    assert hash(found) == hash(((0.5, 1.0),))
    assert pickle.loads(pickle.dumps(found)) == found
    assert as_array(found).shape == (1, 2)
    assert along_stack(found).shape == (1, 2, 1, 1)
    assert along_stack(0.5) == as_array(0.5) == 0.5
    assert as_array((1, 2)) == (1, 2)  # a tuple of something else
    assert is_zero(0.0)
    assert is_zero(check_value("x", [0, 0], NONNEGATIVE))
    assert not is_zero(found)
    assert check_value("x", np.array(0.25), NONNEGATIVE) == 0.25  # of no axis: one number


def test_numbers_have_the_shape_of_the_stack():
    check_stack("x", 0.5, (2, 3))
    check_stack("x", check_value("x", np.ones((2, 3)), POSITIVE), (2, 3))
    for shape in ((3,), (3, 2), (2, 3, 1)):
        with pytest.raises(
            ValueError, match=r"accepted: one number, or numbers of the stack's shape \(2, 3\)"
        ):
            check_stack("x", check_value("x", np.ones(shape), POSITIVE), (2, 3))
    with pytest.raises(ValueError, match=r"accepted: one number$"):
        check_stack("x", check_value("x", [0.5], POSITIVE), ())
    with pytest.raises(ValueError, match="`x` is an empty list"):
        check_value("x", [], POSITIVE)


def test_whole_numbers():
    assert check_whole("n", np.int8(3), 1) == 3
    with pytest.raises(ValueError, match="`n` is 0; accepted: a whole number >= 1"):
        check_whole("n", 0, 1)
    for wrong in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="accepted: a whole number >= 1"):
            check_whole("n", wrong, 1)


def test_an_array_of_no_axis_is_a_number_wherever_one_is_taken(backend):
    def of(value):
        return backend.asarray(np.asarray(value))

    X = np.ones((8, 2))
    net = pnn.Network((of(2), of(3), 1), (pnn.leaky_relu(of(0.1), of(0.5)), "identity"), "squared_error")
    params = net.initialize(seed=of(3), dtype="float64", stack=())
    for a, b in zip(net.initialize(seed=3, dtype="float64")[0], params[0], strict=True):
        np.testing.assert_array_equal(a, b)
    schedules = pnn.schedules
    pairs = [
        (schedules.cosine(of(0.1), of(5), of(0.01)), schedules.cosine(0.1, 5, 0.01)),
        (schedules.one_cycle(of(0.1), of(5), of(0.3)), schedules.one_cycle(0.1, 5, 0.3)),
        (schedules.step_decay(of(0.1), of(2), of(0.5)), schedules.step_decay(0.1, 2, 0.5)),
        (schedules.inverse_time(of(0.1), of(0.5), of(2)), schedules.inverse_time(0.1, 0.5, 2)),
        (pnn.EarlyStopping(of(3), of(0.1)), pnn.EarlyStopping(3, 0.1)),
        (pnn.Adam(of(0.1), beta_1=of(0.5)), pnn.Adam(0.1, beta_1=0.5)),
        (pnn.relu(of(0.5)), pnn.relu(0.5)),
        (pnn.huber(of(2.0)), pnn.huber(2.0)),
        (pnn.pinball(of(0.25)), pnn.pinball(0.25)),
    ]
    for found, expected in pairs:
        assert found == expected
        assert hash(found) == hash(expected)
    options = {"epochs": 2, "batch_size": 4, "seed": 5, "l2": 0.5, "clip_norm": 0.25, "dropout": 0.5}
    arrays = {name: of(value) for name, value in options.items()}
    found, _ = pnn.fit(net, params, X, X[:, :1], schedule=lambda step: of(0.125), **arrays)
    expected, _ = pnn.fit(net, params, X, X[:, :1], schedule=lambda step: 0.125, **options)
    np.testing.assert_array_equal(found[0][0], expected[0][0])
    assert net.check_gradients(params, X, X[:, :1], epsilon=of(1e-5)) < 1e-7


@pytest.mark.parametrize("wrong", [np.asarray(True), np.asarray(0.5), np.asarray([2]), np.asarray("2")])
def test_an_array_of_another_kind_is_no_whole_number(wrong):
    with pytest.raises(TypeError, match="accepted: a whole number"):
        check_whole("x", wrong, 1)


@pytest.mark.parametrize("huge", [10**400, 10**5000], ids=["huge", "too long for Python to write"])
def test_an_integer_too_large_for_a_float_is_refused_by_name_wherever_a_number_is_taken(huge):
    net = pnn.Network((2, 3, 1), ("tanh", "identity"), "squared_error")
    params, X = net.initialize(dtype="float64"), np.ones((8, 2))
    given = dict.fromkeys(("l2", "clip_norm", "dropout", "epochs", "batch_size"), huge)
    for name, value in {**given, "schedule": lambda step: huge}.items():
        with pytest.raises(ValueError, match=f"`{name}.*accepted"):
            pnn.fit(net, params, X, X[:, :1], **{name: value})
    for make, name in [
        (pnn.Adam, "learning_rate"),
        (pnn.EarlyStopping, "patience"),
        (lambda n: pnn.EarlyStopping(min_delta=n), "min_delta"),
        (lambda n: pnn.schedules.cosine(0.1, n), "steps"),
        (lambda n: pnn.schedules.one_cycle(0.1, n), "steps"),
        (lambda n: pnn.schedules.step_decay(0.1, n), "every"),
        (lambda n: pnn.schedules.inverse_time(0.1, every=n), "every"),
        (lambda n: net.initialize(stack=n), "stack"),
        (lambda n: pnn.Network((n, 1), ("identity",), "squared_error"), r"sizes\[0\]"),
    ]:
        with pytest.raises(ValueError, match=f"`{name}`.*accepted"):
            make(huge)
    for make in (pnn.huber, pnn.pinball, pnn.leaky_relu, pnn.relu):
        with pytest.raises(ValueError):  # noqa: PT011  (these write what they were given)
            make(huge)


def test_a_fraction_is_a_number_and_a_seed_may_have_any_size():
    assert pnn.Adam(Fraction(1, 4)) == pnn.Adam(0.25)
    assert pnn.schedules.cosine(Fraction(1, 4), 3) == pnn.schedules.cosine(0.25, 3)
    net = pnn.Network((2, 1), ("identity",), "squared_error")
    seeds = [net.initialize(seed=seed)[0][0] for seed in (2**127, 2**127 + 1)]
    assert not np.array_equal(*seeds)


def test_what_does_not_fit_into_memory_is_refused_before_anything_is_allocated():
    net = pnn.Network((4, 3, 1), ("tanh", "identity"), "squared_error")
    huge = pnn.Network((10**9, 10**9), ("identity",), "squared_error")
    for ask, name in [
        (lambda: net.initialize(stack=(10**12,)), r"`stack` is \(1000000000000,\)"),
        (lambda: net.initialize(stack=(10**6, 10**6), seed=range(10**12)), "`stack`"),
        (huge.initialize, "`sizes`"),
    ]:
        tracemalloc.start()
        with pytest.raises(MemoryError, match=f"{name}.*GiB; accepted: what fits into the memory"):
            ask()
        assert tracemalloc.get_traced_memory()[1] < 1e6
        tracemalloc.stop()
