"""What one call of fit is about, checked and placed, before anything of the estimator is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn.backends import Backend
from portable_nn.equations import Parameters
from portable_nn.network import Network
from portable_nn.training.data import Data, mean_of

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
    "be preprocessed. It happened in iteration {}; the weights before it are kept"
)
Judge = Callable[[Any, Parameters], float]


@dataclass
class Problem:
    """The data on its device, the network to be trained with it, and what judges it.

    Attributes
    ----------
    train : Data
        All the rows; no copy is made of those that are learned from.
    random : numpy.random.RandomState
        What the shuffles and the dropout masks are drawn with.
    rows : array of int, or None
        Which of the rows are learned from; None: all.
    validation : Data or None
        The rows held out.
    judge : function or None
        ``judge(estimator, params)``: the validation score.
    """

    backend: Backend
    net: Network
    train: Data
    random: np.random.RandomState
    rows: np.ndarray[Any, Any] | None = None
    validation: Data | None = None
    judge: Judge | None = None

    @property
    def n(self) -> int:
        """How many rows are learned from."""
        return int(self.train.X.shape[0]) if self.rows is None else len(self.rows)


def take(backend: Backend, data: Data, rows: np.ndarray[Any, Any]) -> Data:
    """Some rows of the data, to be judged by."""
    xp = backend.xp
    index = backend.asarray(rows, dtype=backend.index_dtype())
    weight = None if data.weight is None else xp.take(data.weight, index, axis=0)
    X, Y = xp.take(data.X, index, axis=0), xp.take(data.Y, index, axis=0)
    return Data(X, Y, weight, mean_of(backend, weight))
