"""Subclasses that predict in a way of their own, which nothing but themselves can carry out."""

from __future__ import annotations

from typing import Any

PREDICTIONS = ("predict", "predict_proba", "activations")


def check_predicts_as_ours(estimator: Any) -> None:
    """Raise TypeError where a class before ours, or the estimator itself, has a prediction of its own.

    The network alone would leave that prediction, and predict something else.
    """
    kinds = type(estimator).__mro__
    ours = next((k for k, kind in enumerate(kinds) if kind.__module__.startswith("portable_nn.")), 0)
    before = [(f"{kind.__module__}.{kind.__qualname__}", vars(kind)) for kind in kinds[:ours]]
    for where, names in [("the estimator itself", vars(estimator)), *before]:
        own = [name for name in PREDICTIONS if name in names]
        if own:
            raise TypeError(
                f"`{own[0]}` of {kinds[0].__name__} is defined by {where}, which an export "
                f"would leave out; accepted: a subclass without {', '.join(PREDICTIONS)} of its own; "
                f"fit a {kinds[ours].__name__}, or export (net, params)"
            )
