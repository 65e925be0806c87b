"""Checkpoints: a training is saved while it runs, and goes on from there to the same bits."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import to_host
from portable_nn.checks import POSITIVE, check_number, check_whole
from portable_nn.training.callbacks import Callback, TrainingState
from portable_nn.training.resuming import check_path, check_states, older, write_snapshot
from portable_nn.training.snapshots import Snapshot


class Checkpoint(Callback):
    """A callback that saves the training, so that `fit` can resume it where it was interrupted.

    A training that is killed at any moment and resumed, by ``fit(..., resume=path)`` with the same
    arguments and data, gives the parameters, the history and the best epoch of one that was never
    interrupted: to the bit on NumPy and on torch's CPU; on JAX, which compiles a single step apart
    from several, with `every_epochs`, and to rounding with the other two.

    Parameters
    ----------
    path : str or path
        The file. It is replaced as a whole: whatever happens, there is a complete one.
    every_epochs : int, optional
        Save after so many epochs, >= 1; by default 1 if neither of the next two is given.
    every_steps : int, optional
        Save after so many updates, >= 1, within epochs too.
    every_seconds : float, optional
        Save when so many seconds have passed, > 0: at the end of an epoch, or about 20 times within an
        epoch that is longer than half a second.
    keep : int
        How many of the last checkpoints are kept, >= 1: `path` is the newest, ``path.1`` the one before.

    Raises
    ------
    TypeError, ValueError
        For arguments that are not of this form, or more than one `every_...`.
    OSError
        When training begins, if there is no folder for the file or it cannot be written to. A checkpoint
        that cannot be written later (the disk is full) is a warning, and training goes on.

    Notes
    -----
    Saved are the parameters, the optimizer's state, the state of the generator that orders and dropout
    masks are drawn from, the part of the epoch that is done, the history, what early stopping knows, and
    what callbacks give by ``state_dict()``. A last checkpoint is saved when training ends: resumed with
    more `epochs` it is trained further. Functions (a schedule, `epoch_order`, metrics) are not saved:
    they are compared by their names, and have to do the same again. Data are compared by shape, dtype
    and checksum: of arrays of more than 64 MB, that of evenly spaced rows. A callback that remembers
    something and has no `state_dict` begins anew, and what is counted in `on_batches_end`, which is
    called by the clock, differs from run to run.

    A run may be resumed with another library or device, within rounding, with `stream`, and with more
    epochs. One path is for one training: the fits of a search or of a loop would overwrite each other's.
    `params` are those that the training began with; they are compared too.

    Examples
    --------
    Start, or go on if the file is there; ``resume="run.ckpt"`` asks for the file:

    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net, X = pnn.Network((1, 1), ("identity",), "squared_error"), np.ones((4, 1), "float32")
    >>> start, checkpoint = net.initialize(), pnn.Checkpoint("run.ckpt", every_epochs=2)
    >>> for epochs in (3, 5):
    ...     params, history = pnn.fit(net, start, X, X, epochs=epochs, callbacks=[checkpoint],
    ...                               resume=checkpoint)
    ...     print(history.epochs)
    3
    5
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every_epochs: int | None = None,
        every_steps: int | None = None,
        every_seconds: float | None = None,
        keep: int = 2,
    ) -> None:
        given = [every for every in (every_epochs, every_steps, every_seconds) if every is not None]
        if len(given) > 1:
            raise ValueError(
                f"`every_epochs` is {every_epochs!r}, `every_steps` {every_steps!r} and `every_seconds` "
                f"{every_seconds!r}; accepted: one of them"
            )
        self.path = check_path("path", path)
        if not given:
            every_epochs = 1
        self.every_epochs = self.pauses_every = self.every_seconds = None
        if every_epochs is not None:
            self.every_epochs = check_whole("every_epochs", every_epochs, 1)
        if every_steps is not None:
            self.pauses_every = check_whole("every_steps", every_steps, 1)
        if every_seconds is not None:
            self.every_seconds = check_number("every_seconds", every_seconds, POSITIVE)
        self.within_epochs = self.every_epochs is None
        self.keep = check_whole("keep", keep, 1)
        self.saved_at = (-1, -1)  # epoch and update
        self.last_time = time.monotonic()

    def __repr__(self) -> str:
        when = {"epochs": self.every_epochs, "steps": self.pauses_every, "seconds": self.every_seconds}
        given = [f"every_{name}={value}" for name, value in when.items() if value is not None]
        return f"Checkpoint({self.path!r}, {given[0]}, keep={self.keep})"

    def on_train_begin(self, state: TrainingState) -> None:
        """Check that the training can be resumed, and the file be written.

        Parameters
        ----------
        state : TrainingState
            That before the first epoch.

        Raises
        ------
        TypeError, ValueError
            If the training cannot be resumed, or a callback's `state_dict` gives what cannot be saved.
        OSError
            If there is no folder for the file, or it cannot be written to.
        """
        if state.snapshot is None:
            raise ValueError(
                "`callbacks` holds a Checkpoint, and this training cannot be resumed; accepted: one by "
                "mini-batches, such as that of portable_nn.fit"
            )
        check_states(state.snapshot().record["callbacks"])
        check_writable(self.path)
        self.saved_at, self.last_time = (state.epoch, state.step), time.monotonic()

    def on_batches_end(self, state: TrainingState, done: int, total: int) -> None:
        """Called within an epoch.

        Parameters
        ----------
        state : TrainingState
            That of the epoch before; its `snapshot` is up to date.
        done, total : int
            How many of the epoch's batches have been sent to the device, and how many there are.
        """
        if done < total and (self.pauses_every is not None or self.is_late()):
            snapshot: Snapshot = state.snapshot()  # type: ignore[misc]  # checked when training began
            if self.pauses_every is None or snapshot.optimizer_state.t % self.pauses_every == 0:
                self.save(snapshot)

    def on_epoch_end(self, state: TrainingState) -> None:
        is_due = self.every_epochs is not None and state.epoch % self.every_epochs == 0
        is_due |= self.pauses_every is not None and state.step % self.pauses_every == 0
        if is_due or self.is_late():
            self.save(state.snapshot())  # type: ignore[misc]

    def on_train_end(self, state: TrainingState) -> None:
        if state.snapshot is not None and self.saved_at != (state.epoch, state.step):
            self.save(state.snapshot())

    def is_late(self) -> bool:
        """Whether `every_seconds` have passed since the last checkpoint.

        Returns
        -------
        bool
            False without `every_seconds`.
        """
        if self.every_seconds is None:
            return False
        return time.monotonic() - self.last_time >= self.every_seconds

    def save(self, snapshot: Snapshot) -> None:
        """Save a training; a warning says so if that fails.

        Within an epoch parameters that are not finite are not saved: the end of the epoch will tell.

        Parameters
        ----------
        snapshot : Snapshot
            What ``state.snapshot()`` gives.
        """
        if snapshot.position.batches and not is_finite(snapshot.params):
            return
        try:
            keep_older(self.path, self.keep)
            write_snapshot(self.path, snapshot)
        except (OSError, TypeError, ValueError) as error:  # no disk, or a callback's state of late
            warnings.warn(
                f"the checkpoint after update {snapshot.optimizer_state.t} could not be saved: {error}; "
                "training goes on, and the checkpoint before is still there",
                stacklevel=2,
            )
        self.last_time = time.monotonic()
        self.saved_at = (snapshot.position.epoch, snapshot.optimizer_state.t)


def checkpoints_last(callbacks: Sequence[Any]) -> list[Any]:
    """The callbacks, checkpoints last: they save what the others remember of an epoch too."""
    return sorted(callbacks, key=lambda each: isinstance(each, Checkpoint))


def is_finite(tree: trees.Tree) -> bool:
    """Whether all arrays are, on any device."""
    return all(bool(np.isfinite(to_host(array)).all()) for array in trees.leaves(tree))


def check_writable(path: str) -> None:
    """Raise OSError where no file could be written at the path: before anything is trained."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder!r} for the checkpoint {path!r}; create it")
    if os.path.isdir(path):
        raise IsADirectoryError(f"the path of the checkpoint is a folder, {path!r}; give that of a file")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder of the checkpoint {path!r} cannot be written to")


def keep_older(path: str, keep: int) -> None:
    """Make the newest checkpoint the one before, and so on; the newest stays where it is, if it can."""
    if keep == 1 or not os.path.exists(path):
        return
    for k in range(keep - 1, 1, -1):
        if os.path.exists(older(path, k - 1)):
            os.replace(older(path, k - 1), older(path, k))
    second = older(path, 1)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(second)
    try:
        os.link(path, second)
    except OSError:  # a file system without links
        os.replace(path, second)
