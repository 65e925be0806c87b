"""The record of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portable_nn.errors import missing_attribute

ELSEWHERE = {  # what other libraries call it
    "loss": "`cost`",
    "losses": "`cost`",
    "history": "`curves`, all that was recorded, by name",
    "val_cost": "`validation_cost`",
    "val_loss": "`validation_cost`",
    "validation_loss": "`validation_cost`",
    "accuracy": "`metrics['accuracy']`, with fit(..., metrics='accuracy')",
    "val_accuracy": "`metrics['accuracy']`, with fit(..., metrics='accuracy')",
    "loss_curve_": "`cost`",
}

RECORDED = ("cost", "validation_cost", "seconds", "learning_rate")


@dataclass(eq=False, repr=False)
class History:
    """The record of a training, one entry per epoch; ``print(history)`` sums it up in a few lines.

    Attributes
    ----------
    cost : list of float
        The mean of the batches' costs J over the epoch, each counted by its examples, as they were
        before the updates made with them; with the penalty. For a stack of K networks: arrays (K,).
    validation_cost : list of float
        J over the validation data at the epoch's end, without the l2 penalty; empty without such data.
    metrics : dict of lists of float
        The metrics by name, at the epoch's end: of the validation data if there is any, else of the
        training data.
    seconds : list of float
        Wall-clock seconds of the epoch, validation included.
    learning_rate : list of float
        The learning rate of the epoch's last update; for a stack with different rates, arrays (K,).
    best_epoch : int or None
        The epoch, counted from 1, whose parameters early stopping returned; None without it. For a
        stack an array, one number for each network.
    last_epoch, diverged : array or None
        For a stack: the last epoch that each network was trained in, and whether it diverged in the next
        one. Costs and metrics of a network are NaN after that. None for one network.
    stopped_by : str
        "epochs", "early stopping", "callback", or the reason that a callback gave.
    optimizer_state : OptimizerState
        The optimizer's state after the last update; pass it to `fit` to continue the training. None
        for a stack whose networks have made different numbers of updates.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.ones((4, 1))
    >>> params, history = pnn.fit(net, net.initialize(dtype="float64"), X, X, epochs=5, metrics="r2")
    >>> history.epochs, len(history.cost), list(history.curves), history.stopped_by
    (5, 5, ['cost', 'r2'], 'epochs')
    """

    cost: list[Any] = field(default_factory=list)
    validation_cost: list[Any] = field(default_factory=list)
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    learning_rate: list[Any] = field(default_factory=list)
    best_epoch: Any = None
    stopped_by: str = "epochs"
    optimizer_state: Any = None
    last_epoch: Any = None
    diverged: Any = None

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name, ELSEWHERE)

    @property
    def epochs(self) -> int:
        """How many epochs were completed."""
        return len(self.cost)

    @property
    def curves(self) -> dict[str, list[Any]]:
        """What was recorded of each epoch, by name: the cost, the validation cost and the metrics."""
        found = {"cost": self.cost, "validation cost": self.validation_cost} | self.metrics
        return {name: values for name, values in found.items() if values}

    def __repr__(self) -> str:
        took, unit = float(np.sum(self.seconds)), "epoch" if self.epochs == 1 else "epochs"
        best = "" if self.best_epoch is None else f", best epoch {self.best_epoch}"
        lines = [f"History: {self.epochs} {unit} in {took:.3g} s, stopped by {self.stopped_by}{best}"]
        if self.epochs:
            lines += [summary(name, values) for name, values in self.curves.items()]
            lines.append(f"  learning rate: {number(self.learning_rate[-1])} at the end")
        return "\n".join(lines)

    def state(self) -> dict[str, Any]:
        """What was recorded of each epoch: what a checkpoint holds of it.

        Returns
        -------
        dict
            Arrays by name; those of the metrics in a dict, under "metrics".
        """
        plain = {name: getattr(self, name) for name in RECORDED}
        metrics = {name: np.asarray(values) for name, values in self.metrics.items()}
        return {name: np.asarray(values) for name, values in plain.items()} | {"metrics": metrics}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Parameters
        ----------
        state : dict
            The arrays of the record, which is overwritten.
        """
        for name in RECORDED:
            getattr(self, name)[:] = entries(state[name])
        self.metrics.update({name: entries(values) for name, values in state["metrics"].items()})

    def plot(self, ax: Any = None) -> Any:
        """Draw the costs and the metrics of all epochs by matplotlib; a stack has a line per network.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw the costs; by default new ones. Metrics have their own axis, on the right.

        Returns
        -------
        ax : matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt  # noqa: PLC0415
        except ImportError:
            raise ImportError(
                "History.plot needs matplotlib; install it with: pip install matplotlib"
            ) from None
        ax = plt.subplots()[1] if ax is None else ax
        draw(ax, {"cost": self.cost, "validation cost": self.validation_cost}, 0)
        ax.set(xlabel="Epoch", ylabel="Cost")
        lines = list(ax.get_lines())
        if any(self.metrics.values()):
            right = ax.twinx()
            draw(right, self.metrics, 2)
            right.set_ylabel("Metric")
            lines += right.get_lines()
        if self.best_epoch is not None and not np.ndim(self.best_epoch):
            lines.append(ax.axvline(self.best_epoch, color="0.6", linestyle=":", label="best epoch"))
        named = [line for line in lines if not line.get_label().startswith("_")]
        ax.legend(handles=named, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
        return ax


def entries(recorded: np.ndarray[Any, Any]) -> list[Any]:
    """One for each epoch: a number or, of a stack, an array."""
    return [row.copy() if row.ndim else float(row) for row in recorded]


def number(value: Any) -> str:
    """A number in four digits; of a stack, the smallest and the largest."""
    low, high = (take.reduce(np.ravel(value)) for take in (np.fmin, np.fmax))  # NaN counts for nothing
    return f"{low:.4g} to {high:.4g}" if low != high and np.ndim(value) else f"{high:.4g}"


def summary(name: str, values: list[Any]) -> str:
    """The first, the best and the last value of a curve; the best of a cost is the lowest."""
    parts = [f"first {number(values[0])}", f"last {number(values[-1])}"]
    if "cost" in name:
        parts.insert(1, f"lowest {number(np.fmin.reduce(np.asarray(values), axis=0))}")
    return f"  {name}: " + ", ".join(parts)


def draw(ax: Any, curves: dict[str, list[Any]], first_colour: int) -> None:
    """Draw curves by their names, each in a colour of its own, dashed if they are of validation data."""
    for i, (name, values) in enumerate(curves.items(), start=first_colour):
        if values:
            style = "--" if "validation" in name else "-"
            lines = ax.plot(range(1, len(values) + 1), np.asarray(values), style, color=f"C{i}")
            lines[0].set_label(name)
