"""How a table becomes rows of numbers: by formulas computed here by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from portable_nn.tabular.columns import Categories, Numbers, categories_of
from portable_nn.tabular.encoding import MOST_ONE_HOT, as_values, from_values, learn_encoding

pytestmark = pytest.mark.usefixtures("host_only")


def learn(*columns, twice=False):
    return learn_encoding(list(columns), twice)


def words(*values):
    return categories_of(values, "X")


def test_numbers_are_centred_divided_and_bent():
    values = np.array([0.0, 1, 2, 3, 4, 100])
    encode = learn(Numbers(values))
    first, second = np.quantile(values, [0.25, 0.75])
    x = (values - np.median(values)) / (second - first)
    np.testing.assert_allclose(encode([Numbers(values)])[:, 0], x / np.sqrt(1 + (x / 3) ** 2), rtol=1e-6)
    far = encode([Numbers(np.array([-1e308, 1e308]))])
    np.testing.assert_allclose(far[:, 0], [-3, 3], rtol=1e-6)


def test_numbers_whose_quartiles_are_one_are_divided_by_half_their_range():
    values = np.array([5.0] * 9 + [7.0])
    x = (values - 5) / 1
    found = learn(Numbers(values))([Numbers(values)])[:, 0]
    np.testing.assert_allclose(found, x / np.sqrt(1 + (x / 3) ** 2), rtol=1e-6)


def test_a_missing_number_is_at_the_median_and_says_so():
    values = np.array([1.0, 2, math.nan, 4])
    encode = learn(Numbers(values))
    np.testing.assert_array_equal(encode([Numbers(values)])[2], [0, 1])
    assert encode([Numbers(np.array([2.0]))])[0, 1] == 0


def test_numbers_missing_for_the_first_time_are_at_the_median():
    encode = learn(Numbers(np.arange(5.0)))
    np.testing.assert_array_equal(encode([Numbers(np.array([math.nan]))]), [[0]])


@pytest.mark.parametrize("values", [np.full(4, math.nan), np.full(4, 2.5)], ids=["missing", "constant"])
def test_columns_that_say_nothing_are_left_out(values):
    encode = learn(Numbers(values), Numbers(np.arange(4.0)))
    assert encode([Numbers(values), Numbers(np.arange(4.0))]).shape == (4, 1)
    nothing = learn(Numbers(values))
    np.testing.assert_array_equal(nothing([Numbers(values)]), np.zeros((4, 1)))
    assert nothing.width == 1


def test_few_categories_are_one_hot_two_are_a_sign():
    three, two = words("c", "a", "b"), words("y", "x", "y")
    np.testing.assert_array_equal(learn(three)([three]), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(learn(two)([two]), [[-1], [1], [-1]])


def test_categories_never_seen_and_missing_ones():
    encode = learn(words("a", "b", "c", None))
    np.testing.assert_array_equal(encode([words("new", None)]), [[0, 0, 0, 0], [0, 0, 0, 1]])
    encode = learn(words("a", "b", "c"))  # none was missing
    np.testing.assert_array_equal(encode([words("new", None)]), np.zeros((2, 3)))
    encode = learn(words("a", "b"))
    np.testing.assert_array_equal(encode([words("new", None)]), np.zeros((2, 1)))


def test_many_categories_are_codes_and_those_seen_once_share_one():
    often = [f"level {k}" for k in range(MOST_ONE_HOT + 1)]
    encode = learn(words(*often, *often, "once"))
    (code,) = encode.embedded
    assert code.count == len(often) + 1
    found = encode([words("level 0", "level 9", "once", "never", None)])
    np.testing.assert_array_equal(found[:, 0], [1, 10, 0, 0, 0])
    with_gaps = learn(words(*often, *often, None))
    np.testing.assert_array_equal(with_gaps([words(None)]), [[len(often) + 1]])


def test_rows_have_numbers_first_and_codes_last():
    many = words(*[f"level {k // 2}" for k in range(40)])
    columns = [many, Numbers(np.arange(40.0)), words(*"abcd" * 10)]
    for twice in (False, True):
        encode = learn(*columns, twice=twice)
        rows = encode(columns)
        assert rows.shape == (40, encode.width) == (40, 1 + twice + 4 + 1)
        np.testing.assert_array_equal(rows[:, 0], rows[:, int(twice)])
        assert rows[-1, -1] == sorted(many.levels).index("level 19") + 1


def test_numbers_in_the_place_of_categories_are_their_names():
    encode = learn(words(1, 2, 3, 1))
    np.testing.assert_array_equal(encode([Numbers(np.array([1.0, 2, 3, 1]))])[:, 0], [1, 0, 0, 1])
    empty = Categories([], np.array([-1, -1]))
    np.testing.assert_array_equal(encode([empty]), np.zeros((2, 3)))


def test_plain_values_are_the_same_encoding():
    columns = [Numbers(np.array([1.0, math.nan, 3, 9])), words("a", "b", "c", None)]
    encode = learn(*columns)
    again = from_values(as_values(encode))
    assert again == encode
    np.testing.assert_array_equal(again(columns), encode(columns))
