"""The exported graphs compute in onnxruntime what is predicted here; labels are the same."""

from __future__ import annotations

import copy
import json
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import onnx
import onnxruntime
from source_helpers import OWN, TOLERANCE, difference, networks, rows_of, worst_difference

import portable_nn as pnn
from portable_nn.interchange import to_onnx

pytestmark = pytest.mark.usefixtures("host_only")


def run(model, X):
    """The outputs in onnxruntime by their names, once the checker has passed the model."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (given,) = session.get_inputs()
    return dict(
        zip([o.name for o in session.get_outputs()], session.run(None, {given.name: X}), strict=True)
    )


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_every_activation_gives_the_predictions(dtype, random, margin):
    for name, (net, params) in networks(dtype, bias=0.1).items():
        rows = rows_of(net.sizes[0], dtype, random)
        X = np.concatenate(list(rows.values()))
        with np.errstate(all="ignore"):
            expected = net.predict(params, X)
        found = run(to_onnx((net, params)), X)["A"]
        assert found.dtype == dtype
        worst = margin("onnxruntime", dtype, worst_difference(found, expected, rows))
        assert worst <= TOLERANCE[dtype], name


OPERATORS = {
    "identity": "",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "softmax": "Softmax",
    "elu": "Elu",
    "selu": "Selu",
    "exp": "Exp",
    "softplus": "Softplus",
    "silu": "Sigmoid Mul",
    "gelu": "Gelu",
    "mish": "Mish",
    "hard_swish": "HardSwish",
}


def test_a_group_of_operations_that_is_an_operator_becomes_that_operator():
    for name, expected in OPERATORS.items():
        net = pnn.Network((3, 4, 2), (name, "identity"), "squared_error")
        model = to_onnx((net, net.initialize()))
        assert [n.op_type for n in model.graph.node] == ["Gemm", *expected.split(), "Gemm"]
    net = pnn.Network((3, 4, 2), (OWN["leaky_relu_02"], "identity"), "squared_error")
    model = to_onnx((net, net.initialize()))
    (attribute,) = model.graph.node[1].attribute
    assert (attribute.name, round(attribute.f, 6)) == ("alpha", 0.2)


def test_nodes_that_older_versions_of_onnxruntime_fuse_and_cannot_run_are_not_written():
    for name in OPERATORS:  # 1.17 has no fused Gemm for float64, 1.23 no x Sigmoid(x)
        net = pnn.Network((3, 4, 2), (name, "identity"), "squared_error")
        model = to_onnx((net, net.initialize(dtype="float64")))
        found = [n.op_type for n in model.graph.node]
        assert "Gemm" not in found
        assert ("Sigmoid" in found) == (name == "sigmoid")


def test_small_predictions_keep_their_digits():
    X = np.linspace(-12, -1, 2001, dtype="float32")[:, None]
    for name in ("gelu", "silu", "mish", "hard_swish"):  # their operators lose some in onnxruntime
        net = pnn.Network((1, 1), (name,), "squared_error")
        params = [(np.ones((1, 1), "float32"), np.zeros((1, 1), "float32"))]
        assert difference(run(to_onnx((net, params)), X)["A"], net.predict(params, X)) <= 1e-6


def test_any_number_of_rows_goes_in(random):
    net = pnn.Network((3, 4, 2), ("tanh", "softmax"), "categorical_cross_entropy")
    params = net.initialize()
    model = to_onnx((net, params))
    for n in (1, 2, 500):
        X = random.normal(size=(n, 3)).astype("float32")
        assert difference(run(model, X)["A"], net.predict(params, X)) < 1e-6


def test_no_digits_are_lost_in_expm1_and_log1p():
    for name in ("elu", "softplus"):
        exact = {"elu": np.expm1, "softplus": lambda x: np.log1p(np.exp(x))}[name]
        net = pnn.Network((1, 1), (name,), "squared_error")
        params = [(np.ones((1, 1)), np.zeros((1, 1)))]
        X = -np.geomspace(1e-300 if name == "elu" else 1e-3, 700, 2000)[:, None]
        with np.errstate(all="ignore"):
            found = run(to_onnx((net, params)), X)["A"]
        assert np.max(np.abs(found / exact(X) - 1)) < 1e-14


def test_the_file_is_the_model_and_says_what_it_is(tmp_path):
    net = pnn.Network((3, 4, 2), ("tanh", "softmax"), "categorical_cross_entropy")
    model = to_onnx((net, net.initialize()), tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == model
    assert (model.ir_version, model.opset_import[0].version) == (9, 20)
    assert (model.producer_name, model.producer_version) == ("portable_nn", pnn.__version__)
    assert {p.key: p.value for p in model.metadata_props} == {"task": "network"}


def test_an_activation_without_operators_is_named():
    mine = pnn.Activation("mine", lambda xp, Z: xp.atan2(Z, xp.exp(Z)), lambda xp, Z: xp.ones_like(Z))
    with pytest.warns(UserWarning, match="g_prime"):
        net = pnn.Network((3, 4, 2), ("tanh", mine), "squared_error")
    with pytest.raises(
        TypeError, match="'mine' of layer 2 cannot be written as ONNX: no nodes for arctan2"
    ):
        to_onnx((net, net.initialize()))


def test_every_layer_has_parameters_of_its_own():
    net = pnn.Network((3, 3, 3), ("relu", "relu"), "squared_error")
    (W, b), *_ = net.initialize()
    model = to_onnx((net, [(W, b), (W, b)]))
    names = [name for node in model.graph.node[::2] for name in node.input[1:]]
    assert names == ["weights_1", "bias_1", "weights_2", "bias_2"]
    assert sorted(names) == sorted(i.name for i in model.graph.initializer)


# ---- labels -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def estimators():
    """Fitted estimators, with rows, by their task."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from test_labels import LABELS, fitted

    found = {kind: fitted("classifier", labels) for kind, labels in LABELS.items()}
    found["float32"] = fitted("classifier", LABELS["numbers"], "float32")
    return found | {kind: fitted(kind) for kind in ("multilabel", "regressor")}


