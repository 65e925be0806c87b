"""Public sets of tables: their parts, and the scores of what is predicted for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MOST_VALIDATION, MOST_TEST = 1000, 5000  # rows
SMALLEST = 1e-7  # a probability, in the log loss
BINS = 15  # of the calibration error
SPLITS = range(5)


class Part(NamedTuple):
    """Some rows of a set."""

    X: pd.DataFrame
    y: np.ndarray


class Task(NamedTuple):
    """What is to be learned: 'binary', 'multiclass' or 'regression'; of how many classes."""

    name: str
    kind: str
    classes: int
    train: Part
    validation: Part
    test: Part
    split: int

    @property
    def is_regression(self) -> bool:
        """Whether numbers are predicted."""
        return self.kind == "regression"

    @property
    def categories(self) -> list[str]:
        """The names of the columns of categories."""
        X = self.train.X
        return [name for name in X if isinstance(X[name].dtype, pd.CategoricalDtype)]


def names(folder: Path) -> list[str]:
    """The sets that are there."""
    return sorted(path.stem for path in folder.glob("*.npz"))


def frame(stored: Any) -> pd.DataFrame:
    """The columns of a set."""
    X_num, levels = stored["X_num"].astype(np.float64), json.loads(str(stored["cat_values"]))
    columns: dict[str, Any] = {str(name): X_num[:, j] for j, name in enumerate(stored["num_names"])}
    for j, name in enumerate(stored["cat_names"]):
        columns[str(name)] = pd.Categorical.from_codes(stored["X_cat"][:, j], categories=levels[j])
    return pd.DataFrame(columns)


def rows_of(stored: Any, split: int, most: int, part: str) -> list[np.ndarray]:
    """The rows to learn from, to stop by and to judge by.

    Of `dev` all of them are in no test part of any split: a seventh and a seventh for the last two.
    """
    if part == "test":
        rows = [stored[f"{name}{split}"] for name in ("train", "val", "test")]
    else:
        tests = np.concatenate([stored[f"test{k}"] for k in SPLITS])
        free = np.setdiff1d(np.arange(len(stored["y"])), tests)
        free = np.random.default_rng(split).permutation(free)
        count = int(0.15 * len(free))
        rows = [free[2 * count :], free[count : 2 * count], free[:count]]
    return [some[:n] for some, n in zip(rows, (most, MOST_VALIDATION, MOST_TEST), strict=True)]


def load(folder: Path, name: str, split: int, most: int, part: str) -> Task:
    """A split of a set, with at most so many rows to learn from."""
    stored = np.load(folder / f"{name}.npz")
    kind = str(stored["task"])
    X, y = frame(stored), stored["y"].astype(np.float64 if kind == "regression" else np.int64)
    parts = [
        Part(X.iloc[rows].reset_index(drop=True), y[rows]) for rows in rows_of(stored, split, most, part)
    ]
    return Task(name, kind, len(stored["classes"]), *parts, split)


def scores(task: Task, predicted: np.ndarray) -> dict[str, float]:
    """The error, and how good probabilities are: log loss and calibration error.

    The error of numbers is the root mean square error over the standard deviation of the test part.
    """
    y = task.test.y
    if task.is_regression:
        return {"error": float(np.sqrt(np.mean((y - predicted.reshape(-1)) ** 2)) / y.std())}
    P = np.clip(predicted, SMALLEST, None)
    P = P / P.sum(axis=1, keepdims=True)
    sure, is_right = P.max(axis=1), P.argmax(axis=1) == y
    bins = np.array_split(np.argsort(sure), BINS)
    off = sum(len(b) * abs(sure[b].mean() - is_right[b].mean()) for b in bins if len(b)) / len(y)
    log_loss = -np.mean(np.log(P[np.arange(len(y)), y]))
    return {"error": float(np.mean(~is_right)), "log_loss": float(log_loss), "calibration": float(off)}


def normal_log_loss(y: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> float:
    """The negative log likelihood of normal distributions, in nats a row."""
    z = (y - mean) / deviation
    return float(np.mean(0.5 * z**2 + np.log(deviation) + 0.5 * np.log(2 * np.pi)))
