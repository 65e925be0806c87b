"""Callbacks: what they are shown, and how they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from portable_nn.equations import Parameters
from portable_nn.optimizers import OptimizerState
from portable_nn.training.history import History


@dataclass(eq=False)
class TrainingState:
    """What a callback is shown: read it, and call `stop` to end the training after this epoch.

    Attributes
    ----------
    epoch, epochs : int
        The epoch just completed (1, 2, ...), and how many there are to be.
    stopped : str
        Why the training ends after this epoch; "" while it goes on.
    params : list of (W, b)
        The current parameters, on their device.
    history : History
        What has been recorded, this epoch included.
    optimizer_state : OptimizerState or None
        What the optimizer remembers; None where there is no optimizer of ours (L-BFGS).
    """

    epochs: int
    params: Parameters
    history: History
    optimizer_state: OptimizerState | None
    epoch: int = 0
    stopped: str = ""

    @property
    def step(self) -> int:
        """How many updates have been made."""
        return 0 if self.optimizer_state is None else self.optimizer_state.t

    def stop(self, reason: str = "callback") -> None:
        """End the training after this epoch, or before the first.

        `reason` becomes ``history.stopped_by``.
        """
        self.stopped = self.stopped or reason or "callback"


class Callback:
    """Methods that `fit` calls; override those you need.

    A callback may also have ``on_batches_end(state, done, total)``, which is called within long epochs,
    about 20 times in each, when `done` of the epoch's `total` batches have been sent to the device.
    """

    def on_train_begin(self, state: TrainingState) -> None:
        """Before the first epoch; ``state.epoch`` is 0, ``state.params`` where training starts."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """After each epoch; its costs are the last in ``state.history``, as numbers on the host."""

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


def watcher(callbacks: Iterable[Any], state: TrainingState) -> Callable[[int, int], None] | None:
    """``watch(done, total)``, to be called within an epoch; None if no callback wants to be told."""
    methods = [getattr(callback, "on_batches_end", None) for callback in callbacks]
    told = [method for method in methods if method is not None]

    def watch(done: int, total: int) -> None:
        for method in told:
            method(state, done, total)

    return watch if told else None


def call(callbacks: Iterable[Any], name: str, state: TrainingState) -> None:
    """Call the method of this name of every callback that has it."""
    for callback in callbacks:
        method = getattr(callback, name, None)
        if method is not None:
            method(state)
