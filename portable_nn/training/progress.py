"""The progress bar of a training, drawn by tqdm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from portable_nn.training.callbacks import Callback, TrainingState


@contextmanager
def progress_bar(wanted: bool, epochs: int) -> Iterator[Callback]:
    """A callback that draws a bar, or does nothing; the bar is closed in any case."""
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

    with tqdm(total=epochs, unit="epoch") as bar:

        class Bar(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                costs = {"cost": state.history.cost[-1]}
                if state.history.validation_cost:
                    costs["validation"] = state.history.validation_cost[-1]
                bar.set_postfix({name: f"{np.mean(cost):.4g}" for name, cost in costs.items()})
                bar.update()

        yield Bar()
