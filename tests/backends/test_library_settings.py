"""The libraries in other moods than their usual one: results as promised, or an error that says why."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from helpers import flat, relative, worst

import portable_nn as pnn
from portable_nn import backends

NET = pnn.Network((4, 5, 3), ("tanh", "softmax"), "categorical_cross_entropy")


def data(backend: Any, dtype: str) -> tuple[Any, ...]:
    random = np.random.default_rng(0)
    X, w = random.normal(size=(24, 4)).astype(dtype), random.uniform(0.5, 1.5, size=24).astype(dtype)
    Y = np.eye(3, dtype=dtype)[random.integers(0, 3, 24)]
    params = NET.initialize(backend=backend, dtype=dtype)
    return params, *(backend.asarray(each) for each in (X, Y, w))


def everything(params: Any, X: Any, Y: Any, w: Any) -> list[Any]:
    """What a user asks of a network, as a list of arrays."""
    options = {"l2": 0.1, "clip_norm": 1.0, "dropout": 0.2, "batch_size": 10, "sample_weight": w}
    trained, history = pnn.fit(NET, params, X, Y, pnn.AdamW(), 2, **options, validation=(X, Y))
    optimizer = pnn.Adam()
    moved, state = optimizer.update(params, params, optimizer.init(params))
    J, grads = NET.cost_and_gradients(params, X, Y, l2=0.1, sample_weight=w)
    found = [NET.predict(params, X), *NET.activations(params, X), NET.cost(params, X, Y), J]
    found += [*flat(grads), *flat(trained), *flat(moved), *flat(state.slots[1])]
    found += [np.asarray(history.cost), np.asarray(NET.check_gradients(params, X, Y))]
    return found


def assert_the_same(found: list[Any], expected: list[Any]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(backends.to_host(a), backends.to_host(b))


# ---- JAX -----------------------------------------------------------------------------------------


def test_jax_trains_where_it_refuses_silent_casts_and_transfers(jax):
    given = data(backends.get("jax"), "float32")  # whose costs are summed in float64
    expected = everything(*given)
    with jax.numpy_dtype_promotion("strict"), jax.transfer_guard("disallow"):
        found = everything(*given)
    assert_the_same(found, expected)


@contextlib.contextmanager
def only_32_bits(jax: Any) -> Any:
    jax.config.update("jax_enable_x64", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize(
    "use",
    [
        lambda p, X, Y: NET.predict(p, X),
        lambda p, X, Y: NET.activations(p, X),
        NET.cost,
        NET.cost_and_gradients,
        lambda p, X, Y: pnn.fit(NET, p, X, Y, epochs=1),
        lambda p, X, Y: pnn.Adam().init(p),
    ],
)
def test_jax_arrays_of_a_dtype_that_has_been_switched_off_are_refused(use, jax):
    params, X, Y, _ = data(backends.get("jax"), "float64")
    narrow = data(backends.get("jax"), "float32")[:3]
    with only_32_bits(jax):
        with pytest.raises(TypeError, match=r"has no dtype 'float64'.*jax_enable_x64"):
            use(params, X, Y)
        use(*narrow)


# ---- torch ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def default_dtype(torch: Any, dtype: Any) -> Any:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device(torch: Any, device: str) -> Any:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mood", ["autocast", "float64", "float16", "meta", "inference_mode", "no_grad"])
def test_torch_gives_the_same_numbers_in_every_mood(mood, dtype, torch):
    given = data(backends.get("torch", "cpu"), dtype)
    expected = everything(*given)
    moods = {
        "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        "meta": lambda: default_device(torch, "meta"),
        "inference_mode": torch.inference_mode,
        "no_grad": torch.no_grad,
    }
    with moods.get(mood, lambda: default_dtype(torch, getattr(torch, mood)))():
        found = everything(*given)
        assert torch.is_autocast_enabled("cpu") == (mood == "autocast")  # the user's setting stays
    assert_the_same(found, expected)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_estimator_does_not_train_in_a_lower_precision_under_autocast(solver, torch):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    _, X, Y, _ = data(backends.get("torch", "cpu"), "float32")
    labels = np.argmax(Y.numpy(), axis=1)
    found = []
    for enabled in (False, True):
        model = pnn.MLPClassifier(hidden_layer_sizes=(5,), solver=solver, max_iter=4, random_state=0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            with pytest.warns(match=r"(?i)iterations"):
                model.fit(X, labels)
            found.append([*model.coefs_, model.predict_proba(X)])
    assert_the_same(*found)


def test_torch_func_differentiates_a_network_as_autograd_does(torch):
    params, X, Y, w = data(backends.get("torch", "cpu"), "float64")

    def J(params: Any) -> Any:
        return NET.cost(params, X, Y, l2=0.1, sample_weight=w)

    _, expected = NET.cost_and_gradients(params, X, Y, l2=0.1, sample_weight=w)
    assert worst(flat(torch.func.grad(J)(params)), flat(expected)) < 1e-13
    rows = torch.func.vmap(lambda row: NET.predict(params, row[None])[0])(X)
    assert relative(rows, NET.predict(params, X)) < 1e-13
    for_each = torch.func.vmap(
        torch.func.grad(lambda p, x, y: NET.cost(p, x[None], y[None])), in_dims=(None, 0, 0)
    )(params, X, Y)
    alone = NET.cost_and_gradients(params, X[3:4], Y[3:4])[1]
    assert worst([each[3] for each in flat(for_each)], flat(alone)) < 1e-12
    jacobian = torch.func.jacrev(lambda X: NET.predict(params, X))(X)
    leaf = X.clone().requires_grad_()
    (row,) = torch.autograd.grad(NET.predict(params, leaf)[2, 1], leaf)
    assert relative(jacobian[2, 1], row) < 1e-13


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # by torch.func itself
def test_torch_func_gives_second_derivatives(torch):
    params, X, Y, _ = data(backends.get("torch", "cpu"), "float64")
    (W, b), *rest = params
    hessian = torch.func.hessian(lambda b: NET.cost([(W, b), *rest], X, Y))(b)[:, 0, :, 0]
    steps = 1e-5 * torch.eye(5, dtype=torch.float64)[:, :, None]
    sides = [
        [NET.cost_and_gradients([(W, b + sign * h), *rest], X, Y)[1][0][1][:, 0] for h in steps]
        for sign in (1, -1)
    ]
    numeric = (torch.stack(sides[0]) - torch.stack(sides[1])) / 2e-5
    assert relative(hessian, numeric) < 1e-8


# ---- array_api_strict ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2022.12", "2023.12"])
def test_a_version_of_the_standard_that_is_too_old_is_named(version, strict, capsys):
    params, X, Y, _ = data(backends.get("array_api_strict"), "float64")
    with strict.ArrayAPIStrictFlags(api_version=version):
        for use in (
            lambda: NET.predict(params, X),
            lambda: pnn.fit(NET, params, X, Y, epochs=1),
            lambda: pnn.Adam().init(params),
        ):
            with pytest.raises(TypeError, match=rf"{version!r}; accepted: '2024.12' or later"):
                use()
        pnn.show_backends()
        assert version in capsys.readouterr().out
    NET.predict(params, X)
