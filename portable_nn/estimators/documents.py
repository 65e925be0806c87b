"""A fitted estimator as the plain values of a document; `from_documents.py` has the way back.

What is written is what predictions, warm starts and further calls of `partial_fit` need.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from portable_nn.backends import to_host
from portable_nn.equations.scikit_losses import BINARY_LOG_LOSS, LOG_LOSS
from portable_nn.estimators.classifier import MLPClassifier
from portable_nn.estimators.conventions import regression_loss
from portable_nn.estimators.fitting import BaseMLP
from portable_nn.estimators.optimization import Optimization
from portable_nn.estimators.random_states import random_state_as_values
from portable_nn.estimators.regressor import MLPRegressor
from portable_nn.estimators.transformer import MLPTransformer
from portable_nn.network import Network
from portable_nn.network.parameters import layers_as_values

Values = dict[str, Any]
ESTIMATORS: dict[str, type[BaseMLP]] = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
TRANSFORMER = "MLPTransformer"
NUMBER_OR_NONE = (int, float, type(None))
LIST_OR_NONE = (list, type(None))

# the fitted attributes that are plain values
ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "n_features_in_": (int,),
    "feature_names_in_": (np.ndarray,),
    "n_outputs_": (int,),
    "n_layers_": (int,),
    "out_activation_": (str,),
    "n_iter_": (int,),
    "t_": (int,),
    "loss_": (int, float),
    "loss_curve_": (list,),
    "best_loss_": NUMBER_OR_NONE,
    "best_validation_score_": NUMBER_OR_NONE,
    "validation_scores_": LIST_OR_NONE,
    "validation_loss_curve_": LIST_OR_NONE,
    "stopped_early_": (bool,),
    "_no_improvement_count": (int,),
    "_sklearn_output_config": (dict,),
}
LEFT_OUT = {  # attributes of scikit-learn's own making, and how they are made again
    "_metadata_request": "its metadata requests: call set_fit_request again",
    "_skl_callbacks": "its callbacks: call set_callbacks again",
}
APART = {  # attributes that have a place of their own among the values, or need none
    *("coefs_", "intercepts_", "classes_", "_net", "_takes_host", "_label_binarizer"),
    *("_best", "_optimizer", "_ready", "estimator_"),
}


def estimator_as_values(
    estimator: Any, for_prediction: bool, left_out: list[str]
) -> tuple[str, Values] | None:
    """The kind of a fitted estimator and its values; None for what is none of ours.

    Raises NotFittedError where it is not fitted. What is no part of the values is added to `left_out`.
    """
    kind = type(estimator).__name__
    if type(estimator) is MLPTransformer:
        fitted = vars(estimator).get("estimator_")
        if fitted is None:
            raise unfitted(estimator)
        found = estimator_as_values(fitted, for_prediction, left_out)
        if found is None or fitted_kind(estimator.estimator) is None:
            return None
        _, values = found
        template = hyperparameters(estimator.estimator, estimator.estimator._host_state(), [])
        attributes = known_attributes(estimator, left_out)
        transformer = {"layer": estimator.layer, "hyperparameters": template, "attributes": attributes}
        return kind, values | {"estimator": fitted_kind(fitted), "transformer": transformer}
    if fitted_kind(estimator) is None:
        return None
    if "coefs_" not in vars(estimator):
        raise unfitted(estimator)
    state = estimator._host_state()  # on the host, devices and backends by their names
    params = [
        (coef.T, b[:, None]) for coef, b in zip(state["coefs_"], state["intercepts_"], strict=True)
    ]
    given = hyperparameters(estimator, state, left_out)
    values = {
        "network": network_of(estimator),
        "params": layers_as_values(params),
        "classes": state.get("classes_"),
        "labels": labels_as_values(state.get("_label_binarizer")),
        "hyperparameters": given,
        "changed": changed(type(estimator), given),
        "attributes": known_attributes(estimator, left_out),
    }
    if not for_prediction:
        best, optimization = state.get("_best"), state.get("_optimizer")
        values["best"] = None if best is None else layers_as_values(best)
        values["optimizer"] = None if optimization is None else optimization_as_values(optimization)
    return kind, values


def fitted_kind(estimator: Any) -> str | None:
    """The kind of an estimator, itself and not a subclass; None for what is none of the two."""
    kind = type(estimator).__name__
    return kind if ESTIMATORS.get(kind) is type(estimator) else None


def unfitted(estimator: Any) -> NotFittedError:
    """The error for an estimator that has learned nothing yet."""
    return NotFittedError(
        f"this {type(estimator).__name__} is not fitted, so that there is nothing to save; call fit "
        "first, or keep what get_params() returns"
    )


def hyperparameters(estimator: Any, state: Values, left_out: list[str]) -> Values:
    """The constructor's parameters, as plain values where they are not; `state` is that of a pickle."""
    given = {name: state[name] for name in estimator.get_params(deep=False)}
    if given.get("callbacks"):
        given["callbacks"] = None
        left_out.append("`callbacks`, which are to be set again")
    if isinstance(given["random_state"], np.random.RandomState):
        given["random_state"] = random_state_as_values(given["random_state"])
    return given


def changed(kind: type, given: Values) -> list[str]:
    """Which of the constructor's parameters differ from their defaults."""
    defaults = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    return [name for name, value in given.items() if repr(value) != repr(defaults[name])]


def known_attributes(estimator: Any, left_out: list[str]) -> Values:
    """The fitted attributes that are plain values; those that are not the estimator's are left out."""
    found = {name: value for name, value in vars(estimator).items() if name in ATTRIBUTES}
    others = vars(estimator).keys() - found.keys() - APART - estimator.get_params(deep=False).keys()
    left_out += [LEFT_OUT.get(name, f"the attribute `{name}`") for name in sorted(others)]
    return found


def network_of(estimator: Any) -> Network:
    """The network; where weights were set by hand, by the names of the activations."""
    net = estimator._net
    sizes = (*(int(coef.shape[0]) for coef in estimator.coefs_), int(estimator.coefs_[-1].shape[1]))
    if net is not None and net.sizes == sizes:
        return net  # type: ignore[no-any-return]
    if fitted_kind(estimator) == "MLPRegressor":
        loss = regression_loss(estimator.loss, estimator.quantile)
    else:
        loss = LOG_LOSS if estimator.out_activation_ == "softmax" else BINARY_LOG_LOSS
        loss = loss if isinstance(estimator.loss, str) else estimator.loss
    return Network(sizes, estimator._g(), loss)


def labels_as_values(labels: Any) -> Values | None:
    """What scikit-learn's binarizer knows of the labels, beside the classes."""
    if labels is None:
        return None
    return {
        "type": labels.y_type_,
        "sparse": bool(labels.sparse_input_),
        "classes": np.asarray(to_host(labels.classes_)),
    }


def optimization_as_values(optimization: Optimization) -> Values:
    """What `partial_fit` continues from."""
    slots = {str(k): layers_as_values(slot) for k, slot in enumerate(optimization.state.slots, start=1)}
    return {
        "solver": optimization.solver,
        "t": int(optimization.state.t),
        "slots": slots,
        "learning_rate": optimization.learning_rate,
        "rule": optimization.rule,
    }
