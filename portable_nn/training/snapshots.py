"""A training between two updates: what it needs to go on to the same bits."""

from __future__ import annotations

from typing import Any, NamedTuple

from portable_nn.equations import Array, Parameters
from portable_nn.layers.described import Described
from portable_nn.optimizers import OptimizerState


class Position(NamedTuple):
    """Where a training is, and what its next epoch is drawn from.

    Attributes
    ----------
    epoch : int
        How many epochs are complete.
    batches : int
        How many batches of the next one have been learned from.
    total : array
        The sum of their J B.
    before, now : dict
        The state of the draws before the order of that epoch's rows was drawn, and after the masks of
        those batches were.
    """

    epoch: int
    batches: int
    total: Array
    before: dict[str, Any]
    now: dict[str, Any]


class Start(NamedTuple):
    """What a loop starts from; `owns_state` says whether the optimizer's arrays may be overwritten.

    `epoch` is the number of epochs that have been trained before, where there is no `position`.
    """

    params: Parameters
    optimizer_state: OptimizerState
    owns_state: bool = False
    position: Position | None = None
    epoch: int = 0


class Snapshot(NamedTuple):
    """All that a training is made of.

    `record` is what its caller keeps, in plain values and arrays; `of` says who that is, "fit" or an
    estimator, `path` where the snapshot was read, and `net` what the arrays are called in a file.
    """

    params: Parameters
    optimizer_state: OptimizerState
    position: Position
    record: dict[str, Any]
    of: str = "fit"
    path: str = ""
    net: Described | None = None
