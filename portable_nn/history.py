"""What a training run records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """One entry per epoch; read from the device once an epoch.

    Attributes
    ----------
    cost : list of float
        The mean of the batches' costs J over the epoch, each weighted by its examples, as they were
        before the updates made with them. For a stack of K networks: arrays (K,).
    validation_cost : list of float
        J over the validation data at the epoch's end, without the l2 penalty; empty without such data.
    seconds : list of float
        Wall-clock seconds of the epoch, validation included.
    learning_rate : list of float
        That of the epoch's last update.
    best_epoch : int or None
        The epoch, counted from 1, whose parameters early stopping gives back; None without it.
    stopped_by : str
        "epochs", "early stopping" or "callback".
    """

    cost: list[Any] = field(default_factory=list)
    validation_cost: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stopped_by: str = "epochs"

    @property
    def epochs(self) -> int:
        """How many epochs were completed."""
        return len(self.cost)
