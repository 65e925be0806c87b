"""Tables to learn from: numbers, few and many categories, gaps; and what follows from them."""

from __future__ import annotations

import numpy as np

QUICK = {"n_estimators": 2, "max_iter": 4, "random_state": 0}
SHORT = {"n_estimators": 2, "max_iter": 24, "random_state": 0}


def table(n=400, seed=0):
    """A frame of pandas, and numbers y that depend on all its columns."""
    import pandas as pd

    random = np.random.default_rng(seed)
    level = random.integers(0, 30, n)
    X = pd.DataFrame(
        {
            "x": random.normal(size=n),
            "gaps": np.where(random.random(n) < 0.2, np.nan, random.exponential(size=n)),
            "few": pd.Categorical.from_codes(random.integers(0, 3, n), ["a", "b", "c"]),
            "many": pd.Series([f"level {k}" for k in level], dtype="str"),
            "truth": random.random(n) < 0.5,
        }
    )
    y = X["x"] + (X["few"] == "a") + np.sin(level) + 0.5 * X["truth"] + X["gaps"].fillna(2)
    return X, y.to_numpy() + 0.1 * random.normal(size=n)


def classes(n=400, seed=0):
    """The same, with classes of the numbers."""
    X, y = table(n, seed)
    return X, np.array(["low", "middle", "high"])[np.digitize(y, [0.5, 2.0])]
