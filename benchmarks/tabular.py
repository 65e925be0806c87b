"""Estimators of tables beside boosted trees and other networks, on public data sets.

    python benchmarks/tabular.py --data FOLDER --out results.jsonl
    python benchmarks/tabular.py --data FOLDER --out results.jsonl --table --picture tabular.png

FOLDER has one NAME.npz for each set, in the form that README.md describes. Each peer is measured in a
process of its own; what stands in the file already is not measured again, so that a run may be stopped
and gone on with. Peers whose package is missing are left out, and named. With ``--part dev`` scores are
of rows that are in no test part of any split: defaults are chosen on these.

It needs: pip install pandas, and lightgbm xgboost catboost pytabkit mapie where they are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tabular_data as data

PEERS = (
    *("ours", "ours-fast", "ours-mapie", "options", "sklearn-mlp", "hist-gradient-boosting"),
    *("lightgbm", "xgboost", "catboost", "realmlp", "tabm"),
)
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA")


def arguments() -> argparse.Namespace:
    """What is to be measured."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    found.add_argument("--data", type=Path, required=True)
    found.add_argument("--out", type=Path, default=Path("tabular.jsonl"))
    found.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    found.add_argument("--sets", nargs="+", default=None)
    found.add_argument("--splits", nargs="+", type=int, default=range(5))
    found.add_argument("--rows", type=int, default=2000, help="training rows, at most")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--part", choices=("test", "dev"), default="test")
    found.add_argument(
        "--table", action="store_true", help="print what is in --out, and measure nothing"
    )
    found.add_argument("--picture", type=Path, help="draw what is in --out, and measure nothing")
    found.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    return found.parse_args()


def key_of(line: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a measurement another one."""
    return tuple(line[name] for name in ("peer", "set", "split", "rows", "threads", "part"))


def known(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; none where there is no file."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def measured(peer: str, task: data.Task, threads: int) -> dict[str, Any]:
    """Fit and predict: scores, seconds and bytes."""
    from tabular_peers import FITS  # noqa: PLC0415  (with its libraries, in the process of the peer)

    cpu, wall = time.process_time(), time.perf_counter()
    model = FITS[peer](task, threads)
    found = {"fit_cpu": time.process_time() - cpu, "fit_wall": time.perf_counter() - wall}
    wall = time.perf_counter()
    predicted = model.predict(task.test.X)
    found["predict_wall"] = time.perf_counter() - wall
    found |= data.scores(task, np.asarray(predicted, dtype=np.float64))
    if model.sure is not None:
        found |= model.sure(task.test)
    return found | {"bytes": size_of(model.fitted)}


def size_of(fitted: Any) -> int:
    """The bytes of what predicts, in a file of ours or as a pickle; 0 where it cannot be pickled."""
    if type(fitted).__module__.startswith("portable_nn.tabular"):
        import portable_nn as pnn  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder:
            pnn.save(Path(folder) / "model.pnn", fitted, for_prediction=True)
            return (Path(folder) / "model.pnn").stat().st_size
    try:
        return len(pickle.dumps(fitted))
    except Exception:  # whatever a library says of what it cannot pickle
        return 0


def run(peer: str, given: argparse.Namespace) -> None:
    """Measure one peer, and append a line for each measurement."""
    done = {key_of(line) for line in known(given.out)}
    for split in given.splits:
        for name in given.sets or data.names(given.data):
            line: dict[str, Any] = {
                "peer": peer,
                "set": name,
                "split": split,
                "rows": given.rows,
                "threads": given.threads,
                "part": given.part,
            }
            if key_of(line) in done:
                continue
            task = data.load(given.data, name, split, given.rows, given.part)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    line |= measured(peer, task, given.threads)
            except ModuleNotFoundError as missing:
                print(f"{peer}: the package {missing.name} is not installed; left out", file=sys.stderr)
                return
            except Exception as error:  # a peer that fails is a result, too
                line["failed"] = repr(error)[:300]
            line |= {"kind": task.kind, "n": len(task.train.y), "columns": task.train.X.shape[1]}
            with given.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)


def main() -> None:
    """Measure every peer in a process of its own; or show what has been measured."""
    given = arguments()
    if given.in_process:
        run(given.peers[0], given)
    elif given.table or given.picture:
        import tabular_tables  # noqa: PLC0415

        tabular_tables.show(known(given.out), given.picture)
    else:
        environment = os.environ | {f"{name}_NUM_THREADS": str(given.threads) for name in THREADS}
        common = ["--data", given.data, "--out", given.out, "--rows", given.rows, "--part", given.part]
        common += ["--threads", given.threads, "--splits", *given.splits]
        common += ["--sets", *given.sets] if given.sets else []
        for peer in given.peers:
            command = [sys.executable, __file__, "--in-process", "--peers", peer, *common]
            subprocess.run([str(part) for part in command], check=True, env=environment)


if __name__ == "__main__":
    main()
