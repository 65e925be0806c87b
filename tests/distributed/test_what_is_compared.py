"""What the processes of a group compare, so that none trains something else than the others."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from groups import ThreadCommunicator, in_threads
from random_trainings import SOFTMAX, distance, problem

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")

LAYERS, N = (4, 5, 3), 20
HERE = threading.local()  # stands for global variables, which are not compared with the arguments


def trained(size: int, change: Any, n: int = N, **options: Any) -> list[Any]:
    """What each process makes of its shard, with ``change(rank)`` in its arguments."""
    net, params, X, Y = problem(np.random.default_rng(0), n, LAYERS, ["tanh", "softmax"], SOFTMAX[1])
    ends = [n * k // size for k in range(size + 1)]

    def train(c: Any) -> Any:
        part = slice(ends[c.rank], ends[c.rank + 1])
        given = {"X": X[part], "Y": Y[part], "shard": (part.start, part.stop, n)}
        given |= {"epochs": 3, "batch_size": 6, **options, **change(c.rank)}
        return pnn.fit(net, params, given.pop("X"), given.pop("Y"), communicator=c, **given)

    return in_threads(size, train)


def all_rows(change: Any, size: int = 2, **options: Any) -> list[Any]:
    """What each process makes of all rows, with ``change(rank)`` in its arguments."""
    net, params, X, Y = problem(np.random.default_rng(0), N, LAYERS, ["tanh", "softmax"], SOFTMAX[1])
    usual = {"epochs": 3, "batch_size": 6, **options}

    def train(c: Any) -> Any:
        HERE.rank, shared[c.rank] = c.rank, c.shared
        return pnn.fit(net, params, X, Y, communicator=c, **{**usual, **change(c.rank)})

    shared: list[Any] = [None] * size
    found = in_threads(size, train)
    assert "aborted_by" not in shared[0]  # what all find out is an error in all
    return found


def texts(found: list[Any], message: str) -> None:
    """Every process has raised, and one of them has said why."""
    assert all(isinstance(each, (TypeError, ValueError, pnn.OtherProcessError)) for each in found), found
    assert all(message in str(each) for each in found), found


def test_another_number_of_epochs_is_refused():
    texts(all_rows(lambda rank: {"epochs": 3 + rank}), "`epochs` is 3 there and 4 here")


ROWS = np.random.default_rng(1).normal(size=(N, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": ROWS[:10].astype("uint8")}, "`X` is uint8 of shape (10, 4) in process 1 and float64"),
        (
            {"sample_weight": np.ones(10)},
            "`sample_weight` is float64 of shape (10,) in process 1 and None",
        ),
        ({"Y": np.zeros(10, dtype="int32")}, "`Y` is int32 of shape (10,) in process 1 and float64"),
    ],
)
def test_shards_that_are_not_alike_are_refused(change, message):
    texts(trained(2, lambda rank: change if rank else {}), message)


def test_a_shard_in_one_process_only_is_refused_by_name():
    texts(
        trained(2, lambda rank: {"shard": None} if rank else {}),
        "and not in process 1; accepted: in all",
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_checkpoint_of_shards_is_resumed_with_the_same_data_only(tmp_path, stream):
    path = tmp_path / "run.ckpt"
    options: dict[str, Any] = {"callbacks": [pnn.Checkpoint(path)], "stream": stream}
    whole = trained(2, lambda rank: {}, epochs=5, stream=stream)
    trained(2, lambda rank: {}, **options)
    for (params, _), (resumed, _) in zip(
        whole, trained(2, lambda rank: {}, epochs=5, resume=path, stream=stream), strict=True
    ):
        assert distance(params, resumed) == 0
    other = trained(2, lambda rank: {"X": ROWS[:10]} if rank else {}, resume=path, stream=stream)
    texts(other, "`X` has other values")
    texts(trained(3, lambda rank: {}, resume=path), "`shard` was [10, 10] and is [6, 7, 7]")
    texts(all_rows(lambda rank: {}, resume=path), "`shard` was [10, 10] and is None")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch_order": lambda epoch, n: np.arange(n - HERE.rank)}, "`epoch_order` gave in process"),
        (
            {"epoch_order": lambda epoch, n: np.roll(np.arange(n), HERE.rank * (epoch == 1))},
            "`epoch_order` gave in process 1 something else than in process 0, for epoch 2",
        ),
        ({"schedule": lambda step: 0.01 + HERE.rank}, "`schedule`, or that of `dropout`, gave"),
        ({"dropout": lambda step: 0.1 + HERE.rank / 2}, "`schedule`, or that of `dropout`, gave"),
        (
            {"schedule": lambda step: 0.01 + HERE.rank * (step == 5)},
            "process 1 has other parameters than process 0 after epoch 2",
        ),
    ],
)
def test_functions_that_give_other_values_in_one_process_are_found_out(options, message):
    texts(all_rows(lambda rank: options), message)


def test_an_error_in_the_order_of_an_epoch_is_raised_by_all():
    def order(epoch: int, n: int) -> Any:
        if epoch == 2 and HERE.rank:
            raise KeyError("the fault")
        return np.arange(n)

    first, second = all_rows(lambda rank: {"epoch_order": order})
    assert isinstance(first, pnn.OtherProcessError)
    assert isinstance(second, KeyError)


class Changing(pnn.Callback):
    """Changes the parameters of the process that it is called in."""

    every_rank = True

    def __init__(self, by: float) -> None:
        self.by = by

    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == 2:
            for array in state.params[0]:
                np.add(array, self.by, out=array)


@pytest.mark.parametrize(("by", "is_refused"), [(0.1, True), (1e-12, False)])
def test_a_callback_that_changes_what_one_process_has_learned_is_found_out(by, is_refused):
    found = all_rows(lambda rank: {"callbacks": [Changing(by * rank)]}, epochs=5)
    if is_refused:
        texts(found, "process 1 has other parameters than process 0 after epoch 3")
    else:  # processors may round differently
        assert not any(isinstance(each, BaseException) for each in found), found


def test_a_checkpoint_in_no_folder_is_refused_by_all(tmp_path):
    path = tmp_path / "none" / "run.ckpt"
    first, second = all_rows(lambda rank: {"callbacks": [pnn.Checkpoint(path)]})
    assert isinstance(first, FileNotFoundError)
    assert "process 0 of 2 has raised FileNotFoundError" in str(second)


class Faulty(ThreadCommunicator):
    """A communicator with one faulty method."""

    fault = ""

    def sum_(self, flat: Any) -> None:
        given = flat.copy() if self.fault == "sum copies" else flat
        super().sum_(given)
        if self.fault == "mean":
            flat[...] = flat / self.size

    def broadcast_(self, flat: Any, root: int = 0) -> None:
        super().broadcast_(flat, 0 if self.fault == "root" else root)

    def max(self, value: int) -> Any:
        found = super().max(value)
        return float(found) if self.fault == "float" else -found if self.fault == "sign" else found


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        *(("sum copies", "`sum_` of"), ("mean", "`sum_` of"), ("root", "`broadcast_` of")),
        *(("float", "`max` of"), ("sign", "`max` of"), ("rank", "has rank 7"), ("abort", "`abort` of")),
    ],
)
def test_a_communicator_that_does_something_else_is_refused(fault, name):
    net, params, X, Y = problem(np.random.default_rng(0), N, LAYERS, ["tanh", "softmax"], SOFTMAX[1])

    def train(c: Any) -> Any:
        mine: Any = Faulty(c.rank, c.size, c.shared)
        mine.fault = fault
        if fault == "rank":
            mine.rank = 7
        if fault == "abort":
            mine.abort = None
        return pnn.fit(net, params, X, Y, communicator=mine)

    texts(in_threads(2, train), name)
