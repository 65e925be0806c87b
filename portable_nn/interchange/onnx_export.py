"""`to_onnx`: a model as an ONNX graph, with labels and probabilities laid out as skl2onnx does it."""

from __future__ import annotations

import os
from typing import Any

from portable_nn.interchange.models import Model, is_of_tables, model_of, written
from portable_nn.interchange.onnx_operators import TENSOR_TYPES, Nodes, unique_names
from portable_nn.interchange.onnx_outputs import OPSET, add_outputs, outputs_of, prediction
from portable_nn.interchange.onnx_protos import Written, make_model, metadata, require_onnx
from portable_nn.storage.atomic import replace_file


def to_onnx(model: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """A model as an ONNX graph, which is also written to a file if a path is given.

    Parameters
    ----------
    model : (net, params), or a fitted MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        On any backend.
    path : path-like, optional
        The file, which is replaced as a whole.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError, ValueError
        For what is no such model, a stack of networks, and a user-defined layer or activation with
        operations that ONNX has no operators for; for a table with a column in which the empty string
        is a category and values are missing too.
    OSError
        If the file cannot be written; what was there is unchanged.

    Notes
    -----
    The input is ``X`` (n, n_features), in the dtype of the parameters, for any number n of rows. The
    outputs are:

    - of a classifier ``label`` (n,) and ``probabilities`` (n, n_classes), of two classes too. Labels are
      int64, booleans and whole floats also, or strings. With many labels a row ``label`` is (n,
      n_labels), of 0 and 1;
    - of a regressor ``variable`` (n, n_outputs);
    - of a network ``A`` (n, n_L).

    Of a TabularClassifier or TabularRegressor the graph is all of it: the encoding, every network, their
    mean, and what makes calibrated probabilities, or values in the unit of y, of that. Its inputs are
    the columns of the table, each (n, 1), in their order and of their names; ``x0``, ``x1``, ... where
    they have none. One that is called like an output gets a number, as in ``label_2``.

    - Numbers are float64, NaN where one is missing. Infinite ones, which are refused here, count as
      very large.
    - Categories are strings, also those that `categorical_features` names: True is ``"1"``, and whole
      numbers are without a point, ``"3"``. A missing one is the empty string, also where that is a
      category. What was never seen is like any unknown category.

    The networks compute in float32; probabilities and values are float64. With a temperature T below 1
    probabilities are within 1e-6 / T.

    Classes and names of inputs stand in the metadata, as JSON under ``classes`` and ``feature_names``.
    The graph has opset 20 and IR version 9: ONNX 1.15, onnxruntime 1.17 and later read it. Operators are
    those that onnxruntime has for the dtype: with float64 some activations become several nodes, and
    LayerNorm. An embedding is a Gather, by codes that stand in X as numbers; a code that is none gives
    NaN.
    onnxruntime's predictions are within 1e-6 (float32) or 1e-12 (float64) of the largest one here; its
    own functions of float32 lose digits where all predictions of a network are small.

    Examples
    --------
    >>> import onnx
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 3, 1), ("relu", "identity"), "squared_error")
    >>> model = pnn.interchange.to_onnx((net, net.initialize()), "model.onnx")
    >>> onnx.checker.check_model("model.onnx")
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Relu', 'Gemm']
    """
    helper = require_onnx()
    if is_of_tables(model):
        # not above: scikit-learn, which this loads, is optional
        from portable_nn.interchange.onnx_tables import written_table  # noqa: PLC0415

        found = written_table(model)
    else:
        found = written_rows(model_of(model))
    proto = make_model(helper, found)
    if path is not None:
        replace_file(path, proto.SerializeToString(deterministic=True))
    return proto


def written_rows(model: Model) -> Written:
    """The graph of a model that takes rows of numbers, X."""
    outputs = outputs_of(model)

    def write(one: Model) -> Nodes:
        names = outputs_of(one)
        nodes = Nodes(unique_names(["X", *names]))
        add_outputs(one, nodes, prediction(one, nodes, "X", OPSET), list(names))
        return nodes

    inputs = {"X": (TENSOR_TYPES[model.dtype.name], ["n", model.sizes[0]])}
    return Written(written(model, "ONNX", write), inputs, outputs, metadata(model))
