"""Few lengths for a library that compiles for each: what is padded gives what it gave."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import portable_nn as pnn
from portable_nn.backends import padding
from portable_nn.backends.padding import lengthened, padded_length, room_for, row_parts

NET = pnn.Network((3, 5, 3), ("tanh", "softmax"), "categorical_cross_entropy")


@pytest.fixture
def compilations(jax: Any) -> Iterator[Callable[[], int]]:
    """A function that says how many times JAX has compiled since it was called last."""
    from jax._src import monitoring  # its public module has no way to stop listening

    counts: collections.Counter[str] = collections.Counter()

    def note(event: str, seconds: float, **others: Any) -> None:
        counts["compiled"] += "backend_compile" in event

    monitoring.register_event_duration_secs_listener(note)
    yield lambda: counts.pop("compiled", 0)
    monitoring.unregister_event_duration_listener(note)


def data(random: np.random.Generator, n: int) -> tuple[Any, Any]:
    return random.normal(size=(n, 3)), random.integers(0, 3, n)


def trained(on: Any, X: Any, y: Any, **options: Any) -> tuple[list[Any], pnn.History]:
    settings = {"epochs": 2, "batch_size": 16} | options
    net = settings.pop("net", NET)
    params = net.initialize(dtype="float64", backend=on)
    weight = settings.pop("sample_weight", None)
    weight = None if weight is None else on.asarray(weight)
    params, history = pnn.fit(
        net, params, on.asarray(X), on.asarray(y), sample_weight=weight, **settings
    )
    return [on.to_numpy(array) for layer in params for array in layer], history


@pytest.mark.usefixtures("host_only")
def test_there_are_few_lengths_and_none_is_too_short():
    lengths = [padded_length(n, 64, 1, 1 << 12) for n in range(1, 20000)]
    assert all(length >= n for n, length in enumerate(lengths, start=1))
    assert set(lengths) == {64, 256, 1024, 4096, 8192, 16384, 32768}
    assert [room_for(steps, 8) for steps in (1, 2, 65)] == [1, 64, 256]
    assert room_for(2, 1 << 20) == 2


@pytest.mark.usefixtures("host_only")
def test_parts_hold_all_rows_and_little_more():
    for n in range(1, 3000):
        parts = row_parts(n, 512)
        assert sum(parts) >= n > sum(parts[:-1])
        assert max(parts) <= 512
        assert sum(parts) <= max(64, 4 * n / 3) or n < 64
        assert all(part & (part - 1) == 0 for part in parts)
    assert row_parts(1, 512) == [1]


@pytest.mark.usefixtures("host_only")
def test_an_array_is_lengthened_by_its_last_entry():
    array = np.asarray([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(lengthened(array, 3, -2), [[1, 2], [3, 4], [3, 4]])
    np.testing.assert_array_equal(lengthened(array, 3, -1), [[1, 2, 2], [3, 4, 4]])
    assert lengthened(array, 2) is array


def test_a_second_fit_with_other_numbers_and_rows_compiles_nothing(compilations, random, jax):
    on = pnn.backends.get("jax")
    trained(on, *data(random, 70), validation=[*map(on.asarray, data(random, 40))], l2=1e-3)
    assert compilations() > 0
    for n, m, options in ((80, 40, {"l2": 0.1}), (97, 33, {"optimizer": pnn.Adam(0.1), "epochs": 3})):
        held_out = [*map(on.asarray, data(random, m))]
        trained(on, *data(random, n), validation=held_out, **({"l2": 1e-3} | options), seed=n)
        assert compilations() == 0


def test_estimators_compile_nothing_for_other_rows(compilations, random, jax):
    X, y = data(random, 90)
    first = pnn.MLPClassifier((5,), backend="jax", batch_size=16, max_iter=2, tol=0, random_state=0)
    with pytest.warns(ConvergenceWarning):
        first.fit(X, y)
    first.partial_fit(X[:50], y[:50])
    first.predict_proba(X[:40])
    compilations()
    first.partial_fit(X[:61], y[:61])
    first.predict(X[:47])
    first.predict_proba(X[:33])
    with pytest.warns(ConvergenceWarning):
        first.set_params(alpha=0.1, learning_rate_init=0.01).fit(X[:77], y[:77])
    assert compilations() == 0


def test_estimators_with_weights_learn_the_same_from_padded_rows(random, jax):
    X, y = data(random, 37)
    options: dict[str, Any] = {"batch_size": 16, "max_iter": 2, "random_state": 0, "alpha": 0.1}
    found = []
    for name in ("numpy", "jax"):
        model = pnn.MLPClassifier((5,), backend=name, **options)
        with pytest.warns(ConvergenceWarning):
            found.append(model.fit(X, y, sample_weight=np.arange(37.0)).loss_curve_)
    np.testing.assert_allclose(*found, rtol=1e-12)


@pytest.mark.parametrize(("n", "weighted"), [(5, False), (37, False), (37, True), (80, True)])
def test_padded_rows_and_batches_count_for_nothing(n, weighted, random, jax):
    X, y = data(random, n)
    held_out = data(random, 11)
    options: dict[str, Any] = {"l2": 0.1, "metrics": ["accuracy", "r2"]}
    if weighted:
        options["sample_weight"] = random.uniform(0.5, 2, n)
    found = []
    for name in ("numpy", "jax"):
        on = pnn.backends.get(name)
        own = tuple(on.asarray(array) for array in held_out)
        found.append(trained(on, X, y, validation=own, **options))
    (expected, theirs), (params, history) = found
    for a, b in zip(params, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    for name in ("cost", "validation_cost"):
        np.testing.assert_allclose(getattr(history, name), getattr(theirs, name), rtol=1e-10)
    for name in ("accuracy", "r2"):
        np.testing.assert_allclose(history.metrics[name], theirs.metrics[name], rtol=1e-9)


def test_rows_that_an_epoch_leaves_out_are_not_looked_at(random, jax):
    X, Y = random.normal(size=(256, 3)), random.normal(size=(256, 2))
    X[-1] = 1e200  # its copies fill the array up, and would give NaN even where they count for nothing
    order = (np.arange(300) % 255).astype("uint8")  # longer than the data, with no room for its length
    options: dict[str, Any] = {"batch_size": 280, "epoch_order": lambda epoch, n: order}
    options["net"] = pnn.Network((3, 4, 2), ("relu", "identity"), "squared_error")
    both = (trained(pnn.backends.get(name), X, Y, **options) for name in ("numpy", "jax"))
    (expected, theirs), (params, history) = both
    for a, b in zip(params, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(history.cost, theirs.cost, rtol=1e-10)


def test_arrays_of_many_bytes_a_step_get_no_room_for_more_steps(monkeypatch, jax):
    from portable_nn.backends import jax_steps

    monkeypatch.setattr(padding, "MOST_ROOM", 1 << 10)
    on, both = pnn.backends.get("jax"), [np.ones((3, n), dtype="float32") for n in (2, 20)]
    masks = jax_steps.with_room([on.asarray(array) for array in both])
    assert [x.shape for x in masks] == [(64, 2), (3, 20)]
    rows = [padding.of_steps(on, array, array.dtype).array for array in both]
    assert [x.shape for x in rows] == [(64, 2), (3, 20)]


def test_each_network_of_a_stack_has_its_last_batch_filled_up(random, jax):
    X, y = data(random, 21)
    found = []
    for name in ("numpy", "jax"):
        on = pnn.backends.get(name)
        params = NET.initialize(dtype="float64", backend=on, stack=(2,))
        params, _ = pnn.fit(
            NET, params, on.asarray(X), on.asarray(y), epochs=2, batch_size=8, seed=[1, 2], l2=[0.1, 0]
        )
        found.append([on.to_numpy(array) for layer in params for array in layer])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 100, 300])
def test_predictions_of_padded_rows_are_those_of_the_rows(n, random, jax):
    on, X = pnn.backends.get("jax"), random.normal(size=(n, 3))
    host = NET.initialize(dtype="float64")
    params = [tuple(map(on.asarray, layer)) for layer in host]
    A = NET.predict(params, on.asarray(X))
    assert A.shape == (n, 3)
    np.testing.assert_allclose(on.to_numpy(A), NET.predict(host, X), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:`g_prime`")  # it is not: an activation is elementwise, or should be
def test_a_function_that_looks_at_all_rows_sees_no_others(random, jax):
    def centred(xp: Any, Z: Any) -> Any:
        return Z - xp.mean(Z, axis=-1, keepdims=True)

    own = pnn.Activation("centred", centred, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((3, 4, 2), (own, "identity"), "squared_error")
    on, X = pnn.backends.get("jax"), random.normal(size=(5, 3))
    host = net.initialize(dtype="float64")
    params = [tuple(map(on.asarray, layer)) for layer in host]
    A = net.predict(params, on.asarray(X))
    np.testing.assert_allclose(on.to_numpy(A), net.predict(host, X), rtol=1e-12)
