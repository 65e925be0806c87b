"""Layers of PyTorch, both ways: torch's own outputs, statistics and gradients are the oracle."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from helpers import relative, torch_outputs
from layer_models import models

import portable_nn as pnn
from portable_nn.interchange import from_torch, to_torch

pytestmark = pytest.mark.usefixtures("torch")
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_layer_gives_torch_the_predictions_and_comes_back(torch, dtype, margin):
    for name, ((net, params), X) in models(dtype).items():
        module, expected = to_torch((net, params)), net.predict(params, X)
        found = relative(torch_outputs(torch, module, X), expected)
        assert margin("layers to torch", dtype, found) <= TOLERANCE[dtype], name
        back, again = from_torch(module, loss="squared_error")
        assert repr(back) == repr(net), name  # but relu, whose derivative at 0 is torch's
        pairs = zip(params, again, strict=True)
        assert all(np.array_equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))


def test_normalizations_and_embeddings_are_those_of_torch(torch):
    (net, params), _ = models("float32")["all_float32"]
    kinds = [type(each).__name__ for each in to_torch((net, params)).modules()]
    assert {"BatchNorm1d", "LayerNorm", "Embedding", "LayerModule"} <= set(kinds)


def test_torch_finds_the_same_gradients_in_what_it_is_given(torch, random):
    for name, ((net, params), X) in models("float64").items():
        module, Y = to_torch((net, params)).train(), random.normal(size=(len(X), net.sizes[-1]))
        A = module(torch.from_numpy(X))
        (0.5 * (A - torch.from_numpy(Y)) ** 2).sum().div(len(X)).backward()
        _, grads = net.cost_and_gradients(params, X, Y)
        flat = [g for layer in grads for g in layer if g is not None]
        for (key, parameter), g in zip(module.named_parameters(), flat, strict=True):
            theirs = parameter.grad.numpy()
            theirs = theirs.T if key.endswith("embedding.weight") else theirs.reshape(g.shape)
            np.testing.assert_allclose(theirs, g, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("way", ["to torch", "from torch"])
def test_running_statistics_move_as_in_torch(torch, way, random):
    X = random.normal(size=(4, 16, 3)) * [1.0, 5.0, 0.1]
    module = torch.nn.Sequential(
        torch.nn.BatchNorm1d(3, eps=1e-3, momentum=0.3), torch.nn.Linear(3, 2)
    ).double()
    net, params = from_torch(module)
    assert net.layers[0] == pnn.BatchNorm(momentum=0.3, epsilon=1e-3)
    if way == "to torch":
        module = to_torch((net, params))
    module.train()
    for batch in X:
        module(torch.from_numpy(batch))
        model = net.described.model
        params = model.moved(np, params, model.forward(np, params, batch.T, training=True))
    _, _, mean, variance = params[0]
    np.testing.assert_allclose(module[0].running_mean.numpy(), mean[:, 0], rtol=1e-12)
    np.testing.assert_allclose(module[0].running_var.numpy(), variance[:, 0], rtol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_module_with_normalizations_is_read(torch, dtype, random, margin):
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.BatchNorm1d(4), nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6, affine=False), nn.ReLU()),
        *(
            nn.Dropout(),
            nn.Linear(6, 5),
            nn.LayerNorm(5, eps=0.1),
            nn.Mish(),
            nn.LayerNorm(5, bias=False),
        ),
        *(nn.Linear(5, 3), nn.LayerNorm(3, eps=0.1, elementwise_affine=False), nn.Hardswish()),
    ).to(getattr(torch, dtype))
    X = torch.from_numpy(random.normal(size=(50, 4)).astype(dtype))
    for part in X.split(10):  # which moves the statistics
        module(part)
    net, params = from_torch(module)
    with torch.no_grad():
        expected = module.eval()(X).numpy()
    found = relative(net.predict(params, X.numpy()), expected)
    assert margin("layers from torch", dtype, found) <= TOLERANCE[dtype]
    assert params[0][0].dtype == dtype


@pytest.mark.parametrize("columns", [1, 3])
def test_an_embedding_of_all_columns_is_read(torch, columns, random):
    nn = torch.nn
    module = nn.Sequential(
        nn.Embedding(7, 4, padding_idx=0),
        nn.Flatten(),
        nn.Linear(4 * columns, 5),
        nn.ReLU(),
        nn.Linear(5, 2),
    )
    codes = random.integers(0, 7, size=(30, columns))
    net, params = from_torch(module)
    assert net.layers[0] == pnn.Embedding(dict.fromkeys(range(columns), 7), 4)
    assert (
        relative(net.predict(params, codes), torch_outputs(torch, module, codes)) <= TOLERANCE["float32"]
    )


def test_modules_are_pickled_and_their_states_saved(torch):
    (net, params), X = models("float32")["all_float32"]
    module, file = to_torch((net, params)), io.BytesIO()
    again = pickle.loads(pickle.dumps(module))
    assert np.array_equal(torch_outputs(torch, again, X), torch_outputs(torch, module, X))
    torch.save(module.state_dict(), file)
    other = to_torch((net, net.initialize(seed=99)))
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert np.array_equal(torch_outputs(torch, other, X), torch_outputs(torch, module, X))


@dataclass(frozen=True)
class Counting(pnn.Layer):
    """A user-defined layer with statistics."""

    def moved(self, xp, theta, kept):
        return theta

    def parameters(self, n):
        return (pnn.Parameter("seen", (1, 1), "statistics"),)

    def forward(self, xp, theta, A):
        return A + theta[0] * 0.0, None

    def backward(self, xp, theta, kept, dA):
        return dA, (None,)


def test_layers_without_a_counterpart_are_named(torch):
    nn = torch.nn
    for inner, message in {
        nn.PReLU(): r"'1', PReLU.*ParametricActivation.*accepted: LeakyReLU",
        nn.BatchNorm1d(2, track_running_stats=False): "'1', BatchNorm1d.*no running statistics",
        nn.BatchNorm1d(2, momentum=None): "'1', BatchNorm1d.*momentum <= 1",
        nn.LayerNorm((2, 2)): "'1', LayerNorm.*several axes",
        nn.InstanceNorm1d(2): "'1', InstanceNorm1d.*no counterpart",
        nn.BatchNorm1d(3): "takes 3 inputs, and the layer before it gives 2",
        nn.Embedding(3, 2): "'1', Embedding.*no counterpart",
    }.items():
        with pytest.raises(ValueError, match=message):
            from_torch(nn.Sequential(nn.Linear(2, 2), inner))
    for modules in (
        (nn.Embedding(3, 2), nn.Linear(2, 1)),
        (nn.Embedding(3, 2, max_norm=1.0), nn.Flatten(), nn.Linear(2, 1)),
        (nn.Embedding(3, 2), nn.Flatten(), nn.Linear(3, 1)),
        (nn.Embedding(3, 2),),
    ):
        with pytest.raises(ValueError, match=r"'0', Embedding.*accepted: as the first module"):
            from_torch(nn.Sequential(*modules))
    net = pnn.Network((2, Counting(), 1), loss="squared_error")
    with pytest.raises(TypeError, match="the layer 'Counting' of layer 1 has statistics"):
        to_torch((net, net.initialize()))


def test_codes_that_are_none_give_nan(torch):
    net = pnn.Network((3, pnn.Embedding({1: 4, 2: 3}, dim=2), 2), loss="squared_error")
    module = to_torch((net, net.initialize()))
    rows = [[0.3, 3, 2], [0.3, 4, 0], [0.3, 3, -1], [0.3, 1.5, 0], [0.3, 3, 3]]
    found = torch_outputs(torch, module, np.asarray(rows, dtype="float32"))
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, True, True]
