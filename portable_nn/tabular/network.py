"""The network of a preset, for rows that an encoding has made."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.layers import Embedding, PiecewiseLinear
from portable_nn.network import Network
from portable_nn.tabular.columns import Host
from portable_nn.tabular.encoding import Encoding
from portable_nn.tabular.preset import Preset

FEWEST_VALUES = 4  # of a column, for bins to say more about it than itself


def network_of(preset: Preset, encoding: Encoding, X: Host, outputs: int, loss: str) -> Network:
    """The network, whose bins are between quantiles of the rows X (n, n_0)."""
    first: list[Any] = []
    n, embedded = X.shape[1], encoding.embedded
    if embedded:
        levels = {n - len(embedded) + k: each.count for k, each in enumerate(embedded)}
        first.append(Embedding(levels, dim=preset.dim))
    if preset.bins:
        d = len(encoding.numbers)  # the second time they come is for the bins
        fine = [j for j in range(d, 2 * d) if len(np.unique(X[:, j])) >= FEWEST_VALUES]
        if fine:
            first.append(PiecewiseLinear.from_data(X, preset.bins, fine))
    hidden = [each for units in preset.widths for each in (units, preset.activation)]
    output = ["softmax"] if loss == "categorical_cross_entropy" else []
    return Network((n, *first, *hidden, outputs, *output), loss=loss)
