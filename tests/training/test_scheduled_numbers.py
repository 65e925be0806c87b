"""Dropout and weight decay on schedules: the value of each update, from the same random numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import assert_refused_before_training, flat, host, problem, to, worst

import portable_nn as pnn
from portable_nn.schedules import constant, cosine
from portable_nn.training.steps import training_steps

NET = pnn.Network((4, 6, 5, 3), ("tanh", "tanh", "softmax"), "categorical_cross_entropy")


def data(random, n=20):
    return problem(NET, random, n=n)


def trained(params, X, Y, optimizer=None, **options):
    options = {"epochs": 3, "batch_size": 4, "seed": 1} | options
    return flat(pnn.fit(NET, params, X, Y, optimizer or pnn.SGD(0.1), **options)[0])


def same_bits(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_schedule_of_dropout_gives_the_bits_of_the_number(dtype, random, host_only):
    params, X, Y = problem(NET, random, n=20, dtype=dtype)
    expected = trained(params, X, Y, dropout=[0.3, 0.1])
    for dropout in ([constant(0.3), 0.1], [lambda step: 0.3, constant(0.1)]):
        assert same_bits(trained(params, X, Y, dropout=dropout), expected)
    expected = trained(params, X, Y, dropout=0.3)
    assert same_bits(trained(params, X, Y, dropout=constant(0.3)), expected)


def test_a_rate_of_0_at_some_step_draws_nevertheless(random, host_only):
    params, X, Y = data(random)
    options = {"epochs": 1, "batch_size": 10, "epoch_order": lambda epoch, n: np.arange(n)}
    first = trained(params, X[:10], Y[:10], **options)  # one update, and nothing is dropped
    middle = [(first[2 * l], first[2 * l + 1]) for l in range(3)]
    generator = np.random.default_rng(1)
    generator.random((6, 10)), generator.random((5, 10))  # what the masks of that update took
    late = trained(middle, X[10:], Y[10:], dropout=0.4, **(options | {"seed": generator}))
    both = trained(params, X, Y, dropout=lambda step: 0.4 * step, **options)
    assert worst(both, late) < 1e-12


def test_the_rate_of_each_update_is_the_schedules(backend, random):
    params, X, Y = data(random, n=12)
    steps, n = [], 12
    rates = [0.5, 0.0, 0.25]

    def falling(step):
        steps.append(step)
        return rates[step]

    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    order = {"epoch_order": lambda epoch, n: np.arange(n), "batch_size": None, "seed": 7}
    found, _ = pnn.fit(NET, ours, x, y, pnn.SGD(0.1), epochs=3, dropout=[falling, 0.0], **order)
    generator, (Ws, bs) = np.random.default_rng(7), zip(*params, strict=True)
    Ws, bs = list(Ws), list(bs)
    for rate in rates:
        mask = (generator.random((6, n)) >= rate) / (1 - rate)
        A1 = np.tanh(Ws[0] @ X.T + bs[0]) * mask
        A2 = np.tanh(Ws[1] @ A1 + bs[1])
        Z3 = Ws[2] @ A2 + bs[2]
        P = np.exp(Z3) / np.exp(Z3).sum(axis=0)
        D3 = P - Y.T
        D2 = Ws[2].T @ D3 * (1 - A2**2)
        D1 = Ws[1].T @ D2 * mask * (1 - np.tanh(Ws[0] @ X.T + bs[0]) ** 2)
        for l, (D, A) in enumerate(((D1, X.T), (D2, A1), (D3, A2))):
            Ws[l] = Ws[l] - 0.1 * (D @ A.T) / n
            bs[l] = bs[l] - 0.1 * D.mean(axis=1, keepdims=True)
    assert worst(host(backend, found), flat(zip(Ws, bs, strict=True))) < 1e-12
    assert set(steps) == {0, 1, 2}


def test_networks_of_a_stack_have_rates_of_their_own_at_each_step(random, host_only):
    params, X, Y = data(random)
    stack = [tuple(np.stack([a, a]) for a in layer) for layer in params]
    number = trained(stack, X, Y, dropout=[[0.2, 0.4], 0.1])
    found = trained(stack, X, Y, dropout=[lambda step: [0.2, 0.4], constant(0.1)])
    assert same_bits(found, number)
    mixed = trained(stack, X, Y, dropout=[lambda step: [0.2, 0.4] if step else 0.2, 0.1])
    assert not same_bits(mixed, number)


def test_the_decay_is_the_value_of_the_step_times_the_learning_rate(random, host_only):
    params, X, Y = data(random)
    rate, decay = cosine(0.1, steps=4), cosine(0.5, steps=3)
    found = trained(
        params,
        X,
        Y,
        pnn.AdamW(rate, weight_decay=decay),
        epochs=4,
        batch_size=None,
        epoch_order=lambda epoch, n: np.arange(n),
    )
    expected, adam = params, pnn.Adam()
    state = adam.init(params)
    for t in range(4):
        _, grads = NET.cost_and_gradients(expected, X, Y)
        moved, state = adam.update(expected, grads, state, learning_rate=rate(t))
        share = (
            0.1 * (1 + math.cos(math.pi * t / 4)) / 2 * 0.5 * (1 + math.cos(math.pi * min(t / 3, 1))) / 2
        )
        expected = [
            tuple(new - share * old for new, old in zip(*pair, strict=True))
            for pair in zip(moved, expected, strict=True)
        ]
    assert worst(found, flat(expected)) < 1e-12
    same = trained(params, X, Y, pnn.AdamW(0.1, weight_decay=constant(0.5)))
    assert same_bits(same, trained(params, X, Y, pnn.AdamW(0.1, weight_decay=0.5)))


def test_a_decay_may_be_scheduled_in_an_update_by_hand_and_in_a_group(random, host_only):
    params, X, Y = data(random)
    _, grads = NET.cost_and_gradients(params, X, Y)
    groups = {"biases": {"weight_decay": lambda step: 0.25 * step}}
    optimizer = pnn.AdamW(0.1, weight_decay=lambda step: 0.5 - 0.25 * step, groups=groups)
    state, ours, theirs = optimizer.init(params), params, params
    for t in range(3):
        ours, after = optimizer.update(ours, grads, state)
        plain = pnn.AdamW(
            0.1, weight_decay=0.5 - 0.25 * t, groups={"biases": {"weight_decay": 0.25 * t}}
        )
        theirs, state = plain.update(theirs, grads, state)
        assert after.t == state.t
    assert same_bits(flat(ours), flat(theirs))


def test_other_schedules_are_the_same_compiled_step(random, host_only):
    params, X, Y = data(random)
    training_steps.cache_clear()
    for value in (0.1, 0.2, 0.3):
        adamw = pnn.AdamW(0.1, weight_decay=constant(value))
        trained(params, X, Y, adamw, dropout=constant(value))
    trained(params, X, Y, pnn.AdamW(0.1, weight_decay=0.5), dropout=0.5)
    assert training_steps.cache_info().misses == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"dropout": lambda step: 1.0},
            ValueError,
            r"`dropout\[0\]\(0\)` is 1.0; accepted: a number in",
        ),
        ({"dropout": [0.5, lambda step: "a"]}, TypeError, r"`dropout\[1\]\(0\)` is 'a'; accepted"),
        (
            {"dropout": lambda step: [0.1, 0.2]},
            ValueError,
            r"`dropout\[0\]\(0\)` holds numbers of shape",
        ),
        (
            {"optimizer": pnn.AdamW(weight_decay=lambda step: -1.0)},
            ValueError,
            r"`weight_decay\(0\)` is -1",
        ),
        (
            {"optimizer": pnn.AdamW(weight_decay=lambda step: [0.1, 0.2])},
            ValueError,
            r"`weight_decay\(0\)` holds numbers of shape",
        ),
        (
            {"optimizer": pnn.SGD(groups={1: {"learning_rate": lambda step: -0.1}})},
            ValueError,
            r"`learning_rate\(0\)` is -0.1; accepted",
        ),
    ],
)
def test_the_first_value_of_a_schedule_is_checked_before_training(
    options, error, message, random, host_only
):
    assert_refused_before_training((NET, *data(random)), options, error, message)


def test_later_values_of_a_schedule_are_checked_in_their_update(random, host_only):
    params, X, Y = data(random)
    with pytest.raises(ValueError, match=r"`dropout\[0\]\(7\)` is 7"):
        trained(params, X, Y, dropout=lambda step: 0.5 if step < 7 else step)
    with pytest.raises(ValueError, match=r"`weight_decay\(7\)` is -7"):
        trained(params, X, Y, pnn.AdamW(weight_decay=lambda step: 0.5 if step < 7 else -step))
    for wrong in (pnn.schedules.cosine, "cosine"):
        with pytest.raises(TypeError, match="`weight_decay` is"):
            pnn.AdamW(weight_decay=wrong)
