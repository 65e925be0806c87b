"""Hyperparameters are values: changing one compiles nothing, and a stack may have one per network."""

from __future__ import annotations

import contextlib
import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from helpers import SWEEPS, VALUES, host, network, problem, to, worst

import portable_nn as pnn
from portable_nn.compiler.numpy.program import NumpyProgram
from portable_nn.training.steps import training_steps


@pytest.fixture
def compiled(backend, monkeypatch):
    """The steps that are handed to the backend, traced or compiled, as a list that grows."""
    events = []
    training_steps.cache_clear()
    original = type(backend).scan
    monkeypatch.setattr(type(backend), "scan", lambda s, f: (events.append("scan"), original(s, f))[1])
    program = NumpyProgram
    trace = program.__init__
    monkeypatch.setattr(
        program, "__init__", lambda s, *a, **k: (events.append("program"), trace(s, *a, **k))[1]
    )
    with contextlib.ExitStack() as stack:
        if backend.name == "jax":
            from jax import monitoring

            def listen(name, seconds, **_):
                if name.endswith("backend_compile_duration"):
                    events.append("jax")

            monitoring.register_event_duration_secs_listener(listen)
            stack.callback(monitoring.unregister_event_duration_listener, listen)
        yield events


@pytest.mark.parametrize("group", SWEEPS)
def test_fifty_values_of_each_hyperparameter_are_one_compiled_step(group, backend, compiled, random):
    net = network("tanh")
    params, X, Y = problem(net, random, n=10)  # more steps an epoch than the few that stay eager
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    first = None
    for options in SWEEPS[group]:
        results = []
        for value in VALUES:
            trained, _ = pnn.fit(net, ours, x, y, batch_size=2, epochs=1, **options(value))
            results.append(host(backend, trained)[0])
            if first is None and len(results) == 2:  # what seldom comes is compiled when it comes again
                first = list(compiled)
        assert not any(np.array_equal(a, b) for a, b in pairwise(results))  # they do count
    assert compiled.count("scan") == 1
    assert compiled == first  # nothing was traced or compiled after the second training


def test_fifty_penalties_of_the_quasi_newton_solver_are_one_compiled_step(random):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from portable_nn.estimators.lbfgs import gradient_step

    X, y = random.normal(size=(30, 4)), random.normal(size=30)
    gradient_step.cache_clear()
    for alpha in VALUES:
        pnn.MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", alpha=alpha, tol=1e3).fit(X, y)
    assert gradient_step.cache_info().misses == 1


OWN = {  # for a stack of two networks, and what each of them has alone
    "learning_rate": lambda a, b: ({"optimizer": pnn.Adam(v)} for v in ([a, b], a, b)),
    "betas": lambda a, b: ({"optimizer": pnn.Adam(0.01, v, v)} for v in (np.array([a, b]), a, b)),
    "momentum": lambda a, b: ({"optimizer": pnn.SGD(0.01, momentum=v)} for v in ((a, 0.0), a, 0.0)),
    "weight_decay": lambda a, b: (
        {"optimizer": pnn.AdamW(0.01, weight_decay=v)} for v in ([a, b], a, b)
    ),
    "rho": lambda a, b: ({"optimizer": pnn.RMSprop(0.01, rho=v)} for v in ([a, b], a, b)),
    "l2": lambda a, b: ({"l2": v} for v in ([a, 0.0], a, 0.0)),
    "clip_norm": lambda a, b: ({"clip_norm": v} for v in ([a, b], a, b)),
    "schedule": lambda a, b: (
        {"schedule": pnn.schedules.step_decay(v, every=3)} for v in ([a, b], a, b)
    ),
    "all of them": lambda a, b: (
        {"optimizer": pnn.AdamW(v, v, v, v, v), "l2": v, "clip_norm": v} for v in ([a, b], a, b)
    ),
}


def check_own_values(name, weighted, backend, random):
    """Train a stack of two networks, and each of them alone: both ways are the same training."""
    net = network("tanh")
    params, X, Y = problem(net, random, n=20)
    x, y = backend.asarray(X), backend.asarray(Y)
    w = backend.asarray(random.uniform(0.5, 2, size=20)) if weighted else None
    other = [tuple(array + 0.1 for array in layer) for layer in params]
    both = [
        tuple(np.stack(pair) for pair in zip(*layers, strict=True))
        for layers in zip(params, other, strict=True)
    ]
    stack_options, *alone = OWN[name](0.3, 0.02)
    options = {"optimizer": pnn.SGD(0.01), "epochs": 3, "batch_size": 8, "sample_weight": w}
    trained, history = pnn.fit(net, to(backend, both), x, y, **(options | stack_options))
    for k, (start, own) in enumerate(zip((params, other), alone, strict=True)):
        expected, record = pnn.fit(net, to(backend, start), x, y, **(options | own))
        found = [array[k] for array in host(backend, trained)]
        assert worst(found, host(backend, expected)) < 1e-12
        assert [cost[k] for cost in history.cost] == pytest.approx(record.cost, rel=1e-12)
        rates = [np.broadcast_to(rate, 2)[k] for rate in history.learning_rate]
        assert rates == record.learning_rate


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_each_network_of_a_stack_may_have_a_value_of_its_own(name, weighted, host_only, random):
    check_own_values(name, weighted, pnn.backends.get("numpy"), random)


def test_networks_of_a_stack_have_their_own_values_on_every_backend(backend, random):
    check_own_values("all of them", True, backend, random)


