"""Networks of layers with their parameters, saved and loaded; what a file may not describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from helpers import flat
from storage_files import take_apart, with_values

import portable_nn as pnn
from portable_nn.files.command import main
from portable_nn.storage import read_document, write_document

pytestmark = pytest.mark.usefixtures("host_only")
TWICE = pnn.Activation("twice", lambda xp, Z: 2.0 * Z, lambda xp, Z: 2.0 * xp.ones_like(Z))


@dataclass(frozen=True)
class Constant(pnn.Layer):
    """A user-defined layer: z + offset."""

    offset: float

    def forward(self, xp: Any, theta: Any, A: Any) -> Any:
        return A + self.offset, None

    def backward(self, xp: Any, theta: Any, kept: Any, dA: Any) -> Any:
        return dA, ()


NETS = {
    "normalized": pnn.Network(
        (
            3,
            pnn.Dense(5, bias=False),
            pnn.BatchNorm(momentum=0.2, epsilon=1e-3),
            "relu",
            pnn.LayerNorm(),
            2,
        ),
        loss="squared_error",
    ),
    "embedded": pnn.Network(
        (
            *(3, pnn.Embedding({1: 4, 2: 3}, dim=2), pnn.Periodic(3, 2, columns=[0])),
            *(pnn.PiecewiseLinear([(0, 1, 3)] * 7), pnn.Scale(shift=False), 2, "softmax"),
        ),
        loss="categorical_cross_entropy",
    ),
    "trained activations": pnn.Network(
        (3, 4, pnn.ParametricActivation(pnn.leaky_relu(0.3)), pnn.Scale(), 1), loss="squared_error"
    ),
}
SHARED = pnn.Network(
    (3, pnn.SharedDense(4), pnn.BatchNorm(), pnn.ParametricActivation("mish"), pnn.SharedDense(2)),
    loss="squared_error",
)
X = np.asarray([[0.5, 3, 0], [-1.5, 0, 2], [2.5, 1, 1]])


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_of_layers_is_loaded_as_it_was(name, dtype, tmp_path):
    net = NETS[name]
    params = net.initialize(seed=3, dtype=dtype)
    pnn.save(tmp_path / "f", (net, params))
    for options in ({}, {"mmap": True}):
        again, found = pnn.load(tmp_path / "f", **options)
        assert again == net
        assert hash(again) == hash(net)
        assert all(map(np.array_equal, flat(found), flat(params)))
        assert np.array_equal(
            again.predict(found, X.astype(dtype)), net.predict(params, X.astype(dtype))
        )


def test_a_stack_that_shares_weights_is_loaded_as_it_was(tmp_path):
    params = SHARED.initialize(seed=[1, 2], stack=2)
    pnn.save(tmp_path / "f", (SHARED, params))
    net, found = pnn.load(tmp_path / "f")
    assert net == SHARED
    assert [a.shape for a in flat(found)] == [a.shape for a in flat(params)]
    assert all(map(np.array_equal, flat(found), flat(params)))


def test_arrays_have_the_names_of_their_layers(tmp_path):
    net = NETS["normalized"]
    pnn.save(tmp_path / "f", (net, net.initialize()))
    header, _ = take_apart(tmp_path / "f")
    wanted = ["1.W", *(f"2.{s}" for s in ("gamma", "beta", "mean", "variance")), "3.gamma", "3.beta"]
    assert header.keys() - {"__metadata__"} == {f"params.{n}" for n in (*wanted, "4.W", "4.b")}


def test_user_defined_layers_and_activations_in_layers_are_given_again(tmp_path):
    net = pnn.Network(
        (3, Constant(0.5), 2, pnn.ParametricActivation(TWICE), TWICE), loss="squared_error"
    )
    params, path = net.initialize(), tmp_path / "f"
    custom = {"half more": Constant(0.5), "twice": TWICE}  # another layer, equal to that one
    with pytest.raises(TypeError, match=r"layers.*Constant.*custom"):
        pnn.save(path, (net, params))
    pnn.save(path, (net, params), custom=custom)
    assert pnn.load(path, custom=custom)[0] == net
    with pytest.raises(ValueError, match=r"'half more': \.\.\., 'twice': \.\.\."):
        pnn.load(path)
    for name, given in (("half more", np.tanh), ("half more", 3), ("twice", Constant(1.0))):
        with pytest.raises(TypeError, match=rf"`custom\['{name}'\]` is .*accepted: a portable_nn\."):
            pnn.load(path, custom=custom | {name: given})


def network(change):
    """What changes the network of a file."""
    return lambda v: v | {"network": {"$network": change(v["network"]["$network"])}}


def first(**settings):
    """What makes the first layer, whichever it is, another one."""

    def change(net):
        layers = net["layers"]["$tuple"]
        given = layers[0].get("$layer", {})
        changed = {"$layer": {k: x for k, x in (given | settings).items() if x is not None}}
        return net | {"layers": {"$tuple": [changed, *layers[1:]]}}

    return network(change)


WRONG = {
    "no such layer": first(name="Conv"),
    "a name that is none": first(name=["Dense"]),
    "a class elsewhere": first(name="os.system"),
    "no settings": first(units=None),
    "other settings": first(shell="rm"),
    "no units": first(units=0),
    "half a unit": first(units=1.5),
    "an activation that is none": first(name="ParametricActivation", units=None, bias=None, g=3),
    "levels that are none": first(name="Embedding", units=None, bias=None, dim=2, levels=[[1, 2, 3]]),
    "no layers": network(lambda net: net | {"layers": []}),
    "numbers as layers": network(lambda net: net | {"layers": [5, "relu"]}),
    "layers by name": network(lambda net: net | {"layers": {"0": 5}}),
    "no inputs": network(lambda net: net | {"inputs": 0}),
    "inputs of text": network(lambda net: net | {"inputs": "3"}),
    "sizes beside layers": network(lambda net: net | {"sizes": [3, 2]}),
    "a loss that is none": network(lambda net: net | {"loss": 3}),
    "other units than the arrays": first(units=6),
    # memory: a file of a few hundred bytes would take gigabytes
    "endless inputs": network(lambda net: net | {"inputs": 10**12}),
    "endless columns": network(
        lambda net: {
            **net,
            "layers": [{"$layer": {"name": "Dense", "units": 10**9, "bias": True}}, PERIODIC],
        }
    ),
    "wide vectors": network(
        lambda net: {
            **net,
            "layers": [
                {"$layer": {"name": "Embedding", "levels": [[0, 9]], "dim": 10**9}},
                PERIODIC,
            ],
        }
    ),
    "endless bins": network(
        lambda net: {
            **net,
            "inputs": 3000,
            "layers": [
                {"$layer": {"name": "PiecewiseLinear", "edges": [[0, 1]] * 3000, "columns": None}}
            ],
        }
    ),
    "too many levels": first(name="Embedding", units=None, bias=None, dim=1, levels=[[0, 1 << 25]]),
}
PERIODIC = {"$layer": {"name": "Periodic", "dim": 2, "frequencies": 1, "sigma": 1.0, "columns": None}}


@pytest.mark.parametrize("what", WRONG)
def test_what_describes_no_network_of_layers_is_refused(what, tmp_path):
    net = NETS["normalized"]
    pnn.save(tmp_path / "f", (net, net.initialize()))
    with_values(tmp_path / "f", WRONG[what])
    with pytest.raises(pnn.ModelFormatError, match="f: "):
        pnn.load(tmp_path / "f")
    assert main(["show", str(tmp_path / "f")]) == 0  # it says what the file says


def test_layers_are_values_of_documents(tmp_path):
    layers = [
        pnn.BatchNorm(momentum=0.3),
        pnn.Embedding({2: 5, 0: 3}, 4),
        pnn.ParametricActivation("gelu"),
    ]
    write_document(tmp_path / "f", "test", {"layers": layers})
    assert read_document(tmp_path / "f").values == {"layers": layers}


def test_the_layers_of_a_file_are_shown(tmp_path, capsys):
    pnn.save(tmp_path / "f", (SHARED, SHARED.initialize(stack=2)))
    assert main(["show", str(tmp_path / "f")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:-2] == [
        "kind network",
        "inputs 3",
        "layers SharedDense(units=4)",
        "BatchNorm(momentum=0.1, epsilon=1e-05)",
        "ParametricActivation(g=mish)",
        "SharedDense(units=2)",
        "identity",
        "loss squared_error",
        "numbers 59 for each network of a stack (2,), some of them shared",
        "dtype float32",
    ]


def test_a_negative_variance_is_refused_by_both(tmp_path, monkeypatch):
    net = pnn.Network((3, 2, pnn.BatchNorm(), 1), loss="squared_error")
    W, (gamma, beta, mean, variance), output = net.initialize()
    wrong = [W, (gamma, beta, mean, -variance), output]
    with pytest.raises(ValueError, match=r"`variance\[2\]` has negative values"):
        pnn.save(tmp_path / "model.pnn", (net, wrong))
    monkeypatch.setattr("portable_nn.network.parameters.Checked.check_signs", lambda self: None)
    pnn.save(tmp_path / "model.pnn", (net, wrong))
    monkeypatch.undo()
    with pytest.raises(pnn.ModelFormatError, match="negative values"):
        pnn.load(tmp_path / "model.pnn")


def test_an_encoding_of_many_columns_is_loaded_as_it_was(tmp_path):
    encode = pnn.PiecewiseLinear([tuple(range(33))] * 300)
    net = pnn.Network((300, encode, 2), loss="squared_error")
    pnn.save(tmp_path / "model.pnn", (net, net.initialize()))
    again, params = pnn.load(tmp_path / "model.pnn")
    assert again == net
    np.testing.assert_array_equal(params[0][0], net.initialize()[0][0])
