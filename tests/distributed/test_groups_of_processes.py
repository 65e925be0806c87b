"""Real groups of processes, by the engines that exist: equal to one process, and ended together."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from groups import has_mpi, launch

TOLERANCE = 1e-12
WITHIN = 10.0  # seconds, in which a job ends with its fault; the launchers' own time included
HAPPENS = ("before", "in training", "after", "callback", "interrupted", "in a thread")
DIFFERS = {
    "l2": "`l2` is 0.0 there and 0.5 here",
    "optimizer": "`optimizer` is Adam there and SGD here",
    "seed": "`seed` is 0 there and 1 here",
    "data": "`X` has other values",
    "shape": "`X` is float64 of shape (200, 12) there and float64 of shape (100, 12) here",
    "params": "`params` has other values",
    "dtype": "`params[0]` is float64 of shape (16, 12) there and float32 of shape (16, 12) here",
    "version": "`portable_nn` is",
    "library": "`numpy` is",
    "nan": "`X` has NaN or infinite values",
}


@pytest.fixture(scope="module")
def mpi() -> None:
    if not has_mpi():
        pytest.skip("MPI is not installed (pip install mpi4py mpich)")


def check_equal(engine: str, size: int, what: str) -> None:
    """Run all cases in a group; each has to agree with one process."""
    outcome = launch(engine, size, "equal_script.py", engine, what)
    assert outcome.code == 0, outcome.text
    assert outcome.text.count("ENDED") == size, outcome.text
    lines = re.findall(r"FOUND (\{[^\n]*\})", outcome.text)
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert len(found) >= 6
    for case in found:
        assert max(case["difference"], case["curves"]) <= TOLERANCE, case
        assert case["bits"], case
        for one, many in (case["epochs"], case["best"]):
            assert one == many, case
    stopped = next(case for case in found if case["case"].startswith("early stopping"))
    assert 2 < stopped["epochs"][0] < 40  # so that it was early stopping that ended it


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_group_of_mpi_is_one_process(size, mpi, host_only):
    check_equal("mpi", size, "numpy")


def test_a_hundred_random_trainings_are_those_of_one_process(mpi, host_only):
    outcome = launch("mpi", 2, "random_script.py", "mpi")
    assert outcome.code == 0, outcome.text
    assert outcome.text.count("ENDED") == 2, outcome.text


def test_estimators_are_fitted_by_a_group(mpi, host_only):
    pytest.importorskip("sklearn")
    check_equal("mpi", 3, "estimators")


def test_a_group_of_mpi_takes_strict_arrays(mpi, strict):
    check_equal("mpi", 2, "array_api_strict")


def test_a_group_of_mpi_takes_tensors(mpi, torch):
    check_equal("mpi", 2, "torch")


@pytest.mark.parametrize("what", ["torch", "numpy"])
def test_a_group_of_torch_distributed_is_one_process(what, torch):
    check_equal("torch", 2, what)


def test_a_group_of_mpi_takes_arrays_of_jax(mpi, jax):
    check_equal("mpi", 2, "jax")


@pytest.mark.parametrize("fault", HAPPENS)
def test_an_error_in_one_process_ends_all(fault, mpi, host_only):
    outcome = launch("mpi", 3, "faults_script.py", "mpi", fault)
    assert outcome.code != 0
    assert ("KeyboardInterrupt" if fault == "interrupted" else "the fault") in outcome.text
    assert "NOTHING HAPPENED" not in outcome.text
    assert outcome.seconds < WITHIN


def test_a_process_that_is_killed_ends_all(mpi, host_only):
    outcome = launch("mpi", 3, "faults_script.py", "mpi", "killed")
    assert outcome.code != 0
    assert "NOTHING HAPPENED" not in outcome.text
    assert outcome.seconds < WITHIN


@pytest.mark.parametrize("fault", ["before", "in training", "after", "callback", "killed"])
def test_torchrun_ends_all_processes_too(fault, torch):
    outcome = launch("torch", 2, "faults_script.py", "torch", fault)
    assert outcome.code != 0
    assert fault == "killed" or "the fault" in outcome.text
    assert "NOTHING HAPPENED" not in outcome.text
    assert outcome.seconds < 2 * WITHIN  # torch and its launcher take most of that to be imported


@pytest.mark.parametrize("fault", DIFFERS)
def test_what_differs_is_an_error_in_every_process(fault, mpi, host_only):
    outcome = launch("mpi", 3, "faults_script.py", "mpi", fault)
    assert outcome.code == 0, outcome.text
    others = "OtherProcessError: process 2 of 3 has raised ValueError: "
    assert outcome.text.count("PROCESS") == 3, outcome.text
    assert outcome.text.count(others) == 2, outcome.text
    assert outcome.text.count(DIFFERS[fault]) == 3, outcome.text


def test_a_training_that_diverges_does_in_every_process(mpi, host_only):
    outcome = launch("mpi", 3, "faults_script.py", "mpi", "rate")
    assert outcome.code == 0, outcome.text
    assert outcome.text.count("NonFiniteCostError") == 3


def test_a_training_goes_on_in_a_group_of_another_size(mpi, host_only, tmp_path):
    path = str(tmp_path / "run.ckpt")

    def train(size: int, checkpoint: str, epochs: int, out: str) -> Any:
        file = str(tmp_path / out)
        outcome = launch("mpi", size, "restart_script.py", "mpi", checkpoint, str(epochs), file)
        assert outcome.code == 0, outcome.text
        return np.load(f"{file}.npz")

    train(3, path, 2, "first")
    resumed = train(2, path, 5, "second")
    whole = train(1, str(tmp_path / "other.ckpt"), 5, "whole")
    for name in whole.files:
        largest = np.max(np.abs(whole[name]))
        assert np.max(np.abs(resumed[name] - whole[name])) <= TOLERANCE * largest
