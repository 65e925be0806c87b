"""What can be hooked into a training run: callbacks, early stopping, the progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn import checks
from portable_nn.equations import Parameters
from portable_nn.training.history import History


@dataclass(eq=False)
class TrainingState:
    """What a callback is shown: read it, and call `stop()` to end the training after this epoch.

    Attributes
    ----------
    epoch, epochs : int
        The epoch just completed (1, 2, ...), and how many there are to be.
    step : int
        How many updates have been made.
    stopped : str
        Why the training ends after this epoch; "" while it goes on.
    params : list of (W, b)
        The current parameters, on their device.
    history : History
        What has been recorded, this epoch included.
    optimizer_state : OptimizerState
        What the optimizer remembers.
    """

    epochs: int
    params: Parameters
    history: History
    optimizer_state: Any
    epoch: int = 0
    step: int = 0
    stopped: str = ""

    def stop(self, reason: str = "callback") -> None:
        """End the training after this epoch; `reason` becomes ``history.stopped_by``."""
        self.stopped = self.stopped or reason or "callback"


class Callback:
    """Hooks into `fit`; override those you need."""

    def on_train_begin(self, state: TrainingState) -> None:
        """Before the first epoch."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """After each epoch; its costs are in ``state.history``."""

    def on_train_end(self, state: TrainingState) -> None:
        """After the last epoch, whatever ended the training (an error excepted)."""


def check_callbacks(callbacks: Any) -> list[Any]:
    """The callbacks as a list, if each has a method `on_epoch_end`; else TypeError."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"`callbacks` is {callbacks!r}; accepted: a list of callbacks")
    found = list(callbacks)
    for callback in found:
        if isinstance(callback, type) or not callable(getattr(callback, "on_epoch_end", None)):
            raise TypeError(
                f"`callbacks` holds {callback!r}; accepted: objects with `on_epoch_end(state)`, "
                "such as one of a subclass of portable_nn.Callback"
            )
    return found


def call(callbacks: Iterable[Any], hook: str, state: TrainingState) -> None:
    """Call the hook of every callback that has it."""
    for callback in callbacks:
        method = getattr(callback, hook, None)
        if method is not None:
            method(state)


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
        Whether `fit` gives back the parameters of the epoch with the lowest cost, or the last ones.
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        checks.whole("patience", self.patience, 1)
        checks.store(self, min_delta=(0.0, float("inf"), False))
        if not isinstance(self.restore_best, bool):
            raise TypeError(f"`restore_best` is {self.restore_best!r}; accepted: True or False")


class BestSoFar:
    """The lowest cost met, when, and the parameters of that epoch; and since when it has not fallen."""

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.cost = self.bar = float("inf")
        self.epoch = self.fallen = 0
        self.params: Parameters | None = None

    def see(self, cost: float, epoch: int, params: Parameters) -> bool:
        """Take note of an epoch; True if it is time to stop."""
        if cost < self.cost:
            self.cost, self.epoch, self.params = cost, epoch, params
        if cost < self.bar - self.rule.min_delta:
            self.bar, self.fallen = cost, epoch
        return epoch - self.fallen >= self.rule.patience

    def choose(self, last: Parameters) -> Parameters:
        """The parameters that `fit` gives back: the best, or the last if the rule says so."""
        return self.params if self.rule.restore_best and self.params is not None else last


@contextmanager
def progress_bar(wanted: bool, state: TrainingState) -> Iterator[Callback]:
    """A callback that draws a bar by tqdm, or does nothing; the bar is closed in any case."""
    if not wanted:
        yield Callback()
        return
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415
    except ImportError:
        raise ImportError(
            "`progress` is True, but the package tqdm is not installed; install it with: "
            "pip install 'portable-nn[progress]', or leave `progress` out"
        ) from None

    with tqdm(total=state.epochs, unit="epoch") as bar:

        class Bar(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                costs = {"cost": state.history.cost[-1]}
                if state.history.validation_cost:
                    costs["validation"] = state.history.validation_cost[-1]
                bar.set_postfix({name: f"{np.mean(cost):.4g}" for name, cost in costs.items()})
                bar.update()

        yield Bar()
