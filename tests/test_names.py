"""Names that people bring from other libraries work where that is free, else the error tells ours."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers import worst

import portable_nn as pnn
from portable_nn.optimizers import Optimizer

pytestmark = pytest.mark.usefixtures("host_only")
NET = pnn.Network((4, 3, 3), ("tanh", "softmax"), "categorical_cross_entropy")


@pytest.fixture
def data(random):
    return random.normal(size=(40, 4)).astype("float32"), random.integers(0, 3, size=40)


def trained(data, **options):
    params, history = pnn.fit(NET, NET.initialize(), *data, epochs=3, batch_size=8, **options)
    return [array for layer in params for array in layer], history


def test_an_optimizer_may_be_named(data):
    for name, optimizer in (
        ("adam", pnn.Adam()),
        ("SGD", pnn.SGD()),
        ("RMSProp", pnn.RMSprop()),
        ("adamw", pnn.AdamW()),
    ):
        assert worst(trained(data, optimizer=name)[0], trained(data, optimizer=optimizer)[0]) == 0
    with pytest.raises(ValueError, match=r"unknown optimizer 'adan'.*did you mean 'adam'"):
        trained(data, optimizer="adan")


def test_a_schedule_may_be_the_learning_rate(data):
    schedule = pnn.schedules.cosine(0.01, steps=15)
    right, history = trained(data, optimizer=pnn.Adam(), schedule=schedule)
    found, same = trained(data, optimizer=pnn.Adam(schedule))
    assert worst(found, right) == 0
    assert history.learning_rate == same.learning_rate
    params = NET.initialize()
    _, grads = NET.cost_and_gradients(params, *data)
    optimizer = pnn.SGD(learning_rate=lambda t: 0.5 / (t + 1))
    state = optimizer.init(params)
    for rate in (0.5, 0.25):
        moved, state = optimizer.update(params, grads, state)
        expected, _ = pnn.SGD(rate).update(params, grads, pnn.SGD(rate).init(params))
        assert worst([a for p in moved for a in p], [a for p in expected for a in p]) == 0


def test_a_whole_number_is_a_stack():
    assert NET.initialize(stack=5)[0][0].shape == (5, 3, 4)
    assert NET.initialize(stack=np.int64(2))[0][0].shape == (2, 3, 4)
    for wrong in (True, 2.0, "3"):
        with pytest.raises(TypeError, match="`stack` is"):
            NET.initialize(stack=wrong)


def test_early_stopping_may_stand_among_the_callbacks(data):
    rule = pnn.EarlyStopping(patience=1, min_delta=9.0)
    _, history = trained(data, callbacks=[rule])
    assert history.stopped_by == "early stopping"
    assert history.epochs == trained(data, early_stopping=rule)[1].epochs == 2
    with pytest.raises(TypeError, match="`callbacks` holds EarlyStopping"):
        trained(data, callbacks=[rule, rule])


ARGUMENTS = {
    "lr": (lambda: pnn.Adam(lr=0.1), "Adam has no argument `lr`; here: learning_rate"),
    "betas": (
        lambda: pnn.AdamW(betas=(0.9, 0.99)),
        "AdamW has no argument `betas`; here: beta_1 and beta_2",
    ),
    "alpha": (lambda: pnn.RMSprop(alpha=0.9), "`alpha`; here: rho"),
    "decay": (lambda: pnn.Adam(weight_decay=0.1), "`weight_decay`; here: AdamW"),
    "patience": (
        lambda: pnn.EarlyStopping(n_iter_no_change=3),
        "EarlyStopping has no .*here: `patience`",
    ),
    "best": (lambda: pnn.EarlyStopping(restore_best_weights=True), "here: `restore_best`"),
    "data": (lambda: pnn.fit(NET, [], [], [], validation_data=()), r"here: `validation=\(X, Y\)`"),
    "rate": (lambda: pnn.fit(NET, [], [], [], learning_rate=0.1), "fit has no argument `learning_rate`"),
}


@pytest.mark.parametrize("given", list(ARGUMENTS))
def test_arguments_under_other_names_tell_ours(given):
    call, message = ARGUMENTS[given]
    with pytest.raises(TypeError, match=message):
        call()


LOSSES = {"bce": "binary_cross_entropy", "MSE": "squared_error", "nll": "categorical_cross_entropy"}
ACTIVATIONS = {
    "swish": "silu",
    "Hardswish": "hard_swish",
    "hard_silu": "hard_swish",
    "linear": "identity",
    "logistic": "sigmoid",
    "ReLU": "relu",
}


def test_values_under_other_names_tell_ours():
    for name, ours in LOSSES.items():
        with pytest.raises(ValueError, match=f"unknown loss {name!r}.*did you mean {ours!r}"):
            pnn.Network((2, 1), ("sigmoid",), name)
    for name, ours in ACTIVATIONS.items():
        with pytest.raises(ValueError, match=f"unknown activation {name!r}.*did you mean {ours!r}"):
            pnn.Network((2, 1), (name,), "squared_error")
    with pytest.raises(ValueError, match="did you mean 'glorot'"):
        NET.initialize(scheme="xavier")
    with pytest.raises(pnn.UnknownBackendError, match="did you mean 'torch'"):
        pnn.backends.get("pytorch")


def test_attributes_under_other_names_tell_ours(data):
    for name, ours in (("apply", "predict"), ("forward", "predict"), ("init", "initialize")):
        with pytest.raises(
            AttributeError, match=f"'Network' object has no attribute '{name}'; here: .*{ours}"
        ):
            getattr(NET, name)
    history = trained(data)[1]
    with pytest.raises(AttributeError, match="no attribute 'val_cost'; here: `validation_cost`"):
        _ = history.val_cost
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = history.nonsense
    with pytest.raises(AttributeError, match="no attribute 'RMSProp'; here: RMSprop"):
        _ = pnn.RMSProp


def test_the_order_of_optax_is_noticed(data):
    params = NET.initialize()
    _, grads = NET.cost_and_gradients(params, *data)
    state = pnn.Adam().init(params)
    with pytest.raises(TypeError, match=r"accepted: update\(params, grads, state\)"):
        pnn.Adam().update(grads, state, params)


def test_a_network_in_print_lists_its_layers():
    lines = str(NET).splitlines()
    assert lines[0] == "Network with the loss categorical_cross_entropy, float32"
    assert lines[3].split() == ["Dense", "3", "W[1]", "3", "x", "4,", "b[1]", "3", "x", "1", "15", "60"]
    assert lines[-1].split() == ["in", "all", "27", "108"]
    assert len(lines) == 8


def test_user_defined_optimizers_keep_their_own_names():
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Mine(Optimizer):
        lr: float = 0.1

        def rule(self, xp, theta, g, alpha):
            return (theta - alpha * g,)

    assert Mine(lr=0.5).lr == 0.5


def test_the_package_shows_what_it_offers_and_no_more():
    shown = dir(pnn)
    assert {"fit", "Network", "MLPClassifier", "ProgressBar"} <= set(shown)
    assert not {"Any", "TYPE_CHECKING", "importlib", "training"} & set(shown)
    code = "from portable_nn import *; MLPClassifier, fit; assert 'Any' not in dir()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    for name in pnn.__all__:
        assert getattr(pnn, name) is not None
