"""A fitted ensemble as the plain values of a document, and back: one stack, and what each member knows.

A member's part is that of a single estimator without what all have in common, and is read as one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.backends import Backend
from portable_nn.ensembles.base import BaseMLPEnsemble
from portable_nn.ensembles.classifier import MLPEnsembleClassifier
from portable_nn.ensembles.regressor import MLPEnsembleRegressor
from portable_nn.estimators.documents import (
    Values,
    changed,
    estimator_as_values,
    hyperparameters,
    unfitted,
)
from portable_nn.estimators.from_documents import (
    check_attributes,
    estimator_from_values,
    get_typed,
    made,
)
from portable_nn.estimators.labels import place_labels
from portable_nn.network.parameters import layers_as_values
from portable_nn.storage.refusal import Unreadable

KINDS: dict[str, type[BaseMLPEnsemble]] = {
    "MLPEnsembleClassifier": MLPEnsembleClassifier,
    "MLPEnsembleRegressor": MLPEnsembleRegressor,
}
ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "n_features_in_": (int,),
    "feature_names_in_": (np.ndarray,),
    "n_outputs_": (int,),
    "_calibration": (dict,),
    "_sklearn_output_config": (dict,),
}
SHARED = ("network", "params", "classes", "labels", "changed")  # a member has them of the ensemble
APART = {
    "estimators_",
    "estimators_samples_",
    "classes_",
    "_takes_host",
    "_label_binarizer",
    "_stack",
    "shared_",
}


def ensemble_as_values(
    ensemble: Any, for_prediction: bool, left_out: list[str]
) -> tuple[str, Values] | None:
    """The kind of a fitted ensemble and its values; None for what is none of ours, or a subclass.

    Raises NotFittedError where it is not fitted. What is no part of the values is added to `left_out`.
    """
    kind = type(ensemble).__name__
    if KINDS.get(kind) is not type(ensemble):
        return None
    if "estimators_" not in vars(ensemble):
        raise unfitted(ensemble)
    if "shared_" in vars(ensemble) and not for_prediction:
        left_out.append("the adapters that `partial_fit` would go on with: pickle it to keep them")
    given = hyperparameters(ensemble, ensemble.__getstate__(), left_out)
    known = {name: value for name, value in vars(ensemble).items() if name in ATTRIBUTES}
    others = vars(ensemble).keys() - known.keys() - APART - given.keys()
    left_out += [f"the attribute `{name}`" for name in sorted(others)]
    members = {}
    for k, member in enumerate(ensemble.estimators_, start=1):
        found = estimator_as_values(member, for_prediction, [])
        if found is None:
            raise TypeError(f"`estimators_[{k - 1}]` is a {type(member).__name__}; accepted: an MLP")
        kind_of_member, values = found
        if k == 1:
            shared = {name: values[name] for name in SHARED}
        own = {name: value for name, value in values.items() if name not in SHARED}
        common = ensemble._settings()
        own["hyperparameters"] = {
            name: value
            for name, value in values["hyperparameters"].items()
            if name == "random_state" or repr(value) != repr(common[name])
        }
        members[str(k)] = own
    return kind, shared | {
        "params": layers_as_values(ensemble._params()),
        "hyperparameters": given,
        "changed": changed(type(ensemble), given),
        "attributes": known,
        "estimator": kind_of_member,
        "members": members,
        "samples": None if for_prediction else samples_as_values(ensemble.estimators_samples_),
    }


def samples_as_values(samples: list[Any]) -> Values:
    """The rows of each member; without those that are the same as of the one before."""
    pairs = zip([None, *samples], samples, strict=False)
    return {
        str(k): rows
        for k, (last, rows) in enumerate(pairs, start=1)
        if last is None or not np.array_equal(last, rows)
    }


def ensemble_from_values(kind: str, values: Values, backend: Backend) -> Any:
    """The ensemble, its arrays on `backend`; Unreadable for values that describe none."""
    ensemble = made(KINDS[kind], get_typed(values, "hyperparameters", dict))
    member_kind, members = ensemble._member.__name__, get_typed(values, "members", dict)
    count = len(members)
    if values.get("estimator") != member_kind or list(members) != [str(k) for k in range(1, count + 1)]:
        raise Unreadable("its members are none of such an ensemble")
    params, common = get_typed(values, "params", dict), ensemble._settings()
    estimators = []
    for k, own in enumerate(members.values()):
        given = {name: values.get(name) for name in SHARED} | (own if isinstance(own, dict) else {})
        given["params"] = of_member(params, k, count)
        given["hyperparameters"] = common | get_typed(own, "hyperparameters", dict)
        estimators.append(estimator_from_values(member_kind, given, backend))
    if not estimators:
        raise Unreadable("it has no members")
    attributes = check_attributes(get_typed(values, "attributes", dict), ATTRIBUTES)
    one = estimators[0]
    outputs = one._net.sizes[-1]
    counts = (attributes.get("n_features_in_"), attributes.get("n_outputs_"))
    if counts != (one._net.sizes[0], outputs):
        raise Unreadable(f"it has {counts} features and outputs, and its networks others")
    for name, array in attributes.get("_calibration", {}).items():
        is_known = name in ("noise", "scores") and isinstance(array, np.ndarray)
        if not is_known or array.dtype != np.float64 or array.shape[-1:] != (outputs,):
            raise Unreadable(f"its {name} of the calibration does not suit its networks")
    ensemble.__dict__.update(attributes, _takes_host=one._takes_host, estimators_=estimators)
    if "_label_binarizer" in vars(one):
        ensemble._label_binarizer = one._label_binarizer
    if "classes_" in vars(one):
        ensemble.classes_ = place_labels(values["classes"], backend)
    ensemble.estimators_samples_ = samples_from_values(values.get("samples"), count)
    ensemble._stack_members()
    return ensemble


def of_member(params: Values, k: int, count: int) -> Values:
    """The arrays of one member of the stack."""
    found: Values = {}
    for l, layer in params.items():
        arrays = layer.values() if isinstance(layer, dict) else [None]
        if not all(isinstance(a, np.ndarray) and a.ndim == 3 and len(a) == count for a in arrays):
            raise Unreadable(f"its arrays are not those of {count} members")
        found[l] = {name: array[k] for name, array in layer.items()}
    return found


def samples_from_values(given: Any, count: int) -> list[Any]:
    """The rows of each member; those of a file for predictions are not known."""
    if given is None:
        return [None] * count
    rows: Any = None
    found = []
    for k in range(1, count + 1):
        rows = given.get(str(k), rows) if isinstance(given, dict) else None
        if not isinstance(rows, np.ndarray) or rows.dtype.kind != "i" or rows.ndim != 1:
            raise Unreadable("the rows of its members are missing")
        found.append(rows)
    return found
