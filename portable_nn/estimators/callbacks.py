"""Callbacks of both kinds: ours, for epochs, and scikit-learn's, for the tasks of a fit."""

from __future__ import annotations

from typing import Any

from portable_nn.distributed import Communicator
from portable_nn.distributed.communicator import is_first
from portable_nn.estimators.scikit_callbacks import AutoPropagatedCallback, FitCallback
from portable_nn.training.callbacks import TrainingState, agree_to_stop, call, called_here
from portable_nn.training.checkpoints import checkpoints_last
from portable_nn.training.early_stopping import EarlyStopping
from portable_nn.training.progress import ProgressBar


def sort_callbacks(given: Any) -> tuple[list[Any], list[Any]]:
    """Ours and scikit-learn's; TypeError for what is neither."""
    ours, theirs = [], []
    for callback in given or ():
        if not isinstance(callback, type) and callable(getattr(callback, "on_epoch_end", None)):
            ours.append(callback)
        elif not isinstance(callback, type) and isinstance(callback, FitCallback):
            theirs.append(callback)
        elif callback is EarlyStopping or isinstance(callback, EarlyStopping):
            raise TypeError(
                f"`callbacks` holds {callback!r}, which is for portable_nn.fit; of an estimator set "
                "`early_stopping=True`, with `n_iter_no_change` as patience and `tol` as `min_delta`"
            )
        else:
            raise TypeError(
                f"`callbacks` holds {callback!r}; accepted: objects with `on_epoch_end(state)`, such as "
                "portable_nn.Callback, and scikit-learn's (of 1.9 or newer), such as "
                "sklearn.callback.ProgressBar()"
            )
    return ours, theirs


class Callbacks:
    """The callbacks of one call of fit or partial_fit, and their arguments.

    scikit-learn's are called for `fit` only, as in scikit-learn: those of `set_callbacks` and of the
    parameter `callbacks`, each iteration being a subtask. Of several processes the first one calls them.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        iterations: int,
        task: str | None,
        communicator: Communicator | None = None,
    ) -> None:
        self.estimator, self.task = estimator, task
        self.context: Any = None
        self.subcontext: Any = None
        self.ours, theirs = sort_callbacks(estimator.callbacks)
        is_here = is_first(communicator)
        self.communicator = communicator
        self.bars = [ProgressBar()] if estimator.verbose == "bar" and is_here else []
        self.ours = checkpoints_last([*called_here(self.ours, communicator), *self.bars])
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        if task is not None and is_here:
            self.context = self._root(theirs, iterations)

    def _root(self, theirs: list[Any], iterations: int) -> Any:
        """The context of the whole fit, if scikit-learn's callbacks listen to it."""
        e = self.estimator
        alone = getattr(e, "_skl_callbacks", [])
        if hasattr(e, "_parent_callback_ctx"):
            for callback in theirs:
                if isinstance(callback, AutoPropagatedCallback):
                    raise TypeError(
                        f"`callbacks` holds {callback!r}, and the estimator is fitted by another one; "
                        "accepted: set it on the outermost: `search.set_callbacks(...)`"
                    )
        if theirs:
            e._skl_callbacks = [*alone, *theirs]
        try:
            context = e._init_callback_context(max_subtasks=iterations)
        finally:
            if theirs and alone:
                e._skl_callbacks = alone
            elif theirs:
                del e._skl_callbacks
        return context if [*alone, *theirs] else None

    def begin(self, state: TrainingState) -> None:
        """The fit begins."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.arguments)
        call(self.ours, "on_train_begin", state)

    def begin_iteration(self) -> None:
        """An epoch, or an iteration of L-BFGS, begins."""
        if self.context is not None:
            self.subcontext = self.context.subcontext(task_name=self.task)
            self.subcontext.call_on_fit_task_begin(**self.arguments)

    def end_iteration(self, state: TrainingState) -> bool:
        """It ends; True if a callback wants the training to end with it."""
        call(self.ours, "on_epoch_end", state)
        if self.subcontext is not None and self.subcontext.call_on_fit_task_end(
            **self.arguments, reconstruction_attributes=dict
        ):
            state.stop("callback")
        agree_to_stop(self.communicator, state)
        return bool(state.stopped)

    def end(self, state: TrainingState) -> None:
        """The fit ends."""
        call(self.ours, "on_train_end", state)
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.arguments, reconstruction_attributes=dict)

    def close(self) -> None:
        """The fit is over, with or without an error."""
        for bar in self.bars:
            bar.close()
