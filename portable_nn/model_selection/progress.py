"""The progress bar of a pass: how many epochs its networks have behind them, all together."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from portable_nn.training.progress import ProgressBar

INTERVAL = 0.1  # seconds between two looks at the counts


@contextmanager
def progress_of(estimators: Sequence[Any], wanted: bool) -> Iterator[None]:
    """Draw a bar while the estimators are trained, if one is wanted.

    Its end is the sum of `max_iter`; networks that stop earlier bring it nearer once all are trained.
    """
    if not wanted:
        yield
        return
    plural = "s" * (len(estimators) > 1)
    drawn, over = ProgressBar(desc=f"{len(estimators)} network{plural}"), threading.Event()
    drawn.bar = drawn.draw(total=sum(e.max_iter for e in estimators), **drawn.options)

    def move() -> None:
        drawn.move_to(sum(e.n_iter_ for e in estimators))

    def follow() -> None:
        while not over.wait(INTERVAL):
            move()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        over.set()
        follower.join()
        drawn.bar.total = sum(e.n_iter_ for e in estimators)
        move()
        drawn.close()
