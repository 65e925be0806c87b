"""One import line changed: the same Pipeline and GridSearchCV with scikit-learn's MLP and with ours.

    python examples/drop_in.py

Both search the same grid on scikit-learn's bundled digits, from the same random state; what they find is
the same but for rounding. It needs:

    pip install scikit-learn
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from typing import Any, NamedTuple

try:
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install scikit-learn"
    )

GRID = {
    "mlpclassifier__hidden_layer_sizes": [(64,), (64, 32)],
    "mlpclassifier__alpha": [1e-4, 1.0],
    "mlpclassifier__activation": ["relu", "tanh"],
}


class Found(NamedTuple):
    """What a search has found, and in how many seconds."""

    search: GridSearchCV
    accuracy: float
    probabilities: np.ndarray
    seconds: float


def search(library: str, split: list[Any]) -> Found:
    """The search with the MLPClassifier of `library`."""
    MLPClassifier = importlib.import_module(library).MLPClassifier  # the one line that differs
    X, X_test, y, y_test = split
    mlp = MLPClassifier(max_iter=30, early_stopping=True, random_state=0)
    grid = GridSearchCV(make_pipeline(MinMaxScaler(), mlp), GRID, cv=3)
    started = time.perf_counter()
    grid.fit(X, y)
    seconds = time.perf_counter() - started
    return Found(grid, grid.score(X_test, y_test), grid.predict_proba(X_test), seconds)


def main() -> None:
    """Search with both, print what they found and how far it is apart."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # 30 epochs are enough to compare
    split = train_test_split(*load_digits(return_X_y=True), test_size=0.2, random_state=0)
    libraries = ("sklearn.neural_network", "portable_nn")
    theirs, ours = (search(library, split) for library in libraries)
    print(f"{'from ... import MLPClassifier':31}  {'CV score':>8}  {'test':>6}  {'seconds':>7}  best")
    for library, found in zip(libraries, (theirs, ours), strict=True):
        best = ", ".join(str(v) for v in found.search.best_params_.values())
        score = found.search.best_score_
        print(f"{library:31}  {score:8.4f}  {found.accuracy:6.2%}  {found.seconds:7.1f}  {best}")
    apart = np.max(np.abs(theirs.probabilities - ours.probabilities))
    scores = [f.search.cv_results_["mean_test_score"] for f in (theirs, ours)]
    apart_in_score = np.max(np.abs(scores[0] - scores[1]))
    print(f"largest difference of the test probabilities: {apart:.1e}")
    print(f"largest difference of the {len(scores[0])} CV scores: {apart_in_score:.1e}")


if __name__ == "__main__":
    main()
