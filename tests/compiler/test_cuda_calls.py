"""Functions that gather, join, reshape and sort, by CUDA programs on a GPU that is none."""

from __future__ import annotations

import array_api_compat.numpy as numpy_xp
import numpy as np
import pytest
from cuda_helpers import needs_gcc, scan_on

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


def reshaped(xp, x, k):
    return xp.reshape(xp.reshape(x.mT, (-1,)), (4, -1)), xp.reshape(x[:, 1:3], (-1, 4))


def joined(xp, x, k):
    stack = xp.concat([x[None, ...], -x[None, ...], 3 * x[None, ...]], axis=0)
    wide = xp.broadcast_to(x[:2, :], (3, 2, x.shape[1]))
    first = xp.concat([stack, wide, stack[:, :1, :]], axis=-2)
    return first, xp.concat([x, x[:, :2], 2 * x], axis=-1), xp.concat([x[0, :], x[1, :]], axis=0)


def sorted_codes(xp, x, k):
    order = xp.argsort(k)
    c = xp.take(k, order, axis=0)
    every = xp.arange(9, dtype=c.dtype)
    places = [xp.searchsorted(c, every, side=side) for side in ("left", "right")]
    picked = xp.take(x, xp.astype(places[0] < 4, k.dtype) + 1, axis=-1)
    as_floats = [xp.astype(each, x.dtype) for each in (order, c, *places, k + (2**31 - 5))]
    return *as_floats, picked, xp.take(xp.concat([x[None, ...], -x[None, ...]], axis=0), k, axis=-1)


@pytest.mark.parametrize("function", [reshaped, joined, sorted_codes])
def test_each_gives_what_numpy_gives(function, device, replay, random):
    x = random.normal(size=(6, 8))
    k = random.integers(0, 8, 20).astype("int32")

    def step(xp, carry, fixed, one):
        found = [part * one[0] for part in function(xp, *fixed)]
        return tuple(old + new for old, new in zip(carry, found, strict=True))

    carry = tuple(np.zeros(part.shape) for part in function(numpy_xp, x, k))
    each = random.normal(size=(3, 1))
    expected = carry
    for one in each:
        expected = step(numpy_xp, expected, (x, k), one)
    steps = scan_on(device, replay, step)
    found = steps(carry, (x, k), each, (False,) * len(carry))
    assert None not in steps.programs.values()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
