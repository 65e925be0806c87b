"""Training on a CUDA device by CuPy, in each mode of compiled steps; it needs a card."""

from __future__ import annotations

import pytest
from helpers import HIDDEN, OPTIMIZERS, OUTPUTS, samples, training_difference

import portable_nn as pnn
from portable_nn.compiler.cuda.device import MODE_VARIABLE
from portable_nn.training.steps import training_steps

pytestmark = pytest.mark.parametrize("mode", ["fused", "replayed"])
CLOSE = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture
def cupy(request):
    """The backend of CuPy; without a CUDA device the test is skipped, or fails if CuPy was asked for."""
    asked = request.config.getoption("--backend")
    if asked and "cupy" not in asked:
        pytest.skip("on CuPy alone: run with --backend cupy")
    try:
        return pnn.backends.get("cupy")
    except pnn.BackendUnavailableError as error:
        problem = "no CUDA device: not run (cupy)" if "no CUDA device" in str(error) else str(error)
    return pytest.fail(f"--backend cupy was asked for: {problem}") if asked else pytest.skip(problem)


@pytest.fixture
def train(cupy, monkeypatch):
    """``train(mode, net, params, X, Y, ...)``: `pnn.fit` on the card, its results on the host."""

    def fit(mode, net, params, X, Y, *rest, **options):
        monkeypatch.setenv(MODE_VARIABLE, mode)
        training_steps.cache_clear()
        moved = [(cupy.asarray(W), cupy.asarray(b)) for W, b in params]
        if "sample_weight" in options:
            options["sample_weight"] = cupy.asarray(options["sample_weight"])
        found, history = pnn.fit(net, moved, cupy.asarray(X), cupy.asarray(Y), *rest, **options)
        for theta in (array for layer in found for array in layer):
            assert cupy.owns(theta)
            assert theta.device == cupy.device
        training_steps.cache_clear()
        return [tuple(map(cupy.to_numpy, layer)) for layer in found], history

    return fit


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_trains_as_it_does_eagerly(hidden, dtype, mode, train, random, margin):
    net = pnn.Network((12, 33, 20, 4), (hidden, hidden, "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 100, 12, 4, dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    found = training_difference(train(mode, *given), train("eager", *given))
    assert margin(f"CuPy, {mode} against eager, {dtype}", "cupy", found) < CLOSE[dtype]


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_every_pair_of_output_and_loss_trains_as_it_does_eagerly(
    output, loss, dtype, mode, train, random
):
    net = pnn.Network((7, 9, 3), ("tanh", output), loss)
    X, Y = samples(random, 60, 7, 3, dtype)
    weight = random.uniform(size=60).astype(dtype)
    given = (net, net.initialize(dtype=dtype), X, Y, pnn.Adam(0.01), 3, 16)
    options = {"sample_weight": weight, "l2": 0.1, "clip_norm": 0.5, "dropout": 0.25}
    found = training_difference(train(mode, *given, **options), train("eager", *given, **options))
    assert found < CLOSE[dtype]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{type(o).__name__}-{o.slots}")
@pytest.mark.parametrize("stack", [(), (3,)], ids=["one", "stack"])
def test_every_optimizer_trains_as_it_does_eagerly(optimizer, stack, mode, train, random):
    net = pnn.Network((30, 19, 2), ("relu", "sigmoid"), "binary_cross_entropy")
    X, Y = samples(random, 90, 30, 2, "float64")
    given = (net, net.initialize(dtype="float64", stack=stack), X, Y, optimizer, 2, 20)
    assert training_difference(train(mode, *given), train("eager", *given)) < CLOSE["float64"]


def test_a_large_network_trains_as_it_does_eagerly(mode, train, random):
    net = pnn.Network((1000, 900, 130), ("relu", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 3000, 1000, 130, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.Adam(), 2, 700)
    assert training_difference(train(mode, *given), train("eager", *given)) < 1e-10


def test_every_run_gives_the_same_bits_replayed_or_launched(mode, train, random):
    net = pnn.Network((50, 40, 10), ("relu", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 16 * 37 + 5, 50, 10, "float32")
    given = (net, net.initialize(), X, Y, pnn.Adam(0.01), 3, 16)
    options = {"schedule": pnn.schedules.cosine(0.01, 120)}
    found = train(mode, *given, **options)
    for other in (mode, "fused"):
        assert training_difference(train(other, *given, **options), found) == 0.0


def test_no_step_runs_eagerly(mode, cupy, train, monkeypatch, random):
    from portable_nn.compiler.cuda import CudaScan

    made = []
    original = CudaScan.__init__

    def noted(self, *arguments, **options):
        original(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(CudaScan, "__init__", noted)
    net = pnn.Network((5, 4, 2), ("relu", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, 50, 5, 2, "float32")
    train(mode, net, net.initialize(), X, Y, pnn.Adam(), 2, 16)
    (steps,) = made
    assert len(steps.programs) == 2  # full batches, and the last one
    assert None not in steps.programs.values()
    assert steps.replay == (mode == "replayed")
    assert cupy.cuda.can_capture
