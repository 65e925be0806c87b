"""Ensembles of networks: how fast, and how well calibrated, beside one network and scikit-learn's.

python benchmarks/ensembles.py [--out FILE.jsonl] [--rounds 5] [--part speed fresh calibration] [--quick]

Speed: 16 MLPs on digits, so many epochs for all, over VotingClassifier and BaggingClassifier of
scikit-learn's MLP, rounds in turns; and in fresh processes, imports included. Calibration: the negative
log likelihood and the expected calibration error (15 bins of equal width) of one network, of independent
ones and of those that share weights; of numbers the likelihood is a normal one, and what share of values
an interval for 90 % holds.
"""

# ruff: noqa: PLC0415  (scikit-learn is imported by what measures it)
from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from goals import Goal, report
from record import Record, versions
from tables import table

import portable_nn as pnn

NETWORKS, WIDTH = 16, 100
WARM, FRESH = 4.0, 1.5  # times as fast as scikit-learn's
PARTS = ("speed", "fresh", "calibration")
OURS = ("ours", "ours, adapters")
THEIRS = ("voting", "bagging", "voting, n_jobs=2", "bagging, n_jobs=2")
BINS = 15


def digits(dtype: str = "float64") -> tuple[Any, Any]:
    """X in [0, 1] and the digits."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(dtype), y


def contender(name: str, epochs: int) -> Any:
    """An unfitted ensemble, that trains for so many epochs."""
    from sklearn.ensemble import BaggingClassifier, VotingClassifier
    from sklearn.neural_network import MLPClassifier

    settings = {"hidden_layer_sizes": (WIDTH,), "max_iter": epochs, "n_iter_no_change": epochs}
    if name in OURS:
        sharing = "adapters" if "adapters" in name else "none"
        is_drawn = {"sharing": sharing, "random_state": 0}
        return pnn.MLPEnsembleClassifier(NETWORKS, **is_drawn, **settings)
    jobs = 2 if "n_jobs" in name else None
    if name.startswith("bagging"):
        single = MLPClassifier(**settings)
        return BaggingClassifier(single, NETWORKS, bootstrap=False, random_state=0, n_jobs=jobs)
    each = [(str(k), MLPClassifier(random_state=k, **settings)) for k in range(NETWORKS)]
    return VotingClassifier(each, voting="soft", n_jobs=jobs)


def seconds_of(run: Callable[[], Any]) -> float:
    """The wall time of a call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ratios(seconds: dict[str, list[float]], ours: str, theirs: str) -> float:
    """How many times as long theirs takes: the median over the rounds of the ratios within."""
    return statistics.median(t / o for o, t in zip(seconds[ours], seconds[theirs], strict=True))


def summarize(what: str, seconds: dict[str, list[float]], bound: float, record: Record) -> list[Goal]:
    """The table of a part, its lines, and its goals: over scikit-learn's in one process."""
    rows = []
    for name, times in seconds.items():
        over = ratios(seconds, "ours", name)
        rows.append((name, statistics.median(times), over))
        record.write("ensembles", part=what, contender=name, seconds=times, ours_over_it=over)
    table(f"{NETWORKS} networks on digits, {what}", ("", "seconds", "ours over it"), rows)
    return [
        Goal(f"{what}: ensemble / {name}", None, ratios(seconds, "ours", name), bound)
        for name in ("voting", "bagging")
    ]


def speed(given: argparse.Namespace, record: Record) -> list[Goal]:
    """Fits and predictions in this process, after one of each."""
    goals = []
    for dtype in ("float64", "float32"):
        X, y = digits(dtype)
        seconds: dict[str, list[float]] = {name: [] for name in (*OURS, *THEIRS)}
        for turn in range(given.rounds + 1):
            for name, times in seconds.items():
                one = contender(name, given.epochs)
                found = seconds_of(lambda one=one, X=X, y=y: one.fit(X, y).predict_proba(X))
                if turn:
                    times.append(found)
        goals += summarize(f"{dtype}, warm", seconds, WARM, record)
    return goals


def fresh(given: argparse.Namespace, record: Record) -> list[Goal]:
    """The same in processes of their own, from their start to their end."""
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", "voting", "bagging")}
    for turn in range(given.rounds + 1):
        for name, times in seconds.items():
            command = [sys.executable, __file__, "--child", name, "--epochs", str(given.epochs)]
            found = seconds_of(lambda command=command: subprocess.run(command, check=True))
            if turn:  # the first has filled the caches of the system, and of compiled loops
                times.append(found)
    return summarize("float64, a fresh process", seconds, FRESH, record)


# ---- calibration ------------------------------------------------------------------------------------


