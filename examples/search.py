"""One import line changed: the same search, with the networks of all candidates and folds in one pass.

    python examples/search.py [--plot search.png]

Both searches fit the same estimator of this package on the same folds of scikit-learn's bundled breast
cancer data, so their scores are equal to the bit; what differs is how many networks are trained at a
time, and so the seconds. It needs:

    pip install scikit-learn

and for the picture matplotlib.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

try:
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install scikit-learn"
    )

import portable_nn as pnn

RATES, PENALTIES = np.geomspace(1e-4, 3e-2, 6), np.geomspace(1e-2, 10, 4)
GRID = {"mlpclassifier__learning_rate_init": RATES, "mlpclassifier__alpha": PENALTIES}


class Found(NamedTuple):
    """A fitted search, and in how many seconds."""

    search: Any
    seconds: float


def search(library: str) -> Found:
    """The search with the GridSearchCV of `library`."""
    GridSearchCV = importlib.import_module(library).GridSearchCV  # the one line that differs
    mlp = pnn.MLPClassifier((50,), max_iter=40, random_state=0)
    grid = GridSearchCV(make_pipeline(StandardScaler(), mlp), GRID, cv=5)
    started = time.perf_counter()
    grid.fit(*load_breast_cancer(return_X_y=True))
    return Found(grid, time.perf_counter() - started)


def plot(found: Found, path: Path) -> None:
    """The mean score of each candidate, by learning rate and penalty."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    scores = found.search.cv_results_["mean_test_score"].reshape(len(PENALTIES), len(RATES))
    figure = Figure(figsize=(6, 4), layout="constrained")
    panel = figure.subplots()
    for alpha, line in zip(PENALTIES, scores, strict=True):
        panel.plot(RATES, line, marker="o", label=f"alpha = {alpha:.2g}")
    panel.set(xscale="log", xlabel="learning_rate_init", ylabel="mean accuracy of 5 folds")
    panel.set_title(
        f"{scores.size * 5} networks, stacks: {found.search.n_passes_}, {found.seconds:.1f} s"
    )
    panel.grid(alpha=0.3)
    panel.legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    """Search with both, and print what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="where to draw the scores")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # 40 epochs are enough to compare
    libraries = ("sklearn.model_selection", "portable_nn.model_selection")
    theirs, ours = (search(library) for library in libraries)
    print(f"{'from ... import GridSearchCV':28}  {'best score':>10}  {'seconds':>7}  best")
    for library, found in zip(libraries, (theirs, ours), strict=True):
        best = ", ".join(f"{value:.2g}" for value in found.search.best_params_.values())
        print(f"{library:28}  {found.search.best_score_:10.4f}  {found.seconds:7.1f}  {best}")
    scores = [found.search.cv_results_["mean_test_score"] for found in (theirs, ours)]
    networks = len(scores[0]) * ours.search.n_splits_
    print(f"networks: {networks}, stacks: {ours.search.n_passes_}")
    print(
        f"largest difference of the {len(scores[0])} scores: {np.max(np.abs(scores[0] - scores[1])):.1e}"
    )
    if given.plot is not None:
        plot(ours, given.plot)


if __name__ == "__main__":
    main()
