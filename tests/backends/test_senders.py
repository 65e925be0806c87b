"""Senders: in which order an asynchronous device copies chunks of host data and computes with them."""

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
from portable_nn.backends import streaming
from portable_nn.backends.streaming import OverlappingSender, Piece, Sender


def test_a_chunk_waits_until_the_one_before_has_been_used(host_only):
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


def memory_layouts():
    """An array of 20,000 rows, with any memory layout, also that of a file."""
    X = np.random.default_rng(0).normal(size=(20_000, 50))
    unaligned = np.frombuffer(b"x" + X.tobytes(), dtype="f8", offset=1).reshape(X.shape)
    apart = np.repeat(X, 2, axis=0)[::2]
    fixed = X.copy()
    fixed.flags.writeable = False
    layouts = {"in rows": X, "read-only": fixed, "in columns": np.asfortranarray(X), "apart": apart}
    layouts |= {"a part": np.hstack([X, X[:, :1]])[:, :-1], "backwards": X[::-1].copy()[::-1]}
    return layouts | {"unaligned": unaligned, "big-endian": X.astype(">f8")}


@pytest.mark.parametrize("layout", list(memory_layouts()))
@pytest.mark.parametrize("has_out", [True, False])
def test_rows_of_any_memory_layout_are_gathered_without_a_copy_of_the_others(layout, has_out, host_only):
    array, rows = memory_layouts()[layout], np.array([7, 3, 3, 19_999])
    out = np.empty((4, 50)) if has_out else None
    tracemalloc.start()
    found = Piece(array, rows, -2).gather(out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, memory_layouts()["in rows"][rows])
    assert found is out or not has_out
    assert peak < array.nbytes / 50


class Pretended:
    """A device with two streams: one in `eager` runs work at once if it can, any other when it must."""

    def __init__(self, eager=(), ignored=""):
        self.eager, self.ignored = eager, ignored
        self.queues = {"current": deque(), "copies": deque()}
        self.complete, self.events, self.done = set(), 0, []
        self.memory = 0

    def put(self, stream, kind, work):
        self.queues[stream].append((kind, work))
        for name in self.eager:
            self.run(name)

    def run(self, stream, until=None):
        """Run the work of a stream in order, until it has to wait."""
        queue = self.queues[stream]
        while queue and (until is None or until not in self.complete):
            kind, work = queue[0]
            if kind == "wait" and work not in self.complete:
                return
            queue.popleft()
            if kind == "event":
                self.complete.add(work)
            elif kind == "work":
                work()

    def host_buffer(self, count, dtype):
        self.memory += 1
        memory = np.full(count, np.nan, dtype)
        mine = memory[:]
        weakref.finalize(mine, memory.fill, np.nan).atexit = False  # freed memory goes to others
        return mine

    def device_buffer(self, count, dtype):
        array = np.empty(count, dtype)
        self.put("current", "work", lambda: array.fill(np.nan))  # the former owner's last write
        return array

    def copy(self, buffer, staging):
        self.put("copies", "work", lambda: (np.copyto(buffer, staging), self.done.append("copy")))

    def event(self, stream):
        self.events += 1
        self.put(stream, "event", self.events)
        return self.events

    def record_current(self):
        return self.event("current")

    def record_copies(self):
        return self.event("copies")

    def current_waits(self, event):
        if self.ignored != "current_waits":
            self.put("current", "wait", event)

    def copies_wait(self, event):
        if self.ignored != "copies_wait":
            self.put("copies", "wait", event)

    def host_waits(self, event):
        if self.ignored != "host_waits":
            self.finish(event)

    def finish(self, event=None):
        """Run work until the event is complete, or all is done."""
        while any(self.queues.values()) and event not in self.complete:
            before = sum(map(len, self.queues.values()))
            self.run("copies", event)
            self.run("current", event)
            assert before > sum(map(len, self.queues.values())), "the streams wait for each other"

    def compute(self, arrays, results):
        """Launch what reads the arrays of a chunk."""
        self.put("current", "work", lambda: results.append([a.copy() for a in arrays]))


EAGER = [(), ("copies",), ("current",), ("copies", "current"), ("current", "copies")]
LENGTHS = [6, 6, 6, 4, 1, 6, 6, 9, 9, 2, 9]  # in the middle, larger buffers are needed


