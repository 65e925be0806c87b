"""Codes beside numbers: what is refused, which dtypes do, how much memory a large table takes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers import flat

import portable_nn as pnn

NET = pnn.Network((3, pnn.Embedding({1: 4}, dim=2), 3, "tanh", 1), loss="squared_error")


@pytest.fixture
def data(random):
    X, Y = random.normal(size=(20, 3)), random.normal(size=(20, 1))
    X[:, 1] = random.integers(0, 4, 20)
    return X.astype("float32"), Y.astype("float32")


def test_what_is_no_code_is_refused_before_anything_is_trained(data, backend):
    X, Y = data
    params = NET.initialize(backend=backend)
    for wrong in (4.0, -1.0, 0.5):
        rows = X.copy()
        rows[7, 1] = wrong
        x, y = backend.asarray(rows), backend.asarray(Y)
        message = (
            r"`(validation )?X` has values in column 1 that are none of its 4 codes; accepted: .*0 to 3"
        )
        for call in (
            lambda x=x: NET.predict(params, x),
            lambda x=x, y=y: NET.cost(params, x, y),
            lambda x=x, y=y: pnn.fit(NET, params, x, y),
        ):
            with pytest.raises(ValueError, match=message):
                call()
    good = backend.asarray(X), backend.asarray(Y)
    with pytest.raises(ValueError, match=message):
        pnn.fit(NET, params, *good, validation=(x, y))


@pytest.mark.usefixtures("host_only")
def test_codes_on_the_host_are_looked_at_too(data):
    X, Y = data
    X[7, 1] = 4
    with pytest.raises(ValueError, match=r"none of its 4 codes"):
        pnn.fit(NET, NET.initialize(), X, Y, stream=True)
    with pytest.raises(ValueError, match=r"none of its 4 codes"):
        NET.predict(NET.initialize(), X, stream=True)


def test_a_wrong_code_while_jax_traces_gives_nan(data, jax):
    X, _ = data
    backend = pnn.backends.get("jax")
    params, predict = NET.initialize(backend=backend), jax.jit(NET.predict)
    np.testing.assert_allclose(predict(params, X), NET.predict(params, backend.asarray(X)), rtol=1e-5)
    for row, wrong in ((2, 4.0), (3, -1.0), (5, 1.5)):
        X[row, 1] = wrong
    A = np.asarray(predict(params, X))
    np.testing.assert_array_equal(np.isnan(A[:, 0]), np.isin(np.arange(20), (2, 3, 5)))


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_rows_of_whole_numbers_are_codes_too(dtype, random):
    X = random.integers(0, 2, size=(20, 3)).astype(dtype)
    Y = random.normal(size=(20, 1)).astype("float32")
    how = {"epochs": 2, "batch_size": 8}
    ours, history = pnn.fit(NET, NET.initialize(), X, Y, **how)
    theirs, expected = pnn.fit(NET, NET.initialize(), X.astype("float32"), Y, **how)
    assert history.cost == expected.cost
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("host_only")
def test_many_levels_of_several_columns_stay_apart():
    # the last code of the first column and the first of the second are neighbours in the table; codes
    # beyond 2^24 would not be whole numbers of float32
    layer = pnn.Embedding({0: 1 << 24, 1: 5}, dim=1)
    E = np.zeros((1, (1 << 24) + 5), dtype="float32")
    E[0, (1 << 24) - 1], E[0, 1 << 24], E[0, (1 << 24) + 1] = 1.0, 2.0, 3.0
    A = np.array([[(1 << 24) - 1, 0, 0], [1, 0, 1]], dtype="float32")
    out, _ = layer.forward(pnn.backends.get("numpy").xp, (E,), A)
    np.testing.assert_array_equal(out, [[1.0, 0.0, 0.0], [3.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match=r"levels\[0\]"):
        pnn.Embedding({0: (1 << 24) + 1}, dim=1)


@pytest.mark.usefixtures("host_only")
def test_a_million_categories_take_the_memory_of_a_few_tables(random):
    net = pnn.Network((1, pnn.Embedding({0: 1_000_000}, dim=2), 1), loss="squared_error")
    params = net.initialize()
    X = random.integers(0, 1_000_000, size=(256, 1)).astype("float32")
    Y = np.zeros((256, 1), dtype="float32")
    table = params[0][0].nbytes
    tracemalloc.start()
    try:
        pnn.fit(net, params, X, Y, pnn.SGD(0.1), epochs=1, batch_size=128)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * table  # a one-hot matrix of a batch would take 64 times as much


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pnn.Embedding({}, 2), "one or more columns"),
        (lambda: pnn.Embedding([(1, 2), (1, 3)], 2), "each once"),
        (lambda: pnn.Embedding({"a": 2}, 2), "numbers of categories by column"),
        (lambda: pnn.Embedding({1: 2.5}, 2), r"levels\[1\]"),
        (lambda: pnn.Embedding({1: 0}, 2), r"levels\[1\]"),
        (lambda: pnn.Embedding({1: 3}, 0), "`dim` is 0"),
        (lambda: pnn.Network((2, pnn.Embedding({2: 3}, 2), 1), loss="huber"), "0 to 1, for 2 columns"),
        (lambda: pnn.Network((2, 2, pnn.Embedding({1: 3}, 2), 1), loss="huber"), "not the first layer"),
        (lambda: pnn.Periodic(columns=(1, 0)), "increasing order"),
        (lambda: pnn.Periodic(columns="01"), "numbers of columns"),
        (lambda: pnn.Periodic(dim=1), "`dim` is 1"),
        (lambda: pnn.Periodic(sigma=0), "`sigma` is 0"),
        (lambda: pnn.PiecewiseLinear([(0,)]), "two or more numbers"),
        (lambda: pnn.PiecewiseLinear([(0, 0)]), "increasing order"),
        (lambda: pnn.PiecewiseLinear([(0, np.inf)]), "finite"),
        (lambda: pnn.PiecewiseLinear([(0, 1)], columns=(0, 1)), "edges for each column"),
        (lambda: pnn.Network((2, pnn.PiecewiseLinear([(0, 1)]), 1), loss="huber"), "each of 2 columns"),
        (lambda: pnn.PiecewiseLinear.from_data(np.ones((5, 2))), "has one value"),
        (lambda: pnn.PiecewiseLinear.from_data(np.full((5, 2), np.nan)), "NaN or infinite"),
        (lambda: pnn.PiecewiseLinear.from_data(np.ones(5)), "rows of numbers"),
        (lambda: pnn.PiecewiseLinear.from_data([[1.0], [2.0]]), "`X`: "),
        (
            lambda: pnn.Network(
                (3, pnn.Embedding({0: 5}, 2), pnn.Periodic(columns=(1, 2)), 1), loss="huber"
            ),
            "after the Embedding there are 2 columns of numbers, .*; accepted: some of 0 to 1",
        ),
        (lambda: pnn.LayerNorm(32), "was given 32; accepted: epsilon, by name; its number of units"),
        (lambda: pnn.BatchNorm(eps=1e-3), "no argument `eps`; .*here: epsilon"),
        (lambda: pnn.Network((2, 2, "batch_norm", 1), loss="huber"), r"here: portable_nn.BatchNorm\(\)"),
    ],
)
def test_what_describes_no_layer_is_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_edges_from_data_are_quantiles_wherever_the_rows_are(backend):
    X = np.arange(9.0)[:, None] * np.array([1.0, 0.0, 2.0])
    encode = pnn.PiecewiseLinear.from_data(backend.asarray(X), bins=2, columns=(0, 2))
    assert encode == pnn.PiecewiseLinear([(0, 4, 8), (0, 8, 16)], columns=(0, 2))
