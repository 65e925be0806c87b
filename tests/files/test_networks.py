"""A network with its parameters, saved and loaded on the host: what is accepted, and what is said."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat
from storage_files import take_apart, with_values

import portable_nn as pnn
from portable_nn.storage import write_document

pytestmark = pytest.mark.usefixtures("host_only")
NET = pnn.Network((4, 5, 3), (pnn.leaky_relu(0.2), "softmax"), "categorical_cross_entropy")


def test_arrays_have_the_names_of_the_equations(tmp_path):
    pnn.save(tmp_path / "net", (NET, NET.initialize()))
    header, _ = take_apart(tmp_path / "net")
    assert header.keys() == {"__metadata__", "params.1.W", "params.1.b", "params.2.W", "params.2.b"}
    assert header["params.1.W"]["shape"] == [5, 4]
    assert header["params.2.b"]["shape"] == [3, 1]


def test_a_mapped_network_is_read_only_and_trains(tmp_path, random):
    params = NET.initialize(dtype="float64")
    pnn.save(tmp_path / "net", (NET, params))
    _, mapped = pnn.load(tmp_path / "net", mmap=True)
    assert not any(array.flags.writeable for array in flat(mapped))
    X, y = random.normal(size=(9, 4)), random.integers(0, 3, size=9)
    assert np.array_equal(NET.predict(mapped, X), NET.predict(params, X))
    one, _ = pnn.fit(NET, params, X, y, epochs=2)
    other, _ = pnn.fit(NET, mapped, X, y, epochs=2)
    assert all(map(np.array_equal, flat(one), flat(other)))


def test_user_defined_functions_are_named_and_given_again(tmp_path):
    swish = pnn.Activation("swish", lambda xp, Z: Z * 1.0, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((2, 1), [swish], "squared_error")
    thing = net, net.initialize()
    with pytest.raises(TypeError, match=r"activations.*custom"):
        pnn.save(tmp_path / "net", thing)
    pnn.save(tmp_path / "net", thing, custom={"my swish": swish})
    assert pnn.load(tmp_path / "net", custom={"my swish": swish})[0] == net
    with pytest.raises(ValueError, match="'my swish'"):
        pnn.load(tmp_path / "net")


OWN = {
    "swish": pnn.Activation("swish", lambda xp, Z: Z * 1.0, lambda xp, Z: xp.ones_like(Z)),
    "cost": pnn.Loss("cost", lambda xp, A, Y: (A - Y) ** 2, lambda xp, A, Y: 2.0 * (A - Y)),
}


@pytest.mark.parametrize(
    ("name", "given", "accepted"),
    [
        *(("swish", given, "Activation") for given in (np.tanh, OWN["cost"], 3, None, "tanh")),
        *(("cost", given, "Loss") for given in (np.tanh, OWN["swish"], 3)),
    ],
    ids=str,
)
def test_a_user_defined_function_of_the_wrong_kind_is_named(tmp_path, name, given, accepted):
    net = pnn.Network((2, 3, 1), [OWN["swish"], "identity"], OWN["cost"])
    pnn.save(tmp_path / "net", (net, net.initialize()), custom=OWN | {"unused": 3})
    with pytest.raises(
        TypeError, match=rf"^`custom\['{name}'\]` is .*accepted: a portable_nn\.{accepted}"
    ):
        pnn.load(tmp_path / "net", custom=OWN | {name: given, "unused": np.tanh})


@pytest.mark.parametrize(
    ("thing", "match"),
    [
        (NET, r"accepted: \(net, params\).*no parameters of its own"),
        (NET.initialize(), "accepted"),
        ((NET.initialize(), NET), "accepted"),
        (None, "accepted"),
        ((NET, NET.initialize(), 3), "accepted"),
    ],
    ids=["a network", "params", "exchanged", "None", "three"],
)
def test_other_things_are_refused_with_the_remedy(tmp_path, thing, match):
    with pytest.raises(TypeError, match=match):
        pnn.save(tmp_path / "f", thing)
    assert not list(tmp_path.iterdir())


def test_parameters_that_do_not_suit_are_not_written(tmp_path):
    pnn.save(tmp_path / "f", (NET, NET.initialize()))
    before = (tmp_path / "f").read_bytes()
    for params in (NET.initialize()[:1], [], [(1, 2)] * 2, NET.initialize()[::-1]):
        with pytest.raises((TypeError, ValueError)):
            pnn.save(tmp_path / "f", (NET, params))
    assert (tmp_path / "f").read_bytes() == before


def test_arguments_are_checked_before_the_file_is_read(tmp_path):
    with pytest.raises(pnn.UnknownBackendError, match="did you mean"):
        pnn.load(tmp_path / "nowhere", "tourch")
    with pytest.raises(TypeError, match="mmap"):
        pnn.load(tmp_path / "nowhere", mmap=1)
    with pytest.raises(TypeError, match="for_prediction"):
        pnn.save(tmp_path / "f", (NET, NET.initialize()), for_prediction=1)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pnn.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v | {"network": 3},
        lambda v: {"network": v["network"]},
        lambda v: v | {"params": dict(reversed(v["params"].items()))},
        lambda v: v | {"params": {"1": v["params"]["2"], "2": v["params"]["1"]}},
        lambda v: v | {"params": [*v["params"].values()]},
        lambda v: v | {"params": v["params"] | {"1": [*v["params"]["1"].values()]}},
        lambda v: v | {"params": v["params"] | {"1": {"b": 1, "W": v["params"]["1"]}}},
    ],
    ids=[str(n) for n in range(7)],
)
def test_values_that_are_no_network_are_refused(tmp_path, change):
    pnn.save(tmp_path / "f", (NET, NET.initialize()))
    with_values(tmp_path / "f", change)
    with pytest.raises(pnn.ModelFormatError, match="f: "):
        pnn.load(tmp_path / "f")


def test_files_of_another_kind_are_refused(tmp_path):
    write_document(tmp_path / "f", "checkpoint", {"network": NET})
    with pytest.raises(pnn.ModelFormatError, match=r"holds a checkpoint; accepted.*resume"):
        pnn.load(tmp_path / "f")


def test_parameters_of_whole_numbers_are_refused(tmp_path):
    values = {str(l): {"W": np.zeros((2, 2), int), "b": np.zeros((2, 1), int)} for l in (1,)}
    net = pnn.Network((2, 2), ["identity"], "squared_error")
    write_document(tmp_path / "f", "network", {"network": net, "params": values})
    with pytest.raises(pnn.ModelFormatError, match="dtype int"):
        pnn.load(tmp_path / "f")
