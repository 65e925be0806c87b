"""A fitted estimator of tables as the plain values of a document, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend
from portable_nn.estimators.documents import Values, changed, hyperparameters, unfitted
from portable_nn.estimators.from_documents import check_attributes, get_typed, made
from portable_nn.network import Network
from portable_nn.network.parameters import layers_as_values
from portable_nn.storage.networks import layers_from_values
from portable_nn.storage.refusal import Unreadable
from portable_nn.tabular.base import BaseTabular
from portable_nn.tabular.classifier import TabularClassifier
from portable_nn.tabular.encoding import CategoryCode, Encoding, NumberCode, as_values, from_values
from portable_nn.tabular.regressor import TabularRegressor

KINDS: dict[str, type[BaseTabular]] = {
    "TabularClassifier": TabularClassifier,
    "TabularRegressor": TabularRegressor,
}
ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "n_features_in_": (int,),
    "feature_names_in_": (np.ndarray,),
    "n_outputs_": (int,),
    "n_iter_": (int,),
    "best_epochs_": (list,),
    "loss_curve_": (list,),
    "validation_loss_curve_": (list, type(None)),
    "temperature_": (float,),
    "calibration_scores_": (np.ndarray,),
    "noise_": (np.ndarray,),
    "target_mean_": (np.ndarray,),
    "target_scale_": (np.ndarray,),
    "target_range_": (np.ndarray,),
    "_sklearn_output_config": (dict,),
}
APART = {"network_", "params_", "encoding_", "classes_"}
FIELDS: dict[type, tuple[type, ...]] = {
    NumberCode: (int, float, float, bool),
    CategoryCode: (int, tuple, bool, bool),
}


def tabular_as_values(estimator: Any, left_out: list[str]) -> tuple[str, Values] | None:
    """The kind of a fitted estimator and its values; None for what is none of ours, or a subclass.

    Raises NotFittedError where it is not fitted. What is no part of the values is added to `left_out`.
    """
    kind = type(estimator).__name__
    if KINDS.get(kind) is not type(estimator):
        return None
    if "params_" not in vars(estimator):
        raise unfitted(estimator)
    given = hyperparameters(estimator, estimator.__getstate__(), left_out)
    known = {name: value for name, value in vars(estimator).items() if name in ATTRIBUTES}
    others = vars(estimator).keys() - known.keys() - APART - given.keys()
    left_out += [f"the attribute `{name}`" for name in sorted(others)]
    return kind, {
        "network": estimator.network_,
        "params": layers_as_values(estimator.params_, estimator.network_.described),
        "classes": vars(estimator).get("classes_"),
        "encoding": as_values(estimator.encoding_),
        "hyperparameters": given,
        "changed": changed(type(estimator), given),
        "attributes": known,
    }


def tabular_from_values(kind: str, values: Values, backend: Backend) -> Any:
    """The estimator, its networks on `backend`; Unreadable for values that describe none."""
    estimator = made(KINDS[kind], get_typed(values, "hyperparameters", dict))
    net = get_typed(values, "network", Network)
    params = layers_from_values(values.get("params"), net)
    attributes = check_attributes(get_typed(values, "attributes", dict), ATTRIBUTES)
    encoding = encoding_of(get_typed(values, "encoding", dict))
    outputs = net.sizes[-1]
    n_features = attributes.get("n_features_in_")
    levels = tuple(each.count for each in encoding.embedded)
    if n_features != len(encoding.is_number) or encoding.width != net.sizes[0]:
        raise Unreadable("its encoding does not suit its columns, or its network")
    if tuple(count for _, count in net.described.levels) != levels:
        raise Unreadable("its encoding has other categories than its network")
    if params[-1][0].ndim != 3 or not has_its_arrays(kind, attributes, outputs):
        raise Unreadable("its parameters are not those of a stack, or arrays beside them are missing")
    if kind == "TabularClassifier":
        classes = values.get("classes")
        if not isinstance(classes, np.ndarray) or classes.shape != (outputs,):
            raise Unreadable("its classes do not suit its network")
        estimator.classes_ = classes
    estimator.__dict__.update(attributes, network_=net, encoding_=encoding)
    estimator.params_ = trees.map(backend.asarray, params)
    return estimator


def has_its_arrays(kind: str, attributes: Values, outputs: int) -> bool:
    """Whether what predictions need beside the networks is there, and of the right shape."""
    scores = attributes.get("calibration_scores_")
    wanted: list[tuple[str, tuple[int, ...]]] = []
    if kind == "TabularClassifier":
        is_sound, width = 0 < attributes.get("temperature_", 0.0) < math.inf, 1
    else:
        is_sound, width = attributes.get("n_outputs_") == outputs, outputs
        wanted = [(name, (outputs,)) for name in ("target_mean_", "target_scale_")]
        wanted += [("target_range_", (2, outputs))]
        wanted += [] if scores is None else [("noise_", (outputs,))]
    wanted += [] if scores is None else [("calibration_scores_", (len(scores), width))]
    pairs = [(attributes.get(name), shape) for name, shape in wanted]
    return is_sound and all(
        array is not None and array.shape == shape and array.dtype == np.float64
        for array, shape in pairs
    )


def encoding_of(values: Values) -> Encoding:
    """The encoding; Unreadable for what describes none."""
    try:
        found = from_values(values)
    except (TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"its encoding is none: {type(error).__name__}") from None
    columns = len(found.is_number)
    if {type(each) for each in (found.twice, *found.is_number)} != {bool}:
        raise Unreadable("its encoding has an answer that is neither yes nor no")
    codes: list[NumberCode | CategoryCode] = [*found.numbers, *found.categories]
    for each in codes:
        types = tuple(type(part) for part in vars(each).values())
        if types != FIELDS[type(each)] or not 0 <= each.column < columns:
            raise Unreadable("its encoding has a column that is none")
        if isinstance(each, NumberCode):
            is_sound = math.isfinite(each.center) and 0 < each.scale < math.inf
        else:
            is_sound = all(isinstance(level, str) for level in each.levels)
        if not is_sound:
            raise Unreadable("its encoding has numbers or levels that are none")
    return found
