"""Gradients against automatic differentiation: networks written anew in torch and in JAX."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import PAIRS, flat, network, problem, worst

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore:.*is not meant for")  # every pair is tested


def torch_pieces(torch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
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
        "mish": F.mish,
        "hard_swish": F.hardswish,
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
    return activations, losses


def jax_pieces(jax: Any) -> tuple[dict[str, Any], dict[str, Any]]:
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
        "mish": nn.mish,
        "hard_swish": nn.hard_swish,
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
    return activations, losses


def torch_gradients(torch: Any, net: pnn.Network, params: Any, X: Any, Y: Any) -> list[Any]:
    activations, losses = torch_pieces(torch)
    leaves = [
        (torch.tensor(W, requires_grad=True), torch.tensor(b, requires_grad=True)) for W, b in params
    ]
    a = torch.tensor(X)
    for (W, b), g in zip(leaves, net.g, strict=True):
        a = activations[g.name](a @ W.T + b.T)
    losses[net.loss.name](a, torch.tensor(Y)).mean().backward()
    return [leaf.grad.numpy() for leaf in flat(leaves)]


def jax_gradients(jax: Any, net: pnn.Network, params: Any, X: Any, Y: Any) -> list[Any]:
    activations, losses = jax_pieces(jax)

    def J(leaves: Any, X: Any, Y: Any) -> Any:
        a = X
        for (W, b), g in zip(leaves, net.g, strict=True):
            a = activations[g.name](a @ W.T + b.T)
        return losses[net.loss.name](a, Y).mean()

    return flat(jax.jit(jax.grad(J))(params, X, Y))


def pair_difference(oracle: Any, library: Any, output: str, loss: str, random: Any) -> float:
    net = network("silu", output, loss)
    params, X, Y = problem(net, random)
    _, grads = net.cost_and_gradients(params, X, Y)
    return worst(flat(grads), oracle(library, net, params, X, Y))


def hidden_difference(oracle: Any, library: Any, hidden: str, random: Any) -> float:
    net = pnn.Network((6, 8, 7, 5, 3), (hidden, "tanh", hidden, "softmax"), "categorical_cross_entropy")
    params, X, Y = problem(net, random, n=20)
    _, grads = net.cost_and_gradients(params, X, Y)
    return worst(flat(grads), oracle(library, net, params, X, Y))


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradients_match_torch_autograd_for_every_pair(output, loss, random, margin, torch):
    difference = pair_difference(torch_gradients, torch, output, loss, random)
    assert margin("gradients against torch autograd", "numpy", difference) < 1e-12


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_gradients_match_torch_autograd_for_every_hidden_activation(hidden, random, margin, torch):
    difference = hidden_difference(torch_gradients, torch, hidden, random)
    assert margin("gradients against torch autograd", "numpy", difference) < 1e-12


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradients_match_jax_grad_for_every_pair(output, loss, random, margin, jax):
    difference = pair_difference(jax_gradients, jax, output, loss, random)
    assert margin("gradients against jax.grad", "numpy", difference) < 1e-12


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_gradients_match_jax_grad_for_every_hidden_activation(hidden, random, margin, jax):
    difference = hidden_difference(jax_gradients, jax, hidden, random)
    assert margin("gradients against jax.grad", "numpy", difference) < 1e-12
