"""scikit-learn's cross-validation, its networks trained together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from sklearn import model_selection

from portable_nn.model_selection.context import check_max_stack_bytes, gathered
from portable_nn.model_selection.docs import OF_PASSES, extended
from portable_nn.model_selection.tasks import MAX_STACK_BYTES, Settings

SUMMARY = """\
scikit-learn's `{name}`, which trains networks of one structure in one pass.

Parameters and results are those of `sklearn.model_selection.{name}`. What is no `MLPClassifier` or
`MLPRegressor` of this package, or cannot be stacked, is fitted as there. `pre_dispatch` says nothing
here: `max_stack_bytes` does.
"""


def together(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of scikit-learn's, with two parameters more: `max_stack_bytes` and `progress`."""

    @functools.wraps(function)
    def run(
        *arguments: Any,
        max_stack_bytes: int = MAX_STACK_BYTES,
        progress: bool = False,
        **named: Any,
    ) -> Any:
        settings = Settings(check_max_stack_bytes(max_stack_bytes), named.get("verbose", 0), progress)
        with gathered(settings):
            return function(*arguments, **named)

    signature, own = inspect.signature(function), inspect.signature(run, follow_wrapped=False)
    more = [own.parameters[name] for name in ("max_stack_bytes", "progress")]
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *more]
    )
    run.__module__ = __name__
    summary = SUMMARY.format(name=function.__name__)
    run.__doc__ = extended(summary, function.__doc__, {"Parameters": OF_PASSES, "Returns": ""})
    return run


cross_validate = together(model_selection.cross_validate)
cross_val_score = together(model_selection.cross_val_score)
cross_val_predict = together(model_selection.cross_val_predict)
learning_curve = together(model_selection.learning_curve)
validation_curve = together(model_selection.validation_curve)
permutation_test_score = together(model_selection.permutation_test_score)
