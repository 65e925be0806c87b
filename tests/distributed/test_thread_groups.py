"""What a group does, by threads that stand for its processes: cheap enough for many trainings."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from groups import in_threads
from random_trainings import SOFTMAX, check_equal, distance, problem, training

import portable_nn as pnn
from portable_nn.stores import block_reader
from portable_nn.training import fitting, several_processes
from portable_nn.training.shared_data import apportioned, shards_in_order

pytestmark = pytest.mark.usefixtures("host_only")


def same(one: Any, other: Any) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b) for u, v in pairs for a, b in zip(u, v, strict=True))


@pytest.mark.parametrize("seed", range(100))
def test_a_random_training_is_that_of_one_process(seed):
    case = training(seed)
    one = case.fit()
    found = in_threads(case.size, case.fit)
    for result in found:
        assert not isinstance(result, BaseException), result
        check_equal(one, result)
        assert same(result[0], found[0][0])


def test_one_flat_sum_is_made_for_each_update(random):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    sizes: list[list[int]] = []

    def train(c: Any) -> Any:
        result = pnn.fit(net, params, X, Y, epochs=2, batch_size=8, communicator=c)
        sizes.append(c.shared["sizes"])
        return result

    in_threads(2, train)
    count = 1 + sum(a.size for layer in params for a in layer)  # J and the gradients
    assert sizes[0].count(count) == 2 * 3 * 2  # epochs, batches, processes


LENGTHS = [(7, 5, 8), (1, 1, 18), (20,), (3, 3, 3, 11), (10, 10)]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("batch_size", [1, 3, 6, 20, 50])
def test_every_batch_has_its_part_of_each_shard(lengths, batch_size):
    shards = shards_in_order(lengths, batch_size)
    n = sum(lengths)
    assert np.bincount(shards, minlength=len(lengths)).tolist() == list(lengths)
    size = min(batch_size, n)
    full = shards[: n // size * size].reshape(-1, size)
    for k in range(len(lengths)):
        counts = (full == k).sum(axis=1)
        assert counts.max() - counts.min() <= 1
        assert (np.diff(np.flatnonzero(full[0] == k)) == 1).all()


def test_rows_are_apportioned_by_largest_remainders():
    assert apportioned([5, 3, 2], 5) == [3, 1, 1]
    assert apportioned([1, 1, 1], 2) == [1, 1, 0]
    assert apportioned([4, 4], 8) == [4, 4]


@pytest.mark.parametrize(("stream", "dropout"), [(False, 0.5), (True, 0.5), (True, 0.0)])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_a_training_on_shards_is_that_of_one_process_in_their_order(lengths, stream, dropout, random):
    n, k = sum(lengths), len(lengths)
    net, params, X, Y = problem(random, n, (4, 6, 3), ["tanh", "softmax"], SOFTMAX[1])
    weight = random.uniform(0.1, 2, n)
    starts = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    options: dict[str, Any] = {
        "epochs": 3,
        "batch_size": 6,
        "l2": 0.2,
        "metrics": "r2",
        "dropout": dropout,
    }
    draws = np.random.default_rng(4)  # of the orders, and of the masks
    shards = shards_in_order(lengths, 6)

    def order(epoch: int, n: int) -> Any:
        own = [iter(starts[j] + draws.permutation(lengths[j])) for j in range(k)]
        return np.asarray([next(own[j]) for j in shards.tolist()])

    one, alone = pnn.fit(
        net, params, X, Y, sample_weight=weight, epoch_order=order, seed=draws, **options
    )

    def train(c: Any) -> Any:
        shard = (starts[c.rank], starts[c.rank + 1], n)
        part = slice(*shard[:2])
        own = {"sample_weight": weight[part], "shard": shard, "stream": stream, "seed": 4}
        return pnn.fit(net, params, X[part], Y[part], communicator=c, **own, **options)

    for result in in_threads(k, train):
        assert not isinstance(result, BaseException), result
        many, history = result
        assert distance(many, one) <= 1e-12
        np.testing.assert_allclose(history.cost, alone.cost, rtol=1e-12)
        np.testing.assert_allclose(history.metrics["r2"], alone.metrics["r2"], rtol=1e-9)


def refused(size: int, **options: Any) -> list[str]:
    """The messages with which each process refuses a training with these options."""
    random = np.random.default_rng(0)
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    found = in_threads(size, lambda c: pnn.fit(net, params, X, Y, communicator=c, **options))
    assert all(isinstance(error, (TypeError, ValueError)) for error in found), found
    return [str(error) for error in found]


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ((0, 20, 20), "`shard` is [(0, 20), (0, 20)] in the processes, of [20] rows in all"),
        ((0, 19, 20), "`shard` is (0, 19, 20) and `X` has 20 rows"),
        ((5, 25), "`shard` is (5, 25); accepted: (start, stop, n)"),
        ((20, 40, 30), "start < stop <= n"),
    ],
)
def test_shards_that_do_not_follow_one_another_are_refused_by_all(shard, message):
    for text in refused(2, shard=shard):
        assert message in text


def test_a_shard_needs_a_communicator(training_problem):
    net, params, X, Y = training_problem
    with pytest.raises(ValueError, match="without a `communicator`"):
        pnn.fit(net, params, X, Y, shard=(0, 40, 40))


def test_what_is_no_communicator_is_refused(training_problem):
    net, params, X, Y = training_problem
    for given in ("mpi", pnn.distributed.Alone, 3):
        with pytest.raises(TypeError, match=r"accepted: portable_nn\.distributed\.mpi\(\)"):
            pnn.fit(net, params, X, Y, communicator=given)


def test_a_stack_is_refused(random):
    net = pnn.Network((4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    params = net.initialize(0, dtype="float64", stack=(2,))
    X, Y = random.normal(size=(20, 4)), np.eye(3)[random.integers(0, 3, 20)]
    with pytest.raises(ValueError, match="a stack of shape"):
        pnn.fit(net, params, X, Y, communicator=pnn.distributed.Alone())


def test_estimators_that_a_group_cannot_fit_are_refused(random):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    X, y = random.normal(size=(20, 3)), np.arange(20) % 2
    group = pnn.distributed.Alone()  # as a script that is tried without a launcher
    for message, options in (
        ("the solver 'lbfgs' takes no batches", {"solver": "lbfgs", "random_state": 0}),
        ("`random_state` is None; accepted: a number", {}),
    ):
        estimator = pnn.MLPClassifier((4,), **options)
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, y, communicator=group)
        assert not hasattr(estimator, "n_features_in_")
    with pytest.raises(TypeError, match="`communicator` is 3, which lacks `rank`"):
        pnn.MLPRegressor(hidden_layer_sizes=(4,)).fit(X, y, communicator=3)


def test_batch_normalization_is_refused_and_other_layers_are_trained(random):
    X, Y = random.normal(size=(20, 4)), random.normal(size=(20, 1))
    for name in ("batch", "layer"):
        net = pnn.Network((4, 6, 1), ("tanh", "identity"), "squared_error", normalization=name)
        params = net.initialize(0, dtype="float64")

        def train(c: Any, net: Any = net, params: Any = params) -> Any:
            return pnn.fit(net, params, X, Y, epochs=3, batch_size=7, communicator=c)

        first, second = in_threads(2, train)
        if name == "batch":
            for error in (first, second):
                assert "BatchNorm" in str(error)
        else:
            one, _ = pnn.fit(net, params, X, Y, epochs=3, batch_size=7)
            assert distance(first[0], one) <= 1e-12
            assert same(first[0], second[0])


class Noted(pnn.Callback):
    def __init__(self, stops_at: int = 0, every_rank: bool = False) -> None:
        self.epochs: list[int] = []
        self.stops_at, self.every_rank = stops_at, every_rank

    def on_epoch_end(self, state: Any) -> None:
        self.epochs.append(state.epoch)
        if state.epoch == self.stops_at:
            state.stop("enough")


@pytest.mark.parametrize("rank", [0, 2])
def test_a_callback_of_any_process_stops_all(rank, random):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    noted = [Noted(3 if k == rank else 0, every_rank=True) for k in range(3)]

    def train(c: Any) -> Any:
        return pnn.fit(net, params, X, Y, epochs=9, callbacks=[noted[c.rank]], communicator=c)

    for _, history in in_threads(3, train):
        assert (history.epochs, history.stopped_by) == (3, "enough")
    assert [each.epochs for each in noted] == [[1, 2, 3]] * 3


def test_callbacks_bars_and_checkpoints_are_those_of_the_first_process(random, tmp_path, capsys):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    noted = [Noted() for _ in range(3)]
    paths = [tmp_path / f"{k}.ckpt" for k in range(3)]

    def train(c: Any) -> Any:
        mine = [noted[c.rank], pnn.Checkpoint(paths[c.rank])]
        return pnn.fit(net, params, X, Y, epochs=4, callbacks=mine, communicator=c, progress=c.rank > 0)

    in_threads(3, train)
    assert [each.epochs for each in noted] == [[1, 2, 3, 4], [], []]
    assert [path.exists() for path in paths] == [True, False, False]
    assert capsys.readouterr().err == ""


def test_an_error_before_training_is_raised_by_all(random):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])

    def train(c: Any) -> Any:
        return pnn.fit(net, params, X, Y, batch_size=8 if c.rank != 1 else 0, communicator=c)

    first, second, third = in_threads(3, train)
    assert isinstance(second, ValueError)
    for error in (first, third):
        assert isinstance(error, pnn.OtherProcessError)
        assert str(error).startswith("process 1 of 3 has raised ValueError: `batch_size` is 0")


def test_a_wrong_size_of_batches_is_refused_as_such_with_shards_too(random):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])

    def train(c: Any) -> Any:
        part = slice(10 * c.rank, 10 * c.rank + 10)
        shard = (part.start, part.stop, 20)
        return pnn.fit(net, params, X[part], Y[part], batch_size=-3, communicator=c, shard=shard)

    found = in_threads(2, train)
    assert all("`batch_size` is -3" in str(error) for error in found), found


class Rows:
    """A store that notes which rows are read of it."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, 2
        self.chunks, self.read = (5, 4), set()  # type: tuple[int, int], set[int]

    def __getitem__(self, rows: Any) -> Any:
        self.read |= set(np.arange(len(self.array))[rows].tolist())
        return self.array[rows]


