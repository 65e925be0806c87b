"""The progress bar of a training, drawn by tqdm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from portable_nn.training.callbacks import Callback, TrainingState


class ProgressBar(Callback):
    """A callback that draws a bar of the epochs, with the last costs and metrics; it needs tqdm.

    Within a long epoch the bar moves too. ``fit(..., progress=True)`` draws the same bar.

    Parameters
    ----------
    **options : arguments of tqdm
        Such as ``desc="training"``, ``leave=False`` or ``file``.

    Raises
    ------
    ImportError
        If tqdm is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.ones((4, 1), "float32")
    >>> bar = pnn.ProgressBar(desc="training", leave=False)
    >>> params, history = pnn.fit(net, net.initialize(), X, X, epochs=3, callbacks=[bar])
    """

    def __init__(self, **options: Any) -> None:
        try:
            from tqdm.auto import tqdm  # noqa: PLC0415
        except ImportError:
            raise ImportError(
                "a progress bar was asked for, but the package tqdm is not installed; install it with: "
                "pip install tqdm, or leave `progress` out"
            ) from None
        self.draw, self.options = tqdm, {"unit": "epoch"} | options
        self.bar: Any = None

    def on_train_begin(self, state: TrainingState) -> None:
        self.bar = self.draw(total=state.epochs, **self.options)

    def on_batches_end(self, state: TrainingState, done: int, total: int) -> None:
        """Called after a part of an epoch.

        Parameters
        ----------
        state : TrainingState
            That of the epoch before.
        done, total : int
            How many of the epoch's batches have been sent to the device, and how many there are.
        """
        self.move_to(state.epoch + round(done / total, 2))

    def on_epoch_end(self, state: TrainingState) -> None:
        last = {name: values[-1] for name, values in state.history.curves.items()}
        postfix = {name: f"{np.mean(value):.4g}" for name, value in last.items()}
        self.bar.set_postfix(postfix, refresh=False)
        self.move_to(state.epoch)

    def on_train_end(self, state: TrainingState) -> None:
        self.close()

    def move_to(self, epochs: float) -> None:
        """Draw the bar again, if enough time has passed.

        Parameters
        ----------
        epochs : float
            How many are done.
        """
        step = epochs - self.bar.n
        self.bar.update(step)
        self.bar.n = epochs  # without rounding errors, and whole after a whole epoch

    def close(self) -> None:
        """Draw the bar a last time."""
        if self.bar is not None:
            self.bar.close()


@contextmanager
def progress_bar(wanted: bool) -> Iterator[list[Callback]]:
    """A callback that draws a bar, if one is wanted; the bar is closed in any case."""
    bars = [ProgressBar()] if wanted else []
    try:
        yield list(bars)
    finally:
        for bar in bars:
            bar.close()
