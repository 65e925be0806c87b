"""The cost of a batch and its gradients: weights, penalty, shares of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import network, problem

import portable_nn as pnn
from portable_nn.network.objective import Batch

pytestmark = pytest.mark.usefixtures("host_only")
xp = pnn.backends.get("numpy").xp


def test_the_cost_is_its_formula(random):
    net = network("relu", "identity", "squared_error")
    params, X, Y = problem(net, random)
    w = random.uniform(0.5, 2, size=len(X))
    (W1, b1), (W2, b2) = params
    A = np.maximum(X @ W1.T + b1.T, 0) @ W2.T + b2.T
    L = 0.5 * np.sum((A - Y) ** 2, axis=1)
    norm = np.sum(W1**2) + np.sum(W2**2)
    assert net.cost(params, X, Y, l2=0.7, sample_weight=w) == pytest.approx(
        np.sum(w * L) / np.sum(w) + 0.7 / (2 * np.sum(w)) * norm, rel=1e-13
    )
    assert net.cost(params, X, Y, l2=0.7) == pytest.approx(
        np.mean(L) + 0.7 / (2 * len(X)) * norm, rel=1e-13
    )
    half = net.objective.cost(xp, params, Batch(X, Y, w, 2 * np.mean(w)), 0.7)
    assert half == pytest.approx(float(net.cost(params, X, Y, l2=0.7, sample_weight=w)) / 2, rel=1e-13)


def test_batches_that_share_a_mean_weight_add_up_to_the_whole(random):
    net = network()
    params, X, Y = problem(net, random, n=8)
    w = np.array([0, 0, 0, 0, 1.0, 2.0, 3.0, 10.0])  # the first half's own weights are all zero
    whole, expected = net.cost_and_gradients(params, X, Y, l2=0.5, sample_weight=w)
    halves = [
        net.objective.gradients(xp, params, Batch(X[h], Y[h], w[h], np.mean(w)), 0.5)
        for h in (slice(0, 4), slice(4, 8))
    ]
    norm = sum(
        np.sum(W * W) for W, _ in params
    )  # each half has the penalty l2/(2 B w): twice the whole's
    extra = 0.5 / (2 * 8 * np.mean(w)) * norm
    assert np.mean([J for J, _ in halves]) - extra == pytest.approx(float(whole), rel=1e-13)
    bias = (halves[0][1][0][1] + halves[1][1][0][1]) / 2
    np.testing.assert_allclose(bias, expected[0][1], rtol=1e-12)


def test_a_batch_whose_weights_are_all_zero_counts_for_nothing(random):
    net = network()
    params, X, Y = problem(net, random)
    J, grads = net.objective.gradients(xp, params, Batch(X, Y, np.zeros(7)), 0.5)
    assert pytest.approx(0.5 / (2 * 7) * sum(np.sum(W * W) for W, _ in params), rel=1e-13) == J
    for (W, _), (dW, db) in zip(params, grads, strict=True):
        np.testing.assert_allclose(dW, 0.5 / 7 * W, rtol=1e-13)
        assert np.all(db == 0)


@pytest.mark.parametrize("mean", [None, 0.7])
@pytest.mark.parametrize("kind", ["no weights", "weights", "zeros"])
def test_a_batch_that_has_been_filled_up_is_the_batch_of_its_rows(kind, mean, random):
    net = network()
    params, X, Y = problem(net, random, n=9)
    weights = {"no weights": None, "weights": random.uniform(0.5, 2, 9), "zeros": np.zeros(9)}
    w = weights[kind]
    mean = None if mean is None else np.asarray(mean)
    rows = Batch(X[:5], Y[:5], None if w is None else w[:5], mean)
    filled = Batch(X, Y, w, mean, counted=np.asarray(5.0)).masked(xp, np.float64)
    J, grads = net.objective.gradients(xp, params, filled, 0.5)
    expected, theirs = net.objective.gradients(xp, params, rows, 0.5)
    assert float(J) == pytest.approx(float(expected), rel=1e-13)
    for layer, other in zip(grads, theirs, strict=True):
        for a, b in zip(layer, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)