def test_labels_and_probabilities_are_those_of_the_estimator(estimators, margin):
    for kind, (est, X) in estimators.items():
        model = to_onnx(est)
        found, tolerance = run(model, X), TOLERANCE[X.dtype.name]
        if kind == "regressor":
            assert list(found) == ["variable"]
            assert difference(found["variable"], est.predict(X)) <= tolerance
            continue
        assert list(found) == ["label", "probabilities"]
        expected = est.predict(X)
        assert found["label"].dtype == (object if expected.dtype.kind in "OU" else np.int64)
        assert np.array_equal(found["label"], expected), kind
        worst = margin(
            "probabilities in onnxruntime",
            X.dtype.name,
            difference(found["probabilities"], est.predict_proba(X)),
        )
        assert worst <= tolerance
        notes = {p.key: p.value for p in model.metadata_props}
        assert json.loads(notes["classes"]) == est.classes_.tolist()


def test_a_single_target_has_one_column(estimators):
    _, X = estimators["regressor"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        one = pnn.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1).fit(X, X[:, 0])
    found = run(to_onnx(one), X)["variable"]
    assert found.shape == (len(X), 1)
    assert difference(found[:, 0], one.predict(X)) < 1e-12


def test_labels_that_int64_does_not_hold_are_refused(estimators):
    est, _ = estimators["two numbers"]
    large = copy.copy(est)
    large.classes_ = np.array([1, 2**64 - 1], dtype=np.uint64)
    with pytest.raises(ValueError, match=f"`classes_` holds {2**64 - 1}; accepted: labels that int64"):
        to_onnx(large)


def test_without_onnx_the_error_says_what_to_install(monkeypatch):
    net = pnn.Network((1, 1), ("tanh",), "squared_error")
    for name in ("onnx", "onnx.helper"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install onnx"):
        to_onnx((net, net.initialize()))
