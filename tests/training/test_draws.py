"""What is drawn for a training: the same numbers however they are cut, and each network's own."""

from __future__ import annotations

import numpy as np
import pytest

from portable_nn.backends import get
from portable_nn.training import draws
from portable_nn.training.draws import Buffer, GeneratorDraws, StackDraws, joint_pieces
from portable_nn.training.dropout import Rates, batches_at_once, mask_drawer

pytestmark = pytest.mark.usefixtures("host_only")

SEEDS = (3, 1, 4, 1)  # the last network has the seed of the second: it draws the same


@pytest.fixture(params=[2**15, 50], ids=["one-piece", "many-pieces"])
def pieces(request, monkeypatch):
    monkeypatch.setattr(draws, "PIECE", request.param)


def masks_of(source, rates, shapes, *chunks):
    """The masks of chunks (k, B, step), copied."""
    draw = mask_drawer(get("numpy"), rates, shapes, "float64", source.uniform)
    assert draw is not None
    return [[None if M is None else M.copy() for M in draw(*chunk)] for chunk in chunks]


@pytest.mark.parametrize("stack", [(), (2, 3)], ids=["one", "stack"])
def test_masks_are_drawn_batch_after_batch_and_layer_after_layer(stack, pieces):
    rates, shapes = Rates((0.2, 0.0, 0.5), stack), [(*stack, n) for n in (5, 7, 3)]
    chunks = masks_of(GeneratorDraws(np.random.default_rng(0)), rates, shapes, (4, 6, 0), (1, 2, 4))
    random = np.random.default_rng(0)
    for (k, B), (first, none, last) in zip([(4, 6), (1, 2)], chunks, strict=True):
        assert none is None
        for i in range(k):
            np.testing.assert_array_equal(first[i], (random.random((*stack, 5, B)) >= 0.2) / 0.8)
            np.testing.assert_array_equal(last[i], (random.random((*stack, 3, B)) >= 0.5) / 0.5)


def test_any_generator_of_numpys_can_be_cut_into_pieces(pieces):
    random, alone = np.random.RandomState(5), np.random.RandomState(5)

    def fill(out):
        out[...] = random.random_sample(out.shape)

    for (some,), numbers in joint_pieces(fill, Buffer(), 7, [(3, 4), (2, 9)]):
        for i in range(some.stop - some.start):
            np.testing.assert_array_equal(numbers[0][i], alone.random_sample((3, 4)))
            np.testing.assert_array_equal(numbers[1][i], alone.random_sample((2, 9)))


def stack_draws():
    return StackDraws([np.random.default_rng(seed) for seed in SEEDS])


@pytest.mark.parametrize(
    "rates",
    [
        (0.2, 0.5),
        (np.array([0.0, 0.1, 0.5, 0.1]), np.array([0.3, 0.0, 0.0, 0.0])),
        (lambda step: 0.5 / (1 + step), np.array([0.3, 0.0, 0.2, 0.0])),
    ],
    ids=["shared", "own", "schedule"],
)
def test_each_network_of_a_stack_draws_what_it_would_draw_alone(rates, pieces):
    K, chunks = len(SEEDS), [(3, 4, 0), (2, 4, 3)]
    of_all = stack_draws()
    order = of_all.order(0, 11)
    masks = masks_of(of_all, Rates(rates, (K,)), [(K, 5), (K, 7)], *chunks)
    next_order = of_all.order(1, 11)
    for k, seed in enumerate(SEEDS):
        alone = GeneratorDraws(np.random.default_rng(seed))
        np.testing.assert_array_equal(order[k], alone.order(0, 11))
        own = Rates(tuple(rate[k] if np.ndim(rate) else rate for rate in rates))
        expected = masks_of(alone, own, [(5,), (7,)], *chunks)
        for found, theirs in zip(masks, expected, strict=True):
            for mask, one in zip(found, theirs, strict=True):
                np.testing.assert_array_equal(mask[:, k], 1.0 if one is None else one)
        np.testing.assert_array_equal(next_order[k], alone.order(1, 11))


def test_some_of_the_networks_go_on_where_they_were():
    whole, other = stack_draws(), stack_draws()
    for each in (whole, other):
        each.order(0, 20)
    some = whole.of(np.array([2, 0]))
    np.testing.assert_array_equal(some.order(1, 20), other.order(1, 20)[[2, 0]])
    assert some.generators[0] is whole.generators[2]


def test_the_draws_of_a_stack_go_on_from_their_state():
    first = stack_draws()
    first.order(0, 9)
    state = first.state()
    expected = first.order(1, 9), masks_of(first, Rates([0.5], (4,)), [(4, 3)], (2, 5, 0))
    second = stack_draws()
    second.restore(state)
    found = second.order(1, 9), masks_of(second, Rates([0.5], (4,)), [(4, 3)], (2, 5, 0))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1][0][0], expected[1][0][0])


def test_states_of_another_stack_are_refused_and_change_nothing():
    of_all = stack_draws()
    before = of_all.state()
    with pytest.raises(ValueError, match="2 generators for 4 networks"):
        of_all.restore(stack_draws().of([0, 1]).state())
    other = stack_draws()
    other.order(0, 3)
    for last, match in [(10**6, "the place 1000000"), (3, "of MT19937, and the generator is PCG64")]:
        state = other.state()
        state["networks"][3] = dict(np.random.MT19937(0).state)
        state["networks"][3]["state"]["pos"] = last
        with pytest.raises(ValueError, match=match):
            of_all.restore(state)
    assert of_all.state() == before


def test_masks_of_more_batches_are_drawn_at_a_time_the_smaller_they_are():
    assert batches_at_once([(32,)], 32) == 64
    assert batches_at_once([(64, 32)], 32) == 32
    assert batches_at_once([(64, 100), (64, 100)], 200) == 8
