"""Parameters, examples, targets and weights that every method refuses, and in what words."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import network, problem, to

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


def replaced(array, value):
    array = array.copy()
    array.flat[1] = value
    return array


BAD = {  # what is wrong: (how to spoil params, X, Y and weight; what the message says)
    "X is a list": (lambda p, X, Y, w: (p, X.tolist(), Y, w), "`X`.*list.*accepted: an array"),
    "X is 1-d": (lambda p, X, Y, w: (p, X[0], Y, w), r"`X` has shape \(4,\).*reshape\(1, -1\)"),
    "X is too wide": (
        lambda p, X, Y, w: (p, X[:, :3], Y, w),
        r"`X` has shape \(7, 3\); accepted: .*4\)",
    ),
    "X is empty": (lambda p, X, Y, w: (p, X[:0], Y[:0], w[:0]), "at least one row"),
    "X is a masked array": (lambda p, X, Y, w: (p, np.ma.array(X), Y, w), "MaskedArray"),
    "X is text": (lambda p, X, Y, w: (p, X.astype(str), Y, w), "`X` has dtype str.*or booleans"),
    "X is complex": (lambda p, X, Y, w: (p, X + 0j, Y, w), "`X` has dtype complex128"),
    "X is float16": (lambda p, X, Y, w: (p, X.astype("float16"), Y, w), "`X` has dtype float16"),
    "X is float32": (lambda p, X, Y, w: (p, X.astype("float32"), Y, w), "float64, `X` float32"),
    "X is stacked": (lambda p, X, Y, w: (p, X[None], Y, w), r"`X` has shape \(1, 7, 4\)"),
    "X has NaN": (lambda p, X, Y, w: (p, replaced(X, np.nan), Y, w), "`X` has NaN or infinite"),
    "X is infinite": (lambda p, X, Y, w: (p, replaced(X, -np.inf), Y, w), "`X` has NaN or infinite"),
    "params is None": (lambda p, X, Y, w: (None, X, Y, w), "`params`.*2 pairs"),
    "a layer is missing": (lambda p, X, Y, w: (p[:1], X, Y, w), "`params` is 1 layers; accepted: .*2"),
    "a bias is missing": (lambda p, X, Y, w: ([(p[0][0],), p[1]], X, Y, w), r"`params\[0\]`.*pair"),
    "a bias is a row": (
        lambda p, X, Y, w: ([(p[0][0], p[0][1].T), p[1]], X, Y, w),
        r"`b\[1\]` has shape \(1, 5\); accepted: \(5, 1\)",
    ),
    "a weight is turned": (
        lambda p, X, Y, w: ([(p[0][0].T, p[0][1]), p[1]], X, Y, w),
        r"`W\[1\]` has shape \(4, 5\); accepted: \(5, 4\)",
    ),
    "a weight is NaN": (
        lambda p, X, Y, w: ([(replaced(p[0][0], np.nan), p[0][1]), p[1]], X, Y, w),
        r"`W\[1\]` has NaN",
    ),
    "one layer is stacked": (
        lambda p, X, Y, w: ([(p[0][0][None], p[0][1][None]), p[1]], X, Y, w),
        r"`W\[2\]` has shape \(3, 5\); accepted: \(1, 3, 5\)",
    ),
}

BAD_TARGETS = {
    "Y is labels": (lambda p, X, Y, w: (p, X, Y[:, 0], w), r"`Y` has shape \(7,\).*indices of classes"),
    "Y is too short": (
        lambda p, X, Y, w: (p, X, Y[:6], w),
        r"`Y` has shape \(6, 3\); accepted: \(7, 3\)",
    ),
    "Y has NaN": (lambda p, X, Y, w: (p, X, replaced(Y, np.nan), w), "`Y` has NaN"),
    "Y is no distribution": (lambda p, X, Y, w: (p, X, Y * 2, w), "`Y`.*add up to 1"),
    "Y is negative": (lambda p, X, Y, w: (p, X, Y - 1, w), "`Y`.*values >= 0"),
    "weights are too few": (lambda p, X, Y, w: (p, X, Y, w[:6]), r"`sample_weight` has shape \(6,\)"),
    "weights are a column": (lambda p, X, Y, w: (p, X, Y, w[:, None]), "`sample_weight` has shape"),
    "a weight is negative": (lambda p, X, Y, w: (p, X, Y, replaced(w, -1)), "`sample_weight`.*negative"),
    "weights are zero": (lambda p, X, Y, w: (p, X, Y, 0 * w), "`sample_weight` has a sum of zero"),
    "weights are tiny": (lambda p, X, Y, w: (p, X, Y, w * 1e-320), "`sample_weight` has a sum of zero"),
    "weights overflow": (lambda p, X, Y, w: (p, X, Y, w * 1e308), "`sample_weight` has a sum of zero"),
    "Y is nearly a distribution": (lambda p, X, Y, w: (p, X, Y * 1.001, w), "`Y`.*add up to 1"),
    "weights are NaN": (lambda p, X, Y, w: (p, X, Y, w * np.nan), "`sample_weight` has NaN"),
}


def spoiled(spoil, random):
    net = network()
    params, X, Y = problem(net, random)
    return net, spoil(params, X, Y, np.ones(7))


def calls_with_targets(net, params, X, Y, w):
    """A call of each method that takes targets and weights."""
    return [
        lambda: net.cost(params, X, Y, sample_weight=w),
        lambda: net.cost_and_gradients(params, X, Y, sample_weight=w),
        lambda: net.check_gradients(params, X, Y, sample_weight=w),
        lambda: pnn.fit(net, params, X, Y, sample_weight=w),
    ]


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_every_method(case, random):
    spoil, message = BAD[case]
    net, (params, X, Y, w) = spoiled(spoil, random)
    for call in (
        lambda: net.predict(params, X),
        lambda: net.activations(params, X),
        *calls_with_targets(net, params, X, Y, w),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call()


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_targets_and_weights_are_refused_by_every_method(case, random):
    spoil, message = BAD_TARGETS[case]
    net, (params, X, Y, w) = spoiled(spoil, random)
    for call in calls_with_targets(net, params, X, Y, w):
        with pytest.raises((TypeError, ValueError), match=message):
            call()


@pytest.mark.parametrize(
    ("loss", "wrong", "message"),
    [
        ("binary_cross_entropy", 1.5, r"values in \[0, 1\]"),
        ("binary_cross_entropy", -0.5, r"values in \[0, 1\]"),
        ("poisson", -0.5, "values >= 0"),
    ],
)
def test_targets_outside_the_range_of_the_loss_are_refused(loss, wrong, message, random):
    net = network(output="sigmoid", loss=loss)
    params, X, Y = problem(net, random)
    with pytest.raises(ValueError, match=message):
        net.cost(params, X, replaced(Y, wrong))


@pytest.mark.parametrize("l2", [-0.1, float("nan"), float("inf"), "0.1", True, None])
def test_a_penalty_outside_its_range_is_refused(l2, random):
    net = network()
    params, X, Y = problem(net, random)
    for call in (net.cost, net.cost_and_gradients, net.check_gradients):
        with pytest.raises((TypeError, ValueError), match=r"`l2`.*accepted: a number in \[0.0, inf\)"):
            call(params, X, Y, l2=l2)


def test_arrays_of_two_libraries_or_two_devices_are_refused(random, strict):
    net = network()
    params, X, Y = problem(net, random)
    first = pnn.backends.get("array_api_strict")
    second = pnn.backends.get("array_api_strict", "device1")
    with pytest.raises(ValueError, match=r"`W\[1\]` is on <backend 'numpy' on cpu>.*`X` on .*_strict"):
        net.predict(params, first.asarray(X))
    with pytest.raises(ValueError, match=r"CPU_DEVICE.*`X` on .*device1.*move one of them"):
        net.predict(to(first, params), second.asarray(X))
    with pytest.raises(ValueError, match=r"`X` on .*|`Y` on .*device1"):
        pnn.fit(net, to(first, params), first.asarray(X), second.asarray(Y))
    with pytest.raises(ValueError, match="`validation X` on"):
        pnn.fit(net, params, X, Y, validation=(first.asarray(X), first.asarray(Y)))
