"""What CUDA programs keep, on the device and of the user's arrays."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref

import numpy as np
import pytest
from cuda_helpers import needs_gcc, scan_on
from helpers import samples

import portable_nn as pnn
from portable_nn.compiler.cuda import scan

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


def test_only_the_scans_used_last_keep_memory_on_the_device(device, replay):
    made = []
    for i in range(4):
        step = lambda xp, carry, fixed, one, i=i: (carry[0] + one[0] + i,)  # noqa: E731
        made.append(scan_on(device, replay, step))
        made[-1]((np.zeros(3),), (), np.ones((2, 1)), (False,))
    assert [bool(steps.loaded) for steps in made] == [False, False, True, True]
    (again,) = made[0]((np.zeros(3),), (), np.ones((2, 1)), (False,))
    np.testing.assert_array_equal(again, 2.0)


def test_other_data_of_the_same_shape_is_read_in_place(device, replay, random):
    def step(xp, carry, fixed, one):
        return (carry[0] + one[0] * xp.sum(fixed[0], axis=-1, keepdims=True),)

    steps, each = scan_on(device, replay, step), np.ones((3, 1))
    datasets = [(random.normal(size=(4, 5)),) for _ in range(12)]  # all there at once: no address twice
    for fixed in datasets:
        (X,) = fixed
        (found,) = steps((np.zeros((4, 1)),), fixed, each, (False,))
        np.testing.assert_allclose(found[:, 0], 3 * X.sum(axis=1), rtol=1e-12)
    assert len(steps.programs) == 1
    assert len(steps.loaded) == 8


def test_products_are_made_anew_where_the_user_changes_their_precision(device, replay):
    step = lambda xp, carry, fixed, one: (carry[0] @ carry[0] * one[0],)  # noqa: E731
    steps, seen = scan_on(device, replay, step), []
    prepared = device.cublas.prepared
    device.cublas.prepared = lambda *a: seen.append(a[-1]) or prepared(*a)
    for tf32 in (False, True, True, False):
        device.tf32 = tf32
        steps((np.eye(3, dtype="float32"),), (), np.ones((2, 1), "float32"), (False,))
    assert seen == [False, True]


def test_the_data_is_not_kept(device, replay, random):
    step = lambda xp, carry, fixed, one: (carry[0] + one[0] * fixed[0],)  # noqa: E731
    steps, X = scan_on(device, replay, step), random.normal(size=(4, 5))
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
    (steps,) = train.scans
    full, last = steps.loaded.values()
    assert len(steps.programs) == 2
    for bound in (full, last):
        pieces = [array for key, array in bound.memory.items() if key[0] == "buffer"]
        assert len(pieces) > 5
        assert all(np.shares_memory(piece, steps.memory) for piece in pieces)
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(pieces, 2))


def test_a_per_step_input_may_be_the_result(device, replay):
    def step(xp, carry, fixed, one):
        return one[:2], carry[0] + 0.0, one[2:] * 2

    each = np.arange(21.0).reshape(7, 3)
    carry = (np.zeros(2), np.zeros(2), np.zeros(1))
    found = scan_on(device, replay, step)(carry, (), each, (False,) * 3)
    for x, y in zip(found, ([18, 19], [15, 16], [40]), strict=True):
        np.testing.assert_array_equal(x, y)


def test_more_steps_than_before_get_larger_buffers(device, replay):
    steps = scan_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    for n in (3, 2, 50, 7):
        (found,) = steps((np.zeros(2),), (), np.ones((n, 1)), (False,))
        np.testing.assert_array_equal(found, float(n))


def test_threads_take_turns(device, replay):
    def work(i):
        step = lambda xp, carry, fixed, one: (carry[0] * 1.5 + one[0] + i,)  # noqa: E731
        steps = scan_on(device, replay, step)
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


def test_the_programs_used_longest_ago_are_forgotten(device, replay, monkeypatch):
    monkeypatch.setattr(scan, "CACHED_PROGRAMS", 8)
    monkeypatch.setattr(scan, "LOADED_PROGRAMS", 5)
    steps = scan_on(device, replay, lambda xp, carry, fixed, one: (carry[0] + one[0],))
    for n in [*range(1, 9), 1, 9, 5, 10]:  # some more than are cached; some have been used again
        steps((np.zeros(n),), (), np.ones((1, 1)), (False,))
    lengths = [key[0][1][0][0] for key in steps.programs]
    assert lengths == [(n,) for n in [4, *range(6, 9), 1, 9, 5, 10]]
    assert [where[0][0][1][0][0] for where in steps.loaded] == [(n,) for n in [8, 1, 9, 5, 10]]
