"""Products of matrices with one term in each sum: traced as elementwise, with the bits of a product."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import samples
from training_helpers import assert_same

import portable_nn as pnn
from portable_nn.compiler.numpy import CompiledScan
from portable_nn.compiler.trace import trace

pytestmark = pytest.mark.usefixtures("host_only")

SPECIAL = [0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30, np.inf, -np.inf, np.nan, 1.5, -3.0]


def special(random, shape, dtype):
    """Signed zeros, numbers whose products underflow or overflow, infinity and NaN."""
    return random.choice(np.array(SPECIAL, dtype), size=shape)


def assert_same_bits(found, expected):
    """NaN anywhere in `expected` may have any bits; -0.0 is not 0.0."""
    np.testing.assert_array_equal(found, expected)
    is_number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[is_number], np.signbit(expected)[is_number])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((40, 1), (1, 60)),
        ((3, 40, 1), (3, 1, 60)),
        ((3, 40, 1), (1, 60)),
        ((1, 1), (1, 60)),
        ((1, 1),) * 2,
    ],
    ids=["one", "stack", "shared", "one-row", "one-number"],
)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_with_one_term_has_the_bits_of_numpys_signed_zeros_too(
    left, right, transposed, dtype, mode, random
):
    A, B = special(random, left, dtype), special(random, right, dtype)
    if transposed:
        A = np.ascontiguousarray(A.mT)

    def step(xp, carry, fixed, one):
        A, B = fixed
        return ((A.mT if transposed else A) @ B * one[0],)

    with np.errstate(all="ignore"):
        expected = (A.mT if transposed else A) @ B
    carry = (np.ones_like(expected),)
    (found,) = CompiledScan(step, np)(carry, (A, B), (np.ones((2, 1), dtype),), (False,))
    assert_same_bits(found, expected)


def kinds(function, *arrays, **options):
    return [node.kind for node in trace(function, arrays, **options).nodes]


def test_a_product_with_one_term_is_fused_with_what_follows():
    def function(W, Delta, g):
        return [(W.mT @ Delta) * g]

    arrays = np.ones((1, 30)), np.ones((1, 20)), np.ones((30, 20))
    assert "matmul" not in kinds(function, *arrays)
    assert "matmul" in kinds(function, np.ones((2, 30)), np.ones((2, 20)), arrays[-1])
    assert "matmul" in kinds(function, *arrays, to_the_bit=False)  # sources and exports stay as they are


def test_a_product_of_whole_numbers_or_of_two_dtypes_is_left_to_numpy():
    def function(A, B):
        return [A @ B]

    for one, other in [("float32", "float64"), ("int64", "int64"), ("bool", "bool")]:
        assert "matmul" in kinds(function, np.ones((3, 1), one), np.ones((1, 4), other))


@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
@pytest.mark.parametrize(("n_inputs", "batch_size"), [(6, 8), (1, 7), (6, 1)])
def test_networks_of_one_output_or_input_train_to_the_same_bits(
    n_inputs, batch_size, stack, mode, fit_eagerly, random
):
    net = pnn.Network((n_inputs, 40, 1), ("relu", "identity"), "squared_error")
    X, Y = samples(random, 50, n_inputs, 1, "float32")
    X[::3], Y[::4] = -0.0, 0.0  # dead units, and products that are zeros of either sign
    given = (net, net.initialize(stack=stack), X, Y, pnn.Adam(0.01), 2, batch_size)
    assert_same(pnn.fit(*given), fit_eagerly(*given))
