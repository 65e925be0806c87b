"""A table in, calibrated probabilities out: numbers, words, gaps, and nothing to prepare.

    python examples/tabular.py

The table is made up: customers of a telephone company, and who leaves. It has numbers, some of them
missing, categories of few and of many levels, and truth values. How likely each customer is to leave is
known here, so that what the classifier says can be compared with it. A picture is saved. It needs:

    pip install scikit-learn matplotlib pandas
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from command_line import get_backend, parser

import portable_nn as pnn

try:
    import pandas as pd
    from matplotlib.figure import Figure  # without pyplot: no window, pictures drawn by Agg
    from sklearn.inspection import partial_dependence, permutation_importance
    from sklearn.metrics import log_loss
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install scikit-learn matplotlib pandas"
    )

PLANS = {"monthly": 1.2, "yearly": -0.6, "two years": -1.5}
TOWNS = 60


def customers(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A table of customers, and how likely each of them is to leave."""
    random = np.random.default_rng(seed)
    town = random.integers(0, TOWNS, n)
    plan = random.choice(list(PLANS), n, p=[0.5, 0.3, 0.2])
    months, bill = random.exponential(20, n), random.gamma(4, 15, n)
    score = np.vectorize(PLANS.get)(plan) - 0.06 * months + 0.02 * (bill - 60) + np.sin(town)
    calls = random.poisson(1.5, n)
    score += 0.8 * (calls > 3)
    table = pd.DataFrame(
        {
            "months": months,
            "bill": np.where(random.random(n) < 0.1, np.nan, bill),  # some are missing
            "calls": calls,
            "plan": pd.Categorical(plan),
            "town": [f"town {k}" for k in town],
            "paperless": random.random(n) < 0.5,
        }
    )
    return table, 1 / (1 + np.exp(-score))


def draw(clf: pnn.TabularClassifier, X: pd.DataFrame, y: np.ndarray, path: Path) -> None:
    """How reliable the probabilities are, what matters, and how one column does."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    reliable, important, one = figure.subplots(1, 3)
    pnn.ReliabilityDisplay.from_estimator(clf, X, y, ax=reliable, color="tab:blue")
    found = permutation_importance(clf, X, y, scoring="neg_log_loss", n_repeats=5, random_state=0)
    order = np.argsort(found.importances_mean)
    important.barh(
        [X.columns[k] for k in order], found.importances_mean[order], xerr=found.importances_std[order]
    )
    important.set(xlabel="Log loss that shuffling the column costs")
    curve = partial_dependence(clf, X, ["months"], grid_resolution=30)
    one.plot(curve["grid_values"][0], curve["average"][0], color="tab:blue")
    one.set(xlabel="months", ylabel="Mean probability of leaving", ylim=(0, None))
    figure.savefig(path, dpi=120)


def main() -> None:
    """Learn, say how sure that is, and draw."""
    given = parser("A table in, calibrated probabilities out.").parse_args()
    get_backend(given.backend, given.device)
    X, likely = customers(4000, 0)
    leaves = np.where(np.random.default_rng(1).random(4000) < likely, "leaves", "stays")
    X_test, likely_test = customers(4000, 2)
    leaves_test = np.where(np.random.default_rng(3).random(4000) < likely_test, "leaves", "stays")

    clf = pnn.TabularClassifier(random_state=0, backend=given.backend, device=given.device)
    clf.fit(X, leaves)

    P = clf.predict_proba(X_test)
    best = log_loss(leaves_test, np.column_stack([likely_test, 1 - likely_test]))
    print(f"accuracy {clf.score(X_test, leaves_test):.3f} on customers it has not seen")
    print(f"log loss {log_loss(leaves_test, P):.4f}; with the true probabilities {best:.4f}")
    print(f"probabilities are off by {np.mean(np.abs(P[:, 0] - likely_test)):.3f} on average")
    sets = clf.predict_set(X_test, coverage=0.9)
    is_in = sets[np.arange(len(sets)), np.searchsorted(clf.classes_, leaves_test)]
    size = sets.sum(axis=1).mean()
    print(f"sets for 90%: the truth is in {is_in.mean():.1%}; {size:.2f} classes each")
    new = X_test.head(3).assign(town="a town never seen", plan=None)
    print(f"of towns and plans never seen: {np.round(clf.predict_proba(new)[:, 0], 2)}")

    given.output.mkdir(parents=True, exist_ok=True)
    draw(clf, X_test, leaves_test, given.output / "tabular.png")
    pnn.save(given.output / "tabular.pnn", clf)
    again = pnn.load(given.output / "tabular.pnn")
    assert (again.predict_proba(X_test) == clf.predict_proba(X_test)).all() or given.backend != "numpy"
    print(f"saved {given.output / 'tabular.png'} and {given.output / 'tabular.pnn'}")


if __name__ == "__main__":
    main()
