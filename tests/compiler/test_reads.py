"""What user-defined functions read may change between epochs; only then they are traced anew."""

from __future__ import annotations

import functools
import random as pythons_random
import sys
import types
from dataclasses import dataclass, field

import numpy as np
import pytest
from helpers import samples
from training_helpers import assert_same

import portable_nn as pnn
from portable_nn.compiler import traced_step
from portable_nn.compiler.reads import StateChangeError, what_is_read
from portable_nn.equations import ACTIVATIONS, LOSSES, Bound, huber, leaky_relu, pinball
from portable_nn.network.user_functions import are_built_in

pytestmark = pytest.mark.usefixtures("host_only")
relu = ACTIVATIONS["relu"].g
FACTOR = 1.0
SETTINGS = {"inner": [1.0]}


def one_prime(xp, Z):
    return xp.ones_like(Z)


def helper(xp, Z):
    return Z * FACTOR


def set_global(k):
    global FACTOR  # noqa: PLW0603
    FACTOR = 0.5**k


class Scale:
    common = 1.0

    def __init__(self):
        self.k, self.inner, self.calls = 1.0, {"k": [1.0]}, 0

    def __call__(self, xp, Z):
        return Z * self.k

    def by_method(self, xp, Z):
        return self.deeper(Z) * self.common

    def deeper(self, Z):
        return Z * self.inner["k"][0]

    def change(self, k):  # it writes, and the functions above do not call it
        self.k = self.inner["k"][0] = 0.5**k


class Slotted:
    __slots__ = ("k",)


class Counting(Scale):
    def __call__(self, xp, Z):
        self.calls += 1
        return Z * (1.0 if self.calls < 10 else 0.5)


class WithProperty:
    def __init__(self):
        self.hidden = 1.0

    @property
    def k(self):
        return self.hidden


@dataclass
class Config:
    k: float = 1.0
    more: dict = field(default_factory=dict)


def closure():
    factor = 1.0

    def g(xp, Z):
        return Z * factor

    def change(k):
        nonlocal factor
        factor = 0.5**k

    return g, change


def a_global():
    set_global(0)
    return (lambda xp, Z: Z * FACTOR), set_global


def a_nested_helper():
    set_global(0)
    return (lambda xp, Z: helper(xp, Z) + 0.0), set_global


def a_default():
    def g(xp, Z, factor=1.0, *, other=1.0):
        return Z * factor * other

    def change(k):
        g.__defaults__, g.__kwdefaults__ = (0.5**k,), {"other": 0.9**k}

    return g, change


def the_code():
    def g(xp, Z):
        return Z * 1.0

    def other(xp, Z):
        return Z * 0.5

    def change(k):
        g.__code__ = other.__code__

    return g, change


def a_callable_object():
    scale = Scale()
    return scale, scale.change


def a_method():
    scale = Scale()
    return scale.by_method, scale.change


def a_class_attribute():
    kind = type("Kind", (Scale,), {})
    return kind().by_method, lambda k: setattr(kind, "common", 0.5**k)


def a_replaced_method():
    kind = type("Kind", (Scale,), {})
    return kind().by_method, lambda k: setattr(kind, "deeper", lambda self, Z: Z * 0.5**k)


def a_dictionary():
    settings = {"k": 1.0}
    return (lambda xp, Z: Z * settings["k"]), lambda k: settings.update(k=0.5**k)


def a_nested_list():
    SETTINGS["inner"][0] = 1.0

    def change(k):
        SETTINGS["inner"][0] = 0.5**k

    return (lambda xp, Z: Z * SETTINGS["inner"][0]), change


def a_module():
    module = types.ModuleType("settings")
    module.k, module.deeper = 1.0, types.SimpleNamespace(k=1.0)

    def change(k):
        module.k = module.deeper.k = 0.5**k

    return (lambda xp, Z: Z * module.k + module.deeper.k), change


def an_imported_module():
    sys.modules["settings_of_a_test"] = module = types.ModuleType("settings_of_a_test")
    module.k = 1.0

    def g(xp, Z):
        import settings_of_a_test

        return Z * settings_of_a_test.k

    return g, lambda k: setattr(module, "k", 0.5**k)


def an_array():
    factor = np.ones(1)

    def change(k):
        factor[0] = 0.5**k

    return (lambda xp, Z: Z * float(factor[0])), change


def a_dataclass():
    config = Config()
    config.more["k"] = 1.0

    def change(k):
        config.k = config.more["k"] = 0.5**k

    return (lambda xp, Z: Z * config.k * config.more["k"]), change


