"""Chunks of host data: in which order an asynchronous device has to copy them and compute with them."""

from __future__ import annotations

import sys
import tracemalloc
import types
import weakref
from collections import deque

import numpy as np
import pytest
from helpers import flat, network, problem

import portable_nn as pnn
from portable_nn.backends import streaming as sending
from portable_nn.backends.streaming import OverlappingSender, Piece, Sender


def test_a_chunk_waits_until_that_before_is_done_with(host_only):
    calls = []

    class Slow(type(pnn.backends.get("numpy"))):
        def asarray(self, x, dtype=None):
            calls.append("sent")
            return x

        def ready(self, *arrays):
            calls.append([float(a) for a in arrays])

    sender = Sender(Slow())
    X = np.ones((4, 2))
    for i in range(3):
        sender.send([Piece(X, slice(i, i + 1), -2)])
        sender.used([(np.asarray(1.0 * i), None)])
    assert calls == ["sent", [], "sent", [0.0], "sent", [1.0]]


def lying_otherwise():
    """An array of 20,000 rows, as it may lie in memory or in a file."""
    X = np.random.default_rng(0).normal(size=(20_000, 50))
    unaligned = np.frombuffer(b"x" + X.tobytes(), dtype="f8", offset=1).reshape(X.shape)
    apart = np.repeat(X, 2, axis=0)[::2]
    fixed = X.copy()
    fixed.flags.writeable = False
    ways = {"in rows": X, "read-only": fixed, "in columns": np.asfortranarray(X), "apart": apart}
    ways |= {"a part": np.hstack([X, X[:, :1]])[:, :-1], "backwards": X[::-1].copy()[::-1]}
    return ways | {"unaligned": unaligned, "big-endian": X.astype(">f8")}


@pytest.mark.parametrize("way", list(lying_otherwise()))
@pytest.mark.parametrize("has_out", [True, False])
def test_rows_are_gathered_from_where_they_lie_and_no_other_is_copied(way, has_out, host_only):
    array, rows = lying_otherwise()[way], np.array([7, 3, 3, 19_999])
    out = np.empty((4, 50)) if has_out else None
    tracemalloc.start()
    found = Piece(array, rows, -2).gather(out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, lying_otherwise()["in rows"][rows])
    assert found is out or not has_out
    assert peak < array.nbytes / 50


class Pretended:
    """A device whose two lanes of work run when `eager` says: at once as far as they can, or at last."""

    def __init__(self, eager=(), ignored=""):
        self.eager, self.ignored = eager, ignored
        self.queues = {"current": deque(), "side": deque()}
        self.passed, self.marks, self.done = set(), 0, []
        self.memory = 0

    def put(self, lane, kind, work):
        self.queues[lane].append((kind, work))
        for name in self.eager:
            self.run(name)

    def run(self, lane, until=None):
        """Work on a lane, in its order, until it has to wait."""
        queue = self.queues[lane]
        while queue and (until is None or until not in self.passed):
            kind, work = queue[0]
            if kind == "wait" and work not in self.passed:
                return
            queue.popleft()
            if kind == "mark":
                self.passed.add(work)
            elif kind == "work":
                work()

    def host_buffer(self, count, dtype):
        self.memory += 1
        memory = np.full(count, np.nan, dtype)
        mine = memory[:]
        weakref.finalize(mine, memory.fill, np.nan).atexit = False  # it goes to others when it is let go
        return mine

    def device_buffer(self, count, dtype):
        array = np.empty(count, dtype)
        self.put("current", "work", lambda: array.fill(np.nan))  # of those who had it before
        return array

    def copy(self, buffer, staging):
        self.put("side", "work", lambda: (np.copyto(buffer, staging), self.done.append("copy")))

    def mark(self, lane):
        self.marks += 1
        self.put(lane, "mark", self.marks)
        return self.marks

    def record_current(self):
        return self.mark("current")

    def record_copies(self):
        return self.mark("side")

    def current_waits(self, mark):
        if self.ignored != "current_waits":
            self.put("current", "wait", mark)

    def copies_wait(self, mark):
        if self.ignored != "copies_wait":
            self.put("side", "wait", mark)

    def host_waits(self, mark):
        if self.ignored != "host_waits":
            self.finish(mark)

    def finish(self, mark=None):
        """Work until the mark is passed, or all is done."""
        while any(self.queues.values()) and mark not in self.passed:
            before = sum(map(len, self.queues.values()))
            self.run("side", mark)
            self.run("current", mark)
            assert before > sum(map(len, self.queues.values())), "all wait for each other"

    def compute(self, arrays, results):
        """Launch what reads the arrays of a chunk."""
        self.put("current", "work", lambda: results.append([a.copy() for a in arrays]))


EAGER = [(), ("side",), ("current",), ("side", "current"), ("current", "side")]
LENGTHS = [6, 6, 6, 4, 1, 6, 6, 9, 9, 2, 9]  # in the middle more room is wanted


def relayed(eager, ignored=""):
    """What is computed with on such a device, and what should be."""
    random = np.random.default_rng(0)
    X, w = random.normal(size=(2, 50, 3)), random.normal(size=50)
    w = w.astype(w.dtype.newbyteorder("S"))
    device = Pretended(eager, ignored)
    relay = OverlappingSender(device)
    found, expected = [], []
    for i, length in enumerate(LENGTHS):
        rows = slice(i, i + length) if i % 3 == 2 else random.integers(0, 50, length)
        arrays = relay.send([Piece(X, rows, -2), Piece(w, rows, -1)])
        assert all(array.dtype.isnative for array in arrays)
        device.compute(arrays, found)
        relay.used(arrays)
        expected.append([X[:, rows, :], w[rows]])
    device.finish()
    return found, expected


