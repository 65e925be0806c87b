"""Stores of rows that fit cannot use: errors name the argument, and the store's own arrives as it is."""

from __future__ import annotations

import numpy as np
import pytest
from counting_stores import CountingStore
from helpers import network, problem, to

import portable_nn as pnn

N, SIZE = 45, 6


@pytest.fixture
def case(random):
    net = network("tanh")
    return net, *problem(net, random, n=N)


class Wrong(CountingStore):
    """A store whose slices are made by a function."""

    def __init__(self, array, change):
        super().__init__(array)
        self.change = change

    def __getitem__(self, rows):
        return self.change(super().__getitem__(rows))


class Bad:
    """It says to be a store."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype

    def __getitem__(self, rows):
        raise AssertionError


GOOD = np.zeros((N, 4))
REFUSED = {
    "of another shape": (
        Wrong(GOOD, lambda a: a[:-1]),
        ValueError,
        r"`X` gave, for its rows 0 to \d+, an array of shape \(\d+, 4\) and dtype float64; accepted: \(",
    ),
    "of another dtype": (Wrong(GOOD, lambda a: a.astype("f4")), ValueError, r"dtype float32; accepted"),
    "no array": (Wrong(GOOD, lambda a: [1, 2]), ValueError, r"an array of shape \(2,\) and dtype int64"),
    "masked": (
        Wrong(GOOD, lambda a: np.ma.masked_equal(a, 0)),
        ValueError,
        r"`X` gave, for its rows 0 to \d+, masked values; accepted: none; fill them in",
    ),
    "of unknown length": (
        Bad((np.nan, 4), np.dtype("float64")),
        ValueError,
        r"`X` is a store of shape \(nan, 4\); accepted: a known number of rows; .*compute_chunk_sizes",
    ),
    "of three axes": (
        Bad((2, N, 4), np.dtype("float64")),
        ValueError,
        r"`X` is a store of shape \(2, 45, 4\); accepted: rows, \(n_samples, columns\)",
    ),
    "of strings": (Bad((N, 4), np.dtype("U3")), TypeError, "`X` has dtype str.*; accepted: float64"),
    "of objects": (Bad((N, 4), np.dtype(object)), TypeError, "`X` has dtype object; accepted: float64"),
    "complex": (Bad((N, 4), np.dtype("c8")), TypeError, "`X` has dtype complex64; accepted: float64"),
    "of no dtype": (
        Bad((N, 4), "nonsense"),
        TypeError,
        "`X` has dtype 'nonsense'; accepted: a stor",
    ),
    "of float32": (
        Bad((N, 4), np.dtype("float32")),
        TypeError,
        r"`X` float32; accepted: one dtype; .*, as portable_nn.Columns\(store, dtype='float64'\) does",
    ),
    "of other columns": (Bad((N, 3), np.dtype("f8")), ValueError, r"`X` has shape \(45, 3\); accepted"),
    "without rows": (Bad((0, 4), np.dtype("f8")), ValueError, r"`X` has shape \(0, 4\); accepted: at l"),
    "with NaN": (CountingStore(GOOD * np.nan), ValueError, "`X` has NaN or infinite values"),
    "without a shape": (Bad(None, np.dtype("f8")), TypeError, "`X`: an object of type .*Bad was given"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_bad_stores_are_refused_and_the_error_names_the_argument(why, case, host_only):
    net, params, _, Y = case
    store, error, message = REFUSED[why]
    with pytest.raises(error, match=message):
        pnn.fit(net, params, store, Y, stream=True)
    with pytest.raises(error, match=message.replace("`X`", "`validation X`")):
        pnn.fit(net, params, GOOD, Y, stream=True, validation=(store, Y))
    if not why.startswith("of other columns"):
        with pytest.raises(error, match=message):
            net.predict(params, store, stream=True)


def test_a_masked_array_without_masked_values_is_read(case, host_only):
    net, params, X, Y = case
    store = Wrong(X, np.ma.asarray)
    found, expected = (pnn.fit(net, params, x, Y, epochs=1, stream=True) for x in (store, X))
    assert found[1].cost == expected[1].cost


def test_targets_and_weights_of_stores_are_checked_too(case, host_only):
    net, params, X, Y = case
    y, w = np.zeros(N, int), np.ones(N)
    y[-1], w[-1] = 3, -1
    for data, message in (
        ((X, CountingStore(y)), "`Y` has an index of a class that there is not; accepted: 0 to 2"),
        ((X, CountingStore(y[:-1])), r"`Y` has shape \(44,\); accepted"),
        ((X, CountingStore(Y - 1)), "`Y` has a value that categorical_cross_entropy gives no meaning"),
        ((X, Y, CountingStore(w)), "`sample_weight` has negative values"),
        ((X, Y, CountingStore(w[:-1])), r"`sample_weight` has shape \(44,\)"),
        ((X, Y, CountingStore(0 * w)), "`sample_weight` has a sum of zero"),
    ):
        weight = {"sample_weight": data[2]} if len(data) == 3 else {}
        with pytest.raises(ValueError, match=message):
            pnn.fit(net, params, *data[:2], stream=True, **weight)
        with pytest.raises(ValueError, match=message.replace("`", "`validation ", 1)):
            pnn.fit(net, params, X, Y, stream=True, validation=data)


def test_without_stream_the_error_says_to_pass_it(case, backend):
    net, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    message = r"an object of type .*CountingStore was given; .*; or give `stream=True` to fit or predict"
    for data in ((CountingStore(X), y), (x, CountingStore(Y))):
        with pytest.raises(TypeError, match=message):
            pnn.fit(net, ours, *data)
        with pytest.raises(TypeError, match="`validation " + "[XY]`: " + message):
            pnn.fit(net, ours, x, y, validation=data)
    with pytest.raises(TypeError, match="`sample_weight`: " + message):
        pnn.fit(net, ours, x, y, sample_weight=CountingStore(np.ones(N)))
    with pytest.raises(TypeError, match="`X`: " + message):
        net.predict(ours, CountingStore(X))


@pytest.mark.parametrize(
    "error", [OSError("the disk is gone"), StopIteration("of a generator"), KeyError(3)]
)
def test_an_error_of_the_store_within_an_epoch_arrives_as_it_is(error, case, host_only):
    net, params, X, Y = case

    class Failing(CountingStore):
        def __getitem__(self, rows):
            if epochs_done:
                raise error
            return super().__getitem__(rows)

    epochs_done = []

    class Epochs(pnn.Callback):
        def on_epoch_end(self, state):
            epochs_done.append(state.epoch)

    options = {"epoch_order": pnn.WindowShuffle(chunk=4, window=2), "callbacks": [Epochs()]}
    with pytest.raises(type(error)) as caught:
        pnn.fit(net, params, Failing(X), Y, batch_size=SIZE, stream=True, **options)
    assert caught.value is error
    assert len(epochs_done) == 1
