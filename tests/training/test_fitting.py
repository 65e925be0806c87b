"""fit: its batches, costs, weights, dropout, schedules, and how training continues."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat, host, relative, to

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


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
def test_fit_is_the_loop_over_shuffled_batches(weighted, training_problem, random):
    net, params, X, Y = training_problem
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
def test_training_can_be_continued(optimizer, training_problem, backend):
    net, params, X, Y = training_problem
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


def test_the_defaults_are_adam_and_batches_of_128(training_problem):
    net, params, X, Y = training_problem
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


def test_the_order_of_the_examples_can_be_given(training_problem):
    net, params, X, Y = training_problem
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


def test_a_schedule_sets_the_learning_rate_of_every_update(training_problem):
    net, params, X, Y = training_problem
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


def test_dropout_trains_with_the_masks_drawn_on_the_host_and_predicts_without(training_problem, backend):
    net, params, X, Y = training_problem
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


def test_dropout_of_a_stack_and_rates_of_zero(training_problem):
    net, params, X, Y = training_problem
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


def test_a_norm_of_the_gradient_can_be_set_as_a_limit(training_problem):
    net, params, X, Y = training_problem
    found, _ = pnn.fit(net, params, X, Y, pnn.SGD(1.0), epochs=1, batch_size=None, clip_norm=1e-3)
    moved = [a - b for a, b in zip(flat(found), flat(params), strict=True)]
    assert np.sqrt(sum(np.sum(m * m) for m in moved)) == pytest.approx(1e-3, rel=1e-9)
    for wrong in (0, -1, float("nan"), "1"):
        with pytest.raises((TypeError, ValueError), match=r"`clip_norm`.*accepted"):
            pnn.fit(net, params, X, Y, clip_norm=wrong)


def test_fit_changes_none_of_the_arrays_it_was_given(training_problem, backend, random):
    net, params, X, Y = training_problem
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    w = backend.asarray(random.uniform(0.5, 2, size=40))
    kept = [np.array(backend.to_numpy(a)) for a in (x, y, w, *flat(ours))]
    pnn.fit(net, ours, x, y, epochs=3, sample_weight=w, validation=(x, y, w))
    for array, before in zip((x, y, w, *flat(ours)), kept, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(array), before)


def test_a_batch_may_have_one_example_or_all_or_more_than_there_are(training_problem, backend):
    net, params, X, Y = training_problem
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    whole, _ = pnn.fit(net, ours, x, y, epochs=2, batch_size=None)
    more, _ = pnn.fit(net, ours, x, y, epochs=2, batch_size=1000)
    for a, b in zip(host(backend, whole), host(backend, more), strict=True):
        np.testing.assert_array_equal(a, b)
    one, history = pnn.fit(net, ours, x[:3, :], y[:3, :], epochs=2, batch_size=1)
    assert np.all(np.isfinite(history.cost))
    assert relative(host(backend, one)[0], host(backend, ours)[0]) > 1e-4


def test_training_again_from_the_same_seed_gives_the_same_parameters(training_problem, backend):
    net, params, X, Y = training_problem
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


def test_the_validation_cost_has_no_penalty_and_is_of_the_epochs_last_parameters(
    training_problem, random
):
    net, params, X, Y = training_problem
    Xv = random.normal(size=(2500, 4))  # more than are evaluated at a time
    Yv = np.eye(3)[random.integers(0, 3, size=2500)]
    wv = random.uniform(0.5, 2, size=2500)
    trained, history = pnn.fit(net, params, X, Y, epochs=2, l2=0.5, validation=(Xv, Yv, wv))
    expected = float(net.cost(trained, Xv, Yv, sample_weight=wv))
    assert history.validation_cost[-1] == pytest.approx(expected, rel=1e-12)
    _, unweighted = pnn.fit(net, params, X, Y, epochs=2, l2=0.5, validation=(Xv, Yv))
    assert unweighted.validation_cost[-1] == pytest.approx(float(net.cost(trained, Xv, Yv)), rel=1e-12)


def test_the_cost_of_an_epoch_loses_nothing_to_float32(backend):
    if "float64" not in backend.dtypes():
        pytest.skip("this device has no float64 to add up in")
    net = pnn.Network((1, 1), ("identity",), "squared_error")
    params = [(backend.asarray(np.zeros((1, 1), "float32")),) * 2]
    x, y = (backend.asarray(np.full((200, 1), value, "float32")) for value in (0.0, 0.1))
    _, history = pnn.fit(net, params, x, y, epochs=1, batch_size=1, schedule=lambda step: 0.0)
    one = float(net.cost(params, x[:1, :], y[:1, :]))
    assert history.cost[0] == pytest.approx(one, rel=1e-12)


def test_a_stack_trains_as_its_networks_would_alone(training_problem, backend):
    net, _, X, Y = training_problem
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