def noisy_classes(random: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Three classes whose probabilities are a softmax of waves: no model can be sure."""
    X = random.normal(size=(n, 6))
    scores = 1.5 * np.stack([np.sin(2 * X[:, 0]) + X[:, 1], X[:, 2] * X[:, 3], np.cos(X[:, 4])], axis=1)
    return X, np.argmax(scores + random.gumbel(size=scores.shape), axis=1)


def of_classes(P: Any, y: Any) -> dict[str, float]:
    """Accuracy, negative log likelihood, expected calibration error (Guo et al., 2017)."""
    sure, right = P.max(axis=1), P.argmax(axis=1) == y
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs((right[bins == b] - sure[bins == b]).sum()) for b in range(BINS)]
    likelihood = np.log(np.maximum(P[np.arange(len(y)), y], 1e-15))
    return {"accuracy": right.mean(), "NLL": -likelihood.mean(), "ECE": sum(gaps) / len(y)}


def of_values(y: Any, mean: Any, deviation: Any, interval: Any) -> dict[str, float]:
    """RMSE, negative log likelihood of a normal distribution, the share within an interval for 90 %."""
    likelihood = -0.5 * ((y - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)
    inside = np.nan if interval is None else ((interval[0] <= y) & (y <= interval[1])).mean()
    return {
        "RMSE": float(np.sqrt(np.mean((y - mean) ** 2))),
        "NLL": -likelihood.mean(),
        "within 90 %": inside,
    }


KINDS: dict[str, dict[str, Any]] = {
    "one network": {"n_estimators": 1},
    "16 independent": {},
    "16 on drawn rows": {"bootstrap": True},
    "16 with adapters": {"sharing": "adapters"},
}


def calibrated(data: str, options: dict[str, Any], seed: int, epochs: int) -> dict[str, float]:
    """What a kind of ensemble reaches on rows that it has not learned from."""
    from sklearn.datasets import make_friedman1
    from sklearn.model_selection import train_test_split

    random = np.random.default_rng(seed)
    settings = {"n_estimators": NETWORKS, "hidden_layer_sizes": (64, 64), "max_iter": epochs}
    settings |= {"learning_rate_init": 0.003, "random_state": seed, "n_iter_no_change": 20} | options
    if data == "friedman1":
        X, y = make_friedman1(2400, noise=1.0, random_state=seed)
        X, X_new, y, y_new = X[:400], X[400:], y[:400], y[400:]
        one = pnn.MLPEnsembleRegressor(calibration_fraction=0.2, **settings).fit(X, y)
        mean, spread = one.predict(X_new, return_std=True)
        noise = np.std(y[:400] - one.predict(X)) if one.noise_ is None else one.noise_[0]
        return of_values(y_new, mean, np.hypot(spread, noise), one.predict_interval(X_new))
    if data == "digits":
        X, y = digits()
        X, X_new, y, y_new = train_test_split(X, y, train_size=500, random_state=seed, stratify=y)
    else:
        (X, y), (X_new, y_new) = noisy_classes(random, 800), noisy_classes(random, 4000)
    one = pnn.MLPEnsembleClassifier(**settings).fit(X, y)
    return of_classes(one.predict_proba(X_new), y_new)


def calibration(given: argparse.Namespace, record: Record) -> list[Goal]:
    """Each kind on each data set, means over the seeds; one network is not to be better."""
    goals = []
    for data in ("digits", "noisy classes", "friedman1"):
        found = {
            kind: [calibrated(data, o, seed, given.epochs) for seed in range(given.seeds)]
            for kind, o in KINDS.items()
        }
        names = list(found["one network"][0])
        means = {
            kind: {n: float(np.mean([r[n] for r in f])) for n in names} for kind, f in found.items()
        }
        for kind, values in means.items():
            record.write("calibration", data=data, kind=kind, seeds=given.seeds, **values)
        rows = [(kind, *values.values()) for kind, values in means.items()]
        table(f"{data}, means over {given.seeds} seeds", ("", *names), rows)
        single = means["one network"]
        goals += [
            Goal(
                f"{data}: {name} / one network's, {kind}",
                None,
                means[kind][name] / single[name],
                1,
                True,
            )
            for kind in ("16 independent", "16 with adapters")
            for name in ("NLL", "ECE" if "ECE" in names else "RMSE")
        ]
    return goals


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # that the training could go on
    if given.child:
        contender(given.child, given.epochs).fit(*digits()).predict_proba(digits()[0])
        return 0
    if given.quick:
        given.rounds, given.epochs, given.seeds = 1, 3, 1
    record, goals = Record(given.out), []
    print(f"{record.short}; {', '.join(f'{k} {v}' for k, v in versions().items())}")
    parts = {"speed": speed, "fresh": fresh, "calibration": calibration}
    try:
        for part in given.part:
            goals += parts[part](given, record)
        report(goals, record, ())
    finally:
        record.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
