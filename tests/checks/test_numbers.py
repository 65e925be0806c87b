"""Numbers that a user passes in: in their interval, one or one for each network of a stack."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

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
        check_stack("x", check_value("x", [], POSITIVE), ())


def test_whole_numbers():
    assert check_whole("n", np.int8(3), 1) == 3
    with pytest.raises(ValueError, match="`n` is 0; accepted: a whole number >= 1"):
        check_whole("n", 0, 1)
    for wrong in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="accepted: a whole number >= 1"):
            check_whole("n", wrong, 1)
