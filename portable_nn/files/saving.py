"""Saving a network with its parameters, or a fitted estimator."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from portable_nn.checks import check_flag
from portable_nn.network import Network
from portable_nn.network.parameters import check_parameters, layers_as_values
from portable_nn.storage import write_document

NETWORK = "network"
TRANSFORMER = "MLPTransformer"
ENSEMBLES = ("MLPEnsembleClassifier", "MLPEnsembleRegressor")
TABULAR = ("TabularClassifier", "TabularRegressor")
KINDS = ("MLPClassifier", "MLPRegressor", TRANSFORMER, *ENSEMBLES, *TABULAR)
SUBCLASSES = (
    "Subclasses are not saved, because a file has no paths of classes to make them again by: save the "
    "network as (net, params), or pickle the estimator"
)
ACCEPTED = (
    "(net, params), or a fitted MLPClassifier, MLPRegressor, MLPTransformer, ensemble of these, or "
    "TabularClassifier or TabularRegressor"
)


def save(
    path: str | os.PathLike[str],
    thing: Any,
    *,
    for_prediction: bool = False,
    custom: Mapping[str, Any] | None = None,
) -> None:
    """Save a network with its parameters, or a fitted estimator, for `load` on any machine.

    The file is replaced as a whole, and is on the disk when this returns; if anything goes wrong, the
    old one is as it was. It is a safetensors file, of data alone.

    Parameters
    ----------
    path : str or path
        The file. Its name is used as it is.
    thing : (Network, params), MLPClassifier, MLPRegressor, MLPTransformer, an ensemble, or one of tables
        Parameters of any backend, device and stack. An estimator is written with all that predictions,
        warm starts and further calls of `partial_fit` need. Its subclasses are refused, because a file
        has no paths of classes: save (net, params), or a pickle.
    for_prediction : bool
        Leave out what only further training of an estimator needs: the arrays of its optimizer, and its
        best weights so far. That makes the file three to four times smaller.
    custom : dict, optional
        User-defined activations, layers, losses, schedules and scorers by names of your choice, such
        as ``{"swish": my_activation}``. The file has the names; `load` is given the functions again.

    Raises
    ------
    TypeError
        For another thing, or one that holds what is neither plain data nor in `custom`; the message says
        where.
    ValueError
        If parameters do not suit the network, or the estimator is not fitted (scikit-learn's
        NotFittedError).
    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If callbacks of an estimator, or attributes that are not its own, are left out.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net, X = pnn.Network((2, 1), ("sigmoid",), "binary_cross_entropy"), np.ones((3, 2), "float32")
    >>> params = net.initialize()
    >>> pnn.save("model.safetensors", (net, params))
    >>> loaded, its_params = pnn.load("model.safetensors")
    >>> loaded == net, bool((loaded.predict(its_params, X) == net.predict(params, X)).all())
    (True, True)
    """
    check_flag("for_prediction", for_prediction)
    left_out: list[str] = []
    kind, values = as_document(thing, for_prediction, left_out)
    write_document(path, kind, values, custom)
    if left_out:
        text = f"the file of the {kind} is without {'; '.join(left_out)}"
        warnings.warn(text, UserWarning, stacklevel=2)


def as_document(thing: Any, for_prediction: bool, left_out: list[str]) -> tuple[str, dict[str, Any]]:
    """The kind of the thing, and its plain values; what is none of these is added to `left_out`."""
    if isinstance(thing, (tuple, list)) and len(thing) == 2 and isinstance(thing[0], Network):
        net, params = thing
        check_parameters(net.described, net.loss, params).check_signs()
        return NETWORK, {"network": net, "params": layers_as_values(params, net.described)}
    if "portable_nn.estimators" in sys.modules:  # else it is none of them, and needs no scikit-learn
        from portable_nn.estimators.documents import estimator_as_values  # noqa: PLC0415

        found = estimator_as_values(thing, for_prediction, left_out)
        if found is not None:
            return found
    if "portable_nn.ensembles" in sys.modules:
        from portable_nn.ensembles.documents import ensemble_as_values  # noqa: PLC0415

        found = ensemble_as_values(thing, for_prediction, left_out)
        if found is not None:
            return found
    if "portable_nn.tabular" in sys.modules:
        from portable_nn.tabular.documents import tabular_as_values  # noqa: PLC0415

        found = tabular_as_values(thing, left_out)
        if found is not None:
            return found
    whose = "scikit-learn's " if of_scikit_learn(thing) else ""
    raise TypeError(f"{whose}{type(thing).__name__} was given; accepted: {ACCEPTED}{remedy(thing)}")


def remedy(thing: Any) -> str:
    """What to do about a thing that is not accepted."""
    inner = thing.estimator if type(thing).__name__ == TRANSFORMER else None
    remedies = (
        (is_subclass(thing) or is_subclass(inner), SUBCLASSES),
        (
            of_scikit_learn(thing),
            "Make it ours first: portable_nn.interchange.from_sklearn(estimator)",
        ),
        (
            isinstance(thing, Network),
            "A network has no parameters of its own: save (net, params)",
        ),
        (
            hasattr(thing, "steps") and hasattr(thing, "named_steps"),
            "Of a pipeline save the last step, pipeline[-1], or all of it by skops.io.dump",
        ),
        (hasattr(thing, "best_estimator_"), "Of a search save its `best_estimator_`"),
        (hasattr(thing, "get_params"), "Other estimators can be saved by skops.io.dump"),
    )
    return next((f". {text}" for applies, text in remedies if applies), "")


def is_subclass(thing: Any) -> bool:
    """Whether it is of a subclass of our estimators, which are looked for without an import."""
    return any(
        kind.__name__ in KINDS and kind.__module__.startswith("portable_nn.")
        for kind in type(thing).__mro__[1:]
    )


def of_scikit_learn(thing: Any) -> bool:
    """Whether it is an MLP of scikit-learn."""
    return any(
        kind.__name__ in KINDS and kind.__module__.startswith("sklearn.neural_network.")
        for kind in type(thing).__mro__
    )
