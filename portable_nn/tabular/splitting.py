"""Which rows are learned from, and which are set aside to judge, stop and calibrate by."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, train_test_split

from portable_nn.tabular.columns import Host

FEWEST = 10  # with fewer rows none are set aside: what they would say is chance


def split_rows(
    n: int, share: float, strata: Host | None, groups: Any, random: np.random.RandomState
) -> tuple[Host, Host]:
    """The rows to learn from, and those set aside, which may be none.

    Every class of `strata` (n,) keeps a row to learn from, and has its share of both where it has
    enough of them; rows of one group stay together.
    """
    rows = np.arange(n)
    if share == 0 or n < FEWEST:
        return rows, rows[:0]
    if groups is not None:
        return split_groups(rows, share, strata, groups, random)
    if strata is None:
        learned, held_out = train_test_split(rows, test_size=share, random_state=random)
        return np.sort(learned), np.sort(held_out)
    counts = np.bincount(strata)
    alone = counts[strata] < 2
    pool, count = rows[~alone], max(1, round(share * n))
    if len(np.unique(strata[pool])) <= min(count, len(pool) - count):
        learned, held_out = train_test_split(
            pool, test_size=count, random_state=random, stratify=strata[pool]
        )
    else:  # more classes than rows to set aside
        order = random.permutation(pool)
        _, first = np.unique(strata[order], return_index=True)
        held_out = np.delete(order, first)[:count]
    return np.setdiff1d(rows, held_out), np.sort(held_out)


def split_groups(
    rows: Host, share: float, strata: Host | None, groups: Any, random: np.random.RandomState
) -> tuple[Host, Host]:
    """The same, whole groups at a time."""
    n_groups = len(np.unique(np.asarray(groups)))
    if n_groups < 2:
        raise ValueError(
            f"`groups` has {n_groups} group; accepted: two or more, of which some are set aside; or "
            "X_val and y_val"
        )
    folds = min(n_groups, max(2, round(1 / share)))
    smallest = 0 if strata is None else np.bincount(strata).min()
    if smallest >= folds:
        splitter: Any = StratifiedGroupKFold(folds, shuffle=True, random_state=random)
    else:
        splitter = GroupShuffleSplit(1, test_size=share, random_state=random)
    learned, held_out = next(splitter.split(rows, strata, groups))
    return learned, held_out
