"""One compiled step, run by several threads at the same time."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from helpers import samples
from training_helpers import assert_same

import portable_nn as pnn
from portable_nn.compiler.numpy import CompiledScan

pytestmark = pytest.mark.usefixtures("host_only")

THREADS = 4


@pytest.fixture
def often_switched():
    """The interpreter lets another thread go on as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(function, count=THREADS):
    """``function(i)`` of each thread, all begun at the same moment."""
    barrier, found, failed = threading.Barrier(count), [None] * count, []

    def work(i):
        try:
            barrier.wait()
            found[i] = function(i)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    return found


def step(xp, carry, fixed, one):
    (x, total), (A,) = carry, fixed
    y = xp.maximum(A @ x, 0.0) * one[0]
    y = y / (1 + xp.max(xp.abs(y), axis=-1, keepdims=True))
    return x - 0.1 * y + xp.tanh(x) * one[1], total + xp.sum(y, axis=(-2, -1))


def test_threads_that_run_one_program_at_once_give_the_bits_of_eager_steps(mode, often_switched, random):
    compiled = CompiledScan(step, np)
    given = [
        (
            (random.normal(size=(3, 40, 50)).astype("float32"), np.zeros(3, "float32")),
            (random.normal(size=(3, 40, 40)).astype("float32"),),
            (random.uniform(size=(25, 2)).astype("float32"),),
        )
        for _ in range(THREADS)
    ]

    def eagerly(carry, fixed, each):
        for one in each[0]:
            carry = step(np, carry, fixed, (one[0], one[1]))
        return carry

    def several_times(i):
        carry, fixed, (numbers,) = given[i]
        each = (numbers[:, 0], numbers[:, 1])
        return [compiled(carry, fixed, each, (False, False)) for _ in range(4)]

    for own, results in zip(given, at_once(several_times), strict=True):
        expected = eagerly(*own)
        for result in results:
            for x, y in zip(result, expected, strict=True):
                np.testing.assert_array_equal(x, y)
    assert len(compiled.compiled.programs) == 1


def test_parts_of_a_stack_trained_by_threads_are_those_of_the_whole(mode, often_switched, random):
    net = pnn.Network((12, 20, 3), ("relu", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 150, 12, 3, "float32")
    params = net.initialize(seed=0, stack=(2 * THREADS,))

    def train(networks):
        some = [(W[networks], b[networks]) for W, b in params]
        return pnn.fit(net, some, X, Y, pnn.Adam(0.01), 3, 16)

    whole, history = train(slice(None))
    for i, (found, own) in enumerate(at_once(lambda i: train(slice(2 * i, 2 * i + 2)))):
        part = slice(2 * i, 2 * i + 2)
        expected = [(W[part], b[part]) for W, b in whole]
        assert_same((found, own), (expected, pnn.History(cost=[c[part] for c in history.cost])))
