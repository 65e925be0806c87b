"""Metrics are those of scikit-learn, of the parameters at the end of each epoch."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import to

import portable_nn as pnn

CLASSES = pnn.Network((4, 6, 3), ("tanh", "softmax"), "categorical_cross_entropy")
VALUES = pnn.Network((4, 6, 2), ("tanh", "identity"), "squared_error")
LABELS = pnn.Network((4, 6, 2), ("tanh", "sigmoid"), "binary_cross_entropy")
ALL = ("r2", "mean_squared_error", "mean_absolute_error")


@pytest.fixture
def X(random):
    return random.normal(size=(70, 4))


def seen_by(backend, net, X, Y, metrics, **options):
    """The metrics of three epochs, and the predictions for `X_judged` at the end of each."""
    predictions = []
    judged = options.get("validation", (X, Y))[0]

    class Keeper(pnn.Callback):
        def on_epoch_end(self, state):
            predictions.append(backend.to_numpy(net.predict(state.params, backend.asarray(judged))))

    if not options.get("stream"):
        X, Y = backend.asarray(X), backend.asarray(Y)
        options = {
            k: tuple(map(backend.asarray, v)) if k == "validation" else v for k, v in options.items()
        }
    params = to(backend, net.initialize(dtype="float64", stack=options.pop("stack", ())))
    _, history = pnn.fit(
        *(net, params, X, Y), epochs=3, batch_size=16, metrics=metrics, callbacks=[Keeper()], **options
    )
    return history.metrics, predictions


@pytest.mark.parametrize("stream", [False, True])
def test_accuracy_and_errors_are_those_of_scikit_learn(backend, random, X, stream):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    y, held_out = random.integers(0, 3, size=70), random.normal(size=(30, 4))
    y_held_out = random.integers(0, 3, size=30)
    found, predictions = seen_by(
        *(backend, CLASSES, X, y, "accuracy"), validation=(held_out, y_held_out), stream=stream
    )
    expected = [metrics.accuracy_score(y_held_out, A.argmax(axis=1)) for A in predictions]
    np.testing.assert_allclose(found["accuracy"], expected, rtol=1e-12)
    Y = random.normal(size=(70, 2)) + 1e6  # squares of y itself would have no digit left
    found, predictions = seen_by(backend, VALUES, X, Y, ALL, stream=stream)
    for name, of in zip(ALL, ("r2_score", *ALL[1:]), strict=True):
        expected = [getattr(metrics, of)(Y, A) for A in predictions]
        np.testing.assert_allclose(found[name], expected, rtol=1e-10)


def test_metrics_count_rows_by_their_weights(backend, random, X):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    Y, w = random.normal(size=(70, 2)), random.uniform(size=70)
    held_out = X[:40], Y[:40], w[:40]
    found, predictions = seen_by(backend, VALUES, X, Y, ALL, validation=held_out)
    for name, of in zip(ALL, ("r2_score", *ALL[1:]), strict=True):
        expected = [getattr(metrics, of)(Y[:40], A, sample_weight=w[:40]) for A in predictions]
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)


def test_accuracy_of_many_labels_wants_all_of_a_row_right(host_only, random, X):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    Y = random.integers(0, 2, size=(70, 2))
    found, predictions = seen_by(pnn.backends.get("numpy"), LABELS, X, Y, ["accuracy"])
    expected = [metrics.accuracy_score(Y, A > 0.5) for A in predictions]
    np.testing.assert_allclose(found["accuracy"], expected, rtol=1e-12)


def test_each_network_of_a_stack_has_its_metrics(backend, random, X):
    Y = random.normal(size=(70, 2))
    found, predictions = seen_by(backend, VALUES, X, Y, ALL, stack=(3,))
    for k in range(3):
        error = [np.mean((A[k] - Y) ** 2) for A in predictions]
        np.testing.assert_allclose([row[k] for row in found["mean_squared_error"]], error, rtol=1e-12)
    assert np.shape(found["r2"]) == (3, 3)


def test_user_defined_metrics_may_read_what_changes(host_only, random, X):
    y, limit = random.integers(0, 3, size=70), {"at": 0.4}

    class Mover(pnn.Callback):
        def on_epoch_end(self, state):
            limit["at"] = 2.0

    share = {"sure": lambda xp, A, Y: xp.max(A, axis=-1) > limit["at"]}
    params = CLASSES.initialize()
    _, history = pnn.fit(
        *(CLASSES, params, X.astype("float32"), y), metrics=share, epochs=2, callbacks=[Mover()]
    )
    assert history.metrics["sure"][0] > 0
    assert history.metrics["sure"][1] == 0


def test_equal_targets_have_the_r2_of_scikit_learn(host_only, X):
    Y = np.full((70, 2), 3.0)
    found, _ = seen_by(pnn.backends.get("numpy"), VALUES, X, Y, "r2")
    assert found["r2"] == [0.0] * 3
    net = pnn.Network((4, 2), ("identity",), "squared_error")
    params = [(np.zeros((2, 4)), np.full((2, 1), 3.0))]
    still = pnn.SGD(learning_rate=1e-300)
    _, history = pnn.fit(net, params, X, Y, metrics="r2", optimizer=still, epochs=1)
    assert history.metrics["r2"] == [1.0]


REFUSED = {
    "unknown": (["acuracy"], ValueError, r"unknown metric 'acuracy'.*did you mean 'accuracy'"),
    "no function": ({"mine": 3}, TypeError, r"`metrics\['mine'\]` is 3; accepted: a name"),
    "one number": (
        {"mine": lambda xp, A, Y: xp.mean(A)},
        ValueError,
        r"gave shape \(\).*accepted: \(2,\)",
    ),
    "fails": ({"mine": lambda A, Y: A}, TypeError, r"`metrics\['mine'\]` fails.*\(xp, A, Y\)"),
    "a number": (7, TypeError, "`metrics` is 7; accepted: names"),
}


@pytest.mark.parametrize("given", list(REFUSED))
def test_what_is_no_metric_is_refused(host_only, random, X, given):
    metrics, kind, message = REFUSED[given]
    with pytest.raises(kind, match=message):
        pnn.fit(CLASSES, CLASSES.initialize(dtype="float64"), X, np.zeros(70, int), metrics=metrics)
