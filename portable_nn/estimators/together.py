"""Several estimators trained together: those of one structure are one stack."""

from __future__ import annotations

from collections.abc import Sequence

from portable_nn.estimators import minibatches
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.gathering import Member
from portable_nn.training.resuming import Resumption


def train_together(members: Sequence[Member]) -> int:
    """Train the estimators of the members; how many stacks that took.

    What a training ends with is in ``member.error``; the others go on.
    """
    for member in members:
        e = member.estimator
        try:
            callbacks = Callbacks(e, None, None, None, e.max_iter, None)
            minibatches.train(e, member.problem, False, callbacks, Resumption())
        except Exception as error:
            member.error = error
    return len(members)
