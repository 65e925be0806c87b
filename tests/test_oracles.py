"""Gradients against automatic differentiation: networks written anew in torch and in JAX."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import PAIRS, flat, network, problem, worst

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore:.*is not meant for")  # every pair is tested


def torch_pieces() -> tuple[Any, dict[str, Any], dict[str, Any]]:
    torch = pytest.importorskip("torch", reason="torch is not installed: no autograd to compare with")
    F = torch.nn.functional
    activations = {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
        "softmax": lambda z: torch.softmax(z, dim=1),
        "elu": F.elu,
        "selu": F.selu,
        "exp": torch.exp,
        "softplus": F.softplus,
        "silu": F.silu,
        "gelu": lambda z: F.gelu(z, approximate="tanh"),
    }
    losses = {
        "binary_cross_entropy": lambda a, y: F.binary_cross_entropy(a, y, reduction="none").sum(1),
        "categorical_cross_entropy": lambda a, y: -(y * torch.log(a)).sum(1),
        "squared_error": lambda a, y: 0.5 * F.mse_loss(a, y, reduction="none").sum(1),
        "absolute_error": lambda a, y: F.l1_loss(a, y, reduction="none").sum(1),
        "huber": lambda a, y: F.huber_loss(a, y, reduction="none").sum(1),
        "pinball": lambda a, y: 0.5 * F.l1_loss(a, y, reduction="none").sum(1),
        "poisson": lambda a, y: F.poisson_nll_loss(a, y, log_input=False, eps=0, reduction="none").sum(
            1
        ),
    }
    return torch, activations, losses


def jax_pieces() -> tuple[Any, dict[str, Any], dict[str, Any]]:
    jax = pytest.importorskip("jax", reason="jax is not installed: no jax.grad to compare with")
    nn, jnp = jax.nn, jax.numpy
    activations = {
        "identity": lambda z: z,
        "sigmoid": nn.sigmoid,
        "tanh": jnp.tanh,
        "relu": nn.relu,
        "leaky_relu": nn.leaky_relu,
        "softmax": nn.softmax,
        "elu": nn.elu,
        "selu": nn.selu,
        "exp": jnp.exp,
        "softplus": nn.softplus,
        "silu": nn.silu,
        "gelu": nn.gelu,
    }
    losses = {
        "binary_cross_entropy": lambda a, y: -(y * jnp.log(a) + (1 - y) * jnp.log1p(-a)).sum(1),
        "categorical_cross_entropy": lambda a, y: -(y * jnp.log(a)).sum(1),
        "squared_error": lambda a, y: ((a - y) ** 2).sum(1) / 2,
        "absolute_error": lambda a, y: jnp.abs(a - y).sum(1),
        "huber": lambda a, y: jnp.where(jnp.abs(a - y) < 1, (a - y) ** 2 / 2, jnp.abs(a - y) - 0.5).sum(
            1
        ),
        "pinball": lambda a, y: 0.5 * jnp.abs(a - y).sum(1),
        "poisson": lambda a, y: (a - y * jnp.log(a)).sum(1),
    }
    return jax, activations, losses


def torch_gradients(net: pnn.Network, params: Any, X: Any, Y: Any) -> list[Any]:
    torch, activations, losses = torch_pieces()
    leaves = [
        (torch.tensor(W, requires_grad=True), torch.tensor(b, requires_grad=True)) for W, b in params
    ]
    a = torch.tensor(X)
    for (W, b), g in zip(leaves, net.g, strict=True):
        a = activations[g.name](a @ W.T + b.T)
    losses[net.loss.name](a, torch.tensor(Y)).mean().backward()
    return [leaf.grad.numpy() for leaf in flat(leaves)]


def jax_gradients(net: pnn.Network, params: Any, X: Any, Y: Any) -> list[Any]:
    jax, activations, losses = jax_pieces()

    def J(leaves: Any) -> Any:
        a = X
        for (W, b), g in zip(leaves, net.g, strict=True):
            a = activations[g.name](a @ W.T + b.T)
        return losses[net.loss.name](a, Y).mean()

    return flat(jax.grad(J)([(jax.numpy.asarray(W), jax.numpy.asarray(b)) for W, b in params]))


ORACLES = {"torch autograd": torch_gradients, "jax.grad": jax_gradients}


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradients_match_automatic_differentiation_for_every_pair(output, loss, oracle, random, margin):
    net = network("silu", output, loss)
    params, X, Y = problem(net, random)
    _, grads = net.cost_and_gradients(params, X, Y)
    difference = worst(flat(grads), ORACLES[oracle](net, params, X, Y))
    assert margin(f"gradients against {oracle}", "numpy", difference) < 1e-12


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_gradients_match_automatic_differentiation_for_every_hidden(hidden, oracle, random, margin):
    net = pnn.Network((6, 8, 7, 5, 3), (hidden, "tanh", hidden, "softmax"), "categorical_cross_entropy")
    params, X, Y = problem(net, random, n=20)
    _, grads = net.cost_and_gradients(params, X, Y)
    difference = worst(flat(grads), ORACLES[oracle](net, params, X, Y))
    assert margin(f"gradients against {oracle}", "numpy", difference) < 1e-12
