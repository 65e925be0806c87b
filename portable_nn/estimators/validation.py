"""The validation data of a fit: given by the user, or set aside; and who judges it."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from portable_nn.checks import values
from portable_nn.equations import Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.problem import Judge, Problem, take
from portable_nn.training.data import Data, mean_of
from portable_nn.training.loop import predict_in_parts
from portable_nn.training.steps import prediction_step

Known = dict[str, Any]  # fitted attributes to be: what the targets decide


def given_validation(
    e: Any, given: tuple[Any, Any, Any], X: Any, known: Known, problem: Problem
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
    rows, targets = inputs.read(e, X_val, y_val, backend, False, not is_classifier(e))
    rows = inputs.as_dtype(rows, problem.train.X.dtype)
    e._check_validation_targets(targets, known)
    weight = inputs.weights(weight, rows, "sample_weight_val")
    weight = e._all_weights(targets, known, weight)
    Y = e._encode(targets, known, backend, rows.dtype)
    if Y.shape[1] != problem.net.sizes[-1]:
        wanted = problem.net.sizes[-1]
        raise ValueError(f"`y_val` has {Y.shape[1]} outputs; accepted: {wanted}, as y has")
    values(backend, {"y_val": Y}, problem.net.loss, "y_val")
    weights = inputs.beside(backend, weight, rows)
    problem.validation = Data(rows, Y, weights, mean_of(backend, weights))
    problem.judge = _judge(e, problem, targets, known, weight)


def split(e: Any, y: Any, known: Known, data: Data, problem: Problem) -> None:
    """Set a share of the rows of `data` aside, as scikit-learn does, and judge by them."""
    backend, stratify = problem.backend, None
    if is_classifier(e) and data.Y.shape[1] == 1:  # not for many classes, nor many labels
        stratify = e._compared(y, known).reshape(-1, 1).astype(bool)
    learned, held_out = train_test_split(
        np.arange(data.X.shape[0]),
        random_state=problem.random,
        test_size=e.validation_fraction,
        stratify=stratify,
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    part = take(backend, data, held_out)
    weight = None if part.weight is None else backend.to_numpy(part.weight)
    if weight is not None and not weight.any():
        raise ValueError(
            "The sample weights for validation set are all zero, consider using a different random "
            "state."
        )
    problem.rows, problem.validation = learned, part
    problem.judge = _judge(e, problem, inputs.host(y)[held_out], known, weight)


def _judge(e: Any, problem: Problem, y: Any, known: Known, weight: Any) -> Judge:
    """The validation score: that of a scorer, if there is one, else scikit-learn's own."""
    X = problem.validation.X  # type: ignore[union-attr]
    if e.scoring is not None:
        return _judge_by_scorer(e, inputs.rows_on_host(X), inputs.host(y), weight)
    compared, backend, g = e._compared(y, known), problem.backend, problem.net.g

    def judge(e: Any, params: Parameters) -> float:
        A = predict_in_parts(prediction_step(backend, g, False), params, X)
        return float(e._score_outputs(compared, backend.to_numpy(A), weight))

    return judge


def _judge_by_scorer(e: Any, X: Any, y: Any, weight: Any) -> Judge:
    """What a scorer of scikit-learn gives, which is handed host arrays."""
    scorer = check_scoring(e, scoring=e.scoring)
    options = {"sample_weight": weight} if weight is not None and takes_weights(scorer) else {}
    return lambda e, params: float(scorer(e._shown_on_host(), X, y, **options))


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer can be handed sample weights."""
    function = getattr(scorer, "_score_func", scorer)  # what make_scorer was given
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return "sample_weight" in parameters or (function is scorer and takes_any)
