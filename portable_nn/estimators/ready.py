"""What predictions need of a fitted model: prepared once, and again where the model has changed."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from portable_nn.backends import of
from portable_nn.equations import Activation, Array, Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.layers import Recipe
from portable_nn.network.prediction import prepared

FEW_ROWS = 64


class Prepared(NamedTuple):
    """What was prepared of these arrays and activations; `few` is a short way for few rows, if any."""

    arrays: list[Array]
    model: Recipe
    params: Parameters
    few: Callable[[Any], Any] | None


class Ready:
    """Of one estimator; a copy of it, or a pickle, begins with nothing prepared.

    What is known is replaced as a whole: threads may predict while another one fits.
    """

    def __init__(self) -> None:
        self.known: Prepared | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Ready, ()

    def forget(self) -> None:
        """The model has changed."""
        self.known = None

    def prepare(self, e: MLPAttributes, g: tuple[Activation, ...]) -> Prepared:
        """The model, and its parameters as the equations take them: of JAX a copy of all of them."""
        known, arrays = self.known, [*e.coefs_, *e.intercepts_]
        if known is not None and not are_same(arrays, known.arrays):
            known = None
        if known is None or known.model.g != g:
            model, params = Recipe(g), e._params() if known is None else known.params
            few = None if e._lead else prepared(of(arrays[0]), model, params)
            self.known = known = Prepared(arrays, model, params, few)
        return known

    def outputs(self, e: MLPAttributes, g: tuple[Activation, ...], X: Any) -> Any:
        """The outputs for few rows of a NumPy array, about which there is nothing to ask; else None."""
        if type(X) is not np.ndarray or X.ndim != 2 or len(X) > FEW_ROWS:
            return None
        known = self.prepare(e, g)
        if known.few is None or X.dtype != known.params[0][0].dtype:  # few: the model is NumPy's too
            return None
        return known.few(X) if inputs.is_plainly_right(e, X) else None


def are_same(arrays: list[Array], known: list[Array]) -> bool:
    """Whether these are the known arrays themselves."""
    return len(arrays) == len(known) and all(map(operator.is_, arrays, known))
