"""The peers in training, each in its best honest form: what its documentation would have one write.

The data is where the library wants it before the clock starts; each epoch has a fresh permutation; the
host reads the loss once an epoch; and no round ends before its results are there. A round gives its
last epoch's mean loss, to see that what is fast does train.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from configurations import Configuration


def sklearn_training(c: Configuration) -> Callable[[], None]:
    """scikit-learn's MLPClassifier, with the same settings as ours."""
    from ours import estimator_settings, fitting
    from sklearn.neural_network import MLPClassifier

    return fitting(MLPClassifier(**estimator_settings(c)), c)


def torch_module(sizes: tuple[int, ...]) -> Any:
    """The network as an nn.Sequential of logits: torch's cross-entropy takes the softmax itself."""
    from torch import nn

    layers = [[nn.Linear(k, m), nn.ReLU()] for k, m in pairwise(sizes)]
    return nn.Sequential(*[module for layer in layers for module in layer][:-1])


def torch_parts(c: Configuration, device: str) -> Any:
    """The module, its loss of a batch, X and labels, on a device."""
    import torch
    from torch.nn import functional

    torch.manual_seed(0)
    net = torch_module(c.sizes).to(device)
    X, labels = (torch.from_numpy(array).to(device) for array in c.data())

    def cost(x: Any, y: Any) -> Any:
        return functional.cross_entropy(net(x), y)

    return net, cost, X, labels


def torch_training(
    c: Configuration,
    compiled: bool = False,
    device: str = "cpu",
    mode: str | None = None,
    compiled_step: bool = False,
) -> Callable[[], dict[str, Any]]:
    """nn.Module and Adam(fused=True); `compiled`: network and loss by torch.compile, in that mode.

    `compiled_step`: the optimizer's step too, as torch's recipe has it: with the Adam that is not
    fused, as the compiler leaves the fused one as it is and makes one kernel of the other.
    """
    import torch

    net, cost, X, labels = torch_parts(c, device)
    # the compiler makes the step capturable on a GPU; said here, it is not found out at the first one
    kind = {"capturable": device != "cpu"} if compiled_step else {"fused": True}
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, **kind)
    loss_of = torch.compile(cost, mode=mode) if compiled else cost
    step = torch.compile(optimizer.step) if compiled_step else optimizer.step
    return torch_epochs(c, optimizer, loss_of, step, (X, labels), device)


def torch_epochs(
    c: Configuration,
    optimizer: Any,
    loss_of: Callable[..., Any],
    step: Callable[[], Any],
    data: tuple[Any, Any],
    device: str = "cpu",
) -> Callable[[], dict[str, Any]]:
    """Rounds of epochs over X and labels; `step` is the optimizer's."""
    import torch
    from torch_graph import finished

    X, labels = data

    def run() -> dict[str, Any]:
        for _ in range(c.epochs):
            parts = torch.randperm(c.n, device=device).split(c.batch)
            total = torch.zeros((), device=device)
            for rows in parts:
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(X.index_select(0, rows), labels.index_select(0, rows))
                loss.backward()
                step()
                total += loss.detach()
            mean = total.item() / len(parts)
        finished(device)
        return {"cost": mean}

    return run


def torch_graph_training(c: Configuration, device: str) -> Callable[[], dict[str, Any]]:
    """The step in one CUDA graph: forward, backward, Adam(capturable=True, fused=True).

    As torch's notes on CUDA graphs have it, the graph reads its batch from memory that is filled before
    each replay. (With the gather inside of the graph torch 2.11 ended in assertions on the device.)
    """
    import torch
    from torch_graph import captured, epochs

    net, cost, X, labels = torch_parts(c, device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True, capturable=device != "cpu")
    x, y = X[: c.batch].clone(), labels[: c.batch].clone()
    total = torch.zeros((), device=device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)  # so that the graph writes gradients and adds to none
        loss = cost(x, y)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    return epochs(c, captured(step, device), (X, labels), (x, y), total)


def jax_parameters(c: Configuration, random: Any) -> list[tuple[Any, Any]]:
    """(W, b) of each layer, for rows x: x @ W + b."""
    import jax.numpy as jnp

    return [
        (
            jnp.asarray(random.normal(size=(k, m)) * np.sqrt(2 / k), jnp.float32),
            jnp.zeros(m, jnp.float32),
        )
        for k, m in pairwise(c.sizes)
    ]


def jax_logits(params: Any, x: Any) -> Any:
    """What the output's softmax is taken of."""
    import jax

    for W, b in params[:-1]:
        x = jax.nn.relu(x @ W + b)
    return x @ params[-1][0] + params[-1][1]


def jax_step(optimizer: Any) -> Callable[..., Any]:
    """``step(state, x, y)`` with an optimizer of optax; the state ends with the sum of the costs."""
    import jax
    import optax

    def cost(params: Any, x: Any, y: Any) -> Any:
        logits = jax_logits(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def step(state: Any, x: Any, y: Any) -> Any:
        params, memory, total = state
        loss, gradients = jax.value_and_grad(cost)(params, x, y)
        updates, memory = optimizer.update(gradients, memory, params)
        return optax.apply_updates(params, updates), memory, total + loss

    return step


def jax_training(
    c: Configuration, scan: bool, device: str | None = None
) -> Callable[[], dict[str, Any]]:
    """jax and optax: a jitted step in a Python loop, or the epoch under `lax.scan`; buffers donated."""
    import jax
    import jax.numpy as jnp
    import optax

    if device is not None:
        jax.config.update("jax_default_device", jax.devices(device)[0])
    random, optimizer = np.random.default_rng(0), optax.adam(1e-3)
    params = jax_parameters(c, random)
    X, labels = map(jnp.asarray, c.data())

    update = jax_step(optimizer)

    def step(state: Any, X: Any, labels: Any, rows: Any) -> Any:
        return update(state, X[rows], labels[rows])

    def epoch(state: Any, X: Any, labels: Any, order: Any) -> Any:
        return jax.lax.scan(lambda s, rows: (step(s, X, labels, rows), None), state, order)[0]

    def one_step(state: Any, X: Any, labels: Any, order: Any, i: Any) -> Any:
        return step(state, X, labels, jax.lax.dynamic_index_in_dim(order, i, keepdims=False))

    one = jax.jit(epoch if scan else one_step, donate_argnums=0)
    state = [params, optimizer.init(params), None]

    def run() -> dict[str, Any]:
        for _ in range(c.epochs):
            order = jnp.asarray(random.permutation(c.n).reshape(-1, c.batch), jnp.int32)
            now = (state[0], state[1], jnp.zeros((), jnp.float32))
            if scan:
                now = one(now, X, labels, order)
            else:
                for i in range(len(order)):
                    now = one(now, X, labels, order, i)
            mean = float(now[2]) / len(order)
            state[:] = jax.block_until_ready(now)
        return {"cost": mean}

    return run


def keras_training(c: Configuration, backend: str) -> Callable[[], None]:
    """Keras: `model.fit` with its own shuffling, on one of its backends."""
    os.environ["KERAS_BACKEND"] = backend  # read when keras is imported
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(m, activation="relu") for m in c.sizes[1:-1]]
    model = keras.Sequential([keras.Input((c.sizes[0],)), *layers, keras.layers.Dense(c.sizes[-1])])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile="auto")
    X, labels = c.data()

    def run() -> None:
        model.fit(X, labels, batch_size=c.batch, epochs=c.epochs, shuffle=True, verbose=0)

    return run
