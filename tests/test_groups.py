"""Groups of parameters: against torch's, by hand, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from helpers import flat, worst

import portable_nn as pnn
from portable_nn.optimizers import ArrayName
from portable_nn.optimizers.groups import FrozenMapping

pytestmark = pytest.mark.usefixtures("host_only")
SHAPES = [((3, 4), (3, 1)), ((2, 3), (2, 1))]


def two_layers(random, stack=()):
    """[(W[1], b[1]), (W[2], b[2])] and ten gradients."""
    params, *grads = (
        [tuple(random.normal(size=(*stack, *shape)) for shape in layer) for layer in SHAPES]
        for _ in range(11)
    )
    return params, grads


def updated(optimizer, params, grads, **more):
    """The parameters after an update for each of the gradients."""
    state = optimizer.init(params)
    for one in grads:
        params, state = optimizer.update(params, one, state, **more)
    return flat(params)


TABLE = {  # ours in groups; torch's, and what its groups of W[1], b[1], W[2], b[2] have
    "momentum": (
        pnn.SGD(
            0.05,
            momentum=0.9,
            groups={"biases": {"momentum": 0.5}, 2: {"factor": 0.1}, "W[2]": {"learning_rate": 0.2}},
        ),
        lambda torch: torch.optim.SGD,
        [
            {"lr": 0.05, "momentum": 0.9},
            {"lr": 0.05, "momentum": 0.5},
            {"lr": 0.02, "momentum": 0.9},
            {"lr": 0.005, "momentum": 0.5},
        ],
    ),
    "adam": (
        pnn.Adam(
            0.01, groups={"weights": {"beta_1": 0.5}, "b[2]": {"learning_rate": 0.1, "beta_2": 0.9}}
        ),
        lambda torch: torch.optim.Adam,
        [
            {"lr": 0.01, "betas": (0.5, 0.999)},
            {"lr": 0.01, "betas": (0.9, 0.999)},
            {"lr": 0.01, "betas": (0.5, 0.999)},
            {"lr": 0.1, "betas": (0.9, 0.9)},
        ],
    ),
    "adamw": (
        pnn.AdamW(
            0.01, weight_decay=0.3, groups={"biases": {"weight_decay": 0.0}, 1: {"learning_rate": 0.03}}
        ),
        lambda torch: torch.optim.AdamW,
        [
            {"lr": 0.03, "weight_decay": 0.3},
            {"lr": 0.03, "weight_decay": 0.0},
            {"lr": 0.01, "weight_decay": 0.3},
            {"lr": 0.01, "weight_decay": 0.0},
        ],
    ),
    "rmsprop": (
        pnn.RMSprop(0.01, groups={"weights": {"rho": 0.5}, "b[1]": {"epsilon": 0.1}}),
        lambda torch: torch.optim.RMSprop,
        [
            {"lr": 0.01, "alpha": 0.5},
            {"lr": 0.01, "alpha": 0.9, "eps": 0.1},
            {"lr": 0.01, "alpha": 0.5},
            {"lr": 0.01, "alpha": 0.9},
        ],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_groups_take_the_steps_of_torchs_parameter_groups(name, random, torch):
    optimizer, kind, settings = TABLE[name]
    params, grads = two_layers(random)
    leaves = [torch.nn.Parameter(torch.tensor(a)) for a in flat(params)]
    theirs = kind(torch)(
        [{"params": [p]} | own for p, own in zip(leaves, settings, strict=True)],
        **({"eps": 1e-8} if name == "rmsprop" else {}),
    )
    for one in grads:
        for leaf, g in zip(leaves, flat(one), strict=True):
            leaf.grad = torch.tensor(g)
        theirs.step()
    found = updated(optimizer, params, grads)
    assert worst(found, [leaf.detach().numpy() for leaf in leaves]) < 1e-12


def test_a_name_wins_over_a_layer_and_that_over_a_kind(random):
    params, grads = two_layers(random)
    groups = {  # in another order than that of their weight
        "W[2]": {"learning_rate": 0.5},
        2: {"learning_rate": 0.25, "factor": 2.0},
        "weights": {"learning_rate": 0.125, "factor": 4.0},
    }
    (found,) = [updated(pnn.SGD(1.0, groups=groups), params, grads[:1])]
    rates = [0.125 * 4, 1.0, 0.5 * 2, 0.25 * 2]
    expected = [t - a * g for t, a, g in zip(flat(params), rates, flat(grads[0]), strict=True)]
    assert worst(found, expected) < 1e-15


def test_a_groups_own_rate_wins_over_that_of_the_update_and_its_factor_multiplies_it(random):
    params, grads = two_layers(random)
    groups = {"biases": {"learning_rate": lambda step: 0.5 / (step + 1)}, 2: {"factor": 0.5}}
    found = updated(pnn.SGD(1.0, groups=groups), params, grads[:2], learning_rate=0.25)
    steps = [(0.25, 0.5, 0.125, 0.25), (0.25, 0.25, 0.125, 0.125)]
    expected = flat(params)
    for rates, one in zip(steps, grads, strict=False):
        expected = [t - a * g for t, a, g in zip(expected, rates, flat(one), strict=True)]
    assert worst(found, expected) < 1e-15


def test_each_network_of_a_stack_may_have_settings_of_its_own(random):
    params, grads = two_layers(random, stack=(2,))
    groups = {"biases": {"weight_decay": [0.0, 0.5], "factor": [1.0, 3.0]}}
    both = updated(pnn.AdamW([0.1, 0.2], groups=groups), params, grads[:3])
    for k, (rate, decay, factor) in enumerate(((0.1, 0.0, 1.0), (0.2, 0.5, 3.0))):
        alone = pnn.AdamW(rate, groups={"biases": {"weight_decay": decay, "factor": factor}})
        one = [tuple(a[k] for a in layer) for layer in params]
        expected = updated(alone, one, [[tuple(a[k] for a in l) for l in g] for g in grads[:3]])
        assert worst([a[k] for a in both], expected) < 1e-12


def test_an_optimizer_with_groups_is_a_value():
    groups = {"W[2]": {"beta_1": [0.5, 0.6]}, np.int64(1): {"factor": 1}, "biases": {"weight_decay": 0}}
    one, other = pnn.AdamW(groups=groups), pnn.AdamW(groups=dict(reversed(groups.items())))
    assert one == other
    assert hash(one) == hash(other)
    assert one != pnn.AdamW(groups={**groups, "biases": {"weight_decay": 0.5}})
    for again in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one), dataclasses.replace(one)):
        assert again == one
    groups["biases"]["weight_decay"] = 1.0  # a copy was taken
    assert one.groups == {
        "biases": {"weight_decay": 0.0},
        1: {"factor": 1.0},
        "W[2]": {"beta_1": (0.5, 0.6)},
    }
    with pytest.raises(TypeError):
        one.groups["biases"]["weight_decay"] = 1.0
    shown = (
        "groups={'biases': {'weight_decay': 0.0}, 1: {'factor': 1.0}, 'W[2]': {'beta_1': (0.5, 0.6)}})"
    )
    assert repr(one).endswith(f", weight_decay=0.01, {shown}")
    assert repr(pnn.SGD()) == "SGD(learning_rate=0.01, momentum=0.0, nesterov=False)"
    assert isinstance(one.groups, FrozenMapping)


@dataclasses.dataclass(frozen=True)
class Shifted(pnn.Optimizer):
    """User-defined, with a rule that reads what it is made of."""

    shift: float = 1.0
    words: str = "none"

    def rule(self, xp, theta, g, *rest):
        (alpha,) = rest
        return (theta - alpha * (g + self.shift),)


def test_a_user_defined_rule_reads_the_settings_of_its_group(random):
    params, grads = two_layers(random)
    optimizer = Shifted(0.5, 2.0, groups={"biases": {"shift": 3.0}})
    found = updated(optimizer, params, grads[:1])
    shifts = zip(flat(params), flat(grads[0]), (2.0, 3.0, 2.0, 3.0), strict=True)
    assert worst(found, [theta - 0.5 * (g + shift) for theta, g, shift in shifts]) < 1e-15
    assert repr(Shifted(0.5)) == "Shifted(learning_rate=0.5, shift=1.0, words='none')"


def test_arrays_of_other_forms_are_described(random):
    table, scale, mean = (random.normal(size=shape) for shape in ((5, 2), (3, 1), (3, 1)))
    params, grads = [(table,), (scale, mean)], [(table + 1,), (scale + 1, None)]
    arrays = [
        ArrayName("E[1]", "embeddings", 1),
        ArrayName("gamma[2]", "scales", 2),
        ArrayName("mean[2]", "statistics", 2),
    ]
    optimizer = pnn.SGD(1.0, groups={"embeddings": {"factor": 0.5}, 2: {"factor": 0.25}})
    found = updated(optimizer, params, [grads], arrays=arrays)
    assert worst(found, [table - 0.5 * (table + 1), scale - 0.25 * (scale + 1), mean]) < 1e-15
    with pytest.raises(ValueError, match=r"has not the form .* accepted: with `arrays`"):
        updated(optimizer, params, [grads])
    with pytest.raises(ValueError, match=r"describes 2 arrays and `params` has 3"):
        updated(optimizer, params, [grads], arrays=arrays[:2])
    with pytest.raises(TypeError, match=r"`arrays` is .*accepted: a list of portable_nn.optimizers"):
        updated(optimizer, params, [grads], arrays=["E[1]"] * 3)
    named = pnn.SGD(1.0, groups={"mean[2]": {"factor": 0.5}})
    with pytest.raises(ValueError, match=r"has the key 'mean\[2\]'.*names E\[1\], gamma\[2\]$"):
        updated(named, params, [grads], arrays=arrays)


def test_a_key_that_no_array_has_is_refused(random):
    params, grads = two_layers(random)
    for key in ("embeddings", 3, "W[7]"):
        with pytest.raises(
            ValueError, match=r"`groups` has the key .*kinds weights, biases, the layers 1, 2"
        ):
            updated(pnn.SGD(groups={key: {"factor": 0.5}}), params, grads)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (["biases"], TypeError, r"`groups` is \['biases'\]; accepted: a mapping"),
        ({"biases": 0.1}, TypeError, r"`groups\['biases'\]` is 0.1; accepted: a mapping of settings"),
        ({"bias": {}}, ValueError, r"no kind of array.*unknown kind 'bias'.*did you mean 'biases'"),
        ({"statistics": {}}, ValueError, r"key 'statistics', of arrays that are never trained"),
        ({0: {}}, ValueError, r"the key 0; accepted: a kind"),
        ({1.5: {}}, TypeError, r"the key 1.5; accepted: a kind"),
        ({True: {}}, TypeError, r"the key True; accepted: a kind"),
        (
            {"biases": {"weight_decy": 0}},
            ValueError,
            r"`groups\['biases'\]` holds an unknown setting of AdamW 'weight_decy'.*'weight_decay'\?",
        ),
        (
            {"biases": {"weight_decay": -1}},
            ValueError,
            r"`groups\['biases'\]\['weight_decay'\]` is -1; accepted: a number in \[0.0",
        ),
        ({1: {"beta_1": [0.5, 1.0]}}, ValueError, r"`groups\[1\]\['beta_1'\]\[1\]` is 1.0; accepted"),
        ({1: {"factor": -0.5}}, ValueError, r"`groups\[1\]\['factor'\]` is -0.5; accepted"),
        ({1: {"learning_rate": 0.0}}, ValueError, r"`groups\[1\]\['learning_rate'\]` is 0.0; accepted"),
        ({1: {"epsilon": "a"}}, TypeError, r"`groups\[1\]\['epsilon'\]` is 'a'; accepted"),
    ],
)
def test_groups_that_mean_nothing_are_refused_when_they_are_made(groups, error, message):
    with pytest.raises(error, match=message):
        pnn.AdamW(groups=groups)


def test_settings_that_change_the_formula_are_refused():
    with pytest.raises(
        ValueError, match=r"`groups\['biases'\]` is {'momentum': 0.5}, which changes the"
    ):
        pnn.SGD(groups={"biases": {"momentum": 0.5}})
    with pytest.raises(ValueError, match=r"sets 'nesterov', which SGD has for all arrays together"):
        pnn.SGD(momentum=0.5, groups={"biases": {"nesterov": True}})
    with pytest.raises(ValueError, match=r"sets 'words', which Shifted has for all arrays together"):
        Shifted(groups={"biases": {"words": "many"}})


def test_settings_for_another_stack_are_refused(random):
    params, grads = two_layers(random)
    with pytest.raises(ValueError, match=r"`groups\[1\]\['factor'\]` holds numbers of shape \(2,\)"):
        updated(pnn.SGD(groups={1: {"factor": [1.0, 2.0]}}), params, grads)


def test_scales_are_not_taken_for_weights_where_nobody_says_what_is_which(host_only):
    for inner in ((pnn.LayerNorm(),), (pnn.Scale(),)):
        for layers in ((4, 8, *inner, "relu", 1), (4, *inner, 8, "relu", 1)):
            net = pnn.Network(layers, loss="squared_error")
            params = net.initialize()
            optimizer = pnn.AdamW(groups={"weights": {"weight_decay": 5.0}})
            state = optimizer.init(params)
            with pytest.raises(ValueError, match=r"accepted: with `arrays`.*`net.arrays`"):
                optimizer.update(params, params, state)
            optimizer.update(params, params, state, arrays=net.arrays)
