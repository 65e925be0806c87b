"""Small programs keep memory of their own between calls; nobody sees it, and the bits stay."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn import trees
from portable_nn.compiler.numpy import CompiledScan, CompiledStep, PreparedStep, small
from portable_nn.compiler.numpy.matching import builder, matcher
from portable_nn.compiler.numpy.small import SmallScan


def step(xp, carry, fixed, one):
    (W, b), total = carry
    x = xp.take(fixed[0], one[0], axis=0)
    moved = (W - 0.1 * (x.mT @ x) * one[1], b * 0.5 + one[1])
    return moved, total + xp.sum(moved[0])


def arguments(random, rows=9, steps=6):
    carry = ((random.normal(size=(3, 3)), random.normal(size=(3, 1))), np.zeros(()))
    each = (random.integers(0, rows, size=(steps, 4)), random.normal(size=(steps,)))
    return carry, (random.normal(size=(rows, 3)),), each


def expected(carry, fixed, each):
    for i in range(len(each[1])):
        carry = step(np, carry, fixed, trees.at(each, i))
    return carry


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(trees.leaves(one), trees.leaves(other), strict=True))


@pytest.fixture
def counted(monkeypatch):
    """How often a small program ran."""
    ran, run = [], SmallScan.run
    monkeypatch.setattr(SmallScan, "run", lambda self, leaves: (ran.append(self), run(self, leaves))[1])
    return ran


def test_a_small_program_takes_other_data_rows_and_steps_and_changes_no_argument(random, counted):
    scan = CompiledScan(step, np)
    for rows, steps in ((9, 6), (9, 6), (9, 5), (30, 7), (30, 6)):
        given = arguments(random, rows, steps)
        kept = trees.map(np.copy, given)
        found = scan(*given, (True, True))
        assert same(found, expected(*kept))
        assert same(given[1:], kept[1:])
        later = scan(*arguments(random, rows, steps), (True, True))
        assert not same(found, later)
        assert same(found, expected(*kept)), "a later call wrote to the results"
    assert len(counted) == 10
    assert len(set(counted)) == 2, "only the number of rows of the data is another program"


@pytest.mark.parametrize(
    "change",
    [
        lambda c, f, e: (c, (f[0].astype("float32"),), e),
        lambda c, f, e: (c, f, (e[0][:, :3], e[1])),
        lambda c, f, e: (([*c[0]], c[1]), f, e),
        lambda c, f, e: ((c[0], np.float64(0)), f, e),
        lambda c, f, e: (c, (np.asfortranarray(f[0]),), e),
    ],
    ids=["dtype", "batch size", "a list", "a scalar", "memory order"],
)
def test_arguments_of_another_kind_are_not_taken_for_the_same(change, random):
    scan = CompiledScan(step, np)
    for _ in range(2):
        scan(*arguments(random), (True, True))
    given = change(*arguments(random))
    kept = trees.map(np.copy, given)
    assert same(scan(*given, (False, False)), expected(*kept))


def test_threads_do_not_share_the_memory(random):
    scan, wrong = CompiledScan(step, np), []
    problems = [arguments(random, steps=40) for _ in range(4)]
    results = [expected(*each) for each in problems]

    def work(given, result):
        for _ in range(60):
            if not same(scan(*given, (False, False)), result):
                wrong.append(given)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(problems, results, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_within_a_call_has_memory_of_its_own(random, monkeypatch):
    """As it happens with threads, but at the worst moment for sure."""
    scan = CompiledScan(step, np)
    given, other = arguments(random), arguments(random)
    scan(*given, (False, False))
    run_steps, inner = small.BoundProgram.run_steps, []

    def interleaved(self, *rest):
        if not inner:
            inner.append(None)
            inner[0] = scan(*other, (False, False))
        return run_steps(self, *rest)

    monkeypatch.setattr(small.BoundProgram, "run_steps", interleaved)
    assert same(scan(*given, (False, False)), expected(*given))
    assert same(inner[0], expected(*other))


def test_data_of_which_more_than_rows_is_read_are_read_each_time(random):
    def step(xp, carry, fixed, one):
        return (carry[0] + xp.sum(xp.take(fixed[0], one[0], axis=0)) + xp.sum(fixed[0].mT @ fixed[0]),)

    scan, rows = CompiledScan(step, np), (random.integers(0, 5, size=(6, 2)),)
    for _ in range(3):
        X = random.normal(size=(5, 3))
        carry = (np.zeros(()),)
        for one in rows[0]:
            carry = step(np, carry, (X,), (one,))
        assert same(scan((np.zeros(()),), (X,), rows, (False,)), carry)


def test_an_interrupted_run_leaves_nothing_behind(random, monkeypatch):
    scan = CompiledScan(step, np)
    given = arguments(random)
    scan(*given, (False, False))

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(small.BoundProgram, "run_steps", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(*given, (False, False))
    assert same(scan(*given, (False, False)), expected(*given))


def test_a_program_of_much_memory_keeps_none(random, counted):
    n = 400  # the carry takes 1.3 MB
    carry = ((random.normal(size=(n, n)), random.normal(size=(n, 1))), np.zeros(()))
    each = (random.integers(0, 9, size=(6, 4)), random.normal(size=(6,)))
    scan = CompiledScan(step, np)
    scan(carry, (random.normal(size=(9, n)),), each, (False, False))
    assert counted == []


def test_programs_of_what_a_function_read_before_are_not_kept(random):
    factor = [1.0]

    def changing(xp, carry, fixed, one):
        (W, b), total = step(xp, carry, fixed, one)
        return (W * own(), b), total

    def own():
        return factor[0]

    changing.steady, changing.functions = False, (own,)
    scan, programs = CompiledScan(changing, np), []
    given = arguments(random)
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        factor[0] = value
        for _ in range(2):
            found = scan(*given, (False, False))
        carry = given[0]
        for i in range(6):
            carry = changing(np, carry, given[1], trees.at(given[2], i))
        assert same(found, carry)
        programs.append(weakref.ref(scan.small[0].program))
        assert len(scan.small) == 1
    gc.collect()
    assert [each() is None for each in programs] == [True] * 4 + [False]


def test_the_data_are_not_kept(random):
    scan = CompiledScan(step, np)
    carry, fixed, each = arguments(random)
    for _ in range(3):
        scan(carry, fixed, each, (False, False))
    data = weakref.ref(fixed[0])
    del fixed
    gc.collect()
    assert data() is None


def test_the_forms_of_trees_are_told_apart():
    tree = ([(np.ones((2, 3)), np.ones(2))], None, 3)
    leaves, form = trees.flatten(tree)
    match, build = matcher(form, leaves, len(leaves)), builder(form)
    assert [x is y for x, y in zip(match(tree), leaves, strict=True)] == [True, True]
    assert same(build(leaves), tree)
    assert trees.flatten(build(leaves))[1] == form
    others = [
        (tree[0], None, 3.0),
        (tree[0], None, 4),
        (tree[0], 0, 3),
        (tuple(tree[0]), None, 3),
        ([*tree[0], ()], None, 3),
        ([(tree[0][0][0], tree[0][0][0])], None, 3),
        ([(tree[0][0][0].tolist(), tree[0][0][1])], None, 3),
        tree[:2],
    ]
    assert [match(other) for other in others] == [None] * len(others)


@pytest.mark.parametrize("optimizer", [pnn.Adam(0.01), pnn.SGD(0.1), pnn.RMSprop(0.01), pnn.AdamW(0.01)])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_all_arrays_are_updated_at_once_to_the_eager_bits(optimizer, l2, mode, fit_eagerly, random):
    net = pnn.Network((3, 5, 4, 1), ("tanh", "tanh", "sigmoid"), "binary_cross_entropy")
    X, Y = random.normal(size=(40, 3)), random.integers(0, 2, size=(40, 1)).astype(float)
    given = (net, net.initialize(dtype="float64"), X, Y, optimizer, 4, 16)
    (found, history), (eager, before) = pnn.fit(*given, l2=l2), fit_eagerly(*given, l2=l2)
    assert same(found, eager)
    assert history.cost == before.cost
    assert same(history.optimizer_state.slots, before.optimizer_state.slots)


def test_a_prepared_step_reads_what_stays_each_time_and_gives_the_bits_of_the_step(random):
    W = random.normal(size=(4, 3))

    def compute(params, x):
        return np.tanh(x @ params[0].mT) + params[0][0, 0]

    compute.steady = True
    prepared = PreparedStep(CompiledStep(compute), (W,), at_once=True)
    for rows in (1, 2, 1, 5):
        x = random.normal(size=(rows, 3))
        np.testing.assert_array_equal(prepared(x), compute((W,), x))
        W *= 1.5
    assert prepared(np.asfortranarray(random.normal(size=(2, 3)))) is None  # other bits, perhaps
    first = prepared(x)
    kept = first.copy()
    prepared(2 * x)
    np.testing.assert_array_equal(first, kept)
