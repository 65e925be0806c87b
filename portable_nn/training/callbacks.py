"""Callbacks: what they are shown, and how they are called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from portable_nn.distributed import Communicator
from portable_nn.distributed.agreement import first_to, of_root
from portable_nn.distributed.communicator import is_first
from portable_nn.equations import Parameters
from portable_nn.optimizers import OptimizerState
from portable_nn.training.history import History
from portable_nn.training.snapshots import Snapshot


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
    snapshot : function or None
        What a `Checkpoint` writes; None where a training cannot be resumed (L-BFGS).

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> class Printer(pnn.Callback):
    ...     def on_epoch_end(self, state):
    ...         print(f"epoch {state.epoch} of {state.epochs}, {state.step} updates")
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.ones((6, 1), "float32")
    >>> fitted = pnn.fit(net, net.initialize(), X, X, epochs=2, batch_size=2, callbacks=[Printer()])
    epoch 1 of 2, 3 updates
    epoch 2 of 2, 6 updates
    """

    epochs: int
    params: Parameters
    history: History
    optimizer_state: OptimizerState | None
    epoch: int = 0
    stopped: str = ""
    snapshot: Callable[[], Snapshot] | None = field(default=None, repr=False)

    @property
    def step(self) -> int:
        """How many updates have been made."""
        return 0 if self.optimizer_state is None else self.optimizer_state.t

    def stop(self, reason: str = "callback") -> None:
        """End the training after this epoch, or before the first.

        Parameters
        ----------
        reason : str
            Becomes ``history.stopped_by``; that of the first call, if there are several.
        """
        self.stopped = self.stopped or reason or "callback"


class Callback:
    """Methods that `fit` calls; override those you need.

    A callback may also have ``on_batches_end(state, done, total)``. It is called within long epochs of
    one network, not of a stack, about 20 times in each, when `done` of the epoch's `total` batches have
    been sent to the device. One that remembers something from epoch to epoch may have ``state_dict()``,
    which gives it in numbers, strings, arrays, and lists and dicts of these, and
    ``load_state_dict(state)``: a `Checkpoint` saves it, and a training that is resumed puts it back
    before it goes on, after `on_train_begin`.

    Of several processes that train together (see `portable_nn.distributed`) the first one calls the
    callbacks, and all of them those that have the attribute ``every_rank = True``.

    Examples
    --------
    Stop once the cost is low enough:

    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> class Until(pnn.Callback):
    ...     def on_epoch_end(self, state):
    ...         if state.history.cost[-1] < 0.01:
    ...             state.stop("low cost")
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.ones((4, 1), "float32")
    >>> _, history = pnn.fit(net, net.initialize(), X, X, pnn.SGD(0.1), epochs=1000, callbacks=[Until()])
    >>> history.stopped_by, history.epochs < 1000
    ('low cost', True)
    """

    def on_train_begin(self, state: TrainingState) -> None:
        """Called before the first epoch.

        Parameters
        ----------
        state : TrainingState
            Its `epoch` is 0, and its `params` are those where training starts.
        """

    def on_epoch_end(self, state: TrainingState) -> None:
        """Called after each epoch.

        Parameters
        ----------
        state : TrainingState
            The costs of the epoch are the last in ``state.history``, as numbers on the host.
        """

    def on_train_end(self, state: TrainingState) -> None:
        """Called after the last epoch, whatever ended the training (an error excepted).

        Parameters
        ----------
        state : TrainingState
            That of the last epoch.
        """


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


class Watch:
    """Tells callbacks, within an epoch, that batches have been sent to the device.

    Those with `on_batches_end` are told in parts of a long epoch, unless their attribute `within_epochs`
    is False; one with the attribute `pauses_every` also after updates number `pauses_every`,
    2 `pauses_every`, ...
    """

    def __init__(self, callbacks: Iterable[Any], state: TrainingState) -> None:
        self.state = state
        listening = [each for each in callbacks if getattr(each, "within_epochs", True)]
        told = [each for each in listening if hasattr(each, "on_batches_end")]
        self.told = [(each.on_batches_end, getattr(each, "pauses_every", None)) for each in told]

    def steps_to_pause(self, t: int) -> int:
        """How many updates after the first t a callback wants to be told."""
        return min((every - t % every for _, every in self.told if every), default=sys.maxsize)

    def __call__(self, done: int, total: int, t: int, in_parts: bool) -> None:
        """`done` of the epoch's `total` batches have been sent, and t updates in all."""
        for on_batches_end, every in self.told:
            if in_parts or (every and t % every == 0):
                on_batches_end(self.state, done, total)


def watcher(callbacks: Iterable[Any], state: TrainingState) -> Watch | None:
    """What tells the callbacks within an epoch; None if none of them wants to be told."""
    watch = Watch(callbacks, state)
    return watch if watch.told else None


def call(callbacks: Iterable[Any], name: str, state: TrainingState) -> None:
    """Call the method of this name of every callback that has it."""
    for callback in callbacks:
        method = getattr(callback, name, None)
        if method is not None:
            method(state)


def called_here(callbacks: Iterable[Any], communicator: Communicator | None) -> list[Any]:
    """The callbacks that this process calls: those of process 0, or of every process."""
    return [each for each in callbacks if is_first(communicator) or getattr(each, "every_rank", False)]


def agree_to_stop(communicator: Communicator | None, state: TrainingState) -> None:
    """If a callback of one process has ended the training, it ends in all."""
    if communicator is None:
        return
    first = first_to(communicator, bool(state.stopped))
    if first is not None:
        state.stopped = of_root(communicator, state.stopped, first)
