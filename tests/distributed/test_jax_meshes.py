"""JAX arrays over a mesh of devices: trained as they are, to what one device gives.

The cases are scripts, because how many devices there are is decided when JAX starts.
"""

from __future__ import annotations

import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("jax")
HERE = Path(__file__).parent
ALMOST_EQUAL = 1e-12  # of the largest value
LONGEST = 300  # seconds


def outcomes(*commands: list[Any]) -> list[Any]:
    """What the scripts print, as JSON, run at the same time; none of them outlives the test."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {"OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for script, *arguments in commands
    ]
    try:
        found = [process.communicate(timeout=LONGEST) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    for process, (_, errors) in zip(running, found, strict=True):
        assert process.returncode == 0, errors
    # gloo prints too
    return [json.loads(re.findall(r'\{".*\}$', printed, re.M)[-1]) for printed, _ in found]


def are_close(figures: dict[str, float]) -> None:
    assert figures
    assert not {case: apart for case, apart in figures.items() if not apart <= ALMOST_EQUAL}


def test_a_training_over_a_mesh_is_that_of_one_device():
    (found,) = outcomes(["mesh_cases.py", "training"])
    are_close(found["apart"])
    assert len(found["apart"]) == 14
    assert found["stopped"][0] == "early stopping"
    assert found["kept"] == [True] * 3  # the parameters, and the two arrays that Adam has for each
    assert found["whole"] == [[]] * 4  # copied to each device, as at first
    assert found["unchanged"] == [True] * 2


def sizes(shapes: list[str]) -> list[list[int]]:
    """The sizes of each array in results such as "(f64[40,20]{1,0}, f64[])"."""
    arrays = [one for shape in shapes for one in re.findall(r"\[([\d,]*)\]", shape)]
    return [[int(size) for size in array.split(",") if size] for array in arrays]


def test_each_device_computes_with_its_part_of_a_batch_and_gradients_are_summed_once():
    (programs,) = outcomes(["mesh_cases.py", "programs"])
    # 20 and 15 rows are the last batches of an epoch of 500
    assert set(programs) == {f"split {n}" for n in (96, 20, 97, 15)} | {
        *("streamed 97", "streamed 15", "data and model 96", "data and model 20")
    }
    for name, program in programs.items():
        case, _, batch = name.rpartition(" ")
        is_grid = case == "data and model"
        part, units = math.ceil(int(batch) / (2 if is_grid else 4)), 20 if is_grid else 40
        assert not program["all-gather"] + program["all-to-all"] + program["collective-permute"], name
        # the gradients of W and b of both layers and J, in one; a split model also sums its outputs
        gradients = sorted([[], [3], [3, units], [units], [units, 20]])
        *outputs, summed = sorted(program["all-reduce"], key=len)
        assert sorted(sizes([summed])) == gradients, name
        assert sizes(outputs) == ([[3, part]] if is_grid else []), name
        rows = [] if case == "streamed" else [[part], [part, 3], [part, 20]]
        assert sorted(sizes(program["reduce-scatter"])) == rows, name
        products = sorted(sizes(program["dot"]))
        assert products == sorted([[3, part], [3, units], [units, 20], *[[units, part]] * 2]), name


def test_predictions_costs_stacks_and_layers_are_those_of_one_device():
    (found,) = outcomes(["mesh_cases.py", "networks"])
    are_close(found["apart"])
    assert found["split"] == {"predict": [["data"]], "stack split": [["data"]] * 4}


def test_estimators_take_rows_that_are_split():
    (found,) = outcomes(["mesh_cases.py", "estimators"])
    are_close(found["apart"])
    assert all(split == [["data"]] for split in found["split"].values())


def test_a_mesh_is_one_place_with_a_name():
    (found,) = outcomes(["mesh_cases.py", "places"])
    assert found["names"] == [
        "<backend 'jax' on data=4 over cpu:0-3>",
        "<backend 'jax' on data=2,model=2 over cpu:0-3>",
        "<backend 'jax' on a=4 over cpu:2,cpu:0-1,cpu:3>",
    ]
    assert found["the same"] == [True] * 9
    assert found["read"]
    refused = found["refused"]
    assert "portable_nn.backends.get('jax', 'data=4 over cpu:0-3').asarray" in refused["another place"]
    assert "`X` on <backend 'numpy' on cpu>" in refused["the host"]
    assert "accepted: the mesh" in refused["a splitting sharding"]
    assert "cannot make the mesh 'data=8 over cpu:0-7' here" in refused["devices that are not here"]
    assert "cannot make the mesh" in refused["no mesh"]
    assert "explicit axes data; accepted: axes of the type Auto" in refused["explicit axes"]
    assert refused["rows that cannot be split"].startswith("IndivisibleError")


def test_two_processes_train_to_what_one_does_and_to_the_same_bits(tmp_path):
    port = free_port()
    first, second = outcomes(*(["process_cases.py", rank, port, tmp_path] for rank in (0, 1)))
    for found in (first, second):
        are_close(found["apart"])
        assert found["kept"] == [True] * 4
        assert "NaN or infinite" in found["refused"]["NaN"]
        assert "an index of a class that there is not" in found["refused"]["another class"]
        assert "the processes gave different host arrays" in found["refused"]["different values"]
        assert "the processes gave different host arrays" in found["refused"]["different shapes"]
    assert first["same"] == second["same"]
    assert first["same"][1] == [1, 2, 3, 4, 5, 6] * 3  # in parts, however short an epoch is
    assert first["apart"] == second["apart"]
    assert [found["own"] for found in (first, second)] == [
        "<backend 'jax' on cpu:0>",
        "<backend 'jax' on cpu:2048>",
    ]


@pytest.mark.parametrize("how", ["killed", "an error"])
def test_a_process_that_fails_ends_the_other_one(how):
    command = [sys.executable, str(HERE / "mesh_fault.py")]
    port = free_port()
    first, second = (
        subprocess.Popen([*command, rank, port, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in "01"
    )
    try:
        assert any(line.strip() == b"FAULT" for line in iter(second.stdout.readline, b""))
        failed = time.perf_counter()
        first.communicate(timeout=LONGEST)
        second.communicate(timeout=LONGEST)
        seconds = time.perf_counter() - failed
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert first.returncode != 0
    assert seconds < 10, seconds


def free_port() -> str:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_the_examples_of_the_page_run():
    text = (HERE.parents[1] / "docs" / "guides" / "jax_meshes.md").read_text(encoding="utf-8")
    program = "".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    shown = "".join(re.findall(r"```\n\n```text\n(.*?)```", text, flags=re.DOTALL))
    environment = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_ENABLE_X64")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown
