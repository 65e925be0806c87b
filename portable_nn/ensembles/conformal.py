"""Intervals that hold what they say: split conformal prediction, with the spread as their scale.

A score is how far a held-out value is from the prediction, divided by the scale of its row. Whatever
the distribution of the rows, and however wrong the scale is, a new row's score is among the k smallest
of n + 1 with the probability k / (n + 1), if the rows are exchangeable: none of the held-out rows was
learned from, and the new ones come from where they came from.

Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005; Papadopoulos et al.,
"Inductive confidence machines for regression", 2002; Lei et al., "Distribution-free predictive
inference for regression", 2018.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]


def scale_of(spread: Host, noise: Host | None) -> Host:
    """The scale of each row and output: the spread of the members and the noise, sqrt(s^2 + noise^2).

    Any positive scale keeps the coverage; one that suits the errors makes the intervals short.
    """
    scale = spread if noise is None else np.hypot(spread, noise)
    return np.maximum(scale, np.finfo(np.float64).tiny)


def signed_scores(y: Host, mean: Host, scale: Host) -> Host:
    """(y - mean) / scale of each held-out row, sorted for each output: (n, n_outputs)."""
    return np.sort((y - mean) / scale, axis=0)


def fewest_rows(share: float) -> int:
    """The number of held-out rows from which on a bound with this probability is finite."""
    return math.ceil(round(share / (1 - share), 9))


def upper_score(scores: Host, share: float) -> Host:
    """What a new row's score does not exceed with at least this probability, for each output.

    The ceil(share (n + 1))-th smallest of the n sorted scores.
    """
    n = len(scores)
    k = math.ceil(round(share * (n + 1), 9))  # 0.9 * 10 is a little more than 9 in floating point
    found: Host = scores[min(max(k, 1), n) - 1]
    return found


def bound(scores: Host, quantile: float) -> Host:
    """The score at a quantile: a new row's is below with at least, or above with at least the rest."""
    if quantile >= 0.5:
        return upper_score(scores, quantile)
    return -upper_score(-scores[::-1], 1 - quantile)


def half_width(scores: Host, coverage: float) -> Host:
    """The score that no new row's absolute score exceeds, with at least this probability."""
    return upper_score(np.sort(np.abs(scores), axis=0), coverage)


def check_share(name: str, share: Any, n: int) -> float:
    """The share as a float; ValueError unless it is in (0, 1) and n held-out rows are enough for it."""
    is_number = isinstance(share, (int, float, np.number)) and not isinstance(share, bool)
    if not is_number or not 0 < share < 1:
        raise ValueError(f"`{name}` is {share!r}; accepted: a number in (0, 1), such as 0.9")
    found = float(share)
    needed = fewest_rows(max(found, 1 - found) if name == "quantiles" else found)
    if needed > n:
        raise ValueError(
            f"`{name}` is {share}, which needs {needed} held-out rows, and {n} were used to calibrate; "
            "accepted: a smaller one, or calibrate with more rows"
        )
    return found
