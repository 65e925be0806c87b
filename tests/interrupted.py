"""Trainings that die, and what they left."""

from __future__ import annotations

from typing import Any

import portable_nn as pnn


class DeathError(Exception):
    """A training has died."""


class Death(pnn.Callback):
    """Ends the process, so to speak, after update number `at`, before anything else is done."""

    pauses_every = 1

    def __init__(self, at: int) -> None:
        self.at = at

    def on_batches_end(self, state: Any, done: int, total: int) -> None:
        if state.snapshot().optimizer_state.t == self.at:
            raise DeathError

    def on_epoch_end(self, state: Any) -> None:
        if state.step == self.at:
            raise DeathError


class DeathAfter(pnn.Callback):
    """Ends it after so many epochs, and looks at nothing within them."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == self.epochs:
            raise DeathError


def checkpoints(folder: Any, **when: Any) -> pnn.Checkpoint:
    """In a file of the folder."""
    return pnn.Checkpoint(folder / "run.ckpt", **when)
