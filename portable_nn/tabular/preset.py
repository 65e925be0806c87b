"""The settings of the networks and their training: found on public tables, for no single one of them.

How they were found, and what was tried beside them, stands in benchmarks/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Preset:
    """How a stack of networks is built and trained.

    Parameters
    ----------
    networks : int
        How many.
    widths : tuple of int
        Units of the hidden layers.
    activation : str
        Of the hidden layers.
    epochs, batch_size : int
        Of the training.
    learning_rate : float
        The first one of AdamW; it falls to 0 along half a cosine.
    weight_decay : float
        Of the weights, multiplied by the learning rate.
    beta_2 : float
        Of AdamW.
    dropout : float
        Of hidden units.
    bins : int
        Where it is not 0, numbers are given a second time, as how far they are through so many bins
        between their quantiles (`PiecewiseLinear`).
    dim : int
        The length of the vectors of categories.
    """

    networks: int = 4
    widths: tuple[int, ...] = (128, 128, 128)
    activation: str = "selu"
    epochs: int = 128
    batch_size: int = 256
    learning_rate: float = 0.0025
    weight_decay: float = 0.3
    beta_2: float = 0.95
    dropout: float = 0.2
    bins: int = 0
    dim: int = 8


OF_CLASSES = Preset()
OF_VALUES = Preset(learning_rate=0.005, dropout=0.1, bins=32)


def preset_of_classes(name: str) -> Preset:
    """The settings for classes."""
    return replace(OF_CLASSES, networks=2, epochs=64) if name == "fast" else OF_CLASSES


def preset_of_values(name: str) -> Preset:
    """The settings for numbers; bins are finer where there is time for them."""
    return replace(OF_VALUES, networks=2, epochs=64, bins=16) if name == "fast" else OF_VALUES
