"""fit with `stream=True` on stores of rows: the training of the same rows in memory, from few slices."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from counting_stores import Chunked, Computed, CountingStore
from helpers import flat, host, network, problem, to

import portable_nn as pnn
from portable_nn.backends import streaming as sending
from portable_nn.compiler.numpy import program
from portable_nn.stores import block_reader

N, SIZE = 45, 6
ROW = 8 * (4 + 3)  # bytes of a row of X and Y


@pytest.fixture
def case(random):
    net = network("tanh")
    return net, *problem(net, random, n=N)


@pytest.fixture(autouse=True)
def few_batches_in_a_chunk(monkeypatch):
    monkeypatch.setattr(sending, "CHUNK", 4 * SIZE * ROW)


def as_stores(given, kind=CountingStore):
    """The same with a store in the place of every array."""
    if isinstance(given, np.ndarray):
        return kind(given)
    if isinstance(given, tuple):
        return tuple(as_stores(each, kind) for each in given)
    return given


def moved(backend, params):
    """Parameters of any layers on the device."""
    return [tuple(map(backend.asarray, layer)) for layer in params]


def assert_same_training(backend, net, params, X, Y, kind=CountingStore, **options):
    """fit on stores gives the bits of fit on the same rows in memory; the history."""
    ours = moved(backend, params)
    stored = {name: as_stores(value, kind) for name, value in options.items()}
    x, y = as_stores((X, Y), kind)
    whole, expected = pnn.fit(net, ours, X, Y, stream=True, **options)
    found, history = pnn.fit(net, ours, x, y, stream=True, **stored)
    for a, b in zip(host(backend, found), host(backend, whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.array_equal(history.cost, expected.cost)
    assert np.array_equal(history.validation_cost, expected.validation_cost)
    return history


def some_rows(epoch, n):
    """An order that repeats a row, leaves others out, and is shorter in the second epoch."""
    return np.array([3, 3, *range(n - 1, 20, -1)][: 26 - 9 * epoch])


OPTIONS = {
    "all at once": {"batch_size": None},
    "dropout": {"dropout": 0.4, "batch_size": 4, "clip_norm": 0.5},
    "order": {"optimizer": pnn.SGD(0.1, momentum=0.9), "l2": 0.1, "epoch_order": some_rows},
    "windows": {"epoch_order": pnn.WindowShuffle(chunk=4, window=3)},
    "metrics": {"metrics": ["accuracy"], "progress": False},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_stores_give_the_same_training(options, case, backend):
    assert_same_training(backend, *case, epochs=2, **{"batch_size": SIZE, **options})


def test_weights_and_validation_data_may_be_stores_too(case, backend, random):
    net, params, X, Y = case
    w = random.uniform(0.5, 2, size=N)
    held_out = random.normal(size=(1500, 4)), np.eye(3)[random.integers(0, 3, size=1500)]
    options = {"epochs": 2, "batch_size": SIZE, "sample_weight": w}
    history = assert_same_training(
        backend, net, params, X, Y, validation=(*held_out, random.uniform(0.5, 2, size=1500)), **options
    )
    assert len(history.validation_cost) == 2
    ours, mixed = to(backend, params), (held_out[0], CountingStore(held_out[1]))
    found = pnn.fit(net, ours, CountingStore(X), Y, stream=True, validation=mixed, **options)
    expected = pnn.fit(net, ours, X, Y, stream=True, validation=held_out, **options)
    assert found[1].validation_cost == expected[1].validation_cost
    on_device = tuple(map(backend.asarray, held_out))
    there = pnn.fit(net, ours, CountingStore(X), Y, stream=True, validation=on_device, **options)
    np.testing.assert_allclose(there[1].validation_cost, found[1].validation_cost, rtol=1e-12)


def test_indices_of_classes_bytes_and_integer_weights_are_cast_as_in_memory(case, backend, random):
    net, params, *_ = case
    X = random.integers(0, 256, size=(N, 4)).astype("uint8")
    Y, w = random.integers(0, 3, size=N), random.integers(1, 5, size=N)
    assert_same_training(backend, net, params, X, Y, sample_weight=w, epochs=2, batch_size=SIZE)
    assert_same_training(backend, net, params, X, Y[:, None], epochs=1, batch_size=SIZE)
    yes = pnn.Network((4, 1), ("sigmoid",), "binary_cross_entropy")
    start = yes.initialize(dtype="float64")
    assert_same_training(backend, yes, start, X, Y > 0, epochs=1, batch_size=SIZE)


def test_the_networks_of_a_stack_share_a_store(case, backend, random):
    net, _, X, Y = case
    stack = net.initialize(seed=[3, 8], stack=(2,), dtype="float64")
    w = random.uniform(0.5, 2, size=(2, N))
    assert_same_training(backend, net, stack, X, Y, sample_weight=w, epochs=2, batch_size=SIZE)


def test_codes_of_categories_are_looked_at_in_stores_too(backend, random):
    net = pnn.Network((3, pnn.Embedding({2: 5}, dim=2), "tanh", 1), loss="squared_error")
    params = net.initialize(dtype="float64")
    X, Y = random.normal(size=(N, 3)), random.normal(size=(N, 1))
    X[:, 2] = random.integers(0, 5, size=N)
    assert_same_training(backend, net, params, X, Y, epochs=2, batch_size=SIZE)
    X[-1, 2] = 5
    with pytest.raises(ValueError, match="`X` has values in column 2 that are none of its 5 codes"):
        pnn.fit(net, moved(backend, params), CountingStore(X), Y, stream=True)


def test_predictions_of_a_store_are_those_of_its_rows(case, backend):
    net, params, X, _ = case
    ours, store = to(backend, params), CountingStore(X)
    found = net.predict(ours, store, stream=True)
    np.testing.assert_array_equal(found, net.predict(ours, X, stream=True))
    assert type(found) is np.ndarray
    stack = to(backend, net.initialize(seed=[3, 8], stack=(2,), dtype="float64"))
    found = net.predict(stack, CountingStore(X), stream=True)
    np.testing.assert_array_equal(found, net.predict(stack, X, stream=True), strict=True)


# ---- the libraries -------------------------------------------------------------------------------


def in_zarr(array, name, folder):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    chunks = (10, *array.shape[1:])
    store = zarr.create_array(
        folder / f"{name}.zarr", shape=array.shape, chunks=chunks, dtype=array.dtype
    )
    store[:] = array
    return zarr.open_array(folder / f"{name}.zarr", mode="r")


def in_h5py(array, name, folder):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file.create_dataset("rows", data=array, chunks=(10, *array.shape[1:]), compression="gzip")
    return h5py.File(folder / f"{name}.h5", "r")["rows"]


def in_dask(array, name, folder):
    dask = pytest.importorskip("dask.array", reason="dask is not installed")
    return dask.from_array(array, chunks=(10, *array.shape[1:]))


def in_parquet(array, name, folder):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    names = [f"{name} {k}" for k in range(1 if array.ndim == 1 else array.shape[1])]
    columns = [array] if array.ndim == 1 else list(array.T)
    path = folder / f"{name}.parquet"
    parquet.write_table(pa.table(dict(zip(names, columns, strict=True))), path, row_group_size=10)
    return pnn.ParquetRows(path, names[0] if array.ndim == 1 else names)


def in_memory_map(array, name, folder):
    np.save(folder / f"{name}.npy", array)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


@pytest.mark.parametrize("library", [in_zarr, in_h5py, in_dask, in_parquet, in_memory_map])
@pytest.mark.parametrize("order", [None, pnn.WindowShuffle(chunk=10, window=2)], ids=["all", "windows"])
def test_the_stores_of_other_libraries_give_the_same_training(library, order, case, backend, tmp_path):
    net, params, X, _ = case
    random = np.random.default_rng(2)
    Y, w = random.integers(0, 3, size=N), random.uniform(0.5, 2, size=N)
    x, y, weight = (library(a, name, tmp_path) for a, name in ((X, "X"), (Y, "Y"), (w, "w")))
    ours = to(backend, params)
    options = {"epochs": 2, "batch_size": SIZE, "epoch_order": order, "stream": True}
    expected = pnn.fit(net, ours, X, Y, sample_weight=w, validation=(X, Y), **options)
    found = pnn.fit(net, ours, x, y, sample_weight=weight, validation=(x, y), **options)
    for a, b in zip(host(backend, found[0]), host(backend, expected[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[1].cost == expected[1].cost
    assert found[1].validation_cost == expected[1].validation_cost
    np.testing.assert_array_equal(
        net.predict(ours, x, stream=True), net.predict(ours, X, stream=True), strict=True
    )
    if hasattr(x, "file"):
        for each in (x, y, weight):
            each.file.close()


def test_inputs_and_targets_may_be_columns_of_one_store(case, backend, random):
    net, params, X, _ = case
    Y = random.integers(0, 3, size=N)
    table = CountingStore(np.column_stack([X, Y]).astype("float32"))
    columns = pnn.Columns(table, slice(0, 4), dtype="float64"), pnn.Columns(table, -1, dtype="int64")
    ours, options = to(backend, params), {"epochs": 2, "batch_size": SIZE, "stream": True}
    found, _ = pnn.fit(net, ours, *columns, **options)
    expected, _ = pnn.fit(net, ours, X.astype("float32").astype("float64"), Y, **options)
    for a, b in zip(host(backend, found), host(backend, expected), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- how much is read ----------------------------------------------------------------------------


def slices_of_epochs(epochs, store, *others, **options):
    """The slices of a store that each of the epochs reads, when the data has been checked."""
    net = pnn.Network((store.shape[1], 3), ("softmax",), "categorical_cross_entropy")
    ends = []

    class Ends(pnn.Callback):
        def on_train_begin(self, state):
            ends.append(len(store.slices))

        def on_epoch_end(self, state):
            ends.append(len(store.slices))

    callbacks = [Ends(), *options.pop("callbacks", [])]
    start = net.initialize(dtype=store.dtype)
    pnn.fit(net, start, store, *others, epochs=epochs, stream=True, callbacks=callbacks, **options)
    return [store.slices[a:b] for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize("limit", [2**10, 2**14, 2**22])  # a chunk: less than a window, or much more
@pytest.mark.parametrize("pauses", [False, True])
def test_an_epoch_in_windows_reads_every_row_once(
    limit, pauses, host_only, monkeypatch, random, tmp_path
):
    monkeypatch.setattr(sending, "CHUNK", limit)
    monkeypatch.setattr(block_reader, "BLOCK", 2**12)  # else all of this small store would be one
    n, chunk = 5000, 100
    store = CountingStore(random.normal(size=(n, 4)))
    y = CountingStore(random.integers(0, 3, size=n))
    order = pnn.WindowShuffle(chunk=chunk, window=6)
    callbacks = [pnn.Checkpoint(tmp_path / "c", every_steps=7)] if pauses else []
    each = slices_of_epochs(3, store, y, epoch_order=order, batch_size=32, callbacks=callbacks)
    for slices in each[1:]:  # the first window of an epoch may be in memory still
        assert n - 6 * chunk <= sum(stop - start for start, stop in slices) <= n
        assert len(slices) <= n // chunk
        assert all(start % chunk == 0 for start, _ in slices)
    assert sum(stop - start for start, stop in each[0]) <= n


def test_a_permutation_reads_more_which_is_what_windows_are_for(host_only, monkeypatch):
    monkeypatch.setattr(sending, "CHUNK", 2**14)
    store = CountingStore(np.zeros((20_000, 4), "float32"))
    random_order, windows = (
        sum(stop - start for start, stop in slices_of_epochs(2, store, y, epoch_order=order)[1])
        for y in [np.zeros(20_000, int)]
        for order in (None, pnn.WindowShuffle(chunk=100, window=8))
    )
    assert windows <= 20_000
    assert random_order > 5 * 20_000


def test_rows_in_their_order_are_read_in_whole_chunks_of_the_store(host_only, monkeypatch):
    monkeypatch.setattr(sending, "CHUNK", 2**12)
    store = Chunked(np.zeros((5000, 4), "float32"), chunks=(200, 4))
    validation = Chunked(np.zeros((3000, 4), "float32"), chunks=(100, 4)), np.zeros(3000, int)
    options = {"epoch_order": lambda epoch, n: np.arange(n), "validation": validation}
    slices_of_epochs(1, store, np.zeros(5000, int), **options)
    assert store.rows_read() == 2 * 5000  # to be checked, and once
    assert len(store.slices) < 2 * 5000 / 200 + 5000 * 16 / 2**12
    checked = 3000 * 16 // 2**12 + 1
    assert {start % 100 for start, _ in validation[0].slices[checked:]} == {0}
    assert validation[0].rows_read() == 2 * 3000


@pytest.mark.parametrize("order", [None, pnn.WindowShuffle(chunk=512, window=8)])
def test_training_from_a_store_takes_the_memory_of_chunks_and_a_window(order, host_only, monkeypatch):
    n = 60_000
    monkeypatch.setattr(sending, "CHUNK", 2**18)
    monkeypatch.setattr(program, "PATIENCE", (np.inf, np.inf))  # a compiler takes memory of its own
    net = pnn.Network((64, 3), ("softmax",), "categorical_cross_entropy")
    params, Y = net.initialize(), np.zeros(n, "uint8")
    few = Computed(999, 64)
    pnn.fit(net, params, few, Y[:999], epochs=1, stream=True)  # what is made once is made by now
    X = Computed(n, 64)
    tracemalloc.start()
    try:
        pnn.fit(net, params, X, Y, epochs=1, stream=True, validation=(X, Y), epoch_order=order)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    window = 0 if order is None else order.chunk * order.window * 64 * 4
    assert 64 * 4 * n > 15 * 10**6
    assert peak < 3 * 8 * n + 12 * 2**18 + 2 * window  # the order of the rows, and a few chunks


def test_stores_are_never_written_to(case, host_only):
    net, params, X, Y = case
    kept = X.copy(), Y.copy()
    for array in (X, Y):
        array.flags.writeable = False
    pnn.fit(net, params, CountingStore(X), CountingStore(Y), epochs=2, stream=True)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(Y, kept[1])


# ---- checkpoints ---------------------------------------------------------------------------------


def test_a_training_on_stores_is_resumed_also_on_arrays(case, host_only, tmp_path):
    net, params, X, Y = case
    order, path = pnn.WindowShuffle(chunk=4, window=3), tmp_path / "c"
    options = {"batch_size": SIZE, "epoch_order": order, "stream": True}
    expected = pnn.fit(net, params, X, Y, epochs=5, **options)
    saved = [pnn.Checkpoint(path, every_steps=3)]
    pnn.fit(net, params, CountingStore(X), CountingStore(Y), epochs=2, callbacks=saved, **options)
    for x, y in ((CountingStore(X), Y), (X, CountingStore(Y))):
        found = pnn.fit(net, params, x, y, epochs=5, resume=path, **options)
        assert found[1].cost == expected[1].cost
        for a, b in zip(flat(found[0]), flat(expected[0]), strict=True):
            np.testing.assert_array_equal(a, b)
    options["epoch_order"] = pnn.WindowShuffle(chunk=4, window=2)
    with pytest.raises(ValueError, match=r"`epoch_order.window` was 3 and is 2"):
        pnn.fit(net, params, X, Y, epochs=5, resume=path, **options)
    options["epoch_order"], other = order, X.copy()
    other[7, 1] += 1
    with pytest.raises(ValueError, match="`X` has other values"):
        pnn.fit(net, params, CountingStore(other), Y, epochs=5, resume=path, **options)


def test_of_large_stores_the_rows_are_compared_that_are_in_memory_too(host_only, monkeypatch, random):
    from portable_nn.training import arguments

    monkeypatch.setattr(arguments, "MOST_BYTES", 1000)
    for shape, dtype in (((500, 3), "float64"), ((777,), "int64"), ((31, 3), "float32"), ((4, 2), "u1")):
        array = random.normal(size=shape).astype(dtype)
        store = CountingStore(array)
        assert arguments.fingerprint([store]) == arguments.fingerprint([array])