def a_property():
    thing = WithProperty()
    return (lambda xp, Z: Z * thing.k), lambda k: setattr(thing, "hidden", 0.5**k)


def slots():
    thing = Slotted()
    thing.k = 1.0
    return (lambda xp, Z: Z * thing.k), lambda k: setattr(thing, "k", 0.5**k)


def a_partial():
    scale = Scale()
    return functools.partial(lambda a, xp, Z: Z * a.k, scale), scale.change


def wrapped():
    g, change = closure()
    return functools.wraps(relu)(g), change


def wrapped_method():
    scale = Scale()
    return functools.update_wrapper(scale, relu, updated=()), scale.change


def bound():
    set_global(0)
    return Bound(lambda xp, Z, c: Z * c * FACTOR, 0.9), set_global


def a_function_attribute():
    def g(xp, Z):
        return Z * g.k

    g.k = 1.0
    return g, lambda k: setattr(g, "k", 0.5**k)


def a_cached_function():
    settings = [1.0]

    @functools.lru_cache
    def cached(name):
        return settings

    return (lambda xp, Z: Z * cached("k")[0]), lambda k: settings.__setitem__(0, 0.5**k)


def a_set():
    settings = {1.0}
    return (lambda xp, Z: Z * sum(settings)), lambda k: settings.add(0.5**k)


def by_getattr():
    scale = Scale()
    return (lambda xp, Z: Z * getattr(scale, "k")), scale.change  # noqa: B009


def by_dictionary_of_attributes():
    scale = Scale()
    return (lambda xp, Z: Z * scale.__dict__["k"]), scale.change


def generator():
    random = np.random.default_rng(0)
    return (lambda xp, Z: Z * random.uniform(0.5, 1.0)), lambda k: None


def counting():
    return Counting(), lambda k: None


def appending():
    calls = []
    return (lambda xp, Z: Z * (1.0 if calls.append(1) or len(calls) < 10 else 0.5)), lambda k: None


def shrinking():
    factor = np.ones(1)

    def g(xp, Z):
        mine = factor
        mine *= 0.99
        return Z * float(mine[0])

    return g, lambda k: None


def copying():
    factor = np.ones(1)

    def g(xp, Z):
        np.copyto(factor, factor * 0.99)
        return Z * float(factor[0])

    return g, lambda k: None


CHANGING = [
    *(closure, a_global, a_nested_helper, a_default, the_code, a_callable_object, a_method),
    *(a_class_attribute, a_replaced_method, a_dictionary, a_nested_list, a_module, an_imported_module),
    *(an_array, a_dataclass, a_property, slots, a_partial, wrapped, wrapped_method, bound),
    *(a_function_attribute, a_cached_function, a_set, by_getattr, by_dictionary_of_attributes),
    *(generator, counting),
]


class Change:
    def __init__(self, change):
        self.change = change

    def on_epoch_end(self, state):
        self.change(state.epoch)


@pytest.mark.parametrize("place", ["activation", "loss"])
@pytest.mark.parametrize("make", CHANGING, ids=lambda make: make.__name__)
def test_what_a_user_defined_function_reads_is_never_out_of_date(
    make, place, compiled_at_once, fit_eagerly, random
):
    X, Y = samples(random, 40, 3, 2, "float64")
    found = []
    for fit in (pnn.fit, fit_eagerly):
        g, change = make()
        if place == "activation":
            own = pnn.Activation("own", g, one_prime)
            net = pnn.Network((3, 4, 2), (own, "identity"), "squared_error")
        else:
            loss = pnn.Loss("own", lambda xp, A, Y, g=g: g(xp, A - Y) ** 2, lambda xp, A, Y: 2 * (A - Y))
            net = pnn.Network((3, 4, 2), ("tanh", "identity"), loss)
        change(0) if make is not the_code else None
        params = net.initialize(dtype="float64")
        found.append(
            fit(net, params, X, Y, pnn.SGD(0.05), 4, 8, callbacks=[Change(change)], validation=(X, Y))
        )
    assert_same(*found)


@dataclass(frozen=True)
class Reading(pnn.Optimizer):
    def rule(self, xp, theta, g, alpha):
        return (theta - alpha * SETTINGS["inner"][0] * g,)


