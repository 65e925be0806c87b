"""fit with `stream=True`: data on the host, the same training, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers import flat, host, network, problem, to

import portable_nn as pnn
from portable_nn.backends import streaming as sending
from portable_nn.backends.streaming import Sender
from portable_nn.compiler.numpy import program
from portable_nn.network.objective import Batch
from portable_nn.training.data import DeviceSource, HostSource, even

N, SIZE = 45, 6  # seven batches, and one of what is left
ROW = 8 * (4 + 3)  # bytes of a row of X and Y


@pytest.fixture
def case(random):
    net = network("tanh")
    return net, *problem(net, random, n=N)


@pytest.fixture(autouse=True)
def few_batches_in_a_chunk(monkeypatch):
    monkeypatch.setattr(sending, "CHUNK", 4 * SIZE * ROW)


def same(backend, ours, theirs):
    """Parameters, or costs, are the same: to the bit, where a step is the same whatever their number.

    JAX compiles each number of steps for itself, and may round otherwise; a GPU may add up otherwise.
    """
    rtol = 1e-11 if backend.name in ("jax", "cupy") else 0
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 100)


def both_ways(backend, net, params, X, Y, options, sample_weight=None, validation=None):
    """fit with all data on the device, and with it streamed; the history of the latter."""
    ours, w = to(backend, params), sample_weight
    moved = {
        "sample_weight": None if w is None else backend.asarray(w),
        "validation": None if validation is None else tuple(map(backend.asarray, validation)),
    }
    there = {"sample_weight": w, "validation": validation}
    whole = pnn.fit(net, ours, backend.asarray(X), backend.asarray(Y), **options, **moved)
    sent = pnn.fit(net, ours, X, Y, stream=True, **options, **there)
    same(backend, host(backend, sent[0]), host(backend, whole[0]))
    same(backend, sent[1].cost, whole[1].cost)
    same(backend, sent[1].validation_cost, whole[1].validation_cost)
    assert sent[1].stopped_by == whole[1].stopped_by
    assert sent[1].best_epoch == whole[1].best_epoch
    for a in flat(sent[0]):
        assert pnn.backends.of(a) is backend
    return sent[1]


class Count(pnn.Callback):
    """A callback: with one, what the optimizer remembers is kept from epoch to epoch."""

    def on_epoch_end(self, state):
        pass


def some_rows(epoch, n):
    """An order that repeats a row, leaves others out, and is shorter in the second epoch."""
    return np.array([3, 3, *range(n - 1, 20, -1)][: 26 - 9 * epoch])


OPTIONS = {
    "all at once": {"batch_size": None},
    "dropout": {
        "dropout": 0.4,
        "clip_norm": 0.5,
        "batch_size": 4,
        "schedule": pnn.schedules.cosine(0.05, steps=20),
        "callbacks": [Count()],
    },
    "order": {"optimizer": pnn.SGD(0.1, momentum=0.9), "l2": 0.1, "epoch_order": some_rows},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_data_on_the_host_gives_the_same_training(options, case, backend):
    net, params, X, Y = case
    both_ways(backend, net, params, X, Y, {"epochs": 2, "batch_size": SIZE, **options})


def test_weights_and_validation_data_may_be_on_the_host_too(case, backend, random):
    net, params, X, Y = case
    w, wv = random.uniform(0.5, 2, size=N), random.uniform(0.5, 2, size=2500)
    Xv = random.normal(size=(2500, 4))  # more than are evaluated at a time
    Yv = np.eye(3)[random.integers(0, 3, size=2500)]
    options = {"epochs": 3, "batch_size": SIZE}
    history = both_ways(backend, net, params, X, Y, options, w, (Xv, Yv, wv))
    ours, on_device = to(backend, params), tuple(map(backend.asarray, (Xv, Yv, wv)))
    options |= {"sample_weight": w, "validation": on_device}
    _, mixed = pnn.fit(net, ours, X, Y, stream=True, **options)
    same(backend, mixed.validation_cost, history.validation_cost)


def test_early_stopping_is_the_same(case, backend):
    net, params, X, Y = case
    held_out = (X[:10], np.roll(Y[:10], 1, axis=1))  # what is learnt makes this worse
    options = {"epochs": 30, "batch_size": 8, "early_stopping": pnn.EarlyStopping(patience=2)}
    options["optimizer"] = pnn.Adam(0.05)
    history = both_ways(backend, net, params, X, Y, options, validation=held_out)
    assert history.stopped_by == "early stopping"


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "each its own"])
def test_a_stack_is_the_same(shared, case, backend, random):
    net, _, X, Y = case
    params = net.initialize(seed=[3, 8], stack=(2,), dtype="float64")
    w = random.uniform(0.5, 2, size=N)
    if not shared:
        X, Y, w = np.stack([X, X[::-1]]), np.stack([Y, Y[::-1]]), np.stack([w, w * 2])
    options = {"epochs": 2, "batch_size": SIZE, "dropout": 0.3}
    history = both_ways(backend, net, params, X, Y, options, w, (X[..., :7, :], Y[..., :7, :]))
    assert history.cost[0].shape == (2,)


@pytest.mark.parametrize("layout", ["memory map", "columns", "other bytes first", "backwards"])
def test_host_data_may_have_any_memory_layout_and_byte_order(layout, case, backend, tmp_path):
    net, params, X, Y = case
    if layout == "memory map":
        np.save(tmp_path / "X.npy", X)
        kept = np.load(tmp_path / "X.npy", mmap_mode="r")
        assert isinstance(kept, np.memmap)
    else:
        kept = {
            "columns": np.asfortranarray(X),
            "other bytes first": X.astype(X.dtype.newbyteorder("S")),
            "backwards": np.ascontiguousarray(X[::-1])[::-1],
        }[layout]
    options = {"epochs": 2, "batch_size": SIZE}
    ours = to(backend, params)
    expected, _ = pnn.fit(net, ours, X, Y, stream=True, validation=(X, Y), **options)
    found, _ = pnn.fit(net, ours, kept, Y, stream=True, validation=(kept, Y), **options)
    same(backend, host(backend, found), host(backend, expected))


def test_training_from_files_takes_the_memory_of_chunks_only(tmp_path, host_only, monkeypatch, random):
    n = 80_000
    sizes = {"X": 8, "Y": 64}
    files = {
        name: np.memmap(tmp_path / name, dtype="float32", mode="w+", shape=(n, width))
        for name, width in sizes.items()
    }
    files["X"][:] = random.normal(size=(n, 8))
    files["Y"][:, 3] = 1.0
    X, Y = (np.memmap(tmp_path / k, dtype="float32", mode="r", shape=(n, m)) for k, m in sizes.items())
    monkeypatch.setattr(sending, "CHUNK", 2**18)
    monkeypatch.setattr(program, "PATIENCE", (np.inf, np.inf))  # a compiler takes memory of its own
    net = pnn.Network((8, 64), ("softmax",), "categorical_cross_entropy")
    params = net.initialize()
    pnn.fit(net, params, X[:999], Y[:999], epochs=1, stream=True)  # what is made once is made by now
    tracemalloc.start()
    try:
        pnn.fit(net, params, X, Y, epochs=2, stream=True, validation=(X, Y))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert X.nbytes + Y.nbytes > 23 * 10**6
    assert peak < 8 * n + 10 * 2**18  # the order of the rows, and a few chunks


def test_the_arrays_that_were_given_are_not_changed_and_the_device_is_read_once_an_epoch(
    case, backend, random, monkeypatch
):
    net, params, X, Y = case
    data = [X, Y, random.uniform(0.5, 2, size=N)]
    kept = [a.copy() for a in data]
    ours = to(backend, params)
    reads = []
    original = type(backend).to_numpy
    monkeypatch.setattr(
        type(backend), "to_numpy", lambda self, a: (reads.append(self), original(self, a))[1]
    )
    counts = []
    for epochs in (2, 5):
        reads.clear()
        options = {"sample_weight": data[2], "validation": (X, Y)}
        pnn.fit(net, ours, X, Y, epochs=epochs, batch_size=SIZE, stream=True, **options)
        counts.append(len(reads))
    if not backend.host:  # else data that is on the host anyway is asked for by that name too
        assert counts[1] - counts[0] == 3
    for array, before in zip(data, kept, strict=True):
        np.testing.assert_array_equal(array, before)


# ---- chunks --------------------------------------------------------------------------------------


class Recording(Sender):
    def __init__(self, backend):
        super().__init__(backend)
        self.sent, self.told = [], []

    def send(self, pieces):
        self.sent.append([piece.rows for piece in pieces])
        self.told.append("sent")
        return super().send(pieces)

    def used(self, results):
        self.told.append("used")
        super().used(results)


def test_the_sender_learns_the_results_of_each_chunk_before_it_sends_the_next(
    case, host_only, monkeypatch
):
    net, params, X, Y = case
    senders = []
    numpy = type(pnn.backends.get("numpy"))
    monkeypatch.setattr(numpy, "sender", lambda self: (senders.append(Recording(self)), senders[-1])[1])
    pnn.fit(net, params, X, Y, epochs=1, batch_size=SIZE, stream=True, validation=(X, Y))
    training, validation = senders
    assert training.told == ["sent", "used"] * 3
    assert validation.told == ["sent", "used"]


def test_chunks_respect_their_limit_and_are_equal_where_possible(host_only, monkeypatch):
    numpy = pnn.backends.get("numpy")
    X, Y = np.zeros((1000, 4)), np.zeros((1000, 3))
    data = HostSource(numpy, Batch(X, Y), "float64")
    for n, size, room, expected in (
        (1000, 10, 30, [250] * 4),  # rather than 300, 300, 300 and 100
        (1000, 10, 9, [50] * 20),
        (970, 10, 30, [250] * 3 + [220]),  # 97 batches cannot be parted evenly
        (1010, 10, 30, [260, 260, 260, 230]),  # nor can 101
        (85, 10, 30, [80, 5]),
        (85, 10, 0, [10] * 8 + [5]),  # a batch at least
        (7, 10, 30, [7]),
    ):
        monkeypatch.setattr(sending, "CHUNK", room * size * ROW)
        data.sender = Recording(numpy)
        order = np.random.default_rng(0).permutation(n)
        batches = [rows for _, rows in data.chunks(order, size, n)]
        assert [rows.size for rows in batches] == expected
        assert [len(rows) for (rows, _) in data.sender.sent] == expected
        np.testing.assert_array_equal(np.concatenate([r for r, _ in data.sender.sent]), order)
        for rows in batches:
            np.testing.assert_array_equal(rows.ravel(), np.arange(rows.size))
    assert [rows.size for _, rows in data.chunks(np.arange(400), 1, 8)] == [8] * 50  # no more masks


def test_chunks_have_equal_numbers_of_batches(host_only):
    for count in range(1, 300):
        for most in range(1, 40):
            portion = even(count, most)
            assert 1 <= portion <= most
            assert -(-count // portion) < 2 * -(-count // most)  # not twice as many as have to be
    assert even(12, 5) == 4  # three of 4, not two of 5 and one of 2
    assert even(7, 3) == 3  # of which none divides 7: 3, 3 and 1


def test_data_on_the_device_is_used_without_a_copy(host_only):
    X, Y = np.zeros((10, 4)), np.zeros((10, 3))
    data = DeviceSource(Batch(X, Y))
    assert all(chunk is data.all for chunk, _ in data.chunks(np.arange(10), 4, 2))


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.device_only
def test_host_data_is_refused_without_streaming_and_the_error_suggests_it(case, backend):
    net, params, X, Y = case
    ours = to(backend, params)
    with pytest.raises(ValueError, match=r"`X` on <backend 'numpy'.*one device.*`stream=True`"):
        pnn.fit(net, ours, X, Y)
    with pytest.raises(ValueError, match=r"`X` on <backend 'numpy'.*does$"):
        net.predict(ours, X)  # where it would be no remedy
    x, y = backend.asarray(X), backend.asarray(Y)
    with pytest.raises(ValueError, match=r"`X` is on .*accepted with `stream=True`: arrays of NumPy"):
        pnn.fit(net, ours, x, y, stream=True)
    with pytest.raises(ValueError, match=r"`Y` is on .*accepted with `stream=True`"):
        pnn.fit(net, ours, X, y, stream=True)
    with pytest.raises(ValueError, match=r"`validation Y` is on .*accepted with `stream=True`"):
        pnn.fit(net, ours, X, Y, stream=True, validation=(X, y))
    with pytest.raises(ValueError, match=r"`validation X` on <backend 'numpy'.*does$"):
        pnn.fit(net, ours, x, y, validation=(X, Y))


def test_streaming_is_not_suggested_for_data_on_another_device(case, strict):
    net, params, X, Y = case
    here, there = (pnn.backends.get("array_api_strict", d) for d in ("CPU_DEVICE", "device1"))
    with pytest.raises(ValueError, match=r"`X` on .*device1.*does$"):
        pnn.fit(net, to(here, params), there.asarray(X), there.asarray(Y))


def spoilt(array, value):
    array = array.copy()
    array[-1, ..., -1] = value
    return array


@pytest.mark.parametrize(
    "change",
    [
        lambda X, Y, w: (X.astype("float32"), Y, w),
        lambda X, Y, w: (X, Y.astype("int64"), w),
        lambda X, Y, w: (X, Y, w.astype("float32")),
        lambda X, Y, w: (X[:, :3], Y, w),
        lambda X, Y, w: (X, Y[:-1], w),
        lambda X, Y, w: (X[:0], Y[:0], w[:0]),
        lambda X, Y, w: (X, Y, w[:, None]),
        lambda X, Y, w: (spoilt(X, np.nan), Y, w),
        lambda X, Y, w: (spoilt(X, np.inf), Y, w),
        lambda X, Y, w: (X, spoilt(Y, np.nan), w),
        lambda X, Y, w: (X, spoilt(Y, 3.0), w),
        lambda X, Y, w: (X, spoilt(Y, -1.0), w),
        lambda X, Y, w: (X, Y, spoilt(w[:, None], -1.0)[:, 0]),
        lambda X, Y, w: (X, Y, spoilt(w[:, None], np.nan)[:, 0]),
        lambda X, Y, w: (X, Y, 0 * w),
        lambda X, Y, w: (X.tolist(), Y, w),
        lambda X, Y, w: (None, Y, w),
    ],
)
def test_bad_data_is_refused_in_the_same_words_with_and_without_streaming(change, case, host_only):
    net, params, X, Y = case
    X, Y, w = change(X, Y, np.ones(N))
    begun = []

    class Witness(Count):
        def on_train_begin(self, state):
            begun.append(state)

    said = []
    for stream in (False, True):
        with pytest.raises((TypeError, ValueError)) as caught:
            pnn.fit(net, params, X, Y, sample_weight=w, stream=stream, callbacks=[Witness()])
        said.append((caught.type, str(caught.value)))
    assert said[0] == said[1]
    good = case[2:]
    for stream in (False, True):
        with pytest.raises((TypeError, ValueError)) as caught:
            pnn.fit(net, params, *good, validation=(X, Y, w), stream=stream, callbacks=[Witness()])
        said.append((caught.type, str(caught.value)))
    assert said[2] == said[3]
    assert "`validation " in said[2][1]
    assert not begun


def test_an_order_for_each_network_of_a_stack_is_refused(case, host_only):
    net, _, X, Y = case
    stack = net.initialize(seed=[3, 8], stack=(2,), dtype="float64")
    with pytest.raises(ValueError, match=r"`epoch_order` gave .*\(2, 45\); accepted with `stream"):
        pnn.fit(net, stack, X, Y, stream=True, epoch_order=lambda epoch, n: np.stack([np.arange(n)] * 2))


def test_a_stream_that_is_not_a_bool_and_parameters_with_nan_are_refused(case, host_only):
    net, params, X, Y = case
    with pytest.raises(TypeError, match="`stream` is 'yes'; accepted: True or False"):
        pnn.fit(net, params, X, Y, stream="yes")
    params[0][0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"`W\[1\]` has NaN"):
        pnn.fit(net, params, X, Y, stream=True)
