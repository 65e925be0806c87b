"""Groups of processes for the tests: threads that stand for processes, and the real ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MARK = "PORTABLE_NN_TEST_GROUP"  # a variable of the environment that tells whose a process is


class ThreadCommunicator:
    """A thread that stands for a process of a group."""

    def __init__(self, rank: int, size: int, shared: dict[str, Any]) -> None:
        self.rank, self.size, self.shared = rank, size, shared

    def together(self, flat: Any, combine: Callable[[list[Any]], Any]) -> Any:
        self.shared[self.rank] = np.array(flat)
        self.shared["barrier"].wait()
        found = combine([self.shared[k] for k in range(self.size)])
        self.shared["barrier"].wait()
        return found

    def sum_(self, flat: Any) -> None:
        self.shared.setdefault("sizes", []).append(flat.size)
        flat[...] = self.together(flat, lambda all_: sum(all_[1:], all_[0]))

    def broadcast_(self, flat: Any, root: int = 0) -> None:
        flat[...] = self.together(flat, lambda all_: all_[root])

    def max(self, value: int) -> int:
        return int(self.together(value, max))

    def abort(self) -> None:
        self.shared.setdefault("aborted_by", []).append(self.rank)
        self.shared["barrier"].abort()


def in_threads(size: int, function: Callable[[Any], Any]) -> list[Any]:
    """What ``function(communicator)`` gives, or the error it raises, in each of so many threads."""
    shared: dict[Any, Any] = {"barrier": threading.Barrier(size, timeout=60)}
    found: list[Any] = [None] * size

    def run(rank: int) -> None:
        try:
            found[rank] = function(ThreadCommunicator(rank, size, shared))
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class Outcome(NamedTuple):
    code: int
    text: str
    seconds: float


def launcher(engine: str, size: int) -> list[str]:
    """The command that starts a Python script in so many processes."""
    if engine == "mpi":
        beside = Path(sys.executable).with_name("mpiexec")
        return [str(beside) if beside.exists() else "mpiexec", "-n", str(size), sys.executable]
    elastic = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    return [sys.executable, *elastic]


def has_mpi() -> bool:
    """Whether MPI can be used from here, by the launcher that is found."""
    beside = Path(sys.executable).with_name("mpiexec")
    if not beside.exists() and shutil.which("mpiexec") is None:
        return False
    check = "from mpi4py import MPI"
    return (
        subprocess.run([sys.executable, "-c", check], capture_output=True, check=False).returncode == 0
    )


def launch(engine: str, size: int, script: str, *arguments: str, limit: float = 120) -> Outcome:
    """Run a script of this folder in a group of processes, of which none is left behind."""
    mark = uuid.uuid4().hex
    here = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    env = os.environ | one | {MARK: mark, "PYTHONPATH": here, "JAX_ENABLE_X64": "1"}
    command = [*launcher(engine, size), str(HERE / script), *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        raise AssertionError(f"{' '.join(command)} has not ended after {limit} s:\n{text}") from None
    finally:
        seconds = time.perf_counter() - started
        left = wait_for_none(mark)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left, f"processes are left behind: {left}\n{text}"
    return Outcome(process.returncode, text, seconds)


def wait_for_none(mark: str, limit: float = 5.0) -> list[int]:
    """The processes with this mark that are still there after so many seconds."""
    until = time.monotonic() + limit
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def marked(mark: str) -> list[int]:
    """The processes that have inherited this mark; none where that cannot be seen."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found
