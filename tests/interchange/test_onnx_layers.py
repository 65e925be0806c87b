"""Normalizations in ONNX files of other programs, and of ours: what these compute is the oracle."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
from layer_models import models
from onnx import TensorProto, helper

import portable_nn as pnn
from portable_nn.interchange import from_onnx, to_onnx

pytestmark = pytest.mark.usefixtures("host_only")


def difference(found, expected):
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("name", ["batch_norm_float32", "layer_norm_float32", "batch_norm_float64"])
def test_normalizations_that_were_exported_here_come_back(name):
    (net, params), X = models(name[-7:])[name]
    back, again, _ = from_onnx(to_onnx((net, params)))
    found, expected = back.predict(again, X), net.predict(params, X)
    if name.endswith("32"):
        # but relu, whose derivative at 0 is that of others, and a b of 0
        assert repr(back) == repr(net).replace("Dense(units=5, bias=False)", "5")
        np.testing.assert_array_equal(found, expected)
    else:  # epsilon is of float32 there, and the variance makes up for it
        assert difference(found, expected) <= 1e-14


def test_the_normalizations_of_torch_are_read(random):
    torch = pytest.importorskip("torch")
    nn, X = torch.nn, torch.from_numpy(random.normal(size=(30, 4)).astype("float32"))
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.BatchNorm1d(4, momentum=0.3), nn.Linear(4, 5), nn.ReLU(), nn.BatchNorm1d(5, eps=1e-3)),
        *(nn.LayerNorm(5, eps=0.1), nn.Tanh(), nn.Linear(5, 3), nn.Sigmoid()),
    )
    module(X)
    module.eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter is deprecated
        torch.onnx.export(module, (X,), file, dynamo=False, opset_version=17)
    net, params, _ = from_onnx(onnx.load_from_string(file.getvalue()))
    assert net.layers[0] == pnn.BatchNorm(momentum=0.3)
    assert [type(layer).__name__ for layer in net.layers].count("LayerNorm") == 1
    with torch.no_grad():
        assert difference(net.predict(params, X.numpy()), module(X).numpy()) <= 1e-6


def model(operator, *arrays, **attributes):
    """A model of one node, with these arrays."""
    names = [f"array{i}" for i in range(len(arrays))]
    graph = helper.make_graph(
        [helper.make_node(operator, ["X", *names], ["Y"], **attributes)],
        "graph",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["n", 3])],
        [onnx.numpy_helper.from_array(a, name) for a, name in zip(arrays, names, strict=True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_a_node_without_attributes_has_those_of_the_specification(random):
    column, X = np.float32([0.5, 1.0, 2.0]), random.normal(size=(9, 3)).astype("float32")
    for given, layer in (
        (model("BatchNormalization", *[column] * 4), pnn.BatchNorm(momentum=0.1, epsilon=1e-5)),
        (model("LayerNormalization", column, column), pnn.LayerNorm(epsilon=1e-5)),
        (model("LayerNormalization", column), pnn.LayerNorm(epsilon=1e-5)),
    ):
        net, params, _ = from_onnx(given)
        assert net.layers[0] == layer
        session = runtime.InferenceSession(given.SerializeToString())
        assert difference(net.predict(params, X), session.run(None, {"X": X})[0]) <= 1e-6


def test_what_has_no_counterpart_is_named():
    column = np.ones(3, "float32")
    for given, message in (
        (model("LayerNormalization", column, column, axis=0), "'Y', a LayerNormalization.*another axis"),
        (model("LayerNormalization", np.ones((1, 3), "float32")), "'Y', a LayerNorm.*for each unit"),
        (model("BatchNormalization", *[column] * 4, training_mode=1), "BatchNormalization.*training"),
    ):
        with pytest.raises(ValueError, match=message):
            from_onnx(given)


def test_layers_that_are_arithmetic_there_are_refused_by_their_nodes():
    for name in ("embedding", "periodic", "scale", "trained", "shared"):
        with pytest.raises(ValueError, match=r"accepted: |stands before"):
            from_onnx(to_onnx(models("float32")[f"{name}_float32"][0]))