def send_all(eager, ignored=""):
    """The chunks with which such a device computes, and those with which it should."""
    random = np.random.default_rng(0)
    X, w = random.normal(size=(2, 50, 3)), random.normal(size=50)
    w = w.astype(w.dtype.newbyteorder("S"))
    device = Pretended(eager, ignored)
    sender = OverlappingSender(device)
    found, expected = [], []
    for i, length in enumerate(LENGTHS):
        rows = slice(i, i + length) if i % 3 == 2 else random.integers(0, 50, length)
        arrays = sender.send([Piece(X, rows, -2), Piece(w, rows, -1)])
        assert all(array.dtype.isnative for array in arrays)
        device.compute(arrays, found)
        sender.used(arrays)
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
def test_each_chunk_is_used_as_it_was_gathered_whenever_the_device_runs(eager, host_only):
    assert agree(*send_all(eager))


@pytest.mark.parametrize("ignored", ["host_waits", "copies_wait", "current_waits"])
def test_without_any_one_of_the_waits_a_chunk_may_be_overwritten(ignored, host_only):
    assert not all(agree(*send_all(eager, ignored)) for eager in EAGER)


def test_a_host_buffer_is_not_overwritten_before_its_copy_is_done(host_only):
    device = Pretended()  # it does nothing until it must
    sender = OverlappingSender(device)
    X = np.arange(40.0).reshape(20, 2)
    for start in (0, 4):
        sender.send([Piece(X, slice(start, start + 4), -2)])
    assert device.done == []
    np.testing.assert_array_equal(sender.slots[0].host_buffers[0], X[:4].ravel())
    sender.send([Piece(X, slice(8, 12), -2)])  # which takes the slot of the first
    assert device.done == ["copy"]
    np.testing.assert_array_equal(sender.slots[1].host_buffers[0], X[8:12].ravel())


def test_a_chunk_is_copied_while_the_one_before_is_used_and_buffers_keep_their_addresses(host_only):
    device = Pretended(eager=("copies",))
    sender = OverlappingSender(device)
    X = np.arange(80.0).reshape(40, 2)
    device.run("current")
    places, results = [], []
    for i, length in enumerate((4, 4, 4, 3)):
        (array,) = sender.send([Piece(X, np.arange(length) + i, -2)])
        places.append(array.ctypes.data)
        if i == 0:
            device.run("current")  # no other work is left
        device.compute([array], results)
        if i == 1:
            assert device.done == ["copy"] * 2
            assert results == []  # the device has not started on the first
    assert places[:2] == places[2:]
    assert device.memory == 2


def test_fit_gives_the_same_on_such_a_device(host_only, monkeypatch, random):
    net = network("tanh")
    params, X, Y = problem(net, random, n=45)
    options = {"epochs": 3, "batch_size": 6, "dropout": 0.3, "sample_weight": np.linspace(1, 2, 45)}
    expected, history = pnn.fit(net, params, X, Y, validation=(X, Y), **options)
    monkeypatch.setattr(streaming, "CHUNK", 4 * 6 * 7 * 8)  # four batches, without their weights
    numpy = type(pnn.backends.get("numpy"))
    monkeypatch.setattr(numpy, "sender", lambda self: OverlappingSender(Pretended(EAGER[-1])))
    found, ours = pnn.fit(net, params, X, Y, validation=(X, Y), stream=True, **options)
    for a, b in zip(flat(found), flat(expected), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (ours.cost, ours.validation_cost) == (history.cost, history.validation_cost)


class Stream:
    """A stand-in for the streams of CuPy and torch, which runs all work at once."""

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
    sender, X = OverlappingSender(streams), np.arange(60, dtype="float32").reshape(20, 3)
    for start in (0, 4, 8, 12):
        (array,) = sender.send([Piece(X, slice(start, start + 4), -2)])
        np.testing.assert_array_equal(np.asarray(array), X[start : start + 4])
    return sender


def test_cupys_streams_are_called_as_stand_ins_accept(host_only, monkeypatch):
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
    sender = chunks_by(CupyStreams(Stream()))
    assert len(current.events) == len(sender.streams.copy_stream.events) == 4


def test_torchs_streams_are_called_as_stand_ins_accept(host_only, monkeypatch):
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
    sender = chunks_by(TorchStreams("cpu"))
    assert len(current.events) == len(sender.streams.copy_stream.events) == 4
