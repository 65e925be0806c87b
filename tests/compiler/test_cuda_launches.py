"""The launches of a CUDA program: how many, in which order, as a graph, with which indices."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from cuda_helpers import needs_gcc, program_of, scan_on, small_training
from fake_cuda import FakeDevice
from helpers import samples, training_difference

import portable_nn as pnn
from portable_nn.compiler.cuda.indexing import element_index
from portable_nn.compiler.cuda.kernels import Kernel
from portable_nn.compiler.cuda.parts import index_type
from portable_nn.compiler.cuda.program import ProductLaunch
from portable_nn.compiler.layout import Layout

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


def test_large_arrays_are_indexed_by_64_bit_integers():
    assert index_type(2**31 - 2000) == "int"
    assert index_type(2**31) == "long long"
    assert element_index(Layout((2, 3), (2**30, 1)), (2, 3), "e") == f"(e % 3) + (e / 3) * {2**30}LL"
    assert "LL" not in element_index(Layout((2, 3), (2**28, 1)), (2, 3), "e")


@pytest.mark.parametrize("strides", [(12, 4, 1), (1, 2, 6), (0, 4, 1), (-12, 4, 2), (0, 0, 0)])
def test_an_element_has_the_index_that_numpy_gives_it(strides):
    shape = (2, 3, 4)
    where = element_index(Layout(shape, strides, 50), shape, "e")
    for e in range(24):
        i, j, k = np.unravel_index(e, shape)
        expected = 50 + int(i) * strides[0] + int(j) * strides[1] + int(k) * strides[2]
        assert eval(where.replace("/", "//"), {"e": e}) == expected


def test_a_launch_has_no_more_arguments_than_cuda_allows(device, replay):
    step = lambda xp, carry, fixed, one: tuple(x * one[0] for x in carry)  # noqa: E731
    carry = tuple(np.full(2, float(i)) for i in range(60))
    steps = scan_on(device, replay, step)
    for i, x in enumerate(steps(carry, (), np.full((3, 1), 0.5), (False,) * 60)):
        np.testing.assert_array_equal(x, i / 8)
    (program,) = steps.programs.values()
    assert [len(one.arguments) for one in program.launches][:3] == [25, 25, 13]


def test_blocks_and_threads_may_run_in_any_order(train, folder):
    found = [
        small_training(train, np.random.default_rng(3), on=FakeDevice(folder, backwards=backwards))
        for backwards in (False, True)
    ]
    assert training_difference(*found) == 0.0


def test_a_replayed_graph_gives_the_bits_of_its_launches(train, folder):
    for n in (16, 70, 8 * 37 + 5):  # one step, a ragged last batch, more steps than a graph has
        fused, replayed = (
            small_training(
                train, np.random.default_rng(3), n=n, on=FakeDevice(folder), by_graph=by_graph
            )
            for by_graph in (False, True)
        )
        assert training_difference(replayed, fused) == 0.0


def test_a_graph_is_captured_once(train, folder):
    counts = []
    for epochs in (1, 4):
        device = FakeDevice(folder)
        small_training(train, np.random.default_rng(3), epochs=epochs, on=device, by_graph=True)
        counts.append((device.captured, device.launches))
    assert counts[0][0] == counts[1][0] > 0
    assert counts[1][1] > counts[0][1]


def test_nothing_is_captured_if_the_device_cannot(train, folder):
    device = FakeDevice(folder, can_capture=False)
    found = small_training(train, np.random.default_rng(3), on=device, by_graph=True)
    assert device.captured == 0
    assert (
        training_difference(found, small_training(train, np.random.default_rng(3), by_graph=False))
        == 0.0
    )


def test_a_step_is_few_launches(train, random):
    net = pnn.Network((20, 16, 12, 10), ("relu", "relu", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 32, 20, 10, "float32")
    train(net, net.initialize(), X, Y, pnn.Adam(), 1, 16)
    kinds = Counter(type(one) for one in program_of(train).launches)
    assert kinds[ProductLaunch] == 8  # three forward, three for dJ/dW, two for Delta
    # rows gathered; three activations, the last with its cost and its Delta; two Delta; the last update
    assert kinds[Kernel] == 7


@pytest.mark.parametrize("shape", [(300, 40), (3, 400, 50), (20, 9000)], ids=str)
def test_many_blocks_share_a_sum_over_all_elements(shape, device, replay, random):
    step = lambda xp, carry, fixed, one: (carry[0] + xp.sum(fixed[0], axis=(-2, -1)) * one[0],)  # noqa: E731
    steps, X, each = scan_on(device, replay, step), random.normal(size=shape), np.ones((2, 1))
    (found,) = steps((np.zeros(shape[:-2]),), (X,), each, (False,))
    np.testing.assert_allclose(found, 2 * X.sum(axis=(-2, -1)), rtol=1e-11)
    (program,) = steps.programs.values()
    assert program.launches[0].blocks >= 35


def test_one_launch_updates_all_parameters(train, random):
    @dataclass(frozen=True)
    class Late(pnn.Adam):
        pass

    net = pnn.Network((5, 1), ("identity",), "squared_error")
    X, Y = samples(random, 32, 5, 1, "float32")
    train(net, net.initialize(stack=(3,)), X, Y, Late(), 1, 16)
    last = program_of(train).launches[-1]
    assert isinstance(last, Kernel)
    assert last.source.count("sqrt(") == 2  # W's and b's


def test_the_device_counts_steps_even_if_every_launch_reads_the_count(device, replay):
    def step(xp, carry, fixed, one):
        return (carry[0] * 0.5 + one[0],)

    each = np.arange(40.0).reshape(40, 1)
    expected = np.zeros(3)
    for one in each:
        expected = expected * 0.5 + one[0]
    (found,) = scan_on(device, replay, step)((np.zeros(3),), (), each, (False,))
    np.testing.assert_array_equal(found, expected)
