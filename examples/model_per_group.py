"""A small model for each of 1,000 groups, such as shops or sensors: trained in one pass.

    python examples/model_per_group.py

The groups have 200 rows each in one table, and each network has its own rows of it: `rows`, a list of
row numbers, so that nothing is copied. Beside it, a sample of the loop that trains one after another.
"""

from __future__ import annotations

import time

import numpy as np

import portable_nn as pnn

GROUPS, ROWS, INPUTS = 1000, 200, 8
LOOPED = 20  # groups of the loop that are timed
NET = pnn.Network((INPUTS, 16, 1), ("tanh", "identity"), "squared_error")
SETTINGS = {"optimizer": pnn.Adam(0.01), "epochs": 30, "batch_size": 50}


def table(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, Y and the group of each row, in no order; each group has a function of its own."""
    X = random.normal(size=(GROUPS * ROWS, INPUTS)).astype("float32")
    group = random.permutation(np.repeat(np.arange(GROUPS), ROWS))
    slopes = random.normal(size=(GROUPS, INPUTS)).astype("float32")
    Y = np.sin(np.sum(slopes[group] * X, axis=1) / 2)
    return X, Y[:, None] + 0.1 * random.normal(size=Y[:, None].shape).astype("float32"), group


def main() -> None:
    """Train all in one pass, and some one after another; both are the same networks."""
    X, Y, group = table(np.random.default_rng(0))
    order = np.argsort(group, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    seeds = list(range(GROUPS))
    params = NET.initialize(seed=seeds, stack=(GROUPS,))

    pnn.fit(NET, NET.initialize(), X[:ROWS], Y[:ROWS], **SETTINGS | {"epochs": 1})  # compiled once
    started = time.perf_counter()
    alone = []
    for k in range(LOOPED):
        own = NET.initialize(seed=k)
        alone.append(pnn.fit(NET, own, X[rows[k]], Y[rows[k]], seed=k, **SETTINGS))
    loop = (time.perf_counter() - started) * GROUPS / LOOPED

    started = time.perf_counter()
    params, history = pnn.fit(NET, params, X, Y, seed=seeds, rows=rows, **SETTINGS)
    one_pass = time.perf_counter() - started

    differences = [
        np.abs(ours[k] - theirs).max()
        for k, (single, _) in enumerate(alone)
        for ours, theirs in zip(sum(params, ()), sum(single, ()), strict=True)
    ]
    cost = np.mean(history.cost[-1])
    print(f"{GROUPS} networks in one pass: {one_pass:.1f} s, mean cost {cost:.4f}")
    print(f"one after another: {loop:.1f} s, from {LOOPED} of them: {loop / one_pass:.1f} times as long")
    print(f"largest difference of a parameter: {max(differences):.1e}")


if __name__ == "__main__":
    main()
