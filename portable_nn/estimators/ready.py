"""What predictions need of a fitted model: prepared once, and again where the model has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn.backends import of
from portable_nn.equations import Activation, Array, Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.layers import Recipe
from portable_nn.network.prediction import prepared

FEW_ROWS = 64


class Ready:
    """Of one estimator; a copy of it, or a pickle, begins with nothing prepared."""

    def __init__(self) -> None:
        self.forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return Ready, ()

    def forget(self) -> None:
        """The model has changed."""
        self.arrays: list[Array] = []
        self.model: Recipe | None = None
        self.parameters: Parameters = []
        self.few: Callable[[Any], Any] | None = None

    def prepare(self, e: MLPAttributes, g: tuple[Activation, ...]) -> tuple[Recipe, Parameters]:
        """The model, and its parameters as the equations take them: of JAX a copy of all of them."""
        arrays = [*e.coefs_, *e.intercepts_]
        if len(arrays) != len(self.arrays) or any(
            one is not other for one, other in zip(arrays, self.arrays, strict=True)
        ):
            self.forget()
            self.arrays, self.parameters = arrays, e._params()
        if self.model is None or self.model.g != g:
            self.model = Recipe(g)
            self.few = None if e._lead else prepared(of(arrays[0]), self.model, self.parameters)
        return self.model, self.parameters

    def outputs(self, e: MLPAttributes, g: tuple[Activation, ...], X: Any) -> Any:
        """The outputs for few rows of a NumPy array, about which there is nothing to ask; else None."""
        if type(X) is not np.ndarray or X.ndim != 2 or len(X) > FEW_ROWS:
            return None
        _, params = self.prepare(e, g)
        if self.few is None or X.dtype != params[0][0].dtype or not inputs.is_plainly_right(e, X):
            return None
        return self.few(X)
