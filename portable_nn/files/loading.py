"""Loading what `save` has written: as it was, or as a network where scikit-learn is missing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend, get
from portable_nn.checks import check_flag
from portable_nn.network import Network
from portable_nn.storage import Document, read_document
from portable_nn.storage.networks import layers_from_values
from portable_nn.storage.refusal import Unreadable, reading

ENSEMBLES = ("MLPEnsembleClassifier", "MLPEnsembleRegressor")
TABULAR = ("TabularClassifier", "TabularRegressor")
ESTIMATORS = ("MLPClassifier", "MLPRegressor", "MLPTransformer", *ENSEMBLES, *TABULAR)


def load(
    path: str | os.PathLike[str],
    backend: str | Backend = "numpy",
    device: Any = None,
    *,
    custom: Mapping[str, Any] | None = None,
    mmap: bool = False,
    as_network: bool = False,
) -> Any:
    """Load what `save` has written, on any machine: data alone, nothing in a file is executed.

    Parameters
    ----------
    path : str or path
        The file.
    backend : str or Backend
        Where the arrays are to be, whatever they were saved from: see `portable_nn.backends.names`.
    device : optional
        A device of that library, or its name; None: its default.
    custom : dict, optional
        The user-defined functions that the file names, by the names given to `save`.
    mmap : bool
        Map the file into memory instead of reading it: with NumPy the arrays are then read-only, and
        read where they are used. The file must not change meanwhile, and the checksums of its arrays
        are not checked.
    as_network : bool
        Give an estimator as its network, without scikit-learn.

    Returns
    -------
    thing : (net, params), or a fitted estimator
        What was saved; no subclass, which `save` refuses. With `as_network`, or where scikit-learn is
        missing, an estimator is ``(net, params, classes)``: ``net.predict(params, X)`` are the
        probabilities of the `classes` (with two classes and one output: of the second one), or a
        regressor's outputs, whose `classes` are None.
        Of an MLPTransformer it is the whole network of its estimator, not cut off at its `layer`; of an
        ensemble, the stack of its networks; of an estimator of tables too, for rows that are encoded.

    Raises
    ------
    ModelFormatError
        A ValueError, for a file that is damaged, or is none of `save`; it says what is wrong.
    ValueError
        If the file names functions that `custom` lacks.
    TypeError
        If one of them is no Activation, Layer, Loss or schedule, where the file has it as one.
    UnknownBackendError, BackendUnavailableError, TypeError
        For a backend that is not known, not here, or that lacks the dtype.
    OSError
        If there is no such file.

    Warns
    -----
    UserWarning
        If an estimator is loaded as a network because scikit-learn is missing.

    Examples
    --------
    A user-defined activation is saved by name, and given again:

    >>> import portable_nn as pnn
    >>> cube = pnn.Activation("cube", lambda xp, Z: Z**3, lambda xp, Z: 3 * Z**2)
    >>> net = pnn.Network((2, 1), (cube,), "squared_error")
    >>> pnn.save("model.safetensors", (net, net.initialize()), custom={"cube": cube})
    >>> loaded, params = pnn.load("model.safetensors", custom={"cube": cube})
    >>> loaded == net
    True
    """
    check_flag("mmap", mmap)
    check_flag("as_network", as_network)
    chosen = get(backend, device)
    document = read_document(path, custom, mmap)
    with reading(os.fsdecode(path)):
        if document.kind in ESTIMATORS and not as_network:
            found = estimator_of(document, chosen)
            if found is not None:
                return found
            as_network = True
        net, params = network_of(document, chosen)
        return (net, params, classes_of(document)) if document.kind in ESTIMATORS else (net, params)


def estimator_of(document: Document, backend: Backend) -> Any:
    """The estimator; None, with a warning, where scikit-learn is missing."""
    try:
        if document.kind in ENSEMBLES:
            from portable_nn.ensembles.documents import (  # noqa: PLC0415
                ensemble_from_values as from_values,
            )
        elif document.kind in TABULAR:
            from portable_nn.tabular.documents import (  # noqa: PLC0415
                tabular_from_values as from_values,
            )
        else:
            from portable_nn.estimators.from_documents import (  # noqa: PLC0415
                estimator_from_values as from_values,
            )
    except ImportError as error:
        warnings.warn(
            f"the file has a {document.kind}, and {error}; loaded as (net, params, classes), whose "
            "predictions are the same",
            UserWarning,
            stacklevel=3,
        )
        return None
    return from_values(document.kind, document.values, backend)


def network_of(document: Document, backend: Backend) -> tuple[Network, Any]:
    """The network, and its parameters on `backend`."""
    if document.kind not in ("network", *ESTIMATORS):
        remedy = (
            "accepted: a file that portable_nn.save has written; a checkpoint is for fit(resume=...)"
        )
        raise Unreadable(f"it holds a {document.kind}", remedy)
    net = document.values.get("network")
    if not isinstance(net, Network):
        raise Unreadable("its network is missing")
    params = layers_from_values(document.values.get("params"), net)
    return net, trees.map(backend.asarray, params)


def classes_of(document: Document) -> Any:
    """The labels of a classifier, on the host; None for a regressor."""
    classes = document.values.get("classes")
    if not isinstance(classes, np.ndarray | None):
        raise Unreadable("its classes are no array")
    return classes
