"""Searches of this package over scikit-learn's, each with its own MLP: a script of its own.

python benchmarks/search.py [--out FILE.jsonl] [--chart FILE.png] [--rounds N] [--data NAME ...]

8 learning rates x 4 penalties x 5 folds of MLPClassifier((100,)): `GridSearchCV`, and
`HalvingGridSearchCV` on max_iter; float64 and float32. Wall time of `fit` without the refit, ours in one
process, scikit-learn's with n_jobs=2, in turns; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.datasets
from record import Record, versions
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from tables import table

import portable_nn as pnn

GRID = {"learning_rate_init": np.geomspace(1e-4, 3e-2, 8), "alpha": np.geomspace(1e-5, 1, 4)}
SMALL = {"learning_rate_init": [1e-3, 1e-2], "alpha": [1e-4, 1e-2]}
DATA = {"breast_cancer": sklearn.datasets.load_breast_cancer, "digits": sklearn.datasets.load_digits}
SEARCHES: dict[str, dict[str, Any]] = {
    "GridSearchCV": {},
    "HalvingGridSearchCV": {
        "resource": "max_iter",
        "max_resources": 200,
        "min_resources": 8,
        "random_state": 0,
    },
}
JOBS = 2  # of scikit-learn's search: the targets are for two cores
HEAD = ("search", "theirs, s", "ours, s", "theirs over ours", "scores equal", "same best", "stacks")
OURS, THEIRS = "#c8501e", "#9aa7b4"


def rows_of(name: str, dtype: str) -> tuple[Any, Any]:
    """Standardized rows, and their classes."""
    X, y = DATA[name](return_X_y=True)
    return StandardScaler().fit_transform(X).astype(dtype), y


def contenders(kind: str, quick: bool) -> dict[str, Callable[[], Any]]:
    """What makes a new search of each: scikit-learn's of its own MLP, ours of ours."""
    grid, options = SMALL if quick else GRID, {"cv": 5, "refit": False} | SEARCHES[kind]
    network = {"random_state": 0, "max_iter": 8 if quick else 200}
    if quick and "max_resources" in options:
        options |= {"max_resources": 8, "min_resources": 2}
    theirs, ours = (getattr(m, kind) for m in (sklearn.model_selection, pnn.model_selection))
    return {
        "theirs": lambda: theirs(MLPClassifier((100,), **network), grid, n_jobs=JOBS, **options),
        "ours": lambda: ours(pnn.MLPClassifier((100,), **network), grid, **options),
    }


def measure(kind: str, name: str, dtype: str, given: argparse.Namespace) -> dict[str, Any]:
    """The rounds of one search on one data set."""
    X, y = rows_of(name, dtype)
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    found: dict[str, Any] = {}
    for turn in range(given.rounds + 1):  # the first starts processes and compiles: it does not count
        for who, make in contenders(kind, given.quick).items():
            begin = time.perf_counter()
            found[who] = make().fit(X, y)
            if turn:
                seconds[who].append(time.perf_counter() - begin)
    ratios = [a / b for a, b in zip(seconds["theirs"], seconds["ours"], strict=True)]
    scores = [found[who].cv_results_["mean_test_score"] for who in ("theirs", "ours")]
    alike = [np.shape(s) for s in scores] == [np.shape(scores[0])] * 2
    return {
        "search": kind,
        "data": name,
        "dtype": dtype,
        "seconds": seconds,
        "theirs_over_ours": statistics.median(ratios),
        "ratios": ratios,
        "candidates": len(scores[0]),
        "scores_equal": int(np.sum(np.abs(scores[0] - scores[1]) < 1e-8)) if alike else None,
        "same_best": bool(found["theirs"].best_params_ == found["ours"].best_params_),
        "stacks": found["ours"].n_passes_,
    }


def row(result: dict[str, Any]) -> tuple[Any, ...]:
    """A result as a line of the table."""
    title = f"{result['search']}, {result['data']}, {result['dtype']}"
    medians = [statistics.median(result["seconds"][who]) for who in ("theirs", "ours")]
    equal = f"{result['scores_equal']} of {result['candidates']}"
    ratio = result["theirs_over_ours"]
    return title, *medians, ratio, equal, str(result["same_best"]), result["stacks"]


def draw(results: list[dict[str, Any]], machine: str, path: str) -> None:
    """The seconds of both, for each search."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 1 + 0.7 * len(results)), layout="constrained")
    panel = figure.subplots()
    for place, result in enumerate(results):
        for shift, who, colour in ((0.2, "theirs", THEIRS), (-0.2, "ours", OURS)):
            value = statistics.median(result["seconds"][who])
            panel.barh(place + shift, value, 0.36, color=colour, label=None if place else who)
            ratio = f"  {result['theirs_over_ours']:.1f} times as fast" if who == "ours" else ""
            panel.text(value, place + shift, f" {value:.1f} s{ratio}", va="center", fontsize=8)
    titles = [f"{r['search']}\n{r['data']}, {r['dtype']}" for r in results]
    panel.set_yticks(range(len(results)), titles, fontsize=8)
    panel.invert_yaxis()
    panel.margins(x=0.35)
    panel.set_xlabel("seconds, without the refit")
    panel.legend(["scikit-learn, n_jobs=2", "ours, one process"], loc="lower right", fontsize=8)
    panel.set_title(f"8 learning rates x 4 penalties x 5 folds. {machine}", fontsize=10)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--chart", metavar="FILE.png", help="where the picture goes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", nargs="+", choices=tuple(DATA), default=list(DATA), metavar="NAME")
    parser.add_argument("--search", nargs="+", choices=tuple(SEARCHES), default=list(SEARCHES))
    parser.add_argument("--dtype", nargs="+", default=["float64", "float32"])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in scikit-learn's workers too
    record = Record(given.out)
    print(f"{record.short}; {', '.join(f'{k} {v}' for k, v in versions().items())}")
    results = []
    try:
        for kind in given.search:
            for name in given.data:
                for dtype in given.dtype:
                    results.append(measure(kind, name, dtype, given))
                    record.write("search", jobs=JOBS, rounds=given.rounds, **results[-1])
                    print(row(results[-1]), flush=True)
    finally:
        record.close()
    table(f"medians of {given.rounds} rounds", HEAD, [row(result) for result in results], [])
    if given.chart is not None:
        draw(results, record.short, given.chart)


if __name__ == "__main__":
    main()