def test_dropout_rates_of_the_networks_of_a_stack(backend, random):
    net = network("tanh")
    params, X, Y = problem(net, random, n=2000)
    both = [tuple(np.stack([array, array]) for array in layer) for layer in params]
    ours, x, y = to(backend, both), backend.asarray(X), backend.asarray(Y)
    options = {"epochs": 1, "batch_size": None, "optimizer": pnn.SGD(0.1), "seed": 1}
    found = host(backend, pnn.fit(net, ours, x, y, dropout=[[0.0, 0.6]], **options)[0])
    again = host(backend, pnn.fit(net, ours, x, y, dropout=np.array([0.0, 0.6]), **options)[0])
    none = host(backend, pnn.fit(net, ours, x, y, **options)[0])
    for a, b, c in zip(found, again, none, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a[0], c[0], rtol=1e-12)
        assert not np.allclose(a[1], c[1], rtol=1e-6)


def test_an_update_by_hand_takes_the_values_of_each_network(backend, random):
    params = [tuple(random.normal(size=(2, *shape)) for shape in ((3, 4), (3, 1)))]
    ours = to(backend, params)
    optimizer = pnn.AdamW([0.1, 0.02], beta_1=[0.5, 0.9], weight_decay=[0.0, 0.3])
    state = optimizer.init(ours)
    for _ in range(3):
        ours, state = optimizer.update(ours, ours, state)
    for k, alone in enumerate(
        (pnn.AdamW(0.1, 0.5, weight_decay=0.0), pnn.AdamW(0.02, weight_decay=0.3))
    ):
        one = [tuple(array[k] for array in layer) for layer in params]
        s = alone.init(one)
        for _ in range(3):
            one, s = alone.update(one, one, s)
        assert worst([a[k] for a in host(backend, ours)], [a for layer in one for a in layer]) < 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"l2": [0.1, 0.2, 0.3]},
            r"`l2` holds numbers of shape \(3,\); accepted: .*\(2,\)",
        ),
        ({"l2": [0.1, -0.2]}, r"`l2\[1\]` is -0.2; accepted"),
        ({"l2": ["a", "b"]}, r"`l2` is \['a', 'b'\]; accepted: a number"),
        ({"l2": [[0.1], [0.2, 0.3]]}, r"`l2` is .*; accepted: a number"),
        ({"clip_norm": [1.0, 0.0]}, r"`clip_norm\[1\]` is 0.0; accepted"),
        ({"optimizer": pnn.Adam([0.1] * 3)}, r"`learning_rate` holds numbers of shape \(3,\)"),
        ({"schedule": lambda step: [0.1] * 3}, r"`schedule\(0\)` holds numbers of shape \(3,\)"),
        ({"dropout": [[0.1, 0.2, 0.3]]}, r"`dropout` holds numbers of shape \(3,\)"),
        ({"dropout": [[0.1, 1.0]]}, r"`dropout\[0\]\[1\]` is 1.0; accepted"),
    ],
)
def test_values_for_another_stack_are_refused(options, message, random):
    net = network("tanh")
    _, X, Y = problem(net, random)
    stack = net.initialize(stack=(2,), dtype="float64")
    with pytest.raises((TypeError, ValueError), match=message):
        pnn.fit(net, stack, X, Y, **options)


def test_values_for_a_stack_are_refused_for_one_network(random):
    net = network("tanh")
    params, X, Y = problem(net, random)
    for options in ({"l2": [0.1]}, {"optimizer": pnn.Adam([0.1, 0.2])}, {"clip_norm": [1.0, 2.0]}):
        with pytest.raises(ValueError, match=r"accepted: one number$"):
            pnn.fit(net, params, X, Y, **options)
    with pytest.raises(ValueError, match=r"`l2` holds numbers.*accepted: one number$"):
        net.cost(params, X, Y, l2=[0.1, 0.2])


def test_dropout_that_could_mean_layers_or_networks_is_refused(random):
    net = pnn.Network((4, 5, 6, 3), ("tanh", "tanh", "softmax"), "categorical_cross_entropy")
    _, X, Y = problem(net, random)
    stack = net.initialize(stack=(2,), dtype="float64")
    with pytest.raises(ValueError, match="as many hidden layers as networks"):
        pnn.fit(net, stack, X, Y, dropout=[0.1, 0.2])
    pnn.fit(net, stack, X, Y, dropout=[[0.1, 0.2], 0.3], epochs=1)


@dataclasses.dataclass(frozen=True)
class WithPair(pnn.Optimizer):
    """User-defined, with a parameter that is a pair, and a rule that reads it."""

    pair: tuple[float, float] = (0.5, 0.25)

    def rule(self, xp, theta, g, *rest):
        (alpha,) = rest
        return (theta - alpha * (self.pair[0] * g + self.pair[1]),)


def test_what_a_user_defined_rule_reads_of_its_optimizer_counts(random, host_only):
    net = network("tanh")
    params, X, Y = problem(net, random, n=8)
    _, grads = net.cost_and_gradients(params, X, Y)
    for pair in ((0.5, 0.25), (1.0, 0.0)):
        trained, _ = pnn.fit(net, params, X, Y, WithPair(0.1, pair), epochs=1, batch_size=None)
        expected = [
            theta - 0.1 * (pair[0] * g + pair[1])
            for layer, d_layer in zip(params, grads, strict=True)
            for theta, g in zip(layer, d_layer, strict=True)
        ]
        assert worst([array for layer in trained for array in layer], expected) < 1e-12
