"""fit: what it promises about batches, costs, stopping, schedules, hooks, and the arrays it is given."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from helpers import flat, host, network, problem, relative, to

import portable_nn as pnn


@pytest.fixture
def case(random):
    net = network("tanh")
    return net, *problem(net, random, n=40)


def by_hand(net, params, X, Y, optimizer, orders, size, w=None, l2=0.0, rate=lambda step: None):
    """The loop written out: batches in the order given, one update each; and the epochs' mean costs."""
    state, costs, step = optimizer.init(params), [], 0
    for order in orders:
        total = 0.0
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            v = None if w is None else w[rows]
            J, grads = net.cost_and_gradients(params, X[rows], Y[rows], l2=l2, sample_weight=v)
            share = 1.0 if w is None else v.mean() / w.mean()  # the batch counts by its weights
            total += float(J) * share * len(rows)
            grads = [(share * dW, share * db) for dW, db in grads]
            params, state = optimizer.update(params, grads, state, learning_rate=rate(step))
            step += 1
        costs.append(total / len(order))
    return params, costs


@pytest.mark.parametrize("weighted", [False, True])
def test_fit_is_the_loop_over_shuffled_batches(weighted, case, random):
    net, params, X, Y = case
    w = random.uniform(0.5, 2, size=40) if weighted else None
    draw = np.random.default_rng(11)
    orders = [draw.permutation(40) for _ in range(4)]
    optimizer = pnn.Adam(0.01)
    expected, costs = by_hand(net, params, X, Y, optimizer, orders, 12, w, 0.2)
    trained, history = pnn.fit(
        net, params, X, Y, optimizer, epochs=4, batch_size=12, seed=11, l2=0.2, sample_weight=w
    )
    for ours, theirs in zip(flat(trained), flat(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(history.cost, costs, rtol=1e-12)
    assert history.epochs == 4
    assert len(history.seconds) == len(history.learning_rate) == 4
    assert all(type(c) is float for c in history.cost)
    assert history.validation_cost == []
    assert history.stopped_by == "epochs"
    assert history.best_epoch is None


@pytest.mark.parametrize("optimizer", [pnn.Adam(0.01), pnn.SGD(0.1, momentum=0.9)])
def test_training_can_be_gone_on_with(optimizer, case, backend):
    net, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    schedule = pnn.schedules.cosine(0.05, steps=30)
    options = {"optimizer": optimizer, "batch_size": 8, "schedule": schedule}
    whole, _ = pnn.fit(net, ours, x, y, epochs=5, seed=np.random.default_rng(3), **options)
    random = np.random.default_rng(3)
    part, history = pnn.fit(net, ours, x, y, epochs=2, seed=random, **options)
    state = history.optimizer_state
    assert state.t == 10
    part, _ = pnn.fit(net, part, x, y, epochs=3, seed=random, optimizer_state=state, **options)
    for a, b in zip(host(backend, part), host(backend, whole), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="`state`"):
        pnn.fit(net, part, x, y, pnn.RMSprop(), optimizer_state=pnn.Adam().init(part))


def test_the_defaults_are_adam_and_batches_of_128(case):
    net, params, X, Y = case
    X, Y = np.tile(X, (5, 1)), np.tile(Y, (5, 1))
    steps = []

    class Count(pnn.Callback):
        def on_epoch_end(self, state):
            steps.append(state.step)

    found, history = pnn.fit(net, params, X, Y, callbacks=[Count()])
    expected, _ = pnn.fit(net, params, X, Y, pnn.Adam(), epochs=10, batch_size=128, seed=0)
    assert steps[-1] == 20
    assert len(history.seconds) == 10
    assert all(s > 0 for s in history.seconds)
    for a, b in zip(flat(found), flat(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_step_is_handed_to_the_backend_once(case, monkeypatch):
    _, _, X, Y = case
    net = network("silu")  # no other test has trained with it
    params = net.initialize(dtype="float64")
    numpy = pnn.backends.get("numpy")
    scanned = []
    original = type(numpy).scan
    monkeypatch.setattr(type(numpy), "scan", lambda s, f: (scanned.append(f), original(s, f))[1])
    for rate in (0.1, 0.2):
        pnn.fit(net, params, X, Y, pnn.Adam(rate), epochs=2, batch_size=8)
    assert [f.__name__ for f in scanned] == ["step"]


def test_an_optimizer_that_is_no_dataclass_is_refused(case):
    net, params, X, Y = case

    class Mine(pnn.Optimizer):
        def rule(self, xp, theta, g, *rest):
            return (theta,)

    with pytest.raises(TypeError, match=r"`optimizer` is a Mine.*dataclass"):
        pnn.fit(net, params, X, Y, Mine())


def test_weights_count_in_small_batches_too(random):
    X = random.normal(size=(60, 2))
    Y = (random.uniform(size=(60, 1)) < 0.5).astype("float64")
    w = np.where(Y[:, 0] == 1, 20.0, 1.0)
    net = pnn.Network((2, 1), ("sigmoid",), "binary_cross_entropy")
    params = net.initialize(dtype="float64")
    rates = pnn.schedules.inverse_time(0.05, every=300)
    biases = [
        pnn.fit(net, params, X, Y, epochs=60, batch_size=size, sample_weight=w, schedule=rates)[0][0][
            1
        ].item()
        for size in (1, 4, 60)
    ]
    assert min(biases) > 1.0  # without weights it would be near 0


def test_the_order_of_the_examples_can_be_given(case):
    net, params, X, Y = case
    orders = [np.arange(40)[::-1], np.array([3, 3, 5]).tolist()]
    expected, _ = by_hand(net, params, X, Y, pnn.SGD(0.1), orders, 8)
    trained, _ = pnn.fit(
        net,
        params,
        X,
        Y,
        pnn.SGD(0.1),
        epochs=2,
        batch_size=8,
        epoch_order=lambda epoch, n: orders[epoch],
    )
    for ours, theirs in zip(flat(trained), flat(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_a_schedule_sets_the_learning_rate_of_every_update(case):
    net, params, X, Y = case
    rate = pnn.schedules.step_decay(0.1, every=3)
    orders = [np.arange(40)] * 2
    expected, _ = by_hand(net, params, X, Y, pnn.SGD(9.0, momentum=0.5), orders, 10, rate=rate)
    trained, history = pnn.fit(
        net,
        params,
        X,
        Y,
        pnn.SGD(9.0, momentum=0.5),
        epochs=2,
        batch_size=10,
        schedule=rate,
        epoch_order=lambda epoch, n: np.arange(n),
    )
    for ours, theirs in zip(flat(trained), flat(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    assert history.learning_rate == [0.05, 0.025]


def test_dropout_trains_with_the_masks_drawn_on_the_host_and_predicts_without(case, backend):
    net, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    found, history = pnn.fit(
        net, ours, x, y, pnn.SGD(0.1), 2, None, seed=5, dropout=0.5, validation=(x, y)
    )
    draw, W = np.random.default_rng(5), params
    for _ in range(2):
        order, mask = draw.permutation(40), (draw.random((5, 40)) >= 0.5) * 2.0
        (W1, b1), (W2, b2) = W
        Z1 = W1 @ X[order].T + b1
        A1 = np.tanh(Z1) * mask
        E = np.exp(W2 @ A1 + b2)
        D2 = E / E.sum(axis=0) - Y[order].T
        D1 = (W2.T @ D2) * mask * (1 - np.tanh(Z1) ** 2)
        W = [
            (W1 - 0.1 * D1 @ X[order] / 40, b1 - 0.1 * D1.mean(axis=1, keepdims=True)),
            (W2 - 0.1 * D2 @ A1.T / 40, b2 - 0.1 * D2.mean(axis=1, keepdims=True)),
        ]
    for array, expected in zip(host(backend, found), flat(W), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-11, atol=1e-14)
    J = float(backend.to_numpy(net.cost(found, x, y)))
    assert history.validation_cost[-1] == pytest.approx(J, rel=1e-12)  # no unit is left out there


def test_dropout_of_a_stack_and_rates_of_zero(case):
    net, params, X, Y = case
    stack = net.initialize(stack=(2,), dtype="float64", seed=[1, 1])
    (W, _), _ = pnn.fit(net, stack, X, Y, epochs=1, dropout=0.5)[0]
    assert not np.allclose(W[0], W[1])  # the same start, masks of their own
    plain = pnn.fit(net, params, X, Y, epochs=2)[0]
    for a, b in zip(
        flat(pnn.fit(net, params, X, Y, epochs=2, dropout=[0])[0]), flat(plain), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    for wrong in (1.0, -0.1, "half", [0.5, 0.5], None):
        with pytest.raises((TypeError, ValueError), match=r"`dropout.*accepted"):
            pnn.fit(net, params, X, Y, dropout=wrong)


def test_a_norm_of_the_gradient_can_be_set_as_a_limit(case):
    net, params, X, Y = case
    found, _ = pnn.fit(net, params, X, Y, pnn.SGD(1.0), epochs=1, batch_size=None, clip_norm=1e-3)
    moved = [a - b for a, b in zip(flat(found), flat(params), strict=True)]
    assert np.sqrt(sum(np.sum(m * m) for m in moved)) == pytest.approx(1e-3, rel=1e-9)
    for wrong in (0, -1, float("nan"), "1"):
        with pytest.raises((TypeError, ValueError), match=r"`clip_norm`.*accepted"):
            pnn.fit(net, params, X, Y, clip_norm=wrong)


def test_fit_changes_none_of_the_arrays_it_was_given(case, backend, random):
    net, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    w = backend.asarray(random.uniform(0.5, 2, size=40))
    kept = [np.array(backend.to_numpy(a)) for a in (x, y, w, *flat(ours))]
    pnn.fit(net, ours, x, y, epochs=3, sample_weight=w, validation=(x, y, w))
    for array, before in zip((x, y, w, *flat(ours)), kept, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(array), before)


def test_batches_of_all_examples_of_one_and_of_more_than_there_are(case, backend):
    net, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    whole, _ = pnn.fit(net, ours, x, y, epochs=2, batch_size=None)
    more, _ = pnn.fit(net, ours, x, y, epochs=2, batch_size=1000)
    for a, b in zip(host(backend, whole), host(backend, more), strict=True):
        np.testing.assert_array_equal(a, b)
    one, history = pnn.fit(net, ours, x[:3, :], y[:3, :], epochs=2, batch_size=1)
    assert np.all(np.isfinite(history.cost))
    assert relative(host(backend, one)[0], host(backend, ours)[0]) > 1e-4


def test_training_again_from_the_same_seed_gives_the_same_parameters(case, backend):
    net, params, X, Y = case
    runs = [
        pnn.fit(
            net,
            to(backend, params),
            backend.asarray(X),
            backend.asarray(Y),
            epochs=3,
            batch_size=8,
            seed=seed,
        )
        for seed in (1, 1, 2)
    ]
    first, again, other = (host(backend, p) for p, _ in runs)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert runs[0][1].cost == runs[1][1].cost
    assert not np.array_equal(first[0], other[0])


def test_the_validation_cost_is_the_cost_without_penalty_of_the_epochs_parameters(case, random):
    net, params, X, Y = case
    Xv = random.normal(size=(2500, 4))  # more than are evaluated at a time
    Yv = np.eye(3)[random.integers(0, 3, size=2500)]
    wv = random.uniform(0.5, 2, size=2500)
    trained, history = pnn.fit(net, params, X, Y, epochs=2, l2=0.5, validation=(Xv, Yv, wv))
    expected = float(net.cost(trained, Xv, Yv, sample_weight=wv))
    assert history.validation_cost[-1] == pytest.approx(expected, rel=1e-12)
    _, unweighted = pnn.fit(net, params, X, Y, epochs=2, l2=0.5, validation=(Xv, Yv))
    assert unweighted.validation_cost[-1] == pytest.approx(float(net.cost(trained, Xv, Yv)), rel=1e-12)


def test_early_stopping_gives_back_the_best_parameters(case):
    net, params, X, Y = case
    Xv, Yv = X[:10], np.roll(Y[:10], 1, axis=1)  # what is learnt makes this worse
    options = {"epochs": 50, "batch_size": 8, "seed": 5, "validation": (Xv, Yv)}
    rule = pnn.EarlyStopping(patience=4)
    best, history = pnn.fit(net, params, X, Y, pnn.Adam(0.05), early_stopping=rule, **options)
    assert history.stopped_by == "early stopping"
    assert history.best_epoch == 1 + int(np.argmin(history.validation_cost))
    assert history.epochs == history.best_epoch + 4
    assert float(net.cost(best, Xv, Yv)) == pytest.approx(min(history.validation_cost), rel=1e-12)
    options["epochs"] = history.epochs
    plain, _ = pnn.fit(net, params, X, Y, pnn.Adam(0.05), **options)
    rule = pnn.EarlyStopping(patience=4, restore_best=False)
    last, _ = pnn.fit(net, params, X, Y, pnn.Adam(0.05), early_stopping=rule, **options)
    for a, b in zip(flat(last), flat(plain), strict=True):
        np.testing.assert_array_equal(a, b)


def test_early_stopping_without_validation_data_watches_the_training_cost(case):
    net, params, X, Y = case
    rule = pnn.EarlyStopping(patience=2, min_delta=10.0)  # no epoch can be that much better
    _, history = pnn.fit(net, params, X, Y, epochs=50, early_stopping=rule)
    assert history.epochs == 3  # patience counts from the first epoch
    assert history.best_epoch == 1 + int(np.argmin(history.cost))


def test_the_best_epoch_is_the_lowest_also_with_min_delta(case):
    net, params, X, Y = case
    rule = pnn.EarlyStopping(patience=3, min_delta=0.02)
    best, history = pnn.fit(
        net, params, X, Y, pnn.Adam(0.01), epochs=60, early_stopping=rule, validation=(X, Y)
    )
    assert history.stopped_by == "early stopping"
    assert history.best_epoch == 1 + int(np.argmin(history.validation_cost))
    assert float(net.cost(best, X, Y)) == pytest.approx(min(history.validation_cost), rel=1e-12)


def test_callbacks_see_every_epoch_and_can_stop_the_training(case):
    net, params, X, Y = case
    calls = []

    class Watch(pnn.Callback):
        def on_train_begin(self, state):
            calls.append(("begin", state.epoch, state.step))

        def on_epoch_end(self, state):
            calls.append(("epoch", state.epoch, state.step))
            assert len(state.history.cost) == state.epoch
            if state.epoch == 3:
                state.stop()

        def on_train_end(self, state):
            calls.append(("end", state.epoch, state.step))

    class OnlyTheNeedful:
        seen = 0

        def on_epoch_end(self, state):
            self.seen += 1

    other = OnlyTheNeedful()
    _, history = pnn.fit(net, params, X, Y, epochs=9, batch_size=20, callbacks=[Watch(), other])
    assert calls == [("begin", 0, 0), ("epoch", 1, 2), ("epoch", 2, 4), ("epoch", 3, 6), ("end", 3, 6)]
    assert other.seen == 3
    assert history.stopped_by == "callback"


def test_the_bar_of_progress_goes_to_standard_error_and_a_missing_tqdm_is_named(
    case, capsys, monkeypatch
):
    net, params, X, Y = case
    pnn.fit(net, params, X, Y, epochs=2, progress=True)
    shown = capsys.readouterr()
    assert "2/2" in shown.err
    assert "cost=" in shown.err
    assert shown.out == ""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"tqdm is not installed.*portable-nn\[progress\]"):
        pnn.fit(net, params, X, Y, progress=True)


def test_a_cost_that_is_not_finite_stops_and_keeps_the_last_finite_parameters(case, backend):
    net = network("identity", "identity", "squared_error")
    _, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    rate = pnn.schedules.step_decay(1e-3, every=2, factor=1e200)  # the second epoch explodes
    with pytest.raises(pnn.NonFiniteCostError, match=r"in epoch 2.*smaller learning rate") as caught:
        pnn.fit(net, ours, x, y, pnn.SGD(), epochs=5, batch_size=20, schedule=rate)
    assert caught.value.epoch == 2
    expected, history = pnn.fit(net, ours, x, y, pnn.SGD(), epochs=1, batch_size=20, schedule=rate)
    for a, b in zip(host(backend, caught.value.params), host(backend, expected), strict=True):
        np.testing.assert_array_equal(a, b)
    assert caught.value.history.cost == history.cost
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.epoch) == (str(caught.value), 2)


def test_a_cost_that_overflows_in_the_first_epoch_is_noticed(case):
    net = network("identity", "identity", "squared_error")
    _, params, X, Y = case
    with pytest.raises(pnn.NonFiniteCostError, match="epoch 1"):
        pnn.fit(
            net,
            params,
            X * 1e200,
            Y,
            pnn.SGD(1e200),
            epochs=1,
            batch_size=None,
            schedule=lambda s: 1e200,
        )


@pytest.mark.parametrize("broken", ["weight", "bias"])
def test_parameters_that_break_after_a_finite_cost_are_noticed(broken, backend):
    net = pnn.Network((1, 1), ("identity",), "squared_error")
    params = [(backend.asarray([[0.0]]), backend.asarray([[0.0]]))]
    x = backend.asarray([[100.0 if broken == "weight" else 0.0]])
    y = backend.asarray([[1.0 if broken == "weight" else 100.0]])
    seen = []

    class Watch(pnn.Callback):
        def on_epoch_end(self, state):
            seen.append(state.history.cost[-1])

    with pytest.raises(pnn.NonFiniteCostError, match="epoch 1"):
        pnn.fit(net, params, x, y, pnn.SGD(), epochs=1, schedule=lambda s: 1e308, callbacks=[Watch()])
    assert not seen
    assert np.isfinite(float(net.cost(params, x, y)))  # the cost of that epoch, taken before the update


def test_the_cost_of_an_epoch_loses_nothing_to_float32(backend):
    if "float64" not in backend.dtypes():
        pytest.skip("this device has no float64 to add up in")
    net = pnn.Network((1, 1), ("identity",), "squared_error")
    params = [(backend.asarray(np.zeros((1, 1), "float32")),) * 2]
    x, y = (backend.asarray(np.full((2000, 1), value, "float32")) for value in (0.0, 0.1))
    _, history = pnn.fit(net, params, x, y, epochs=1, batch_size=1, schedule=lambda step: 0.0)
    one = float(net.cost(params, x[:1, :], y[:1, :]))
    assert history.cost[0] == pytest.approx(one, rel=1e-12)


def test_a_validation_cost_that_is_not_finite_stops_the_training(case):
    net = network("identity", "identity", "squared_error")
    _, params, X, Y = case
    with pytest.raises(pnn.NonFiniteCostError, match="epoch 1"):
        pnn.fit(net, params, X, Y, epochs=2, validation=(X * 1e200, Y))


def test_a_stack_trains_as_its_networks_would_alone(case, backend):
    net, _, X, Y = case
    x, y = backend.asarray(X), backend.asarray(Y)
    place = {"backend": backend.name, "device": backend.device_name(), "dtype": "float64"}
    stack = net.initialize(seed=[3, 8, 1], stack=(3,), **place)
    options = {"epochs": 3, "batch_size": 16, "l2": 0.1, "validation": (x[:7, :], y[:7, :])}
    trained, history = pnn.fit(net, stack, x, y, **options)
    assert history.cost[0].shape == (3,)
    for k, seed in enumerate((3, 8, 1)):
        one, alone = pnn.fit(net, net.initialize(seed=seed, **place), x, y, **options)
        for a, b in zip(host(backend, trained), host(backend, one), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-9, atol=1e-12)
        assert [c[k] for c in history.cost] == pytest.approx(alone.cost, rel=1e-11)
        found = [c[k] for c in history.validation_cost]
        assert found == pytest.approx(alone.validation_cost, rel=1e-11)


def test_the_host_reads_once_an_epoch(case, backend, monkeypatch):
    net, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    reads = []
    original = type(backend).to_numpy
    monkeypatch.setattr(
        type(backend), "to_numpy", lambda self, a: (reads.append(1), original(self, a))[1]
    )
    if backend.name == "array_api_strict":  # nor is a value looked at behind to_numpy
        for look in ("__float__", "__bool__", "__int__"):
            monkeypatch.setattr(type(x), look, lambda self, look=look: pytest.fail(look))
    counts = []
    for epochs in (2, 7):
        reads.clear()
        pnn.fit(net, ours, x, y, epochs=epochs, batch_size=8, validation=(x, y))
        counts.append(len(reads))
    assert counts[1] - counts[0] == 5


def test_what_the_next_epoch_needs_is_sent_before_the_host_waits(case, backend, monkeypatch):
    net, params, X, Y = case
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    said = []
    for name in ("to_numpy", "from_host"):
        original = getattr(type(backend), name)

        def noted(self, a, *rest, name=name, original=original):
            said.append(name if name == "to_numpy" or a.dtype.kind == "f" else "rows")
            return original(self, a, *rest)

        monkeypatch.setattr(type(backend), name, noted)

    def order_of(**options):
        said.clear()
        pnn.fit(net, ours, x, y, epochs=3, batch_size=len(X), **options)
        return [word for word in said if word in ("to_numpy", "rows")][-6:]

    if backend.host:
        return  # there it is all the same
    read, sent = "to_numpy", "rows"
    assert order_of() == [sent, sent, read, sent, read, read]
    in_turn = [sent, read, sent, read, sent, read]  # where an epoch may decide on the next
    assert order_of(callbacks=[pnn.Callback()]) == in_turn
    assert order_of(early_stopping=pnn.EarlyStopping()) == in_turn
    assert order_of(epoch_order=lambda epoch, n: np.arange(n)) == in_turn
    assert order_of(seed=np.random.default_rng(0)) == in_turn


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "`optimizer` is 'adam'; accepted"),
        ({"epochs": 0}, "`epochs` is 0; accepted: a whole number >= 1"),
        ({"epochs": 2.0}, "`epochs` is 2.0"),
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"batch_size": True}, "`batch_size` is True"),
        ({"l2": -1}, "`l2` is -1"),
        ({"seed": "zero"}, "`seed` is 'zero'; accepted"),
        ({"seed": -1}, "`seed` is -1; accepted"),
        ({"seed": None}, "`seed` is None; accepted"),
        ({"optimizer": pnn.Optimizer()}, "`optimizer` is .*; accepted: one such as"),
        ({"schedule": pnn.schedules.cosine}, "`schedule` is .*; accepted: a function"),
        ({"early_stopping": True}, "`early_stopping` is True; accepted"),
        ({"schedule": 0.1}, "`schedule` is 0.1; accepted: a function"),
        ({"schedule": lambda step: -1.0}, r"`schedule\(0\)` is -1.0"),
        ({"schedule": lambda step: "slow"}, r"`schedule\(0\)` is 'slow'"),
        ({"callbacks": 3}, "`callbacks` is 3"),
        ({"callbacks": [print]}, "`callbacks` holds .*on_epoch_end"),
        ({"callbacks": [pnn.Callback]}, "`callbacks` holds .*on_epoch_end"),
        ({"epoch_order": [0, 1]}, "`epoch_order` is .*accepted: a function"),
        ({"epoch_order": lambda e, n: np.array([0, 40])}, "rows from 0 to 40; accepted: from 0 to 39"),
        ({"epoch_order": lambda e, n: np.array([-1, 4])}, "rows from -1 to 4"),
        ({"epoch_order": lambda e, n: np.array([])}, "`epoch_order` gave an array"),
        ({"epoch_order": lambda e, n: np.array([[1]])}, "`epoch_order` gave an array"),
        ({"epoch_order": lambda e, n: np.array([0.5])}, "`epoch_order` gave an array"),
        ({"validation": 3}, "`validation` is a int; accepted"),
        ({"validation": (np.ones((2, 4)),)}, "`validation` is a tuple of 1; accepted"),
        ({"validation": (np.ones((2, 3)), np.ones((2, 3)))}, r"`validation X` has shape \(2, 3\)"),
        ({"validation": (np.ones((2, 4)), np.ones((2, 3)))}, "`validation Y`.*add up to 1"),
        ({"sample_weight": -np.ones(40)}, "`sample_weight` has negative"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_trained(options, message, case):
    net, params, X, Y = case
    begun = []

    class Witness(pnn.Callback):
        def on_train_begin(self, state):
            begun.append(state.epoch)

        def on_epoch_end(self, state):
            begun.append(state.epoch)

    copies = [a.copy() for a in (X, Y, *flat(params))]
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.fit(net, params, X, Y, **{"callbacks": [Witness()], **options})
    assert not begun
    for array, copy in zip((X, Y, *flat(params)), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_what_is_no_network_and_a_stack_with_early_stopping_are_refused(case):
    net, params, X, Y = case
    with pytest.raises(TypeError, match=r"`net` is .*accepted: a portable_nn\.Network"):
        pnn.fit((4, 5, 3), params, X, Y)
    stack = net.initialize(stack=(2,), dtype="float64")
    with pytest.raises(ValueError, match="`early_stopping` with a stack"):
        pnn.fit(net, stack, X, Y, early_stopping=pnn.EarlyStopping())


@pytest.mark.parametrize(
    "options", [{"restore_best": "no"}, {"patience": 0}, {"patience": 1.5}, {"min_delta": -1.0}]
)
def test_a_rule_of_early_stopping_that_cannot_be_is_refused(options):
    with pytest.raises((TypeError, ValueError), match="accepted"):
        pnn.EarlyStopping(**options)


@pytest.mark.parametrize("turned", [False, True])
def test_an_optimizer_keeps_its_state_whatever_the_parameters_lie_like(turned, backend, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    xp = backend.xp
    X, Y = (backend.asarray(random.normal(size=(64, n))) for n in (3, 2))
    params = net.initialize(dtype="float64", backend=backend)
    if turned:
        columns = [backend.asarray(np.array(backend.to_numpy(W).T, order="C")) for W, _ in params]
        params = [(xp.matrix_transpose(W), b) for W, (_, b) in zip(columns, params, strict=True)]
    _, history = pnn.fit(net, params, X, Y, pnn.SGD(0.05, momentum=0.9), epochs=3, batch_size=8)
    (velocities,) = history.optimizer_state.slots
    for layer in velocities:
        for velocity in layer:
            assert np.abs(backend.to_numpy(velocity)).max() > 0


def test_what_a_callback_keeps_of_the_training_does_not_change_later(backend, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = (backend.asarray(random.normal(size=(70, n))) for n in (3, 2))

    class Keeper(pnn.Callback):
        kept, copies = [], []

        def on_train_begin(self, state):
            self.on_epoch_end(state)

        def on_epoch_end(self, state):
            arrays = [a for layer in state.params for a in layer]
            arrays += [a for layer in state.optimizer_state.slots for s in layer for a in s]
            self.kept.append(arrays)
            self.copies.append([np.array(backend.to_numpy(a)) for a in arrays])

    params = net.initialize(dtype="float64", backend=backend)
    pnn.fit(net, params, X, Y, epochs=4, batch_size=8, callbacks=[Keeper()])
    for arrays, copies in zip(Keeper.kept, Keeper.copies, strict=True):
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(backend.to_numpy(array), copy)


def test_jax_compiles_for_few_numbers_of_steps_and_trains_the_same(monkeypatch, request, random):
    jax_backend = pytest.importorskip("portable_nn.backends.jax_backend")
    pytest.importorskip("jax", reason="jax is not installed")
    if (request.config.getoption("--backend") or ["jax"]) != ["jax"]:
        pytest.skip("on JAX alone: run with --backend jax")
    known = set()
    found = [jax_backend.lengths(steps, known, most=2) for steps in (7, 5, 7, 13, 1)]
    assert found == [[7], [5], [7], [8, 4, 1], [1]]
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    host = [random.normal(size=(70, n)) for n in (3, 2)]
    expected, _ = pnn.fit(net, net.initialize(dtype="float64"), *host, epochs=3, batch_size=8)
    monkeypatch.setattr(jax_backend, "lengths", lambda steps, known: [1] * (steps - 1) + [1])
    jax = pnn.backends.get("jax")
    params = net.initialize(dtype="float64", backend=jax)
    trained, _ = pnn.fit(net, params, *map(jax.asarray, host), epochs=3, batch_size=8)
    for layer, theirs in zip(trained, expected, strict=True):
        for a, b in zip(layer, theirs, strict=True):
            np.testing.assert_allclose(jax.to_numpy(a), b, rtol=1e-10, atol=1e-12)
