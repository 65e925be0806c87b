"""A fitted estimator as scikit-learn's MLP."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted

from portable_nn.backends import to_host
from portable_nn.estimators.conventions import hidden_activations
from portable_nn.estimators.overriding import check_predicts_as_ours
from portable_nn.estimators.warning import warn

SHARED = (  # fitted attributes that mean the same in both
    *("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"),
    *("feature_names_in_", "classes_", "loss_", "loss_curve_", "best_loss_", "validation_scores_"),
    *("best_validation_score_", "_label_binarizer", "_no_improvement_count"),
)
OUTPUTS = {"softmax", "logistic", "identity", "exp"}  # scikit-learn's
SOLVERS = {"adamw": "adam", "rmsprop": "adam"}  # what comes nearest to those that it lacks


def to_sklearn(estimator: Any) -> Any:
    """Ours, fitted, as scikit-learn's; see `portable_nn.MLPClassifier.to_sklearn`."""
    check_is_fitted(estimator)
    check_predicts_as_ours(estimator)
    theirs = MLPClassifier if is_classifier(estimator) else MLPRegressor
    activation = scikit_activation(estimator)
    known = theirs().get_params()
    given = estimator.get_params(deep=False)
    defaults = type(estimator)().get_params(deep=False)
    lost = [name for name, value in given.items() if name not in known and value != defaults[name]]
    kept = {name: value for name, value in given.items() if name in known}
    if "loss" in kept and kept["loss"] not in ("squared_error", "poisson"):
        lost.append("loss")
        kept["loss"] = known["loss"]
    if kept["solver"] in SOLVERS:
        lost.append("solver")
        kept["solver"] = SOLVERS[kept["solver"]]
    if activation != kept["activation"]:
        kept["activation"] = activation
    twin = theirs(**{name: copy.deepcopy(value) for name, value in kept.items()})
    twin.__dict__.update(shared(estimator))
    twin.coefs_ = [np.array(to_host(coef)) for coef in estimator.coefs_]
    twin.intercepts_ = [np.array(to_host(intercept)) for intercept in estimator.intercepts_]
    if "classes_" in vars(twin):
        twin.classes_ = to_host(twin.classes_)
    if lost:
        names = ", ".join(f"`{name}`" for name in sorted(lost))
        warn(
            f"scikit-learn's {theirs.__name__} has no counterpart for {names}: predictions are the "
            "same, further training would not be",
            UserWarning,
        )
    return twin


def shared(estimator: Any) -> dict[str, Any]:
    """The fitted attributes that both have, with lists of their own."""
    return {name: copy.copy(vars(estimator)[name]) for name in SHARED if name in vars(estimator)}


def scikit_activation(estimator: Any) -> str:
    """What scikit-learn calls the activation of all hidden layers; ValueError where it has none such."""
    *hidden, output = estimator._g()
    if estimator.out_activation_ not in OUTPUTS:
        raise ValueError(
            f"the output activation is {output.name!r}, which scikit-learn's MLP lacks; accepted: "
            f"{', '.join(sorted(OUTPUTS))}"
        )
    for name in ("relu", "tanh", "logistic", "identity"):
        g = hidden_activations(name, 1)[0]
        if all(each.g == g.g for each in hidden):
            return name
    raise ValueError(
        f"the hidden activations are {[each.name for each in hidden]}, which scikit-learn's MLP lacks; "
        "accepted: relu, tanh, logistic or identity in all hidden layers; to_onnx takes all"
    )
