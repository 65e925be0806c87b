"""Network: initial parameters, predictions as rows, the gradient check, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import assert_place, flat, network, problem, relative, to

import portable_nn as pnn
from portable_nn.network.gradient_check import worst_difference
from portable_nn.network.objective import Batch


def test_a_network_is_frozen_hashable_and_equal_by_value():
    net = pnn.Network((4, 5, 3), ("relu", pnn.leaky_relu(0.2)), "huber")
    same = pnn.Network([4, 5, 3], ["relu", pnn.leaky_relu(0.2)], pnn.huber(1.0))
    assert net == same
    assert hash(net) == hash(same)
    assert net != pnn.Network((4, 5, 3), ("relu", pnn.leaky_relu(0.1)), "huber")
    assert pickle.loads(pickle.dumps(net)) == net
    assert repr(net) == "Network((4, 5, 3), activations=('relu', 'leaky_relu'), loss='huber')"
    with pytest.raises(AttributeError):
        net.sizes = (1, 2)  # type: ignore[misc]


def test_initial_parameters_have_the_spread_of_their_scheme():
    net = pnn.Network((300, 400, 200), ("relu", "tanh"), "squared_error")
    spreads = {
        "normal": (0.01, 0.01),
        "he": (np.sqrt(2 / 300), np.sqrt(2 / 400)),
        "glorot": (np.sqrt(2 / 700), np.sqrt(2 / 600)),
        "auto": (np.sqrt(2 / 300), np.sqrt(2 / 600)),
    }
    for scheme, (first, second) in spreads.items():
        (W1, b1), (W2, b2) = net.initialize(seed=0, scheme=scheme)
        assert np.std(W1) == pytest.approx(first, rel=0.02)
        assert np.std(W2) == pytest.approx(second, rel=0.02)
        assert abs(np.mean(W1)) < 0.02 * first
        assert not b1.any()
        assert not b2.any()
        assert (W1.shape, b1.shape, W2.shape, b2.shape) == ((400, 300), (400, 1), (200, 400), (200, 1))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu"])
def test_auto_is_he_for_the_relu_family(name):
    net = pnn.Network((30, 40), (name,), "squared_error")
    np.testing.assert_array_equal(net.initialize()[0][0], net.initialize(scheme="he")[0][0])


def test_a_stack_starts_from_one_seed_per_network():
    net = network()
    stack = net.initialize(seed=[4, 9], stack=(2,), dtype="float64")
    for k, seed in enumerate((4, 9)):
        one = net.initialize(seed=seed, dtype="float64")
        for stacked, single in zip(flat(stack), flat(one), strict=True):
            np.testing.assert_array_equal(stacked[k], single)
    grid = net.initialize(seed=0, stack=(2, 3))
    assert [a.shape for a in flat(grid)] == [(2, 3, 5, 4), (2, 3, 5, 1), (2, 3, 3, 5), (2, 3, 3, 1)]


def test_predictions_and_activations_are_rows(backend, dtype, random):
    net = network("relu")
    params, X, _ = problem(net, random, dtype=dtype)
    ours, x = to(backend, params), backend.asarray(X)
    A = net.activations(ours, x)
    assert_place(A[0], backend, dtype, (7, 5))
    assert_place(A[1], backend, dtype, (7, 3))
    (W, b), _ = params
    assert relative(backend.to_numpy(A[0]), np.maximum(X @ W.T + b.T, 0)) < 1e-5
    np.testing.assert_allclose(backend.to_numpy(net.predict(ours, x)).sum(axis=1), 1, rtol=1e-5)


def test_the_gradient_check_finds_right_gradients_right(backend, random):
    net = network("gelu")
    params, X, Y = problem(net, random)
    x, y, w = backend.asarray(X), backend.asarray(Y), backend.asarray(random.uniform(0.5, 2, size=7))
    assert net.check_gradients(to(backend, params), x, y, l2=0.2, sample_weight=w) < 1e-7


def test_the_gradient_check_looks_at_every_entry(random):
    net = pnn.Network((50, 40, 3), ("tanh", "softmax"), "categorical_cross_entropy")
    params = net.initialize(dtype="float64")
    last = np.zeros((40, 50))
    last[-1, -1] = 1.0

    X, Y = random.normal(size=(4, 50)), np.eye(3)[[0, 1, 2, 0]]
    _, grads = net.cost_and_gradients(params, X, Y)

    def J(p):
        return net.objective.cost(np, p, Batch(X, Y))

    assert worst_difference(J, params, grads, 1e-5) < 1e-7
    wrong = [(grads[0][0] + last, grads[0][1]), grads[1]]
    assert worst_difference(J, params, wrong, 1e-5) > 0.1


def test_the_gradient_check_finds_a_wrong_derivative(random):
    wrong = pnn.Activation("wrong", lambda xp, Z: xp.tanh(Z), lambda xp, Z: 1 - xp.tanh(Z))
    net = pnn.Network((4, 5, 3), (wrong, "softmax"), "categorical_cross_entropy")
    assert net.check_gradients(*problem(net, random)) > 0.01


def test_an_activation_and_a_loss_of_ones_own(backend, random):
    square = pnn.Activation("square", lambda xp, Z: Z * Z, lambda xp, Z: 2 * Z)
    quartic = pnn.Loss("quartic", lambda xp, A, Y: (A - Y) ** 4 / 4, lambda xp, A, Y: (A - Y) ** 3)
    net = pnn.Network((4, 5, 3), (square, square), quartic)
    params, X, Y = problem(net, random)
    ours, x, y = to(backend, params), backend.asarray(X / 3), backend.asarray(Y)
    assert net.check_gradients(ours, x, y) < 1e-7
    start = float(net.cost(ours, x, y))
    trained, _ = pnn.fit(net, ours, x, y, epochs=20)
    assert float(net.cost(trained, x, y)) < start


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: pnn.Activation("mine", np.sin, np.cos),
            r"`g` of Activation\('mine'\) fails.*g\(xp, Z\)",
        ),
        (
            lambda: pnn.Activation("mine", lambda xp, Z: np.float64(2) * Z, lambda xp, Z: Z),
            "dtype float64",
        ),
        (
            lambda: pnn.Activation("mine", lambda xp, Z: Z, lambda xp, Z: Z.T),
            r"`g_prime`.*shape \(2, 3\)",
        ),
        (lambda: pnn.Activation("mine", lambda xp, Z: Z, None, lambda xp, Z: Z), r"`delta`.*fails"),
        (
            lambda: pnn.Loss("mine", lambda xp, A, Y: xp.mean((A - Y) ** 2), lambda xp, A, Y: A),
            r"shape \(\)",
        ),
        (lambda: pnn.Loss("mine", lambda xp, A, Y: (A - Y).T, lambda xp, A, Y: A), r"shape \(2, 3\)"),
        (lambda: pnn.Loss("mine", lambda xp, A, Y: A, lambda xp, A, Y: 1.0), "`derivative`.*fails"),
    ],
)
def test_an_activation_or_a_loss_of_ones_own_is_tried_on_a_tiny_batch_first(make, message):
    mine = make()
    activation = mine if isinstance(mine, pnn.Activation) else "tanh"
    loss = mine if isinstance(mine, pnn.Loss) else "squared_error"
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.Network((4, 3), (activation,), loss)


@pytest.mark.parametrize(
    ("output", "loss", "units", "message"),
    [
        (
            "identity",
            "binary_cross_entropy",
            3,
            "'identity' is not meant for .*: use sigmoid or softmax",
        ),
        ("relu", "categorical_cross_entropy", 3, "'relu' is not meant for categorical.*: use softmax"),
        ("tanh", "poisson", 3, "'tanh' is not meant for poisson: use exp or softplus"),
        (
            "softmax",
            "categorical_cross_entropy",
            1,
            "softmax is not meant for a single output.*use sigmoid",
        ),
    ],
)
def test_an_output_that_the_loss_has_no_meaning_for_is_warned_of(output, loss, units, message):
    with pytest.warns(UserWarning, match=message) as caught:
        pnn.Network((4, units), (output,), loss)
    assert caught[0].filename == __file__


def test_the_gradient_check_is_right_at_a_kink(random):
    net = pnn.Network((3, 5, 4, 1), ("relu", "relu", "sigmoid"), "binary_cross_entropy")
    X = random.normal(size=(20, 3))
    Y = (X[:, :1] > 0).astype("float64")
    for seed in range(4):  # biases of zero: where the first layer is dead, z = 0 in the second
        assert net.check_gradients(net.initialize(seed=seed, dtype="float64"), X, Y) < 1e-6


def test_an_activation_named_like_the_matched_one_is_not_taken_for_it(random):
    fake = pnn.Activation("softmax", lambda xp, Z: xp.exp(-Z * Z), lambda xp, Z: -2 * Z * xp.exp(-Z * Z))
    net = pnn.Network((4, 3), (fake,), "categorical_cross_entropy")
    assert net.check_gradients(*problem(net, random)) < 1e-7


def test_a_network_can_be_traced_by_jax(random):
    jax = pytest.importorskip("jax", reason="jax is not installed: nothing to trace with")
    net = network()
    params, X, Y = problem(net, random)
    J, grads = jax.jit(net.cost_and_gradients)(params, X, Y)
    assert float(J) == pytest.approx(float(net.cost(params, X, Y)), rel=1e-12)
    x, y = jax.numpy.asarray(X), jax.numpy.asarray(Y)
    closed_over = jax.jit(jax.grad(lambda p: net.cost(p, x, y)))(
        [(jax.numpy.asarray(W), jax.numpy.asarray(b)) for W, b in params]
    )
    for ours, theirs in zip(flat(grads), flat(closed_over), strict=True):
        assert relative(ours, theirs) < 1e-12
    autodiff = jax.grad(lambda p: net.cost(p, jax.numpy.asarray(X), jax.numpy.asarray(Y)))(
        [(jax.numpy.asarray(W), jax.numpy.asarray(b)) for W, b in params]
    )
    for ours, theirs in zip(flat(grads), flat(autodiff), strict=True):
        assert relative(ours, theirs) < 1e-12


@pytest.mark.parametrize(
    "make",
    [
        lambda: pnn.Activation(3, abs, abs),
        lambda: pnn.Activation("mine", abs, None),
        lambda: pnn.Activation("mine", [1], abs),
        lambda: pnn.Loss("mine", abs, {}),
        lambda: pnn.Loss("mine", abs, abs, targets="labels"),
        lambda: pnn.Loss("mine", abs, abs, matched="sigmoid"),
        lambda: pnn.Loss("mine", abs, abs, value_from_Z=3),
        lambda: pnn.Activation("mine", abs, abs, 5),
    ],
)
def test_an_activation_or_a_loss_that_cannot_be_is_refused(make):
    with pytest.raises((TypeError, ValueError), match="accepted"):
        make()


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4,), (), "huber"), "`sizes`"),
        ((4, ("relu",), "huber"), "`sizes`"),
        (((4, 0), ("relu",), "huber"), r"`sizes\[1\]` is 0"),
        (((4, 2.5), ("relu",), "huber"), r"`sizes\[1\]` is 2.5"),
        (((4, True), ("relu",), "huber"), r"`sizes\[1\]` is True"),
        (((4, 3), ("relu", "relu"), "huber"), "`activations`.*1 of them"),
        (((4, 3), "relu", "huber"), "`activations` is 'relu'"),
        (((4, 3), ("rellu",), "huber"), "unknown activation 'rellu'.*did you mean 'relu'"),
        (((4, 3), (None,), "huber"), "None.*portable_nn.Activation"),
        (((4, 3), ("relu",), "mse"), "unknown loss 'mse'; known: absolute_error"),
        (((4, 3), ("relu",), 7), "7.*portable_nn.Loss"),
    ],
)
def test_a_network_that_cannot_be_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.Network(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "xavier"}, "unknown scheme 'xavier'; known: auto, glorot, he, normal"),
        ({"dtype": "float16"}, "`dtype` is 'float16'; accepted: float32 or float64"),
        ({"dtype": "int64"}, "`dtype`.*accepted"),
        ({"dtype": None}, "`dtype` is None"),
        ({"stack": 3}, "`stack` is 3"),
        ({"stack": (0,)}, "`stack` is 0"),
        ({"seed": -1}, "`seed` is -1"),
        ({"seed": 0.5}, "`seed` is 0.5"),
        ({"seed": [1, 2]}, "`seed` holds 2 seeds"),
        ({"seed": [1, 2], "stack": (3,)}, "`seed` holds 2 seeds; accepted: an int, or 3"),
        ({"backend": "nummpy"}, "unknown backend 'nummpy'.*did you mean 'numpy'"),
        ({"device": "gpu"}, "no device 'gpu'; accepted: cpu"),
    ],
)
def test_initial_parameters_that_cannot_be_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        network().initialize(**options)


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
    "X is whole numbers": (lambda p, X, Y, w: (p, X.astype(int), Y, w), "`X` has dtype int64"),
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
    "Y is labels": (lambda p, X, Y, w: (p, X, Y[:, 0], w), r"`Y` has shape \(7,\).*class labels"),
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
def test_targets_without_a_meaning_for_the_loss_are_refused(loss, wrong, message, random):
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


def test_the_gradient_check_refuses_a_stack_and_an_epsilon_of_zero(random):
    net = network()
    params, X, Y = problem(net, random)
    with pytest.raises(ValueError, match="`epsilon`"):
        net.check_gradients(params, X, Y, epsilon=0.0)
    with pytest.raises(ValueError, match="`params` is a stack"):
        net.check_gradients(net.initialize(stack=(2,), dtype="float64"), X, Y)


def test_arrays_of_two_libraries_or_two_devices_are_refused(random):
    pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
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
