"""A deep network is compiled like any other, by work that grows as its layers do."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers import samples
from training_helpers import assert_same

import portable_nn as pnn
from portable_nn.compiler.numpy import CompiledScan, codegen
from portable_nn.compiler.numpy.program import NumpyProgram

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.fixture
def programs(monkeypatch):
    """The programs of training steps that are made, each with what it was made of."""
    made = []
    init = NumpyProgram.__init__

    def recorded(self, *arguments):
        init(self, *arguments)
        if self.inputs.per_step:
            made.append((self, arguments))

    monkeypatch.setattr(NumpyProgram, "__init__", recorded)
    return made


def deep(layers, hidden="relu", width=4):
    activations = (hidden,) * layers + ("identity",)
    return pnn.Network((3, *[width] * layers, 2), activations, "squared_error")


def counted(function):
    """How many bytecodes of the compiler Python runs in ``function()``."""
    count = 0

    def local(frame, event, argument):
        nonlocal count
        count += event == "opcode"
        return local

    def enter(frame, event, argument):
        if "compiler" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        return local

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0, "l2": 0.1}], ids=["plain", "all arrays"])
def test_the_work_of_tracing_and_planning_grows_in_proportion_to_the_layers(
    options, compiled_at_once, programs, random
):
    X, Y = samples(random, 32, 3, 2, "float32")
    work = []
    for layers in (5, 10, 20):
        net = deep(layers)
        pnn.fit(net, net.initialize(), X, Y, pnn.Adam(), 1, 8, **options)
        arguments = programs[-1][1]
        work.append(counted(lambda arguments=arguments: NumpyProgram(*arguments).loops()))
    few, some, many = work
    assert many - some <= 2.02 * (some - few)


def test_no_function_of_a_deep_step_is_long(compiled_at_once, programs, random):
    """To compile one that has another inside takes time in proportion to lines times variables."""
    X, Y = samples(random, 16, 3, 2, "float32")
    net = deep(300)
    pnn.fit(net, net.initialize(), X, Y, pnn.SGD(), 1, 8)
    bind = programs[-1][0].bind_blocks
    parts = [thing.__code__ for name, thing in bind.__globals__.items() if name.startswith("part")]
    assert len(parts) > 2
    for code in parts:
        (run,) = (each for each in code.co_consts if hasattr(each, "co_lines"))
        assert len({line for _, _, line in run.co_lines()}) <= codegen.PART + 10
        assert len(code.co_cellvars) <= 4 * codegen.PART
    assert not bind.__code__.co_cellvars


@pytest.mark.parametrize("lines", [1, 7])
@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_a_step_in_several_parts_gives_the_same_bits(
    lines, hidden, mode, fit_eagerly, programs, monkeypatch, random
):
    monkeypatch.setattr(codegen, "PART", lines)
    net = deep(3, hidden, width=150)  # 22,500 weights: more than one block
    X, Y = samples(random, 60, 3, 2, "float32")
    given = (net, net.initialize(), X, Y, pnn.Adam(0.01), 3, 16)
    options = {"l2": 0.1, "clip_norm": 0.5, "dropout": 0.25, "validation": (X, Y)}
    found = pnn.fit(*given, **options)
    assert "part9" in programs[-1][0].bind_blocks.__globals__
    assert_same(found, fit_eagerly(*given, **options))


def test_what_is_copied_at_the_end_of_a_step_is_right_in_several_parts(monkeypatch):
    monkeypatch.setattr(codegen, "PART", 1)

    def swap(xp, carry, fixed, one):
        x, y = carry
        return y, x

    def turn(xp, carry, fixed, one):
        x, y = carry
        return xp.abs(y) + one, x - one[0]

    for step in (swap, turn):
        scanned = CompiledScan(step, np, few_steps=0)
        expected = CompiledScan(step, np)
        given = (np.arange(3.0), np.ones(3))
        each = np.ones((7, 1))
        carry = scanned(given, (), each, (False, False))
        for found, theirs in zip(carry, expected.run_eagerly(given, (), each), strict=True):
            np.testing.assert_array_equal(found, theirs)


def test_a_thousand_layers_train_compiled_and_give_the_bits_of_eager_steps(
    compiled_at_once, fit_eagerly, programs, random
):
    X, Y = samples(random, 24, 3, 2, "float32")
    net = deep(1000, "identity")
    given = (net, net.initialize(scheme="glorot"), X, Y, pnn.SGD(1e-3), 2, 8)
    found = pnn.fit(*given)
    assert len(programs) == 1
    assert found[1].cost[1] != found[1].cost[0]
    assert_same(found, fit_eagerly(*given))
