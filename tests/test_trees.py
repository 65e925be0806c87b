"""Trees of arrays: nested lists and tuples, whatever a layer holds."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat

import portable_nn as pnn
from portable_nn import trees
from portable_nn.equations import symbol

pytestmark = pytest.mark.usefixtures("host_only")
A, B, C = np.zeros(1), np.ones((2, 3)), np.arange(4.0)


def test_a_tree_is_put_together_again_as_it_was():
    for tree in (A, [], (), [A], (A, [B, (C,)]), [(A, None), 3, [[]], "x"], [(A, A)]):
        leaves, form = trees.flatten(tree)
        again = trees.unflatten(form, leaves)
        assert type(again) is type(tree)
        assert trees.flatten(again)[1] == form
        assert all(a is b for a, b in zip(trees.leaves(again), leaves, strict=True))
        hash(form)


def test_a_function_is_mapped_over_the_arrays_of_one_tree_or_of_several():
    doubled = trees.map(lambda x: 2 * x, [(B, None), [C]])
    np.testing.assert_array_equal(doubled[0][0], 2 * B)
    np.testing.assert_array_equal(doubled[1][0], 2 * C)
    assert doubled[0][1] is None
    (total,) = trees.map(lambda x, y: x + y, [B], (B,))
    np.testing.assert_array_equal(total, 2 * B)
    with pytest.raises(ValueError, match="zip"):
        trees.map(lambda x, y: x, [A, B], [A])


def test_places_tell_where_each_array_is():
    tree = [(A, B), [None, C], 3]
    assert trees.places(tree) == [(0, 0), (0, 1), (1, 1)]
    for place, leaf in zip(trees.places(tree), trees.leaves(tree), strict=True):
        found = tree
        for i in place:
            found = found[i]
        assert found is leaf
    assert trees.places(A) == [()]
    assert [symbol(p) for p in ((0, 0), (2, 1), (0, 2), (), (1, 0, 3))] == [
        "W[1]",
        "b[3]",
        "params[0][2]",
        "params",
        "params[1][0][3]",
    ]


def test_lists_and_tuples_are_alike_and_other_forms_are_not():
    form = trees.flatten([(A, B), [C]])[1]
    assert trees.alike(form, trees.flatten(([B, A], (A,)))[1])
    for other in ([A, B, C], [(A, B)], [(A, B), [C, C]], A, [(A, None), [C]], [("W", A), [C]], None):
        assert not trees.alike(form, trees.flatten(other)[1])


def test_one_step_of_many_and_how_many_there_are():
    tree = (C, [None, np.zeros((4, 2, 2))])
    first, (nothing, second) = trees.at(tree, 1)
    assert (first.shape, second.shape, nothing) == ((), (2, 2), None)
    assert trees.length(tree) == 4
    assert trees.length([None, ()]) == 0


@pytest.mark.parametrize("optimizer", [pnn.SGD(0.1), pnn.SGD(0.1, 0.9, True), pnn.AdamW(0.1)])
def test_an_optimizer_updates_any_tree_as_it_would_each_array(optimizer, random):
    W, b, scale, table = (random.normal(size=shape) for shape in ((3, 4), (3, 1), (3, 1), (5, 2)))
    params = [(W, b, [scale]), [table]]
    grads = trees.map(lambda theta: theta**2 + 1, params)
    state = optimizer.init(params)
    new, state = optimizer.update(*optimizer.update(params, grads, state)[:1], grads, state)
    assert trees.flatten(new)[1] == trees.flatten(params)[1]
    assert len(state.slots) == optimizer.slots
    for theta, g, found in zip(*map(trees.leaves, (params, grads, new)), strict=True):
        one = [(theta, theta)]
        start = optimizer.init(one)
        moved, _ = optimizer.update(one, [(g, g)], start)
        moved, _ = optimizer.update(moved, [(g, g)], start)
        np.testing.assert_array_equal(found, flat(moved)[0])
    with pytest.raises(ValueError, match=r"the gradient of `params\[0\]\[2\]\[0\]` has shape"):
        optimizer.update(params, [(W, b, [scale.T]), [table]], state)
    with pytest.raises(ValueError, match=r"`grads` does not have the form .*arrays: 3 and 4"):
        optimizer.update(params, [(W, b), [table]], state)


def test_a_tree_may_hold_none_in_the_places_of_arrays():
    _, form = trees.flatten([(A, B), (C, None)])
    assert trees.aligned(form, ((None, A), [B, None])) == [None, A, B]
    other = trees.flatten([(None, B), [C, None]])[1]
    assert trees.alike(form, other, or_none=True)
    assert not trees.alike(form, other)
    for wrong in ([(A, B), (C, C)], [(A, B), None], [(A, 0), (C, None)], [(A, B)]):
        assert not trees.alike(form, trees.flatten(wrong)[1], or_none=True)
