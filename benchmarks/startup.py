"""What is waited for before anything is trained: the import, and the first call with its compilers."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace

from configurations import MNIST_SHAPED
from goals import Goal
from record import Record
from rounds import Circumstances, Worker, environment, notes
from tables import table
from training import CONTENDERS

IMPORTS = {"nothing": "pass", "numpy": "import numpy", "portable_nn": "import portable_nn"}
CACHES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME")


def imports(rounds: int, record: Record) -> list[Goal]:
    """Wall time of fresh interpreters, interleaved: `import portable_nn` against `import numpy`."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for turn in range(rounds + 1):
        for name, code in IMPORTS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=environment())
            if turn:  # the first has filled the system's file cache
                seconds[name].append(time.perf_counter() - start)
    nothing, numpy, ours = seconds.values()
    whole = statistics.median(o / n for o, n in zip(ours, numpy, strict=True))
    alone = statistics.median((o - p) / (n - p) for o, n, p in zip(ours, numpy, nothing, strict=True))
    rows = [(name, statistics.median(times) * 1000) for name, times in seconds.items()]
    table(f"Fresh processes, medians of {rounds}", ["python -c", "ms"], rows)
    record.write("import", seconds=seconds, ratio=whole, ratio_less_the_interpreter=alone)
    return [
        Goal("import time / NumPy's, less the interpreter", None, alone, 1.2, True),
        Goal("import time / NumPy's, whole process", None, whole, None),
    ]


def first_calls(names: Iterable[str], record: Record) -> None:
    """The first two batches of a process, with the compilers' caches empty and then filled."""
    c, rows, failed = replace(MNIST_SHAPED, batches=2), [], []
    for key in names:
        with tempfile.TemporaryDirectory() as folder:
            found: list[float | None] = []
            for _ in ("empty", "filled"):
                caches = Circumstances(env=dict.fromkeys(CACHES, folder))
                worker = Worker(CONTENDERS[key], c, how=caches)
                worker.set_up()
                worker.go(keep=False)
                worker.go(keep=True)
                worker.close()
                found.append(worker.result.first_call)
        rows.append((worker.result.label, *found))
        failed.extend(notes({key: worker.result}))
        record.write(
            "first_call",
            configuration=c.name,
            contender=key,
            label=worker.result.label,
            state=worker.result.state,
            seconds_empty_caches=found[0],
            seconds_filled_caches=found[1],
        )
    head = ["first call, two batches", "s, caches empty", "s, caches filled"]
    table(f"{c.name}: how much longer the first call takes than a later one", head, rows, failed)


def measure(names: Iterable[str], rounds: int, record: Record) -> list[Goal]:
    """Imports, then first calls."""
    goals = imports(rounds, record)
    first_calls(names, record)
    return goals
