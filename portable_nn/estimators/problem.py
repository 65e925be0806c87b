"""What one call of fit is about: checked and placed before anything of the estimator is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn.backends import Backend
from portable_nn.distributed import Communicator
from portable_nn.equations import Parameters
from portable_nn.estimators.sparse import SparseRows
from portable_nn.network import Network
from portable_nn.network.objective import Batch
from portable_nn.training.data import DeviceSource

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
    "be preprocessed. It happened in iteration {}; the weights before it are kept"
)
NOT_YET = " and the optimization hasn't converged yet."
Judge = Callable[[Any, Parameters], float]  # (estimator, params): the validation score


@dataclass
class Problem:
    """The data on its device, the network to be trained with it, and what judges it.

    Attributes
    ----------
    train : DeviceSource
        All the rows; those that are learned from are not copied.
    random : numpy.random.RandomState
        What the shuffles and the dropout masks are drawn with.
    random_start : dict
        Its state before anything was drawn.
    rows : array of int, or None
        Which of the rows are learned from; None: all.
    validation : DeviceSource or None
        The rows held out.
    judge : function or None
        ``judge(estimator, params)``: the validation score.
    smoothing : float
        The share of the targets that is spread over all classes.
    communicator : Communicator or None
        The processes that train together.
    """

    backend: Backend
    net: Network
    train: DeviceSource
    random: np.random.RandomState
    random_start: dict[str, Any]
    rows: np.ndarray[Any, Any] | None = None
    validation: DeviceSource | None = None
    judge: Judge | None = None
    smoothing: float = 0.0
    communicator: Communicator | None = None

    @property
    def n(self) -> int:
        """How many rows are learned from."""
        return self.train.n if self.rows is None else len(self.rows)

    @property
    def learned_from(self) -> Batch:
        """The rows that are learned from, at once: for a method that takes no batches."""
        data = self.train.all
        if self.rows is None:
            return data
        xp = self.backend.xp
        index = self.backend.asarray(self.rows, dtype=self.backend.index_dtype())
        weight = None if data.weight is None else xp.take(data.weight, index, axis=0)
        X = (
            data.X.take(self.rows, 0)
            if isinstance(data.X, SparseRows)
            else xp.take(data.X, index, axis=0)
        )
        return data._replace(X=X, Y=xp.take(data.Y, index, axis=0), weight=weight)

    def draw_from(self, random: np.random.RandomState) -> None:
        """Draw from this generator from now on."""
        self.random, self.random_start = random, random.get_state(legacy=False)