def test_what_the_rule_of_a_user_defined_optimizer_reads_is_never_out_of_date(
    compiled_at_once, fit_eagerly, random
):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = samples(random, 40, 3, 2, "float64")
    found = []
    for fit in (pnn.fit, fit_eagerly):
        _, change = a_nested_list()
        params = net.initialize(dtype="float64")
        found.append(fit(net, params, X, Y, Reading(0.1), 4, 8, callbacks=[Change(change)]))
    assert_same(*found)


KNOWN = [
    *(closure, a_global, a_nested_helper, a_default, a_callable_object, a_method, a_class_attribute),
    *(a_dictionary, a_nested_list, a_module, an_array, a_dataclass, a_property, a_partial, wrapped),
    *(bound, a_function_attribute),
]


@pytest.mark.parametrize("make", KNOWN, ids=lambda make: make.__name__)
def test_a_step_is_traced_anew_only_if_what_it_reads_has_changed(
    make, compiled_at_once, monkeypatch, random
):
    traced, trace = [], traced_step.trace

    def counted(function, arrays):
        traced.append(len(arrays) == 9)  # 4 parameters, X, Y and more: a training step
        return trace(function, arrays)

    monkeypatch.setattr(traced_step, "trace", counted)
    g, change = make()
    net = pnn.Network((3, 4, 2), (pnn.Activation("own", g, one_prime), "identity"), "squared_error")
    X, Y = samples(random, 40, 3, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.SGD(0.05), 6, 8)
    traced.clear()
    pnn.fit(*given)
    assert sum(traced) == 1
    pnn.fit(*given, callbacks=[Change(lambda k: change(k) if k == 3 else None)])
    assert sum(traced) == 2


@pytest.mark.parametrize("make", [appending, shrinking, copying], ids=lambda make: make.__name__)
def test_a_function_that_changes_what_it_reads_is_called_in_each_step(make, compiled_at_once, random):
    g, _ = make()
    called = []
    watched = functools.partial(lambda g, xp, Z: called.append(1) or g(xp, Z), g)
    own = pnn.Activation("own", watched, one_prime)
    net = pnn.Network((3, 4, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 40, 3, 2, "float64")
    called.clear()
    pnn.fit(net, net.initialize(dtype="float64"), X, Y, pnn.SGD(0.05), 4, 8)
    assert len(called) >= 4 * 5


def test_a_function_that_writes_or_draws_is_refused_before_it_is_called():
    def writes(xp, Z):
        global FACTOR  # noqa: PLW0603
        FACTOR = 2.0
        return Z

    def draws(xp, Z):
        return Z * np.random.normal()

    def draws_too(xp, Z):
        return Z * pythons_random.random()

    for function in (writes, draws, draws_too, generator()[0], Counting()):
        with pytest.raises(StateChangeError):
            what_is_read([function])


class Hostile:
    @property
    def __dict__(self):
        raise RuntimeError

    def __getattr__(self, name):
        raise RuntimeError


def test_what_cannot_be_followed_is_unknown_and_never_an_error():
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    mine = types.SimpleNamespace()
    mine.itself = mine  # a circle can be followed
    assert what_is_read([functools.partial(helper, mine)]) is not None
    for other in (Hostile(), deep, [0.0] * 10_000, iter(()), types.ModuleType("m"), type("K", (), {})):
        assert what_is_read([functools.partial(helper, other)]) is None


def test_numbers_that_are_equal_and_not_the_same_are_told_apart():
    values = [0.0, -0.0, False, 0, np.float32(0), np.float64(0), "0", (), [], None, np.zeros(1)]
    found = [what_is_read([functools.partial(helper, value)]) for value in values]
    assert all(one != other for i, one in enumerate(found) for other in found[:i])
    assert what_is_read([functools.partial(helper, float("nan"))]) is not None


def test_built_in_is_what_the_package_has_by_that_name():
    for each in (*ACTIVATIONS.values(), leaky_relu(0.3)):
        assert are_built_in(each.g, each.g_prime, each.delta)
    for each in (*LOSSES.values(), huber(2.0), pinball(0.1)):
        assert are_built_in(each.value, each.derivative, each.value_from_Z)

    def mine(xp, Z, c=0.0):
        return Z

    class Number(float):
        pass

    for other in (
        mine,
        functools.wraps(relu)(lambda xp, Z: Z),
        functools.partial(relu),
        Bound(mine, 1.0),
        Bound(functools.wraps(relu)(lambda xp, Z: Z), 1.0),
        Bound(relu, Number(1.0)),
        Scale(),
        functools.update_wrapper(Scale(), relu),
    ):
        assert not are_built_in(other)