def test_each_process_checks_the_values_of_its_part_of_streamed_data(random):
    net, params, X, Y = problem(random, 30, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    X[17, 2] = np.nan  # of rows 10 to 19, which are those of the second process
    stores = [Rows(X) for _ in range(3)]

    def train(c: Any) -> Any:
        return pnn.fit(net, params, stores[c.rank], Y, stream=True, communicator=c)

    first, second, third = in_threads(3, train)
    assert isinstance(second, ValueError)
    assert "`X` has NaN or infinite values" in str(second)
    for error in (first, third):
        assert isinstance(error, pnn.OtherProcessError)
    validation_error, *_ = in_threads(
        3,
        lambda c: pnn.fit(
            *(net, params, X[:10], Y[:10]), stream=True, communicator=c, validation=(X[10:], Y[10:])
        ),
    )
    assert "process 1 of 3 has raised ValueError: `validation X` has NaN" in str(validation_error)


def test_each_process_checks_the_codes_of_its_part_of_streamed_data(random):
    layers = (3, pnn.Embedding({2: 8}, dim=4), 6, "tanh", 3, "softmax")
    net = pnn.Network(layers, loss=SOFTMAX[1])
    X, Y = random.normal(size=(30, 3)), np.eye(3)[random.integers(0, 3, 30)]
    X[:, 2] = random.integers(0, 8, 30)
    X[17, 2] = 9
    params = net.initialize(0, dtype="float64")
    found = in_threads(3, lambda c: pnn.fit(net, params, X, Y, stream=True, communicator=c))
    kinds = [pnn.OtherProcessError, ValueError, pnn.OtherProcessError]
    assert [type(error) for error in found] == kinds, found


def test_each_process_looks_at_its_part_of_streamed_data_only(random, monkeypatch):
    monkeypatch.setattr(several_processes, "check_same", lambda *arguments: None)
    monkeypatch.setattr(fitting, "arguments_of", lambda *arguments: {})
    monkeypatch.setattr(block_reader, "BLOCK", 1)  # bytes: a block is a chunk of the store
    net, params, X, Y = problem(random, 30, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    stores = [Rows(X) for _ in range(3)]

    def train(c: Any) -> Any:
        options = {"stream": True, "communicator": c, "epoch_order": lambda epoch, n: np.arange(n)}
        return pnn.fit(net, params, stores[c.rank], Y, batch_size=None, epochs=2, **options)

    assert not any(isinstance(found, BaseException) for found in in_threads(3, train))
    assert [each.read for each in stores] == [{*range(k, k + 10)} for k in (0, 10, 20)]


def test_a_group_of_one_trains_as_without_a_group(random):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])

    def train(c: Any) -> Any:
        many, _ = pnn.fit(net, params, X, Y, batch_size=5, communicator=c, shard=(0, 20, 20))
        assert same(many, pnn.fit(net, params, X, Y, batch_size=5)[0])
        return c.shared["sizes"]

    assert in_threads(1, train) == [[4]]  # of the sums, that of who has which shard only


