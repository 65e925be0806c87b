"""The estimator that the plain values of a document describe.

Tables say which attributes there are and what they may be; nothing else in a file becomes one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from portable_nn import trees
from portable_nn.backends import Backend, get
from portable_nn.equations import Parameters
from portable_nn.estimators.documents import ATTRIBUTES, ESTIMATORS, TRANSFORMER, Values
from portable_nn.estimators.labels import place_labels
from portable_nn.estimators.optimization import Optimization
from portable_nn.estimators.random_states import random_state_from_values
from portable_nn.estimators.transformer import MLPTransformer
from portable_nn.network import Network
from portable_nn.optimizers import OptimizerState
from portable_nn.storage.networks import layers_from_values
from portable_nn.storage.refusal import Unreadable

LABEL_KINDS = ("binary", "multiclass", "multilabel-indicator")


def estimator_from_values(kind: str, values: Values, backend: Backend) -> Any:
    """The estimator, its parameters on `backend`; Unreadable for values that describe none."""
    if kind == TRANSFORMER:
        inner = get_typed(values, "estimator", str)
        if inner not in ESTIMATORS:
            raise Unreadable(f"it describes an estimator {inner[:40]!r}")
        described = get_typed(values, "transformer", dict)
        template = made(ESTIMATORS[inner], get_typed(described, "hyperparameters", dict))
        transformer = MLPTransformer(template, layer=get_typed(described, "layer", int))
        transformer.estimator_ = estimator_from_values(inner, values, backend)
        layers = len(transformer.estimator_.coefs_)
        if not -layers <= transformer.layer < layers:
            raise Unreadable("it describes a layer that is not there")
        transformer.__dict__.update(check_attributes(get_typed(described, "attributes", dict)))
        return transformer
    net = get_typed(values, "network", Network)
    estimator = made(ESTIMATORS[kind], get_typed(values, "hyperparameters", dict))
    params = layers_from_values(values.get("params"), net)
    if params[0][0].ndim != 2:
        raise Unreadable("its parameters are those of a stack")
    attributes = check_attributes(get_typed(values, "attributes", dict))
    check_counts(attributes, net)
    labels = labels_from_values(kind, values, net)

    def placed(layers: Parameters) -> Parameters:
        return trees.map(backend.asarray, layers)  # type: ignore[no-any-return]

    estimator.__dict__.update(attributes, _net=net)
    estimator._set_params(placed(params))
    if labels is not None:
        estimator._label_binarizer = labels
    if kind == "MLPClassifier":
        estimator.classes_ = place_labels(values["classes"], backend)
    if "optimizer" in values:  # nothing that is only for predictions
        best, described = values.get("best"), values["optimizer"]
        estimator._best = None if best is None else placed(layers_from_values(best, net, "best"))
        estimator._optimizer = optimization_from_values(described, net, placed)
    estimator._takes_host = backend.host or trains_on(estimator) is backend
    return estimator


def trains_on(estimator: Any) -> Backend | None:
    """The backend that the parameter `backend` names; None if there is none, or it is not here."""
    try:
        return None if estimator.backend is None else get(estimator.backend, estimator.device)
    except Exception:  # whatever its library says of a device, or of what is no name at all
        return None


def get_typed(values: Any, name: str, kind: type) -> Any:
    """One of the values; Unreadable unless it is there, and of that type."""
    found = values.get(name) if isinstance(values, dict) else None
    if type(found) is not kind:
        raise Unreadable(f"its `{name}` is missing, or no {kind.__name__}")
    return found


def made(kind: type, given: Values) -> Any:
    """An estimator with these hyperparameters; those that the file lacks have their defaults."""
    unknown = given.keys() - inspect.signature(kind).parameters.keys()
    if unknown:
        names = ", ".join(sorted(map(repr, unknown)))[:200]
        raise Unreadable(
            f"it has hyperparameters that are not known here: {names}", "update portable_nn"
        )
    state = given.get("random_state")
    if isinstance(state, dict):
        given = given | {"random_state": random_state_from_values(state)}
    return kind(**given)


def check_attributes(given: Values, known: Mapping[str, tuple[type, ...]] = ATTRIBUTES) -> Values:
    """The fitted attributes; Unreadable unless all are known, and of the right types."""
    for name, value in given.items():
        if name not in known or type(value) not in known[name]:
            raise Unreadable(f"its attribute {str(name)[:40]!r} is not known here, or has another type")
    return given


def check_counts(attributes: Values, net: Network) -> None:
    """Raise Unreadable where the attributes belong to another network."""
    counts = {"n_features_in_": net.sizes[0], "n_outputs_": net.sizes[-1], "n_layers_": len(net.sizes)}
    for name, count in counts.items():
        if attributes.get(name, count) != count:
            raise Unreadable(
                f"its attribute `{name}` is {attributes[name]}, and its network has {count}"
            )
    names = attributes.get("feature_names_in_")
    if names is not None and names.shape != (net.sizes[0],):
        raise Unreadable("it has not as many names of features as features")


def labels_from_values(kind: str, values: Values, net: Network) -> LabelBinarizer | None:
    """scikit-learn's binarizer of the labels; None for a regressor, or classes set by hand."""
    if kind == "MLPRegressor":
        return None
    classes, given = values.get("classes"), values.get("labels")
    if not isinstance(classes, np.ndarray) or classes.ndim != 1:
        raise Unreadable("its classes are missing")
    if given is None:
        return None
    labels = LabelBinarizer()
    labels.y_type_ = get_typed(given, "type", str)
    labels.sparse_input_ = get_typed(given, "sparse", bool)
    labels.classes_ = get_typed(given, "classes", np.ndarray)
    outputs = {"binary": 1}.get(labels.y_type_, len(classes))
    if (
        labels.y_type_ not in LABEL_KINDS
        or labels.classes_.shape != classes.shape
        or net.sizes[-1] != outputs
        or (labels.y_type_ == "binary" and len(classes) > 2)
    ):
        raise Unreadable("its classes do not suit its network")
    return labels


def optimization_from_values(
    given: Any, net: Network, placed: Callable[[Parameters], Parameters]
) -> Optimization | None:
    """What `partial_fit` continues from; Unreadable for what is none."""
    if given is None:
        return None
    slots = list(get_typed(given, "slots", dict).items())
    if [name for name, _ in slots] != [str(k) for k in range(1, len(slots) + 1)]:
        raise Unreadable("its optimizer has arrays without an order")
    rule, t = get_typed(given, "rule", tuple), get_typed(given, "t", int)
    if [type(part) for part in rule] != [str, float, float] or t < 0:
        raise Unreadable("its optimizer has no rule for the learning rate, or a count below 0")
    trees_of_slots = tuple(
        placed(layers_from_values(slot, net, f"optimizer.slots.{name}")) for name, slot in slots
    )
    optimization = Optimization.__new__(Optimization)
    optimization.solver = get_typed(given, "solver", str)
    optimization.learning_rate = get_typed(given, "learning_rate", float)
    optimization.rule, optimization.state = rule, OptimizerState(t, trees_of_slots)
    return optimization
