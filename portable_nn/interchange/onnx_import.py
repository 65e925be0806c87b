"""Networks in ONNX files: chains of dense layers, whoever wrote them."""

from __future__ import annotations

import importlib
import os
from typing import Any

from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import Loss, Parameters
from portable_nn.interchange.layers import Chain
from portable_nn.interchange.onnx_graphs import Graph
from portable_nn.interchange.onnx_parts import named
from portable_nn.interchange.onnx_protos import require_onnx
from portable_nn.network import Network


def from_onnx(
    model: Any, loss: str | Loss | None = None, output: str | None = None, backend: Any = "numpy"
) -> tuple[Network, Parameters, HostArray | None]:
    """The network in an ONNX model that is a chain of layers, and its labels.

    Read are models by torch.onnx, skl2onnx, Keras and `to_onnx`, and others that are made of Gemm, or
    MatMul and Add, of BatchNormalization and of LayerNormalization, with one of our activations between
    them, however it is written: what stands between two layers is carried out on rows around every
    number in it, and compared with the activations. Other layers that `to_onnx` writes are arithmetic
    there, and do not come back; with float64 a LayerNorm neither.

    Parameters
    ----------
    model : path, or onnx.ModelProto
        The file, or the model.
    loss : str or Loss, optional
        As for `from_torch`.
    output : str or Activation, optional
        As for `from_torch`.
    backend : str or Backend
        Where the parameters, which are copies, go.

    Returns
    -------
    net : Network
    params : list of (W, b), or of the arrays of other layers
    classes : array (n_classes,), or None
        The labels, where the model gives labels for its rows.

    Raises
    ------
    TypeError, ValueError
        For a model that is no such chain, or gives numbers in several outputs, and a file that is no
        ONNX; the message names the node, the outputs or the file.
    ImportError
        If onnx is not installed.

    Examples
    --------
    >>> import onnx
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 3, 1), ("relu", "identity"), "squared_error")
    >>> model = pnn.interchange.to_onnx((net, net.initialize()))
    >>> its_net, params, classes = pnn.interchange.from_onnx(model)
    >>> its_net.sizes, classes
    ((2, 3, 1), None)
    """
    require_onnx()
    onnx = importlib.import_module("onnx")
    proto = loaded(onnx, model) if isinstance(model, (str, os.PathLike)) else model
    if not isinstance(proto, onnx.ModelProto):
        raise TypeError(f"`model` is {type(model)}; accepted: the path of an ONNX file, or a ModelProto")
    graph = Graph(proto)
    parts = graph.layers()
    chain = Chain()
    graph.check_unchanged(parts[0])
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        chain.add(named(part.node), part.layer, part.n, *part.arrays)
        n = part.width
        if after is not None:
            chain.add_activation(f"what follows {named(part.node)}", graph.activation(part, after, n))
    classes = graph.labels(parts[-1])
    chain.add_activation("the end of the graph", graph.last_activation(parts[-1]))
    return *chain.network(loss, output, backend), classes


def loaded(onnx: Any, path: str | os.PathLike[str]) -> Any:
    """The model in a file; ValueError where it holds something else."""
    error_of_decoder = importlib.import_module("google.protobuf.message").DecodeError
    try:
        return onnx.load(os.fspath(path))
    except error_of_decoder as error:
        raise ValueError(f"the file {os.fspath(path)!r} is no ONNX ({error}); accepted: ONNX") from error
