"""torch.nn.Sequential, both ways: torch's own outputs are the oracle."""

from __future__ import annotations

import pytest
from helpers import relative, torch_outputs

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS
from portable_nn.interchange import from_torch, to_torch

pytestmark = pytest.mark.usefixtures("torch")
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
NAMES = [name for name in ACTIVATIONS if name != "exp"]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_activation_gives_torch_the_predictions_and_comes_back(torch, dtype, random, margin):
    X = 5 * random.normal(size=(200, 6)).astype(dtype)
    for name in NAMES:
        net = pnn.Network((6, 5, 4), (name, "softmax"), "categorical_cross_entropy")
        params = net.initialize(seed=1, dtype=dtype)
        module = to_torch((net, params))
        expected = net.predict(params, X)
        found = relative(torch_outputs(torch, module, X), expected)
        assert margin("to torch", dtype, found) <= TOLERANCE[dtype], name
        back, again = from_torch(module, backend="torch")
        A = back.predict(again, torch.from_numpy(X))
        assert relative(A.numpy(), expected) <= TOLERANCE[dtype], name
        assert [g.name for g in back.g] == [name, "softmax"]
        assert back.loss == net.loss


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_probabilities_of_a_trained_module_are_reproduced(torch, dtype, random):
    nn = torch.nn
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(8, 5, bias=False), nn.LeakyReLU(0.3), nn.Identity())
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), inner, nn.Linear(5, 3)
    ).to(getattr(torch, dtype))
    X = random.normal(size=(120, 6)).astype(dtype)
    y = torch.from_numpy(random.integers(0, 3, size=120))
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(torch.from_numpy(X)), y).backward()
        optimizer.step()
    net, params = from_torch(module, output="softmax")
    assert module.training  # as it was
    with torch.no_grad():
        expected = torch.softmax(module.eval()(torch.from_numpy(X)), -1).numpy()
    assert relative(net.predict(params, X), expected) <= TOLERANCE[dtype]
    assert params[0][0].dtype == dtype
    assert net.loss.name == "categorical_cross_entropy"
    before = module[1].weight.detach().clone()
    params[0][0][:] = 0  # a copy
    assert torch.equal(module[1].weight, before)


def test_a_relu_keeps_the_derivative_of_torch_at_0(torch):
    net, _ = from_torch(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    assert net.g == (pnn.relu(at_zero=0.0),)
    slope, _ = from_torch(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LeakyReLU(0.25)))
    assert slope.g == (pnn.leaky_relu(0.25, at_zero=0.25),)


def refused(torch):
    nn = torch.nn

    class Doubled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    return {
        "erf": (nn.Sequential(nn.Linear(2, 2), nn.GELU()), "'1', GELU.*erf form.*approximate='tanh'"),
        "batch": (
            nn.Sequential(nn.Linear(2, 2), nn.InstanceNorm1d(2)),
            "'1', InstanceNorm1d.*no counterpart",
        ),
        "log": (nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax(-1)), "output='softmax'"),
        "first": (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), "'0', ReLU.*before any dense layer"),
        "two": (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Tanh()), "follows the activation 'relu'"),
        "alpha": (
            nn.Sequential(nn.Linear(2, 2), nn.ELU(0.5)),
            "'1', ELU.alpha=0.5., has no counterpart",
        ),
        "nested": (nn.Sequential(nn.Sequential(nn.Conv1d(2, 2, 1))), "'0.0', Conv1d.*no counterpart"),
        "own forward": (Doubled(nn.Linear(2, 2)), "`module` is a .*Doubled, which may compute"),
        "sizes": (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 2)), "takes 2 inputs.*gives 3"),
        "none": (nn.Sequential(), "no dense layer"),
    }


def test_what_has_no_counterpart_is_named(torch):
    for module, message in refused(torch).values():
        with pytest.raises(ValueError, match=message):
            from_torch(module)
    with pytest.raises(TypeError, match=r"accepted: a torch\.nn\.Sequential"):
        from_torch(3)
    with pytest.raises(ValueError, match="ends with 'tanh'"):
        from_torch(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh()), output="softmax")
    net = pnn.Network((2, 3, 1), ("relu", "exp"), "poisson")
    with pytest.raises(TypeError, match=r"'exp' of layer 2 has no module in torch\.nn"):
        to_torch((net, net.initialize()))


def unusual(torch):
    """Modules that compute what their layers do for small rows, and something else for large ones."""
    nn = torch.nn

    class Linear(nn.Linear):
        def forward(self, x):
            return super().forward(x).clamp(-100, 100)

    class ReLU(nn.ReLU):
        def forward(self, x):
            return super().forward(x).clamp(max=100)

    class Identity(nn.Identity):
        def forward(self, x):
            return x.clamp(-100, 100)

    def layers(*inner):
        return nn.Sequential(nn.Linear(2, 2), *inner)

    hooked, prehooked, patched, normed = (layers(nn.ReLU()) for _ in range(4))
    hooked[1].register_forward_hook(lambda module, x, found: found.clamp(max=100))
    prehooked.register_forward_pre_hook(lambda module, x: (x[0].clamp(max=100),))
    patched[1].forward = lambda x: x.clamp(0, 100)
    nn.utils.parametrizations.weight_norm(normed[0])
    mixed = layers(nn.Linear(2, 2).double())
    return [
        (layers(Linear(2, 2)), "the module '1' is a .*Linear, which may compute"),
        (layers(ReLU()), "the module '1' is a .*ReLU, which may compute"),
        (layers(nn.Sequential(Identity())), r"the module '1\.0' is a .*Identity, which may compute"),
        (normed, "the module '0' is a .*ParametrizedLinear.*remove_parametrizations"),
        (hooked, r"the module '1', a ReLU, has forward hooks; .*torch\.nn\.utils\.prune\.remove"),
        (prehooked, "`module`, a Sequential, has forward hooks"),
        (patched, "the module '1', a ReLU, has a `forward` of its own"),
        (mixed, r"dtypes torch\.float32, torch\.float64; accepted: one dtype"),
    ]


def test_what_may_compute_something_else_is_refused(torch):
    for module, message in unusual(torch):
        with pytest.raises(ValueError, match=message):
            from_torch(module)


def test_a_pruned_module_is_read_once_the_hook_is_removed(torch, random):
    from torch.nn.utils import prune

    module = torch.nn.Sequential(torch.nn.Linear(6, 3))
    prune.l1_unstructured(module[0], "weight", amount=0.5)
    with pytest.raises(ValueError, match=r"prune\.remove"):
        from_torch(module)
    prune.remove(module[0], "weight")
    net, params = from_torch(module)
    X = random.normal(size=(9, 6)).astype("float32")
    assert relative(net.predict(params, X), torch_outputs(torch, module, X)) <= TOLERANCE["float32"]


def test_an_estimator_of_any_backend_goes_to_torch(torch, random):
    pytest.importorskip("sklearn")
    X = random.normal(size=(60, 4)).astype("float32")
    y = (X[:, 0] > 0).astype(int)
    clf = pnn.MLPClassifier((5,), max_iter=3, tol=1.0, n_iter_no_change=1, random_state=0)
    clf.fit(torch.from_numpy(X), torch.from_numpy(y))
    found = torch_outputs(torch, to_torch(clf), X)
    expected = clf.predict_proba(torch.from_numpy(X)).numpy()[:, 1:]
    assert relative(found, expected) <= TOLERANCE["float32"]