def agree(found, expected):
    return all(
        np.array_equal(a, b)
        for ours, theirs in zip(found, expected, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("eager", EAGER, ids=str)
def test_each_chunk_is_computed_with_as_it_was_gathered_whenever_the_device_works(eager, host_only):
    assert agree(*relayed(eager))


@pytest.mark.parametrize("ignored", ["host_waits", "copies_wait", "current_waits"])
def test_without_any_one_of_the_waits_a_chunk_could_be_another(ignored, host_only):
    assert not all(agree(*relayed(eager, ignored)) for eager in EAGER)


def test_memory_of_a_chunk_is_not_written_over_before_its_copy_is_done(host_only):
    device = Pretended()  # it does nothing before it has to
    relay = OverlappingSender(device)
    X = np.arange(40.0).reshape(20, 2)
    for start in (0, 4):
        relay.send([Piece(X, slice(start, start + 4), -2)])
    assert device.done == []
    np.testing.assert_array_equal(relay.slots[0].host_buffers[0], X[:4].ravel())
    relay.send([Piece(X, slice(8, 12), -2)])  # in the place of the first
    assert device.done == ["copy"]
    np.testing.assert_array_equal(relay.slots[1].host_buffers[0], X[8:12].ravel())


def test_a_chunk_is_copied_while_that_before_is_computed_with_and_memory_stays_in_its_place(host_only):
    device = Pretended(eager=("side",))
    relay = OverlappingSender(device)
    X = np.arange(80.0).reshape(40, 2)
    device.run("current")
    places, results = [], []
    for i, length in enumerate((4, 4, 4, 3)):
        (array,) = relay.send([Piece(X, np.arange(length) + i, -2)])
        places.append(array.ctypes.data)
        if i == 0:
            device.run("current")  # nobody else has work any more
        device.compute([array], results)
        if i == 1:
            assert device.done == ["copy"] * 2
            assert results == []  # the device has not begun with the first
    assert places[:2] == places[2:]
    assert device.memory == 2


def test_fit_gives_the_same_by_way_of_such_a_device(host_only, monkeypatch, random):
    net = network("tanh")
    params, X, Y = problem(net, random, n=45)
    options = {"epochs": 3, "batch_size": 6, "dropout": 0.3, "sample_weight": np.linspace(1, 2, 45)}
    expected, history = pnn.fit(net, params, X, Y, validation=(X, Y), **options)
    monkeypatch.setattr(sending, "CHUNK", 4 * 6 * 7 * 8)  # four batches, without their weights
    numpy = type(pnn.backends.get("numpy"))
    monkeypatch.setattr(numpy, "sender", lambda self: OverlappingSender(Pretended(EAGER[-1])))
    found, ours = pnn.fit(net, params, X, Y, validation=(X, Y), stream=True, **options)
    for a, b in zip(flat(found), flat(expected), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (ours.cost, ours.validation_cost) == (history.cost, history.validation_cost)


class Stream:
    """A stand-in for the streams of CuPy and torch, on which all is done at once."""

    def __init__(self, *device, non_blocking=True):
        self.events = []

    def wait_event(self, event):
        assert event.stream is not self
        self.events.append(event)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Event:
    def __init__(self, disable_timing=True):
        self.stream = None

    def record(self, stream):
        self.stream = stream

    def synchronize(self):
        assert self.stream is not None


def chunks_by(streams):
    relay, X = OverlappingSender(streams), np.arange(60, dtype="float32").reshape(20, 3)
    for start in (0, 4, 8, 12):
        (array,) = relay.send([Piece(X, slice(start, start + 4), -2)])
        np.testing.assert_array_equal(np.asarray(array), X[start : start + 4])
    return relay


def test_the_calls_of_cupy_can_be_made_on_stand_ins(host_only, monkeypatch):
    from portable_nn.backends.cuda_streams import CupyStreams

    class Array(np.ndarray):
        def set(self, host, stream):
            assert isinstance(stream, Stream)
            assert self.flags.c_contiguous
            assert (self.shape, self.dtype) == (host.shape, host.dtype)
            self[...] = host

    current = Stream()
    cuda = types.SimpleNamespace(Stream=Stream, Event=Event, get_current_stream=lambda: current)
    cupy = types.SimpleNamespace(cuda=cuda, empty=lambda n, dtype: np.empty(n, dtype).view(Array))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", types.SimpleNamespace(empty_pinned=np.empty))
    relay = chunks_by(CupyStreams(Stream()))
    assert len(current.events) == len(relay.streams.copy_stream.events) == 4


def test_the_calls_of_torch_can_be_made_on_stand_ins(host_only, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from portable_nn.backends.cuda_streams import TorchStreams

    current, empty = Stream(), torch.empty
    monkeypatch.setattr(torch, "empty", lambda n, pin_memory=False, **how: empty(n, **how))
    for name, stand_in in (
        ("Stream", Stream),
        ("Event", Event),
        ("current_stream", lambda device: current),
        ("stream", lambda stream: stream),
    ):
        monkeypatch.setattr(torch.cuda, name, stand_in)
    relay = chunks_by(TorchStreams("cpu"))
    assert len(current.events) == len(relay.streams.copy_stream.events) == 4
