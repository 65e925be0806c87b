"""The validation data of a fit: given by the user, or set aside; and who judges it."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from portable_nn.backends.padding import taken
from portable_nn.equations import Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.problem import Judge, Problem
from portable_nn.estimators.sparse import SparseRows
from portable_nn.estimators.targets import Targets
from portable_nn.estimators.warning import warn
from portable_nn.network.objective import Batch
from portable_nn.network.prediction import compiled_prediction
from portable_nn.training.data import DeviceSource, mean_of

FEWEST_ROWS, FEWEST_VALIDATION_ROWS = 40, 10  # with fewer, chance may look like another scale
ROUNDING = 1e-5  # of float32, where X_val had another dtype


def given_validation(
    e: MLPAttributes, given: tuple[Any, Any, Any], X: Any, targets: Targets, problem: Problem
) -> None:
    """Judge by the validation data that the user gave, checked as X is, and cast to its dtype."""
    backend, (X_val, y_val, weight) = problem.backend, given
    if X_val is None or y_val is None:
        raise ValueError(
            "only one of X_val and y_val was given, or sample_weight_val alone; accepted: both, or none"
        )
    if not inputs.in_one_place(X_val, X):
        raise ValueError(
            f"X_val is {inputs.where(X_val)}, X {inputs.where(X)}; accepted: one place for both"
        )
    inputs.refuse_sparse(X_val, backend)
    rows, y = inputs.read(e, X_val, y_val, backend, False, not is_classifier(e))
    rows = inputs.as_dtype(rows, problem.train.all.X.dtype)
    warn_of_another_scale(problem, rows)
    judged = targets.others(y, inputs.weights(weight, rows, "sample_weight_val"))
    encoded = judged.encode(backend, rows.dtype, "y_val")
    if encoded.n_outputs != problem.net.sizes[-1]:
        wanted = problem.net.sizes[-1]
        raise ValueError(f"`y_val` has {encoded.n_outputs} outputs; accepted: {wanted}, as y has")
    weights = inputs.moved_weights(backend, judged.weight, rows, "sample_weight_val")
    judge_by(e, problem, Batch(rows, encoded.Y, weights, None, encoded.classes), judged)


def warn_of_another_scale(problem: Problem, X_val: Any) -> None:
    """Warn where most values of X_val lie outside the range of their column in X, or many far outside.

    Far is by more than the width of the range. A value from where those of X came from is outside with
    a chance of 2/(n + 1), whatever their distribution is. Sparse rows are not judged: most of their
    columns may have been empty in X.
    """
    backend, X = problem.backend, problem.train.all.X
    if isinstance(X, SparseRows) or X.shape[0] < FEWEST_ROWS or X_val.shape[0] < FEWEST_VALIDATION_ROWS:
        return
    xp: Any = backend.xp
    low, high = xp.min(X, axis=0), xp.max(X, axis=0)
    slack = ROUNDING * xp.maximum(xp.abs(low), xp.abs(high))
    outside = [(X_val < low - each) | (X_val > high + each) for each in (slack, slack + (high - low))]
    shares = xp.stack([xp.mean(xp.astype(flags, X.dtype)) for flags in outside])
    share, share_far = (float(each) for each in backend.to_numpy(shares))
    if share > 0.5 or share_far > 0.2:
        warn(
            f"{share:.0%} of the values of X_val are outside the range of their column in X: X_val has "
            "to be preprocessed as X is. A pipeline transforms X alone; see X_val in the docstring of "
            "`fit` for how it transforms X_val too",
            UserWarning,
        )


def split(e: MLPAttributes, targets: Targets, problem: Problem) -> None:
    """Set a share of the rows aside, as scikit-learn does, and judge by them."""
    backend, data = problem.backend, problem.train.all
    share = float(e.validation_fraction)
    if share == 0:
        raise ValueError(
            "`validation_fraction` is 0 with `early_stopping`, which needs validation data; accepted: a "
            "share in (0, 1), or X_val and y_val"
        )
    rows = np.arange(problem.n) if problem.rows is None else problem.rows
    strata = targets.strata
    learned, held_out = train_test_split(
        rows,
        random_state=problem.random,
        test_size=share,
        stratify=None if strata is None else strata[rows],
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    weights = None if data.weight is None else taken(backend, data.weight, held_out)
    host = None if weights is None else backend.to_numpy(weights)
    if host is not None and not host.any():
        raise ValueError(
            "The sample weights for validation set are all zero, consider using a different random "
            "state."
        )
    X, Y = (taken(backend, array, held_out) for array in (data.X, data.Y))
    problem.rows = learned
    judge_by(e, problem, Batch(X, Y, weights, None, data.classes), targets.some(held_out, host))


def judge_by(e: MLPAttributes, problem: Problem, data: Batch, targets: Targets) -> None:
    """Let the problem be judged by this validation data, on the device."""
    mean_weight, X = mean_of(problem.backend, data.weight), data.X
    problem.validation = DeviceSource(data._replace(mean_weight=mean_weight))
    if e.scoring is not None:
        problem.judge = scorer_judge(e, inputs.rows_on_host(X), inputs.host(targets.y), targets.weight)
        return
    backend, model = problem.backend, problem.net.described.model

    def judge(e: MLPAttributes, params: Parameters) -> float:
        A = e._averaged(compiled_prediction(backend, model, params, X))
        return targets.score(backend.to_numpy(A))

    problem.judge = judge


def scorer_judge(e: MLPAttributes, X: Any, y: Any, weight: Any) -> Judge:
    """What a scorer of scikit-learn gives, which takes host arrays."""
    scorer = check_scoring(e, scoring=e.scoring)
    options = {"sample_weight": weight} if weight is not None and takes_weights(scorer) else {}
    return lambda e, params: float(scorer(e._shown_on_host(), X, y, **options))


def try_scorer(e: Any, problem: Problem, targets: Targets, params: Parameters | None) -> None:
    """Let the scorer judge the parameters as they are: if it fails, then before the training."""
    twin = copy.copy(e)
    twin.__dict__.update(targets.attributes, _net=problem.net)
    if params is not None:
        twin._start(problem.net, params)
    problem.judge(twin, twin._params())  # type: ignore[misc]


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer accepts sample weights."""
    function = getattr(scorer, "_score_func", scorer)  # what make_scorer was given
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return "sample_weight" in parameters or (function is scorer and takes_any)
