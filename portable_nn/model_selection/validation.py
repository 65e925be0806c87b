"""scikit-learn's cross-validation, its networks trained together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from sklearn import model_selection

from portable_nn.model_selection.context import check_max_stack_bytes, gathered
from portable_nn.model_selection.docs import OF_PASSES, extended, with_example
from portable_nn.model_selection.tasks import MAX_STACK_BYTES, Settings

SUMMARY = """\
scikit-learn's `{name}`, which trains networks of one structure in one pass.

Parameters and results are those of `sklearn.model_selection.{name}`. What is no `MLPClassifier` or
`MLPRegressor` of this package, or cannot be stacked, is fitted as there. `pre_dispatch` says nothing
here: `max_stack_bytes` does.
"""


def together(function: Callable[..., Any], example: str) -> Callable[..., Any]:
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
    text = extended(summary, function.__doc__, {"Parameters": OF_PASSES, "Returns": ""})
    run.__doc__ = with_example(text, function.__name__, example)
    return run


cross_validate = together(
    model_selection.cross_validate,
    """\
>>> sorted(cross_validate(model, X, y, cv=3))
['fit_time', 'score_time', 'test_score']""",
)
cross_val_score = together(
    model_selection.cross_val_score,
    """\
>>> scores = cross_val_score(model, X, y, cv=3)
>>> scores.shape, bool(scores.mean() > 0.8)
((3,), True)""",
)
cross_val_predict = together(
    model_selection.cross_val_predict,
    """\
>>> cross_val_predict(model, X, y, cv=3).shape
(150,)""",
)
learning_curve = together(
    model_selection.learning_curve,
    """\
>>> sizes, on_train, on_test = learning_curve(model, X, y, train_sizes=[50, 100], cv=3, shuffle=True,
...                                           random_state=0)
>>> on_test.shape  # sizes, folds
(2, 3)""",
)
validation_curve = together(
    model_selection.validation_curve,
    """\
>>> on_train, on_test = validation_curve(model, X, y, param_name="alpha", param_range=[1e-4, 1e-2],
...                                      cv=3)
>>> on_test.shape  # values, folds
(2, 3)""",
)
permutation_test_score = together(
    model_selection.permutation_test_score,
    """\
>>> score, of_permutations, p = permutation_test_score(model, X, y, cv=3, n_permutations=5,
...                                                    random_state=0)
>>> bool(score > of_permutations.max())
True""",
)
