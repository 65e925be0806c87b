"""User-defined optimizers: what their rules read counts, and what they return is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from helpers import flat, network, problem, worst

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


@dataclass(frozen=True)
class Scaled(pnn.Optimizer):
    """A static rule, whose number goes through the coefficients."""

    k: Any = 2.0

    def coefficients(self, t, alpha):
        return alpha, self.k

    @staticmethod
    def rule(xp, theta, g, alpha, k):
        return (theta - alpha * k * g,)


@dataclass(frozen=True)
class Reading(pnn.Optimizer):
    """A rule that reads its number from the optimizer."""

    k: Any = 2.0

    def rule(self, xp, theta, g, alpha):
        return (theta - alpha * self.k * g,)


@dataclass(frozen=True)
class Uncompared(pnn.Optimizer):
    k: float = field(default=2.0, compare=False)

    def rule(self, xp, theta, g, alpha):
        return (theta - alpha * self.k * g,)


@dataclass(frozen=True)
class Returning(pnn.Optimizer):
    what: str = ""

    def rule(self, xp, theta, g, alpha):
        return {
            "theta": theta,
            "nothing": (),
            "two": (theta, g),
            "rows": (theta[..., :1, :],),
        }[self.what]


@pytest.fixture
def stack_problem(random):
    net = network("tanh")
    params, X, Y = problem(net, random, n=12)
    other = [tuple(array + 0.1 for array in layer) for layer in params]
    both = [
        tuple(np.stack(pair) for pair in zip(*layers, strict=True))
        for layers in zip(params, other, strict=True)
    ]
    return net, (params, other), both, X, Y


@pytest.mark.parametrize("kind", [Scaled, Reading])
@pytest.mark.parametrize("values", [[2.0, 3.0], np.array([2.0, 3.0])], ids=["list", "array"])
def test_numbers_of_a_stack_reach_the_rule_of_each_network(kind, values, stack_problem):
    net, each, both, X, Y = stack_problem
    options = {"epochs": 2, "batch_size": 5}
    optimizer = kind([0.1, 0.2], values)
    trained, _ = pnn.fit(net, both, X, Y, optimizer, **options)
    _, grads = net.cost_and_gradients(both, X, Y)
    updated, _ = optimizer.update(both, grads, optimizer.init(both))
    for k, (start, rate) in enumerate(zip(each, (0.1, 0.2), strict=True)):
        alone = kind(rate, values[k])
        expected, _ = pnn.fit(net, start, X, Y, alone, **options)
        assert worst([array[k] for array in flat(trained)], flat(expected)) < 1e-12
        _, g = net.cost_and_gradients(start, X, Y)
        expected, _ = alone.update(start, g, alone.init(start))
        assert worst([array[k] for array in flat(updated)], flat(expected)) < 1e-12


def test_what_a_rule_reads_keeps_the_dtype_of_the_parameters(backend, stack_problem):
    net, _, both, X, Y = stack_problem
    ours = [tuple(backend.asarray(array, dtype="float32") for array in layer) for layer in both]
    x, y = (backend.asarray(array, dtype="float32") for array in (X, Y))
    found, _ = pnn.fit(net, ours, x, y, Reading(0.1, [2.0, 3.0]), epochs=1, batch_size=5)
    expected, _ = pnn.fit(net, ours, x, y, Scaled(0.1, [2.0, 3.0]), epochs=1, batch_size=5)
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert a.dtype == b.dtype == backend.xp.float32
        np.testing.assert_allclose(backend.to_numpy(a), backend.to_numpy(b), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", [Scaled, Reading])
def test_numbers_for_another_stack_are_refused(kind, stack_problem):
    net, (params, _), both, X, Y = stack_problem
    for start, values in ((params, [2.0, 3.0]), (both, [2.0]), (both, [2.0, 3.0, 4.0])):
        with pytest.raises(ValueError, match=r"`k` holds numbers of shape \(\d,\); accepted"):
            pnn.fit(net, start, X, Y, kind(0.1, values))
        with pytest.raises(ValueError, match=r"`k` holds numbers"):
            kind(0.1, values).update(start, start, kind(0.1).init(start))


def test_a_field_that_equality_ignores_counts_for_the_compiled_step(random):
    net = network("tanh")
    params, X, Y = problem(net, random)
    found = [flat(pnn.fit(net, params, X, Y, Uncompared(0.1, k), 1)[0])[0] for k in (1.0, 2.0)]
    start = params[0][0]
    np.testing.assert_allclose(found[1] - start, 2 * (found[0] - start), rtol=1e-9)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("theta", "returned ndarray; accepted: a tuple of 1"),
        ("nothing", "returned 0; accepted: a tuple of 1"),
        ("two", "returned 2; accepted: a tuple of 1"),
        ("rows", r"an array of shape \(1, 4\) for a parameter of shape \(5, 4\)"),
    ],
)
def test_what_a_rule_returns_is_checked(what, message, random):
    net = network("tanh")
    params, X, Y = problem(net, random)
    optimizer = Returning(0.1, what)
    with pytest.raises(ValueError, match=message):
        optimizer.update(params, params, optimizer.init(params))
    with pytest.raises(ValueError, match="`rule` of the optimizer returned"):
        pnn.fit(net, params, X, Y, optimizer)


@dataclass(frozen=True)
class Sign(pnn.Optimizer):
    """A rule that widens float32, or is called otherwise than it is."""

    what: str = "where"

    def coefficients(self, t, alpha):
        return alpha if self.what == "number" else (alpha,)

    @property
    def rule(self):
        return {
            "where": lambda xp, theta, g, alpha: (theta - alpha * xp.where(g > 0, 1.0, -1.0),),
            "NumPy": lambda xp, theta, g, alpha: (theta - np.float64(0.1) * g,),
            "few": lambda xp, theta, g: (theta - g,),
            "own": lambda xp, theta, g, alpha: (theta + None,),
            "number": lambda xp, theta, g, alpha: (theta - alpha * g,),
        }[self.what]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "where",
            r"`rule` .* array of dtype float64 for a parameter of dtype float32; accepted: the same",
        ),
        (
            "NumPy",
            r"`rule` .* array of dtype float64 for a parameter of dtype float32; accepted: the same",
        ),
        ("few", r"`rule` .* does not take 4 arguments .*accepted: rule\(xp, theta, g, \*slots"),
        ("own", "unsupported operand"),
        ("number", r"`coefficients` of the optimizer returned \w+; accepted: a tuple"),
    ],
)
def test_a_rule_that_widens_or_is_called_otherwise_is_refused(what, message, random):
    net = network("tanh")
    params, X, Y = problem(net, random, dtype="float32")
    optimizer = Sign(0.1, what=what)
    with pytest.raises(TypeError, match=message):
        optimizer.update(params, params, optimizer.init(params))
    with pytest.raises(TypeError, match=message):
        pnn.fit(net, params, X, Y, optimizer)


def test_a_rule_that_may_read_what_cannot_be_hashed_is_refused(random):
    net = network("tanh")
    params, X, Y = problem(net, random)
    with pytest.raises(TypeError, match=r"cannot be hashed .*accepted: numbers, strings, tuples"):
        pnn.fit(net, params, X, Y, Reading(0.1, {"a": 1}))


def test_values_of_a_stack_for_a_tree_of_other_shapes_are_refused():
    tree = [np.ones((2, 4, 3)), np.ones((2, 3))]  # the second lacks the axis that the first has
    optimizer = pnn.SGD([0.1, 0.2])
    with pytest.raises(ValueError, match=r"shape \(2, 2, 3\) for a parameter of shape \(2, 3\)"):
        optimizer.update(tree, tree, optimizer.init(tree))


def test_a_state_whose_count_is_none_is_refused(random):
    net = network("tanh")
    params, X, Y = problem(net, random)
    state = pnn.Adam().init(params)
    for t in (-3, 2.5):
        wrong = state._replace(t=t)
        with pytest.raises((TypeError, ValueError), match=r"`state.t` is .*; accepted: a whole number"):
            pnn.fit(net, params, X, Y, pnn.Adam(), optimizer_state=wrong)
        with pytest.raises((TypeError, ValueError), match=r"`state.t` is"):
            pnn.Adam().update(params, params, wrong)


def test_parameters_and_slots_may_be_nested_in_lists_or_tuples(backend, random):
    net = network("tanh")
    params, X, Y = problem(net, random)
    ours = [tuple(backend.asarray(array) for array in layer) for layer in params]
    x, y = backend.asarray(X), backend.asarray(Y)
    expected, history = pnn.fit(net, ours, x, y, epochs=2)
    state = history.optimizer_state
    further, _ = pnn.fit(net, expected, x, y, epochs=1, optimizer_state=state)
    found, _ = pnn.fit(net, tuple(list(layer) for layer in ours), x, y, epochs=2)
    lists = state._replace(slots=[[list(layer) for layer in slot] for slot in state.slots])
    again, _ = pnn.fit(net, tuple(found), x, y, epochs=1, optimizer_state=lists)
    for a, b in zip(flat(again), flat(further), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(a), backend.to_numpy(b))


def test_an_update_can_be_traced_by_jax_with_its_state(jax, random):
    net = network("tanh")
    backend = pnn.backends.get("jax")
    params, X, Y = problem(net, random)
    ours = [tuple(backend.asarray(array) for array in layer) for layer in params]
    x, y = backend.asarray(X), backend.asarray(Y)
    for optimizer in (pnn.Adam(0.1), pnn.SGD(0.1, momentum=0.5)):
        step = jax.jit(lambda p, s, o=optimizer: o.update(p, net.cost_and_gradients(p, x, y)[1], s))
        found, state = step(ours, optimizer.init(ours))
        _, grads = net.cost_and_gradients(params, X, Y)
        expected, _ = optimizer.update(params, grads, optimizer.init(params))
        assert int(state.t) == 1
        assert worst([backend.to_numpy(a) for a in flat(found)], flat(expected)) < 1e-12


def test_a_penalty_that_asks_for_a_gradient_is_refused(torch, random):
    net = network("tanh")
    params, X, Y = problem(net, random)
    with pytest.raises(TypeError, match=r"`l2` asks for a gradient.*accepted: its detached"):
        net.cost(params, X, Y, l2=torch.tensor([0.1], requires_grad=True))


def test_an_error_of_a_rule_without_a_signature_is_its_own(random):
    class Fails:
        @property
        def __signature__(self):
            raise ValueError("no signature found")

        def __call__(self, *arguments):
            raise TypeError("its own fault")

    @dataclass(frozen=True)
    class Failing(pnn.Optimizer):
        rule = staticmethod(Fails())

    params = [(np.ones((1, 1)), np.ones((1, 1)))]
    with pytest.raises(TypeError, match=r"^its own fault"):
        Failing(0.1).update(params, params, Failing(0.1).init(params))
