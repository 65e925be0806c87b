"""Each network of a stack is trained as if it were alone: its rows, seeds, numbers, end."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import relative

import portable_nn as pnn

NET = pnn.Network((5, 8, 3), activations=("tanh", "softmax"), loss="categorical_cross_entropy")
K = 6
NUMBERS = {
    "rates": [0.01, 0.02, 0.05, 0.003, 0.03, 0.01],
    "l2": [0.0, 0.1, 0.01, 1e-3, 0.2, 0.0],
    "dropout": [0.1, 0.2, 0.3, 0.1, 0.05, 0.4],
    "clip_norm": [0.5, 1.0, 2.0, 0.3, 0.7, 1.5],
    "seed": [3, 1, 4, 1, 5, 9],
}
OPTIONS = {
    "epochs": {"epochs": 3, "clip_norm": NUMBERS["clip_norm"]},
    "early": {"epochs": 30, "early_stopping": pnn.EarlyStopping(patience=3), "validation": True},
    "last": {
        "epochs": 12,
        "early_stopping": pnn.EarlyStopping(patience=2, min_delta=0.01, restore_best=False),
        "metrics": ["accuracy"],
    },
}


@pytest.fixture
def data(random):
    X = random.normal(size=(61, 5))
    y = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
    return X, y, random.uniform(0.1, 1.1, size=61)


@pytest.fixture
def rows(random):
    return [random.permutation(61)[:n] for n in (40, 40, 33, 33, 40, 33)]


def network(backend, params, k):
    """Network k of a flat stack."""
    return [(W[k, ...], b[k, ...]) for W, b in params]


def difference(backend, stack, k, alone):
    """The largest relative difference of network k from parameters of one network."""
    pairs = zip(network(backend, stack, k), alone, strict=True)
    return max(
        relative(backend.to_numpy(a), backend.to_numpy(b))
        for one, other in pairs
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("case", OPTIONS)
def test_each_network_has_rows_draws_numbers_and_an_end_of_its_own(case, backend, data, rows, margin):
    X, y, w = data
    move = backend.asarray
    stack = NET.initialize(range(K), backend=backend, dtype="float64", stack=(K,))
    options = dict(OPTIONS[case])
    if options.pop("validation", False):
        options["validation"] = (move(X[:20]), move(y[:20]))
    found, history = pnn.fit(
        *(NET, stack, move(X), move(y), pnn.Adam(NUMBERS["rates"])),
        **{name: NUMBERS[name] for name in ("l2", "dropout", "seed")},
        **{"rows": rows, "batch_size": 16, "sample_weight": move(w), **options},
    )
    worst = 0.0
    few = [5] if backend.name == "jax" else range(K)  # which compiles anew for each number of rows
    for k in few:
        own = rows[k]
        if "clip_norm" in options:
            options["clip_norm"] = NUMBERS["clip_norm"][k]
        alone, record = pnn.fit(
            *(NET, network(backend, stack, k), move(X[own]), move(y[own])),
            pnn.Adam(NUMBERS["rates"][k]),
            **{name: NUMBERS[name][k] for name in ("l2", "dropout", "seed")},
            **{"batch_size": 16, "sample_weight": move(w[own]), **options},
        )
        assert history.last_epoch[k] == record.epochs
        assert record.best_epoch is None or history.best_epoch[k] == record.best_epoch
        worst = max(worst, difference(backend, found, k, alone))
        for name, curve in record.curves.items():
            ours = np.asarray([values[k] for values in history.curves[name]])
            worst = max(worst, relative(ours[: record.epochs], curve))
            assert np.isnan(ours[record.epochs :]).all()
    assert worst == 0 if backend.name in ("numpy", "array_api_strict") else worst < 1e-12
    margin("networks of a stack", backend.name, worst)
    assert not history.diverged.any()
    assert (len(set(history.last_epoch)) > 1) == (case != "epochs")


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize("case", ["early", "last"])
def test_blocks_and_threads_change_nothing(case, data, rows, monkeypatch):
    X, y, w = data
    stack = NET.initialize(range(K), dtype="float64", stack=(K,))
    options = {name: NUMBERS[name] for name in ("l2", "dropout", "seed")} | OPTIONS[case]
    if options.pop("validation", False):
        options["validation"] = (X[:20], y[:20])
    options |= {"rows": [own[:33] for own in rows], "batch_size": 16, "sample_weight": w}
    results, kind = [], type(pnn.backends.get("numpy"))
    for threads, at_once in ((1, None), (1, 2), (2, 3), (2, 1)):
        monkeypatch.setattr(kind, "threads", lambda self, threads=threads: threads)
        monkeypatch.setattr(kind, "networks_at_once", lambda self, size, at_once=at_once: at_once)
        results.append(pnn.fit(NET, stack, X, y, pnn.Adam(NUMBERS["rates"]), **options))
    first, expected = results[0]
    for params, history in results[1:]:
        for (W, b), (V, c) in zip(params, first, strict=True):
            np.testing.assert_array_equal(W, V)
            np.testing.assert_array_equal(b, c)
        np.testing.assert_array_equal(history.cost, expected.cost)
        np.testing.assert_array_equal(history.best_epoch, expected.best_epoch)


def test_a_network_that_diverges_is_frozen_and_the_others_go_on(backend, data):
    X, y, _ = data
    move, rates = backend.asarray, [0.01, 1e300, 0.02]
    stack = NET.initialize(range(3), backend=backend, dtype="float64", stack=(3,))
    options = {"epochs": 3, "batch_size": 16, "l2": 1.0}
    with pytest.warns(UserWarning, match=r"1 of the 3 networks have diverged: \[1\]"):
        found, history = pnn.fit(NET, stack, move(X), move(y), pnn.SGD(rates), **options)
    np.testing.assert_array_equal(history.diverged, [False, True, False])
    np.testing.assert_array_equal(history.last_epoch, [3, 0, 3])
    assert np.isnan([costs[1] for costs in history.cost]).all()
    assert difference(backend, found, 1, network(backend, stack, 1)) == 0
    without = [network(backend, stack, k) for k in (0, 2)]
    for k, params in zip((0, 2), without, strict=True):
        alone, _ = pnn.fit(NET, params, move(X), move(y), pnn.SGD(rates[k]), **options)
        assert difference(backend, found, k, alone) < (
            1e-14 if backend.name in ("jax", "torch") else 1e-300
        )


def test_a_stack_of_which_every_network_diverges_raises(data):
    X, y, _ = data
    stack = NET.initialize(stack=(2,), dtype="float64")
    with pytest.raises(pnn.NonFiniteCostError, match="epoch 1") as caught:
        pnn.fit(NET, stack, X, y, pnn.SGD([1e300, 1e305]), batch_size=16, l2=1.0)
    for found, given in zip(caught.value.params, stack, strict=True):
        np.testing.assert_array_equal(found[0], given[0])


@pytest.mark.parametrize("shape", [(2, 3), (2, 1)])
def test_several_stack_axes_and_data_shared_along_some_of_them(shape, backend, random):
    X, Y = random.normal(size=(2, 1, 30, 5)), np.eye(3)[random.integers(0, 3, (2, 1, 30))]
    seeds = np.arange(np.prod(shape)).reshape(shape)
    rates = random.uniform(0.01, 0.05, shape)
    stack = NET.initialize(seeds.ravel(), backend=backend, dtype="float64", stack=shape)
    rule = {"early_stopping": pnn.EarlyStopping(patience=2), "epochs": 6, "batch_size": 8}
    move = backend.asarray
    found, history = pnn.fit(NET, stack, move(X), move(Y), pnn.Adam(rates), seed=seeds, **rule)
    assert history.best_epoch.shape == history.cost[0].shape == shape
    for fold in range(2):
        for c in [shape[1] - 1] if backend.name == "jax" else range(shape[1]):
            mine = [(W[fold, c, ...], b[fold, c, ...]) for W, b in stack]
            alone, record = pnn.fit(
                *(NET, mine, move(X[fold, 0]), move(Y[fold, 0]), pnn.Adam(rates[fold, c])),
                **{"seed": int(seeds[fold, c]), **rule},
            )
            for (W, b), (V, c_) in zip(found, alone, strict=True):
                assert relative(backend.to_numpy(W[fold, c, ...]), backend.to_numpy(V)) < 1e-12
                assert relative(backend.to_numpy(b[fold, c, ...]), backend.to_numpy(c_)) < 1e-12
            assert history.best_epoch[fold, c] == record.best_epoch


def test_a_schedule_and_an_order_of_epochs_for_each_network(data):
    X, y, _ = data
    stack = NET.initialize(stack=(2,), dtype="float64")
    schedules = [pnn.schedules.cosine(0.05, steps=8), pnn.schedules.step_decay(0.1, every=2, factor=0.5)]
    orders = np.stack([np.arange(50), np.arange(50)[::-1]])
    found, _ = pnn.fit(
        *(NET, stack, X, y, pnn.SGD(), 3, 16), schedule=schedules, epoch_order=lambda epoch, n: orders
    )
    for k in range(2):
        alone, _ = pnn.fit(
            *(NET, [(W[k], b[k]) for W, b in stack], X, y, pnn.SGD(), 3, 16),
            schedule=schedules[k],
            epoch_order=lambda epoch, n, k=k: orders[k],
        )
        assert all((W[k] == V).all() for (W, _), (V, _) in zip(found, alone, strict=True))


def test_with_one_seed_each_network_draws_as_it_would_alone_from_its_rows(data, rows):
    X, y, _ = data
    stack = NET.initialize(stack=(K,), dtype="float64")
    options = {"seed": 7, "dropout": 0.3, "epochs": 2, "batch_size": 16}
    found, _ = pnn.fit(NET, stack, X, y, rows=rows, **options)
    for k, own in enumerate(rows):
        alone, _ = pnn.fit(NET, [(W[k], b[k]) for W, b in stack], X[own], y[own], **options)
        assert all((W[k] == V).all() for (W, _), (V, _) in zip(found, alone, strict=True))


@pytest.mark.usefixtures("host_only")
def test_an_order_for_each_network_goes_with_it_into_other_blocks(data, random, monkeypatch):
    X, y, _ = data
    kind = type(pnn.backends.get("numpy"))
    monkeypatch.setattr(kind, "networks_at_once", lambda self, size: 2)
    stack = NET.initialize(stack=(5,), dtype="float64")
    orders = np.stack([random.permutation(61) for _ in range(5)])
    options = {"early_stopping": pnn.EarlyStopping(1, 0.02), "epochs": 12, "batch_size": 16}
    rates = [0.3, 0.001, 0.5, 0.002, 0.4]
    found, history = pnn.fit(
        NET, stack, X, y, pnn.SGD(rates), epoch_order=lambda epoch, n: orders, **options
    )
    for k in range(5):
        alone, record = pnn.fit(
            *(NET, [(W[k], b[k]) for W, b in stack], X, y, pnn.SGD(rates[k])),
            epoch_order=lambda epoch, n, k=k: orders[k],
            **options,
        )
        assert all((W[k] == V).all() for (W, _), (V, _) in zip(found, alone, strict=True))
        assert history.last_epoch[k] == record.epochs
    assert len(set(history.last_epoch)) > 1


@pytest.mark.parametrize("own", ["data", "weights", "validation"])
def test_a_network_that_goes_on_alone_keeps_its_own_data(own, backend, random):
    """The first one: its rows are where those of all networks begin."""
    X, Y = random.normal(size=(2, 40, 5)), np.eye(3)[random.integers(0, 3, (2, 40))]
    w = random.uniform(0, 1, (2, 40)) * (random.uniform(size=(2, 40)) > 0.5)
    options = {"epochs": 10, "batch_size": 16, "early_stopping": pnn.EarlyStopping(1)}
    rates, rows = [0.002, 0.9], [random.permutation(40)[:n] for n in (30, 31)]
    stack = NET.initialize(seed=0, backend=backend, dtype="float64", stack=2)
    move = backend.asarray
    given = {
        "data": ((X, Y), {}),
        "weights": ((X[0], Y[0]), {"sample_weight": move(w)}),
        "validation": (
            (X[0], Y[0]),
            {"rows": rows, "metrics": "accuracy", "validation": (move(X[0]), move(Y[0]), move(w))},
        ),
    }[own]
    (data, more), optimizer = given, pnn.Adam(rates)
    found, history = pnn.fit(NET, stack, *map(move, data), optimizer, seed=[0, 1], **options, **more)
    for k in [0] if backend.name == "jax" else range(2):
        mine = {
            "data": ((X[k], Y[k]), {}),
            "weights": ((X[0], Y[0]), {"sample_weight": move(w[k])}),
            "validation": (
                (X[0][rows[k]], Y[0][rows[k]]),
                {"metrics": "accuracy", "validation": (move(X[0]), move(Y[0]), move(w[k]))},
            ),
        }[own]
        alone, record = pnn.fit(
            *(NET, network(backend, stack, k), *map(move, mine[0]), pnn.Adam(rates[k])),
            **{"seed": k, **options, **mine[1]},
        )
        assert difference(backend, found, k, alone) < 1e-12
        assert history.last_epoch[k] == record.epochs
        for name, curve in record.curves.items():
            ours = [float(values[k]) for values in history.curves[name][: record.epochs]]
            assert relative(np.asarray(ours), np.asarray(curve)) < 1e-12
    assert history.last_epoch[0] != history.last_epoch[1]


def test_callbacks_see_the_whole_stack_and_the_state_can_be_continued(data):
    X, y, _ = data
    stack = NET.initialize(stack=(3,), dtype="float64")
    seen = []

    class Look(pnn.Callback):
        def on_epoch_end(self, state):
            seen.append([W.copy() for W, _ in state.params])

    options = {"batch_size": 16, "epoch_order": lambda epoch, n: np.arange(n)}
    half, history = pnn.fit(NET, stack, X, y, epochs=2, callbacks=[Look()], **options)
    whole, _ = pnn.fit(NET, half, X, y, epochs=2, optimizer_state=history.optimizer_state, **options)
    at_once, _ = pnn.fit(NET, stack, X, y, epochs=4, **options)
    np.testing.assert_array_equal(seen[-1][0], half[0][0])
    assert seen[-1][0].shape == (3, 8, 5)
    np.testing.assert_array_equal(whole[0][0], at_once[0][0])


def test_the_arrays_that_are_given_stay_as_they_are(data, rows):
    X, y, w = data
    stack = NET.initialize(stack=(K,), dtype="float64")
    given = [X, y, w, *rows, *(a for layer in stack for a in layer)]
    copies = [array.copy() for array in given]
    pnn.fit(NET, stack, X, y, rows=rows, sample_weight=w, early_stopping=pnn.EarlyStopping(1), epochs=5)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": [[0, 1]]}, r"`rows` is .*accepted: one for each network of the stack \(2,\)"),
        ({"rows": [[0, 1], [0, 61]]}, "`rows` of network 1 are 0 to 61; accepted: 0 to 60"),
        ({"rows": [[0, 1], []]}, r"`rows` of network 1 has shape \(0,\)"),
        ({"rows": [[0, 1], [True, False]]}, "`rows` of network 1 has .*dtype bool"),
        ({"rows": [[0], [1]], "seed": np.random.default_rng(0)}, "`seed` is one generator"),
        ({"seed": [1, 2, 3]}, r"`seed` is \[1, 2, 3\]; accepted: one for each network"),
        ({"seed": [np.random.default_rng(0)] * 2}, "`seed` holds one generator twice"),
        ({"seed": [1, "two"]}, "`seed` is 'two'; accepted"),
        ({"schedule": [pnn.schedules.constant(0.1)]}, "`schedule` is .*accepted: one for each"),
        ({"schedule": [0.1, 0.2]}, r"`schedule\[0\]` is 0.1; accepted: a function"),
        ({"stream": True, "rows": [[0], [1]]}, "`rows` for each network of a stack .* with `stream`"),
        ({"stream": True, "early_stopping": pnn.EarlyStopping()}, "`early_stopping` .* with `stream`"),
        ({"l2": [0.1, 0.2, 0.3]}, r"`l2` holds numbers of shape \(3,\)"),
        ({"rows": [[0], [1]], "sample_weight": np.eye(61)[1]}, "`sample_weight` is zero in all `rows`"),
        (
            {"epoch_order": lambda epoch, n: np.zeros((3, 4), int)},
            r"`epoch_order` gave an array of shape \(3, 4\).* or one of shape \(2, m\)",
        ),
    ],
)
def test_what_is_not_one_for_each_network_is_refused(options, message, data):
    X, y, _ = data
    stack = NET.initialize(stack=(2,), dtype="float64")
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.fit(NET, stack, X, y, **options)


def test_rows_of_one_network_are_refused(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="`rows` is given with one network; accepted: with a stack"):
        pnn.fit(NET, NET.initialize(dtype="float64"), X, y, rows=[[0, 1]])


OF_LAYERS = {
    "batch norm": pnn.Network((4, 8, pnn.BatchNorm(), "relu", 1), loss="squared_error"),
    "layer norm": pnn.Network((4, 8, pnn.LayerNorm(), "tanh", 1), loss="huber"),
    "embedding": pnn.Network((4, pnn.Embedding({3: 5}, dim=3), 8, "relu", 1), loss="squared_error"),
    "constants": pnn.Network(
        (4, pnn.PiecewiseLinear([(-1, 0, 1)], columns=[1]), 8, "relu", 1), loss="squared_error"
    ),
}


def of_one(array, k):
    """The array of network k; one of two axes is a constant, which all of them have."""
    return array if array.ndim == 2 else array[k]


def optimizer(k, decays=(0.1, 0.2, 0.3)):
    """That of network k, or, for None, that of a stack."""
    own = decays if k is None else decays[k]
    groups = {"biases": {"weight_decay": 0.0, "learning_rate": own}, 2: {"factor": 0.5}}
    schedule = lambda step: np.asarray(own) / (1 + step)  # noqa: E731
    return pnn.AdamW(0.01, weight_decay=schedule, groups=groups)


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize("name", OF_LAYERS)
def test_networks_of_layers_and_groups_of_parameters_have_their_own_too(name, random):
    net = OF_LAYERS[name]
    X = np.column_stack([random.normal(size=(60, 3)), random.integers(0, 5, 60)])
    Y, rows = random.normal(size=(60, 1)), [random.permutation(60)[:n] for n in (40, 50, 34)]
    stack = net.initialize(seed=0, stack=3, dtype="float64")
    options = {"epochs": 5, "batch_size": 16, "early_stopping": pnn.EarlyStopping(2)}
    found, _ = pnn.fit(net, stack, X, Y, optimizer(None), rows=rows, seed=[1, 2, 3], **options)
    for k, own in enumerate(rows):
        mine = [tuple(of_one(array, k) for array in layer) for layer in stack]
        alone, _ = pnn.fit(net, mine, X[own], Y[own], optimizer(k), seed=k + 1, **options)
        for layer, other in zip(found, alone, strict=True):
            for ours, theirs in zip(layer, other, strict=True):
                np.testing.assert_array_equal(of_one(ours, k), theirs)


def test_constants_keep_no_network_from_going_its_own_way(backend, random):
    net, rows = OF_LAYERS["constants"], [[0, 1, 2], [3, 4, 5, 6], [1]]
    X, Y = random.normal(size=(10, 4)), random.normal(size=(10, 1))
    how = {"rows": rows, "early_stopping": pnn.EarlyStopping(1), "epochs": 4, "dropout": 0.1}
    found = []
    for place in (pnn.backends.get("numpy"), backend):
        stack = net.initialize(stack=3, dtype="float64", backend=place)
        _, history = pnn.fit(net, stack, place.asarray(X), place.asarray(Y), **how)
        found.append(np.asarray(history.cost))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


@pytest.mark.usefixtures("host_only")
def test_products_take_one_thread_only_while_several_blocks_are_trained(data, monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X, y, _ = data
    kind, seen = type(pnn.backends.get("numpy")), []

    def threads():
        return {p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}

    class Look(pnn.Callback):
        def on_epoch_end(self, state):
            seen.append(threads())

    before = threads()
    for count, at_once in ((2, 1), (1, 1), (2, 8)):
        monkeypatch.setattr(kind, "threads", lambda self, count=count: count)
        monkeypatch.setattr(kind, "networks_at_once", lambda self, size, at_once=at_once: at_once)
        pnn.fit(NET, NET.initialize(stack=4, dtype="float64"), X, y, epochs=1, callbacks=[Look()])
        assert threads() == before
    assert seen == [{1}, before, before]
