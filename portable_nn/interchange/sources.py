"""`to_c` and `to_javascript`: a model as one file of source code that needs nothing else."""

from __future__ import annotations

import os
import re
from typing import Any

from portable_nn.interchange.c_source import c_source
from portable_nn.interchange.javascript_source import javascript_source
from portable_nn.interchange.models import model_of, written
from portable_nn.storage.atomic import replace_file

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def to_c(model: Any, path: str | os.PathLike[str], name: str | None = None) -> None:
    """Write a model as one file of C99, parameters included, that needs no library but the math one.

    Parameters
    ----------
    model : (net, params), or a fitted MLPClassifier or MLPRegressor
        On any backend. Its dtype is that of the functions: float for float32, double for float64.
    path : path-like
        The file, which is replaced as a whole.
    name : str, optional
        What the names in the file begin with; by default the name of the file without its ending.

    Raises
    ------
    TypeError, ValueError
        For what is no such model, a stack of networks, a name that C does not accept, and a
        user-defined layer or activation with operations that are not known.
    OSError
        If the file cannot be written; what was there is unchanged.

    Notes
    -----
    ``NAME_predict(x, out)`` computes the outputs of one row: of a classifier the probabilities, as
    `predict_proba` gives them. A classifier also has ``NAME_class(x)``, an index of ``NAME_classes``;
    with many labels a row ``NAME_labels(x, labels)``. ``NAME_INPUTS``, ``NAME_OUTPUTS`` and
    ``NAME_CLASSES`` are their sizes, ``NAME_features`` the names of the inputs, if they have any. The
    first lines of the file say how to use it. A code that is none, of an embedding, gives NaN.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 1), ("sigmoid",), "binary_cross_entropy")
    >>> pnn.to_c((net, net.initialize()), "model.c")
    >>> with open("model.c") as file:
    ...     source = file.read()
    >>> "model_predict(" in source
    True
    """
    if name is None:
        name = os.path.splitext(os.path.basename(os.fspath(path)))[0]
        check_identifier(name, f"the name of the file, {os.fspath(path)!r}, gives `name` {name!r}")
    check_identifier(name, f"`name` is {name!r}")
    source = written(model_of(model), "C", lambda one: c_source(one, name))
    replace_file(path, source.encode("ascii"))


def to_javascript(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model as one ES module, with its parameters, that needs nothing else.

    Parameters
    ----------
    model : (net, params), or a fitted MLPClassifier or MLPRegressor
        On any backend.
    path : path-like
        The file, which is replaced as a whole. Node takes it for a module if its name ends in ".mjs".

    Raises
    ------
    TypeError, ValueError
        For what is no such model, a stack of networks, and a user-defined layer or activation with
        operations that are not known.
    OSError
        If the file cannot be written; what was there is unchanged.

    Notes
    -----
    The module exports ``predict(row)``, which returns a typed array: of a classifier the probabilities,
    as `predict_proba` gives them; ``classify(row)``, the label of a row, or with many labels a row an
    array of 0 and 1; and ``inputs``, ``outputs``, ``classes`` and ``features``, where there are any.
    Whole numbers among the labels that a number of JavaScript does not hold exactly are of the type
    BigInt. A code that is none, of an embedding, gives NaN.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 1), ("sigmoid",), "binary_cross_entropy")
    >>> pnn.to_javascript((net, net.initialize()), "model.mjs")
    >>> with open("model.mjs") as file:
    ...     source = file.read()
    >>> "export function predict(" in source
    True
    """
    source = written(model_of(model), "JavaScript", javascript_source)
    replace_file(path, source.encode("ascii"))


def check_identifier(name: object, given: str) -> None:
    """Raise ValueError unless names of C may begin with `name`."""
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        raise ValueError(f"{given}; accepted: letters of ASCII, digits and _, the first one a letter")
