"""Groups of parameters, and limits for some of them, in a training."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from helpers import assert_refused_before_training, flat, host, network, problem, to, worst
from interrupted import Death, DeathError

import portable_nn as pnn
from portable_nn.optimizers.update import apply, clipped_parts
from portable_nn.training.steps import training_steps

GROUPS = {"biases": {"learning_rate": 0.05, "weight_decay": 0.0}, 2: {"factor": 0.5}}
NET = network("tanh")


def data(random, n=20):
    return problem(NET, random, n=n)


def by_hand(params, X, Y, optimizer, schedule, epochs):
    """Updates with all rows, one an epoch, by the methods of the network and the optimizer."""
    state = optimizer.init(params)
    for _ in range(epochs):
        _, grads = NET.cost_and_gradients(params, X, Y)
        params, state = optimizer.update(params, grads, state, schedule(state.t))
    return params


def test_a_training_with_groups_is_that_by_hand(backend, random):
    params, X, Y = data(random)
    schedule = pnn.schedules.cosine(0.1, steps=6)
    optimizer = pnn.AdamW(0.3, weight_decay=0.2, groups=GROUPS)
    ours, x, y = to(backend, params), backend.asarray(X), backend.asarray(Y)
    trained, history = pnn.fit(
        NET, ours, x, y, optimizer, epochs=6, batch_size=None, schedule=schedule, epoch_order=in_order
    )
    expected = by_hand(params, X, Y, optimizer, schedule, 6)
    assert worst(host(backend, trained), flat(expected)) < 1e-12
    assert history.learning_rate == [schedule(step) for step in range(6)]


def in_order(epoch, n):
    return np.arange(n)


def test_groups_with_the_settings_of_the_optimizer_change_no_bit(random, host_only):
    params, X, Y = data(random)
    options = {"epochs": 3, "batch_size": 4, "clip_norm": 0.1, "l2": 0.1}
    groups = {"biases": {"learning_rate": 0.1}, "W[2]": {"beta_1": 0.9}, 1: {"factor": 1.0}}
    expected, _ = pnn.fit(NET, params, X, Y, pnn.Adam(0.1), **options)
    found, _ = pnn.fit(NET, params, X, Y, pnn.Adam(0.1, groups=groups), **options)
    assert all(np.array_equal(a, b) for a, b in zip(flat(found), flat(expected), strict=True))


def test_networks_of_a_stack_have_groups_of_their_own(random, host_only):
    params, X, Y = data(random)
    stack = [tuple(np.stack([a, a]) for a in layer) for layer in params]
    options = {"epochs": 3, "batch_size": 8}
    groups = {"biases": {"factor": [0.5, 2.0]}, 1: {"momentum": [0.5, 0.9]}}
    limits = {"weights": [0.1, 0.2]}
    both, _ = pnn.fit(NET, stack, X, Y, pnn.SGD(0.1, 0.7, groups=groups), clip_norm=limits, **options)
    for k, (factor, momentum, limit) in enumerate(((0.5, 0.5, 0.1), (2.0, 0.9, 0.2))):
        own = {"biases": {"factor": factor}, 1: {"momentum": momentum}}
        sgd = pnn.SGD(0.1, 0.7, groups=own)
        alone, _ = pnn.fit(NET, params, X, Y, sgd, clip_norm={"weights": limit}, **options)
        assert worst([a[k] for a in flat(both)], flat(alone)) < 1e-12


def test_other_values_of_groups_and_limits_are_the_same_compiled_step(random, host_only):
    params, X, Y = data(random)
    training_steps.cache_clear()
    results = []
    for value in (0.1, 0.2, 0.3):
        groups = {"biases": {"weight_decay": value, "learning_rate": value}, 1: {"factor": value}}
        adamw = pnn.AdamW(0.1, weight_decay=lambda step, value=value: value, groups=groups)
        trained, _ = pnn.fit(
            NET, params, X, Y, adamw, epochs=1, batch_size=4, clip_norm={"biases": value}
        )
        results.append(flat(trained)[1])
    assert training_steps.cache_info().misses == 1
    assert not np.array_equal(results[0], results[1])
    pnn.fit(NET, params, X, Y, pnn.AdamW(0.1, groups={"b[1]": {"factor": 0.5}}), epochs=1)
    assert training_steps.cache_info().misses == 2


def test_limits_of_groups_are_those_of_torchs_clip_grad_norm(random, torch):
    params, X, Y = data(random)
    _, grads = NET.cost_and_gradients(params, X, Y)
    for limits, chosen in (
        ({"weights": 0.01, "b[1]": 0.02}, [([0, 2], 0.01), ([1], 0.02)]),
        ({2: 0.01}, [([2, 3], 0.01)]),
        ({"weights": 0.01, "biases": 1e9}, [([0, 2], 0.01)]),
    ):
        leaves = [torch.nn.Parameter(torch.tensor(a)) for a in flat(params)]
        for leaf, g in zip(leaves, flat(grads), strict=True):
            leaf.grad = torch.tensor(g)
        for places, limit in chosen:
            mine = [leaves[i] for i in places]
            norm = float(torch.nn.utils.clip_grad_norm_(mine, np.inf))  # which leaves them as they are
            torch.nn.utils.clip_grad_norm_(mine, limit * (1 + 1e-6 / norm))  # it divides by norm + 1e-6
        trained, _ = pnn.fit(
            NET, params, X, Y, pnn.SGD(1.0), epochs=1, batch_size=None, clip_norm=limits
        )
        wanted = [a - leaf.grad.numpy() for a, leaf in zip(flat(params), leaves, strict=True)]
        assert worst(flat(trained), wanted) < 1e-12


def test_arrays_without_gradients_stand_still_in_a_compiled_scan(backend, random):
    W, b = (random.normal(size=shape) for shape in ((3, 4), (3, 1)))
    rule = pnn.SGD(0.1, momentum=0.9).rule

    def step(xp, carry, fixed, one):
        (params, slots), (numbers,) = carry, one
        (W, _), given = params[0], [numbers[i, ...] for i in range(2)]
        grads = clipped_parts(xp, params, [(W + 1.0, None)], [given[0]], (0, 0))
        return apply(xp, (rule,), params, grads, slots, [given], (0, 0))

    step.steady = True
    ours = to(backend, [(W, b)])
    run, slots = backend.scan(step), (to(backend, [(0 * W, 0 * b)]),)
    numbers = np.tile([0.1, 0.9], (20, 1))
    carry = run((ours, slots), (), (backend.asarray(numbers),), (False, False))
    (params, (v,)) = run(carry, (), (backend.asarray(numbers),), (True, True))
    theta, speed = W, 0 * W
    for _ in range(40):
        g = (theta + 1) * min(1.0, 0.1 / np.linalg.norm(theta + 1))
        speed = 0.9 * speed - 0.1 * g
        theta = theta + speed
    assert worst(host(backend, params), [theta, b]) < 1e-12
    assert worst(host(backend, v), [speed, 0 * b]) < 1e-12
    assert worst(host(backend, ours), [W, b]) == 0  # what was given is as it was


def test_a_training_with_groups_is_resumed_to_the_bit(tmp_path, random, host_only):
    params, X, Y = data(random, n=40)
    path = tmp_path / "groups.safetensors"
    adamw = pnn.AdamW(0.01, weight_decay=pnn.schedules.cosine(0.1, 20), groups=GROUPS)
    fit = functools.partial(
        pnn.fit, NET, params, X, Y, epochs=4, batch_size=8, dropout=pnn.schedules.cosine(0.5, 20)
    )
    limits = {"weights": 0.1, "biases": 0.1}
    whole, _ = fit(adamw, clip_norm=limits)
    saving = pnn.Checkpoint(path, every_steps=3)
    with pytest.raises(DeathError):
        fit(adamw, clip_norm=limits, callbacks=[saving, Death(13)])
    found, _ = fit(adamw, clip_norm=limits, resume=path)
    assert all(np.array_equal(a, b) for a, b in zip(flat(found), flat(whole), strict=True))
    others = {
        r"`optimizer` is another one": {"optimizer": pnn.AdamW(0.01, weight_decay=adamw.weight_decay)},
        r"optimizer.groups.2.factor` was 0.5 and is 0.25": {
            "optimizer": pnn.AdamW(
                0.01, weight_decay=adamw.weight_decay, groups=GROUPS | {2: {"factor": 0.25}}
            )
        },
        r"clip_norm.biases` was 0.1 and is 0.2": {"clip_norm": {"weights": 0.1, "biases": 0.2}},
        r"dropout": {"dropout": pnn.schedules.cosine(0.25, 20)},
    }
    for said, other in others.items():
        with pytest.raises(ValueError, match=rf"another training: .*{said}"):
            fit(**({"optimizer": adamw, "clip_norm": limits, "resume": path} | other))


def test_groups_survive_files(tmp_path):
    from portable_nn.storage import read_document, write_document

    groups = {"biases": {"weight_decay": 0.0, "learning_rate": pnn.schedules.cosine(0.1, 20)}}
    adamw = pnn.AdamW(
        0.1, weight_decay=pnn.schedules.constant(0.5), groups=groups | {1: {"factor": [1, 2]}}
    )
    plain = pnn.Adam()
    write_document(str(tmp_path / "a"), "optimizers", {"with": adamw, "without": plain})
    _, values, _ = read_document(str(tmp_path / "a"))
    assert values == {"with": adamw, "without": plain}
    assert b"groups" in (tmp_path / "a").read_bytes()
    write_document(str(tmp_path / "b"), "optimizers", {"without": plain})
    assert b"groups" not in (tmp_path / "b").read_bytes()  # older versions can read it


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"optimizer": pnn.Adam(groups={"scales": {"factor": 0.5}})},
            ValueError,
            r"`groups` has the key 'scales', which no array here has; accepted: the kinds weights",
        ),
        ({"clip_norm": {"W[3]": 1.0}}, ValueError, r"`clip_norm` has the key 'W\[3\]', which no array"),
        ({"clip_norm": {"weight": 1.0}}, ValueError, r"`clip_norm` has a key.*did you mean 'weights'"),
        ({"clip_norm": {"weights": 0.0}}, ValueError, r"`clip_norm\['weights'\]` is 0.0; accepted"),
        ({"clip_norm": {1: [1.0, 2.0]}}, ValueError, r"`clip_norm\[1\]` holds numbers of shape"),
        (
            {"clip_norm": {"weights": 1.0, 1: 1.0}},
            ValueError,
            r"`clip_norm` limits W\[1\] by 'weights' and by 1; accepted",
        ),
        (
            {"optimizer": pnn.Adam(groups={1: {"factor": [1.0, 2.0]}})},
            ValueError,
            r"`groups\[1\]\['factor'\]` holds numbers of shape",
        ),
    ],
)
def test_groups_that_do_not_suit_the_network_are_refused_before_training(
    options, error, message, random, host_only
):
    assert_refused_before_training((NET, *data(random)), options, error, message)
