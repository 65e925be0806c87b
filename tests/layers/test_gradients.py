"""Each layer's gradients: against automatic differentiation, against differences, in stacks."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat, relative, worst
from layer_networks import (
    EMBEDDED,
    INNER,
    NORMALIZED,
    JaxRows,
    TorchRows,
    cost_in_rows,
    moved,
    network_of,
    rows,
    trained,
)

import portable_nn as pnn


def worst_trained(net, grads, theirs):
    """The largest difference over the arrays that are trained; the others have no gradient."""
    pairs = zip(flat(grads), theirs, net.arrays, strict=True)
    compared = []
    for ours, other, array in pairs:
        if array.kind in ("statistics", "constants"):
            assert ours is None
        else:
            compared.append((ours, other))
    return max(relative(ours, np.asarray(other)) for ours, other in compared)


@pytest.mark.parametrize("name", INNER)
def test_gradients_are_those_of_torch(name, torch, random, margin):
    net = network_of(*INNER[name])
    params = moved(net, net.initialize(dtype="float64"), random)
    X, Y = rows(random)
    leaves = [tuple(torch.tensor(a, requires_grad=True) for a in layer) for layer in params]
    J = cost_in_rows(TorchRows(torch), net, leaves, torch.tensor(X), torch.tensor(Y))
    J.backward()
    ours, grads = net.cost_and_gradients(params, X, Y)
    assert ours == pytest.approx(J.item(), rel=1e-13)
    theirs = [leaf.grad if leaf.grad is not None else None for leaf in flat(leaves)]
    assert margin("layers' gradients", "torch autograd", worst_trained(net, grads, theirs)) < 1e-12


@pytest.mark.parametrize("inner", [EMBEDDED, NORMALIZED], ids=["embedded", "normalized"])
def test_gradients_are_those_of_jax(inner, jax, random, margin):
    net, ops = network_of(*inner), JaxRows(jax)
    params = moved(net, net.initialize(dtype="float64"), random)
    X, Y = rows(random)
    theirs = jax.jit(jax.grad(lambda p, x, y: cost_in_rows(ops, net, p, x, y)))(params, X, Y)
    _, grads = net.cost_and_gradients(params, X, Y)
    assert margin("layers' gradients", "jax.grad", worst_trained(net, grads, flat(theirs))) < 1e-12


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", INNER)
def test_gradients_are_what_differences_of_the_cost_give(name, training, random, margin):
    net = network_of(*INNER[name])
    params = moved(net, net.initialize(dtype="float64"), random)
    X, Y = rows(random)
    weight = random.uniform(0.5, 2.0, len(X))
    how = {"l2": 0.3, "sample_weight": weight, "training": training}
    _, grads = net.cost_and_gradients(params, X, Y, **how)
    for i, layer in enumerate(grads):
        for k, g in enumerate(layer):
            if g is None:
                continue
            entry = np.unravel_index(np.argmax(np.abs(g)), g.shape)
            costs = []
            for h in (1e-6, -1e-6):
                other = [[*each] for each in params]
                other[i][k] = other[i][k].copy()
                other[i][k][entry] += h
                costs.append(float(net.cost(other, X, Y, **how)))
            difference = abs(float((costs[0] - costs[1]) / 2e-6 / g[entry]) - 1)
            assert margin("layers' gradients against differences", "numpy", difference) < 1e-6


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize("name", INNER)
def test_check_gradients_finds_them_right(name, random):
    net = network_of(*INNER[name])
    params = moved(net, net.initialize(dtype="float64"), random)
    assert net.check_gradients(params, *rows(random), l2=0.1) < 1e-7


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize("own_rows", [False, True])
@pytest.mark.parametrize("name", [name for name in INNER if name != "shared"])
def test_a_stack_of_networks_is_the_networks(name, own_rows, random):
    net = network_of(*INNER[name])
    stack = moved(net, net.initialize(seed=(4, 8, 2), stack=3, dtype="float64"), random)
    each = [rows(random) for _ in range(3)] if own_rows else [rows(random)] * 3
    X, Y = (np.stack(part) if own_rows else part[0] for part in zip(*each, strict=True))
    J, grads = net.cost_and_gradients(stack, X, Y, l2=0.1)
    A = net.predict(stack, X)
    is_shared = [[array.is_shared for array in layer.arrays] for layer in net.described.layers]
    for k, (x, y) in enumerate(each):
        alone = [
            tuple(a if shared else a[k] for a, shared in zip(layer, which, strict=True))
            for layer, which in zip(stack, is_shared, strict=True)
        ]
        J_k, grads_k = net.cost_and_gradients(alone, x, y, l2=0.1)
        np.testing.assert_allclose(J[k], J_k, rtol=1e-13)
        np.testing.assert_allclose(A[k], net.predict(alone, x), rtol=1e-12, atol=1e-15)
        assert worst([g[k] for g in trained(grads)], trained(grads_k)) < 1e-12


@pytest.mark.usefixtures("host_only")
def test_networks_that_share_weights_sum_their_gradients(random):
    net = network_of(*INNER["shared"])
    stack = moved(net, net.initialize(stack=3, dtype="float64"), random)
    X, Y = rows(random)
    W = stack[0][0]
    assert W.shape == (4, 5)
    assert {a.shape for a in stack[0][1:]} == {(3, 5, 1), (3, 4, 1)}
    J, ((dW, *adapters), _) = net.cost_and_gradients(stack, X, Y, l2=0.1)
    alone = [(W, *(a[k] for a in stack[0][1:])) for k in range(3)]
    alone = [net.cost_and_gradients([one, tuple(a[k] for a in stack[1])], X, Y, l2=0.1)
             for k, one in enumerate(alone)]  # fmt: skip
    np.testing.assert_allclose(J, [J_k for J_k, _ in alone], rtol=1e-13)
    assert relative(dW, sum(grads[0][0] for _, grads in alone)) < 1e-13
    for k, (_, grads) in enumerate(alone):
        assert worst([a[k] for a in adapters], grads[0][1:]) < 1e-12


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("learning_rate", {"optimizer": pnn.Adam([0.1, 0.2, 0.3])}),
        ("groups", {"optimizer": pnn.Adam(groups={"biases": {"beta_1": [0.1, 0.2, 0.3]}})}),
        ("l2", {"l2": [0.1, 0.2, 0.3]}),
        ("clip_norm", {"clip_norm": 1.0}),
    ],
)
def test_networks_that_share_weights_cannot_be_updated_differently(what, how, random):
    net = network_of(*INNER["shared"])
    X, Y = rows(random, dtype="float32")
    with pytest.raises(ValueError, match=rf"`{what}` .* share W\[1\]; accepted: one number"):
        pnn.fit(net, net.initialize(stack=3), X, Y, **how)
    after, _ = pnn.fit(net, net.initialize(stack=3), X, Y, epochs=1, dropout=[[0.1, 0.2, 0.3]])
    assert after[0][0].shape == (4, 5)
