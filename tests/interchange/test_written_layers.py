"""Networks of layers as C, JavaScript and ONNX: gcc, node and onnxruntime give what `predict` gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from layer_models import CODES, LAYERS, models, rows
from source_helpers import SANITIZED, TOLERANCE, difference, run_in_c, run_in_node

import portable_nn as pnn
from portable_nn.interchange import to_onnx

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.fixture(scope="module")
def problems():
    """Networks, their parameters, rows, and what is predicted for them, by name and dtype."""
    return {
        name: (model, X, model[0].predict(model[1], X))
        for dtype in TOLERANCE
        for name, (model, X) in models(dtype).items()
    }


def given(problems):
    """What the programs are given."""
    return {name: (X.dtype.name, X) for name, (_, X, _) in problems.items()}


def check(problems, found, margin, what):
    for name, (_, X, expected) in problems.items():
        dtype = X.dtype.name
        assert margin(what, dtype, difference(found[name], expected)) <= TOLERANCE[dtype], name


def test_c_gives_the_predictions_of_every_layer(problems, tmp_path, margin):
    for name, (model, *_) in problems.items():
        pnn.to_c(model, tmp_path / f"{name}.c")
    check(problems, run_in_c(tmp_path, given(problems), *SANITIZED), margin, "layers in C")


def test_javascript_gives_the_predictions_of_every_layer(problems, tmp_path, margin):
    for name, (model, *_) in problems.items():
        pnn.to_javascript(model, tmp_path / f"{name}.mjs")
    check(problems, run_in_node(tmp_path, given(problems)), margin, "layers in JavaScript")


def test_onnxruntime_gives_the_predictions_of_every_layer(problems, margin):
    runtime = pytest.importorskip("onnxruntime")
    found = {}
    for name, (model, X, _) in problems.items():
        session = runtime.InferenceSession(to_onnx(model).SerializeToString())
        (found[name],) = session.run(["A"], {"X": X})
        assert session.run(["A"], {"X": X[:1]})[0].shape == (1, found[name].shape[1])
    check(problems, found, margin, "layers in onnxruntime")


WRONG = (-1.0, 0.5, 4.0, 1e30, -1e30, np.nan, np.inf)  # codes of the second column


def test_what_is_no_code_gives_nan_everywhere(tmp_path):
    net = pnn.Network((4, *LAYERS["embedding"]), loss="squared_error")
    model = net, net.initialize()
    X = rows(len(WRONG) + 1, "float32", np.random.default_rng(0))
    X[:-1, 1] = WRONG
    X[-1, 1] = -0.0  # is one
    pnn.to_c(model, tmp_path / "net.c")
    pnn.to_javascript(model, tmp_path / "net.mjs")
    found = {
        "C": run_in_c(tmp_path, {"net": ("float32", X)}, *SANITIZED)["net"],
        "JavaScript": run_in_node(tmp_path, {"net": ("float32", X)})["net"],
    }
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(to_onnx(model).SerializeToString())
    found["ONNX"] = session.run(None, {"X": X})[0]
    for what, A in found.items():
        assert np.isnan(A[:-1]).all(), what
        assert np.isfinite(A[-1]).all(), what
    for name in ("net.c", "net.mjs"):  # it is said
        text = (tmp_path / name).read_text()
        assert all(f"[{c}] is a code, 0 to {n - 1}: others give NaN" for c, n in CODES.items()), text


def test_normalizations_are_operators_of_onnx():
    pytest.importorskip("onnx")
    found = models("float32")["all_float32"][0]
    kinds = [node.op_type for node in to_onnx(found).graph.node]
    assert {"BatchNormalization", "LayerNormalization", "Gather", "Cos"} <= set(kinds)


def test_an_epsilon_is_as_exact_as_its_dtype():
    runtime = pytest.importorskip("onnxruntime")
    net = pnn.Network((2, pnn.BatchNorm(epsilon=1e-5)), loss="squared_error")
    params = [tuple(np.full((2, 1), x) for x in (1.0, 0.0, 0.0, 1e-9))]
    X = np.asarray([[1.0, -2.0]])
    session = runtime.InferenceSession(to_onnx((net, params)).SerializeToString())
    assert difference(session.run(None, {"X": X})[0], net.predict(params, X)) <= 1e-14


@dataclass(frozen=True)
class Sorted(pnn.Layer):
    """A user-defined layer that no target has operations for."""

    def forward(self, xp, theta, A):
        return xp.sort(A, axis=-2), A

    def backward(self, xp, theta, kept, dA):
        order = xp.argsort(kept, axis=-2)
        return xp.take_along_axis(dA, xp.argsort(order, axis=-2), axis=-2), ()


def test_a_layer_that_cannot_be_written_is_named(tmp_path):
    net = pnn.Network((3, 4, Sorted(), "tanh", 2), loss="squared_error")
    model = net, net.initialize()
    for write in (pnn.to_c, pnn.to_javascript, lambda model, _: to_onnx(model)):
        with pytest.raises(
            TypeError, match=r"the layer 'Sorted' of layer 1 cannot be written as .*sort"
        ):
            write(model, tmp_path / "net.c")
    twice = pnn.Activation("odd", lambda xp, Z: xp.sort(Z, axis=-2), lambda xp, Z: xp.ones_like(Z))
    with pytest.warns(UserWarning, match="g_prime"):
        net = pnn.Network((3, 4, pnn.Scale(), twice, 2), loss="squared_error")
    with pytest.raises(TypeError, match=r"the activation 'odd' of layer 2 cannot be written as C"):
        pnn.to_c((net, net.initialize()), tmp_path / "net.c")


def test_a_stack_that_shares_weights_is_exported_member_by_member(tmp_path):
    net = pnn.Network((3, pnn.SharedDense(4), "tanh", 2), loss="squared_error")
    params = net.initialize(stack=2)
    with pytest.raises(ValueError, match=r"stack .*\(2,\).*one by one: \[tuple\(") as caught:
        pnn.to_c((net, params), tmp_path / "net.c")
    recipe = str(caught.value).partition("one by one: ")[2].partition(", shared")[0]
    X = np.ones((5, 3), "float32")
    for k in range(2):
        member = eval(recipe, {"params": params, "k": k, "tuple": tuple})
        pnn.to_c((net, member), tmp_path / "net.c")
        assert np.allclose(net.predict(member, X), net.predict(params, X)[k], rtol=1e-6)
