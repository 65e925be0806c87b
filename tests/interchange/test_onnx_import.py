"""ONNX files of other programs, and of ours: what these programs compute is the oracle."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
from onnx import TensorProto, helper

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS
from portable_nn.interchange import from_onnx, to_onnx

pytestmark = pytest.mark.usefixtures("host_only")
CLOSE = 1e-6


def difference(found, expected):
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


@pytest.fixture
def X(random):
    return random.normal(size=(40, 6)).astype("float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_was_exported_here_comes_back_to_the_bit(dtype, X, tmp_path):
    for name in ACTIVATIONS:
        net = pnn.Network((6, 5, 3), (name, "softmax"), "categorical_cross_entropy")
        params = net.initialize(seed=1, dtype=dtype)
        to_onnx((net, params), tmp_path / "model.onnx")
        back, again, classes = from_onnx(tmp_path / "model.onnx")
        assert [g.name for g in back.g] == [name, "softmax"]
        assert (back.loss, classes) == (net.loss, None)
        np.testing.assert_array_equal(
            back.predict(again, X.astype(dtype)), net.predict(params, X.astype(dtype))
        )


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c"], [3, 7], [0, 1, 2], "many"])
def test_labels_come_back(labels, X):
    pytest.importorskip("sklearn")
    y = (X[:, :3] > 0).astype(int) if labels == "many" else np.array(labels)[np.arange(40) % len(labels)]
    clf = pnn.MLPClassifier((4,), max_iter=9, tol=9.0, n_iter_no_change=1, random_state=0).fit(X, y)
    net, params, classes = from_onnx(to_onnx(clf))
    assert (classes is None) if labels == "many" else (classes.tolist() == labels)
    A, expected = net.predict(params, X), clf.predict_proba(X)
    assert difference(A, expected[:, -A.shape[1] :]) <= CLOSE


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_both_exporters_of_torch_are_read(exporter, X):
    torch = pytest.importorskip("torch")
    if exporter == "dynamo":
        pytest.importorskip("onnxscript")
    nn = torch.nn
    torch.manual_seed(0)
    x = torch.from_numpy(X)
    inner = [
        nn.ReLU(),
        nn.LeakyReLU(0.1),
        nn.ELU(),
        nn.Softplus(),
        nn.SiLU(),
        nn.GELU("tanh"),
        nn.SELU(),
        nn.Mish(),
        nn.Hardswish(),
    ]
    layers = [part for each in inner for part in (nn.Linear(6, 6), each)]
    last = nn.Linear(6, 3, bias=False)
    module = nn.Sequential(*layers, nn.Dropout(0.1), last, nn.Softmax(-1)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters
        if exporter == "dynamo":
            model = torch.onnx.export(module, (x,), dynamo=True, verbose=False).model_proto
        else:
            file = io.BytesIO()
            torch.onnx.export(module, (x,), file, dynamo=False)
            model = onnx.load_from_string(file.getvalue())
    net, params, classes = from_onnx(model)
    names = ["relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "selu", "mish", "hard_swish"]
    names.append("softmax")
    assert [g.name for g in net.g] == names
    assert classes is None
    with torch.no_grad():
        assert difference(net.predict(params, X), module(x).numpy()) <= CLOSE


@pytest.mark.parametrize("zipmap", [True, False])
def test_what_skl2onnx_writes_of_scikit_learn_is_read(zipmap, X):
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    how = {"hidden_layer_sizes": (5,), "max_iter": 40, "tol": 1.0, "n_iter_no_change": 1}
    for y in (np.array(["no", "yes"])[np.arange(40) % 2], np.arange(40) % 3):
        clf = MLPClassifier(**how, random_state=0).fit(X, y)
        net, params, classes = from_onnx(skl2onnx.to_onnx(clf, X[:1], options={"zipmap": zipmap}))
        np.testing.assert_array_equal(classes, clf.classes_)
        A = net.predict(params, X)
        assert difference(A, clf.predict_proba(X)[:, -A.shape[1] :]) <= CLOSE
    reg = MLPRegressor(**how, random_state=0).fit(X, X[:, :2])
    net, params, classes = from_onnx(skl2onnx.to_onnx(reg, X[:1]))
    assert classes is None
    assert difference(net.predict(params, X), reg.predict(X)) <= CLOSE


def constants(**numbers):
    """Initializers, to add to a graph."""
    return [onnx.numpy_helper.from_array(np.float32(x), name) for name, x in numbers.items()]


def chain(*middle, weights=(6, 4)):
    """A Gemm, further nodes from Z1 to A1, and a second Gemm."""
    W1, W2 = np.ones(weights, "float32"), np.eye(4, 3, dtype="float32")
    nodes = [
        helper.make_node("Gemm", ["X", "W1"], ["Z1"], name="first"),
        *middle,
        helper.make_node("Gemm", ["A1", "W2"], ["Y"], name="second"),
    ]
    values = [onnx.numpy_helper.from_array(W, name) for W, name in ((W1, "W1"), (W2, "W2"))]
    values.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("X", "Y")]
    graph = helper.make_graph(nodes, "g", rows[:1], rows[1:], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_what_is_none_of_ours_is_named():
    node = helper.make_node
    refused = {
        r"'odd' \(HardSigmoid\) compute is none of our activations": [
            node("HardSigmoid", ["Z1"], ["A1"], name="odd")
        ],
        "erf form of gelu": [node("Gelu", ["Z1"], ["A1"])],
        r"'Z2' \(Add\), 'A1' \(Relu\)": [
            node("Add", ["Z1", "half"], ["Z2"]),
            node("Relu", ["Z2"], ["A1"]),
        ],
    }
    for message, nodes in refused.items():
        with pytest.raises(ValueError, match=message):
            from_onnx(chain(*nodes))
    scaled = chain(node("Relu", ["Z1"], ["A1"]))
    scaled.graph.node.insert(0, node("Mul", ["X", "half"], ["X2"], name="scale"))
    scaled.graph.node[1].input[0] = "X2"
    with pytest.raises(ValueError, match="the node 'scale', a Mul, changes the rows before"):
        from_onnx(scaled)
    with pytest.raises(ValueError, match="takes 4 inputs, and the layer before it gives 5"):
        from_onnx(chain(node("Relu", ["Z1"], ["A1"]), weights=(6, 5)))
    with pytest.raises(TypeError, match="accepted: the path of an ONNX file"):
        from_onnx(3)


def test_a_skip_connection_is_refused():
    node = helper.make_node
    skip = chain(node("Relu", ["Z1"], ["A1"]))
    skip.graph.node.append(node("Add", ["Y", "Z1"], ["sum"], name="skip"))
    skip.graph.output[0].name = "sum"
    with pytest.raises(ValueError, match="'skip'"):
        from_onnx(skip)


def test_the_numbers_of_a_gemm_count(X):
    model = chain(helper.make_node("Relu", ["Z1"], ["A1"]))
    model.graph.node[0].attribute.extend([helper.make_attribute("alpha", 0.25)])
    net, params, _ = from_onnx(model)
    np.testing.assert_array_equal(params[0][0], np.full((4, 6), 0.25, "float32"))
    assert net.sizes == (6, 4, 3)


NODE = helper.make_node
RELU = NODE("Relu", ["Z1"], ["A1"])
BOUNDED = {  # activations that are ours, or nothing, only within bounds
    "relu to 64": [NODE("Clip", ["Z1", "zero", "b64"], ["A1"])],
    "identity to 64": [NODE("Clip", ["Z1", "m64", "b64"], ["A1"])],
    "identity to 3e12": [NODE("Clip", ["Z1", "", "b3e12"], ["A1"])],
    "softmax to 40": [NODE("Clip", ["Z1", "m40", "b40"], ["H"]), NODE("Softmax", ["H"], ["A1"])],
    "exp to 64": [NODE("Clip", ["Z1", "m64", "b64"], ["H"]), NODE("Exp", ["H"], ["A1"])],
    "relu to 1e3": [NODE("Relu", ["Z1"], ["H"]), NODE("Min", ["H", "b1e3"], ["A1"])],
    "relu to 500, then 0": [
        NODE("Relu", ["Z1"], ["H"]),
        NODE("Greater", ["Z1", "b500"], ["is_above"]),
        NODE("Where", ["is_above", "zero", "H"], ["A1"]),
    ],
    "relu from 0.001": [
        NODE("Greater", ["Z1", "b001"], ["is_above"]),
        NODE("Where", ["is_above", "Z1", "zero"], ["A1"]),
    ],
    "relu but for 7.77 to 7.773": [
        NODE("Relu", ["Z1"], ["H"]),
        NODE("Greater", ["Z1", "b777"], ["is_above"]),
        NODE("Less", ["Z1", "b7773"], ["is_below"]),
        NODE("And", ["is_above", "is_below"], ["is_between"]),
        NODE("Where", ["is_between", "zero", "H"], ["A1"]),
    ],
    "relu to 6400, by numbers of other scales": [
        NODE("Mul", ["Z1", "hundredth"], ["H"]),
        NODE("Clip", ["H", "zero", "b64"], ["H2"]),
        NODE("Mul", ["H2", "hundred"], ["A1"]),
    ],
    "a fresh batch normalization": [NODE("Mul", ["Z1", "fresh"], ["A1"])],
}


def bounded(*middle):
    model = chain(*middle)
    numbers = {"zero": 0, "b64": 64, "m64": -64, "m40": -40, "b40": 40, "b500": 500, "b1e3": 1e3}
    numbers |= {"b001": 0.001, "b777": 7.77, "b7773": 7.773, "b3e12": 3e12, "b10": 10, "m10": -10}
    numbers |= {"hundred": 100, "hundredth": 0.01}
    model.graph.initializer.extend(constants(**numbers, fresh=(1 + 1e-5) ** -0.5))
    return model


@pytest.mark.parametrize("name", BOUNDED)
def test_an_activation_within_bounds_is_none_of_ours(name):
    with pytest.raises(ValueError, match="compute is none of our activations"):
        from_onnx(bounded(*BOUNDED[name]))


def test_inputs_within_bounds_are_refused():
    model = bounded(RELU)
    model.graph.node.insert(0, NODE("Clip", ["X", "m10", "b10"], ["X2"], name="bound"))
    model.graph.node[1].input[0] = "X2"
    with pytest.raises(ValueError, match="the node 'bound', a Clip, changes the rows"):
        from_onnx(model)


def test_a_bound_in_an_attribute_or_a_function_is_seen():
    old = chain(NODE("Clip", ["Z1"], ["A1"], min=0.0, max=64.0))
    del old.opset_import[:]
    old.opset_import.extend([helper.make_opsetid("", 9)])
    opsets = [helper.make_opsetid("", 20)]
    notch = [
        NODE("Constant", [], ["low"], value_float=7.77),
        NODE("Constant", [], ["high"], value_float=7.773),
        NODE("Relu", ["z"], ["h"]),
        NODE("Greater", ["z", "low"], ["is_above"]),
        NODE("Less", ["z", "high"], ["is_below"]),
        NODE("And", ["is_above", "is_below"], ["is_between"]),
        NODE("Sub", ["h", "h"], ["nothing"]),
        NODE("Where", ["is_between", "nothing", "h"], ["a"]),
    ]
    inner = chain(NODE("Notched", ["Z1"], ["A1"], domain="mine"))
    inner.functions.append(helper.make_function("mine", "Notched", ["z"], ["a"], notch, opsets))
    inner.opset_import.append(helper.make_opsetid("mine", 1))
    for model in (old, inner):
        with pytest.raises(ValueError, match="compute is none of our activations"):
            from_onnx(model)


def test_several_outputs_of_numbers_are_refused_by_name():
    model = chain(RELU)
    model.graph.output.append(helper.make_tensor_value_info("A1", TensorProto.FLOAT, None))
    with pytest.raises(ValueError, match=r"numbers in the outputs \['Y', 'A1'\]; accepted: one such"):
        from_onnx(model)


def test_the_only_label_of_a_classifier_comes_back_once(X):
    pytest.importorskip("sklearn")
    clf = pnn.MLPClassifier((4,), max_iter=2, tol=9.0, n_iter_no_change=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        model = to_onnx(clf.fit(X, np.zeros(40, int)))
    assert from_onnx(model)[2].tolist() == clf.classes_.tolist() == [0]


def test_a_file_that_is_no_onnx_is_named(tmp_path):
    path = tmp_path / "notes.onnx"
    path.write_text("a text, and no model")
    with pytest.raises(ValueError, match=r"the file '.*notes\.onnx' is no ONNX"):
        from_onnx(path)


@pytest.mark.parametrize("shape", [(5, 1), (5, 4), (3,), (4, 1)])
def test_a_gemm_that_adds_something_else_than_a_bias_is_named(shape):
    model = chain(RELU)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(shape, "float32"), "C"))
    model.graph.node[0].input.append("C")
    with pytest.raises(
        ValueError, match=r"node 'first', a Gemm, adds an array of shape .*accepted: a b"
    ):
        from_onnx(model)
    model.graph.node[0].input[2] = "X"
    with pytest.raises(ValueError, match="'first', a Gemm, adds what depends on the input"):
        from_onnx(model)
