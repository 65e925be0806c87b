"""The record of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class History:
    """The record of a training, one entry per epoch.

    Attributes
    ----------
    cost : list of float
        The mean of the batches' costs J over the epoch, each counted by its examples, as they were
        before the updates made with them; with the penalty. For a stack of K networks: arrays (K,).
    validation_cost : list of float
        J over the validation data at the epoch's end, without the l2 penalty; empty without such data.
    seconds : list of float
        Wall-clock seconds of the epoch, validation included.
    learning_rate : list of float
        The learning rate of the epoch's last update; for a stack with different rates, arrays (K,).
    best_epoch : int or None
        The epoch, counted from 1, whose parameters early stopping returned; None without it.
    stopped_by : str
        "epochs", "early stopping", "callback", or the reason that a callback gave.
    optimizer_state : OptimizerState
        The optimizer's state after the last update; pass it to `fit` to continue the training.
    """

    cost: list[Any] = field(default_factory=list)
    validation_cost: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stopped_by: str = "epochs"
    optimizer_state: Any = None

    @property
    def epochs(self) -> int:
        """How many epochs were completed."""
        return len(self.cost)
