"""Probabilities that hold what they say, and sets of classes that contain the true one.

Guo et al., "On calibration of modern neural networks", 2017; Sadinle, Lei and Wasserman, "Least
ambiguous set-valued classifiers with bounded error levels", 2019.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from portable_nn.tabular.columns import Host

HOTTEST = 20.0  # temperatures are sought between 1/20 and 20
SMALLEST = 1e-30  # a probability that is 0 in float32 may be that of the true class


def tempered(P: Host, temperature: float) -> Host:
    """Probabilities P (n, n_classes) at a temperature T: p^(1/T), divided by their sum; in float64."""
    logits = np.log(np.maximum(P.astype(np.float64), SMALLEST)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Host = raised / raised.sum(axis=1, keepdims=True)
    return found


def log_loss(P: Host, codes: Host, weight: Host | None) -> float:
    """The mean of -log p of the true classes, whose numbers are `codes` (n,)."""
    of_true = np.log(np.maximum(P[np.arange(len(codes)), codes], SMALLEST))
    return -float(np.average(of_true, weights=weight))


def fit_temperature(P: Host, codes: Host, weight: Host | None) -> float:
    """The temperature T with the lowest log loss on n rows that were not learned from.

    As if log T were from N(0, 1) before they were seen: (log T)^2 / 2n is added, so that few rows which
    happen to be right make no one sure.
    """

    def loss(logarithm: float) -> float:
        prior = logarithm**2 / (2 * len(codes))
        return log_loss(tempered(P, np.exp(logarithm)), codes, weight) + prior

    bound = np.log(HOTTEST)
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x))


def class_scores(P: Host, codes: Host) -> Host:
    """1 - p of the true class of each row that was not learned from, sorted, (n, 1)."""
    found: Host = np.sort(1 - P[np.arange(len(codes)), codes])[:, None]
    return found