def test_an_error_in_training_aborts_the_group(random, capsys):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])
    shared: list[Any] = [None, None]

    def train(c: Any) -> Any:
        shared[c.rank] = c.shared

        def schedule(step: int) -> float:
            if step == 9 and c.rank == 1:  # within an epoch of four updates
                raise KeyError("the fault")
            return 0.01

        options = {"epochs": 5, "batch_size": 5, "schedule": schedule}
        return pnn.fit(net, params, X, Y, communicator=c, **options)

    first, second = in_threads(2, train)
    assert isinstance(first, threading.BrokenBarrierError)  # where a process would have ended
    assert isinstance(second, KeyError)
    assert shared[0]["aborted_by"][0] == 1
    assert "the fault" in capsys.readouterr().err


def test_a_generator_as_the_seed_is_compared_by_its_state(random):
    net, params, X, Y = problem(random, 20, (4, 5, 3), ["tanh", "softmax"], SOFTMAX[1])

    def train(c: Any, differs: bool) -> Any:
        seed = np.random.default_rng(c.rank if differs else 0)
        return pnn.fit(net, params, X, Y, epochs=2, seed=seed, communicator=c)

    assert all(
        "`seed` has other values" in str(error) for error in in_threads(2, lambda c: train(c, True))
    )
    assert not any(
        isinstance(found, BaseException) for found in in_threads(2, lambda c: train(c, False))
    )
