"""Early stopping: when to end a training, and which epoch's parameters to return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn.checks import NONNEGATIVE, check_flag, check_number, check_whole
from portable_nn.equations import Parameters
from portable_nn.errors import naming_ours

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation cost (the training cost without validation data) no longer falls.

    Parameters
    ----------
    patience : int
        How many epochs in a row may pass without a fall, >= 1.
    min_delta : float
        A cost counts as fallen when it is more than this below the last one that counted, >= 0.
    restore_best : bool
        Whether `fit` returns the parameters of the epoch with the lowest cost, or the last ones.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range, or `restore_best` neither True nor False.

    Examples
    --------
    The cost of these validation data rises from the first epoch on:

    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.ones((1, 1))
    >>> params = [(np.zeros((1, 1)), np.zeros((1, 1)))]
    >>> params, history = pnn.fit(net, params, X, X, pnn.SGD(0.1), epochs=100, validation=(X, -X),
    ...                           early_stopping=pnn.EarlyStopping(patience=3))
    >>> history.epochs, history.best_epoch, history.stopped_by
    (4, 1, 'early stopping')
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", check_whole("patience", self.patience, 1))
        object.__setattr__(self, "min_delta", check_number("min_delta", self.min_delta, NONNEGATIVE))
        check_flag("restore_best", self.restore_best)


EarlyStopping.__init__ = naming_ours(  # type: ignore[method-assign]
    restore_best_weights="`restore_best`",
    monitor="nothing: the validation cost is watched or, without validation data, the cost",
    n_iter_no_change="`patience`",
    tol="`min_delta`",
)(EarlyStopping.__init__)


def judge(rule: EarlyStopping, cost: Any, best: Any, bar: Any) -> tuple[Any, Any]:
    """Whether a cost is the lowest so far, and counts as fallen; of each network alike."""
    return cost < best, cost < bar - rule.min_delta


class BestSoFar:
    """The lowest cost so far, its epoch and parameters, and the epoch in which the cost last fell."""

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.cost = self.bar = float("inf")
        self.epoch = self.fallen = 0
        self.params: Parameters | None = None

    def see(self, cost: float, epoch: int, params: Parameters) -> bool:
        """Take note of an epoch; True if it is time to stop."""
        is_lowest, has_fallen = judge(self.rule, cost, self.cost, self.bar)
        if is_lowest:
            self.cost, self.epoch, self.params = cost, epoch, params
        if has_fallen:
            self.bar, self.fallen = cost, epoch
        return epoch - self.fallen >= self.rule.patience

    def state(self) -> dict[str, Any]:
        """What it knows, in plain values and arrays."""
        return {name: getattr(self, name) for name in ("cost", "bar", "epoch", "fallen")}

    def restore(self, state: dict[str, Any], params: Parameters | None) -> None:
        """Go on from what it knew; `params` are the best ones."""
        self.cost, self.bar, self.epoch, self.fallen = state.values()
        self.params = params

    def choose(self, last: Parameters) -> Parameters:
        """The parameters that `fit` returns: the best, or the last if the rule says so."""
        return self.params if self.rule.restore_best and self.params is not None else last


class BestOfEach:
    """What `BestSoFar` knows, of each network of a flat stack; their parameters are its caller's."""

    def __init__(self, rule: EarlyStopping, networks: int) -> None:
        self.rule = rule
        self.cost, self.bar = np.full(networks, np.inf), np.full(networks, np.inf)
        self.epoch, self.fallen = np.zeros(networks, int), np.zeros(networks, int)

    def see(self, members: Host, costs: Host, epoch: int) -> tuple[Host, Host]:
        """Take note of an epoch of some networks: whether it is the best of each, and its last one."""
        is_lowest, has_fallen = judge(self.rule, costs, self.cost[members], self.bar[members])
        best, fallen = members[is_lowest], members[has_fallen]
        self.cost[best], self.epoch[best] = costs[is_lowest], epoch
        self.bar[fallen], self.fallen[fallen] = costs[has_fallen], epoch
        return is_lowest, epoch - self.fallen[members] >= self.rule.patience
