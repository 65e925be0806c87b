"""Class indices, booleans, whole numbers and images as they are: the results are those of floats."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers import assert_place, host, to, worst

import portable_nn as pnn
from portable_nn.compiler.numpy import program

WHOLE = ("int8", "uint8", "uint16", "uint64")  # int64 is in other tests
NETS = {
    "classes": pnn.Network((6, 5, 4), ("tanh", "softmax"), "categorical_cross_entropy"),
    "two classes": pnn.Network((6, 5, 1), ("tanh", "sigmoid"), "binary_cross_entropy"),
    "counts": pnn.Network((6, 5, 2), ("tanh", "softplus"), "poisson"),
}


@pytest.fixture
def images(random):
    """48 images of 6 pixels, as bytes."""
    return random.integers(0, 255, size=(48, 6)).astype("uint8")


def targets(kind, random, n=48):
    """Targets as people have them, and the rows of floats that they stand for."""
    if kind == "classes":
        given = random.integers(0, 4, size=n)
        return given, np.eye(4)[given]
    if kind == "two classes":
        given = random.integers(0, 2, size=n)
        return given, given[:, None].astype(float)
    given = random.integers(0, 9, size=(n, 2))
    return given, given.astype(float)


def margin(backend):
    return 1e-13 if backend.name == "jax" else 0.0  # it fuses a cast into what follows, and rounds anew


def assert_same_training(backend, net, X, Y, rows, wanted, **options):
    """`fit`, cost and gradients give for (X, Y) what they give for the rows of floats."""
    params = to(backend, net.initialize(dtype="float64"))
    x, y = backend.asarray(rows.astype("float64")), backend.asarray(wanted)
    stream = options.get("stream", False)
    if not stream:
        X, Y = backend.asarray(X), backend.asarray(Y)
        J, grads = net.cost_and_gradients(params, X, Y)
        expected_J, expected = net.cost_and_gradients(params, x, y)
        assert worst([backend.to_numpy(J)], [backend.to_numpy(expected_J)]) <= margin(backend)
        assert worst(host(backend, grads), host(backend, expected)) <= margin(backend)
        A = net.predict(params, X)
        assert_place(A, backend, "float64", tuple(wanted.shape))
        assert worst([backend.to_numpy(A)], [backend.to_numpy(net.predict(params, x))]) <= margin(
            backend
        )
    common = {"epochs": 3, "batch_size": 8}
    found, history = pnn.fit(net, params, X, Y, validation=(X, Y), **common, **options)
    right, record = pnn.fit(net, params, x, y, validation=(x, y), **common)
    assert worst(host(backend, found), host(backend, right)) <= margin(backend)
    assert worst([history.validation_cost], [record.validation_cost]) <= margin(backend)


@pytest.mark.parametrize(
    ("kind", "stream"), [("classes", False), ("classes", True), ("two classes", False), ("counts", True)]
)
def test_whole_numbers_train_as_the_floats_they_stand_for(backend, random, images, kind, stream):
    given, wanted = targets(kind, random)
    assert_same_training(backend, NETS[kind], images, given, images, wanted, stream=stream)


@pytest.mark.parametrize("dtype", WHOLE)
def test_every_integer_dtype_is_accepted(backend, random, images, dtype):
    if dtype not in backend.dtypes():
        with pytest.raises(TypeError, match=f"has no dtype '{dtype}'"):
            backend.asarray(images, dtype)
        return
    given, wanted = targets("classes", random)
    X, Y = backend.asarray((images // 2).astype(dtype)), backend.asarray(given.astype(dtype))
    net = NETS["classes"]
    params = net.initialize(backend=backend, dtype="float64")
    rows = backend.asarray((images // 2).astype("float64")), backend.asarray(wanted)
    if dtype == "uint8":
        _, found = pnn.fit(net, params, X, Y, epochs=2, batch_size=8)
        _, right = pnn.fit(net, params, *rows, epochs=2, batch_size=8)
        assert worst([found.cost], [right.cost]) <= margin(backend)
    assert float(net.cost(params, X, Y)) == float(net.cost(params, *rows))


def test_integers_that_the_device_lacks_are_streamed_as_floats(backend, random, images):
    given, wanted = targets("classes", random)
    X, Y = images.astype("uint64"), given.astype("uint16")
    assert_same_training(backend, NETS["classes"], X, Y, images, wanted, stream=True)


def test_unsigned_tensors_that_torch_can_hardly_compute_with_are_accepted(torch, random, images):
    given, wanted = targets("classes", random)
    net = NETS["classes"]
    params = net.initialize(backend="torch", dtype="float64")
    X, Y = (torch.from_numpy(a.astype("uint16")) for a in (images, given))
    J = net.cost(params, X, Y)
    assert float(J) == float(net.cost(params, X.to(torch.float64), torch.from_numpy(wanted)))
    _, history = pnn.fit(net, params, X, Y, epochs=2)
    _, right = pnn.fit(net, params, X.to(torch.float64), torch.from_numpy(wanted), epochs=2)
    assert history.cost == right.cost


@pytest.mark.parametrize(("dtype", "shape"), [("bool", (-1,)), ("int64", (-1, 1)), ("uint8", (-1,))])
def test_yes_and_no_of_one_output(backend, random, images, dtype, shape):
    given, wanted = targets("two classes", random)
    Y = given.astype(dtype).reshape(shape)
    assert_same_training(backend, NETS["two classes"], images > 99, Y, images > 99, wanted)


def test_rows_of_booleans_and_integers_are_accepted_too(backend, random, images):
    _, wanted = targets("classes", random)
    net, X, y = NETS["classes"], backend.asarray(images), backend.asarray(wanted)
    params = net.initialize(backend=backend, dtype="float64")
    for dtype in ("bool", "int32"):
        J = net.cost(params, X, backend.asarray(wanted.astype(dtype)))
        assert float(J) == float(net.cost(params, X, y))


def test_a_stack_takes_class_indices_shared_or_of_each_network(backend, random, images):
    net, K, X = NETS["classes"], 3, backend.asarray(images)
    stack = net.initialize(backend=backend, dtype="float64", stack=(K,))
    for shape in ((48,), (K, 48)):
        given = random.integers(0, 4, size=shape)
        J = net.cost(stack, X, backend.asarray(given))
        right = net.cost(stack, X, backend.asarray(np.eye(4)[given]))
        assert worst([backend.to_numpy(J)], [backend.to_numpy(right)]) <= margin(backend)
    found, _ = pnn.fit(net, stack, X, backend.asarray(given), epochs=2, batch_size=16)
    right, _ = pnn.fit(net, stack, X, backend.asarray(np.eye(4)[given]), epochs=2, batch_size=16)
    assert worst(host(backend, found), host(backend, right)) <= margin(backend)


def test_weights_may_be_whole_numbers(backend, random, images):
    given, wanted = targets("classes", random)
    net, w = NETS["classes"], random.integers(0, 3, size=48)
    params = net.initialize(backend=backend, dtype="float64")
    X, Y = backend.asarray(images.astype("float64")), backend.asarray(wanted)
    _, found = pnn.fit(net, params, X, Y, epochs=2, sample_weight=backend.asarray(w))
    _, right = pnn.fit(net, params, X, Y, epochs=2, sample_weight=backend.asarray(w.astype("float64")))
    assert found.cost == right.cost
    _, streamed = pnn.fit(net, params, images, given, epochs=2, sample_weight=w, stream=True)
    assert worst([streamed.cost], [right.cost]) <= margin(backend)


REFUSED = {
    "an index too large": (lambda Y: Y + 1, ValueError, "`Y` has an index of a class.*0 to 3"),
    "an index below zero": (lambda Y: Y - 1, ValueError, "`Y` has an index of a class.*0 to 3"),
    "indices as floats": (lambda Y: Y * 1.0, ValueError, r"`Y` has shape \(48,\).*as integers"),
    "complex": (
        lambda Y: np.eye(4)[Y] + 0j,
        TypeError,
        "`Y` has dtype complex128.*integers or booleans",
    ),
    "names": (lambda Y: np.asarray(["a", "b"])[Y % 2], TypeError, "`Y` has dtype str.*numpy.unique"),
    "too few": (lambda Y: Y[:9], ValueError, r"`Y` has shape \(9,\)"),
    "None": (lambda Y: None, TypeError, "`Y`: an object of type .*NoneType was given"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("given", list(REFUSED))
def test_targets_without_a_meaning_are_refused(host_only, random, images, given, stream):
    net, (Y, _) = NETS["classes"], targets("classes", random)
    make, kind, message = REFUSED[given]
    params = net.initialize(dtype="float64")
    with pytest.raises(kind, match=message):
        pnn.fit(net, params, images, make(Y), stream=stream)
    with pytest.raises(kind, match=message.replace("`Y`", "`validation Y`")):
        pnn.fit(net, params, images, Y, validation=(images, make(Y)), stream=stream)
    for method in (net.cost, net.cost_and_gradients, net.check_gradients):
        with pytest.raises(kind, match=message):
            method(params, images, make(Y))


def test_indices_are_no_targets_of_a_regression(host_only, random, images):
    net = pnn.Network((6, 4), ("identity",), "squared_error")
    with pytest.raises(ValueError, match=r"`Y` has shape \(48,\); accepted: \(48, 4\)$"):
        net.cost(net.initialize(), images, targets("classes", random)[0])


@pytest.mark.parametrize("streamed", [False, True])
def test_one_hot_rows_of_all_examples_never_exist(host_only, random, monkeypatch, streamed):
    monkeypatch.setattr(program, "PATIENCE", (np.inf, np.inf))  # a compiler takes memory of its own
    n, classes = 200_000, 1000
    X, y = random.normal(size=(n, 2)).astype("float32"), random.integers(0, classes, size=n)
    net = pnn.Network((2, classes), ("softmax",), "categorical_cross_entropy")
    params = net.initialize()
    pnn.fit(net, params, X[:999], y[:999], epochs=1)
    tracemalloc.start()
    try:
        held_out = X[:9000], y[:9000]
        pnn.fit(net, params, X, y, epochs=1, batch_size=1000, validation=held_out, stream=streamed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < n * classes * 4 / 10  # of one-hot rows in float32


def test_a_classifier_never_holds_one_hot_rows_of_all_examples(host_only, random, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    monkeypatch.setattr(program, "PATIENCE", (np.inf, np.inf))
    n, classes = 200_000, 1000
    X, y = random.normal(size=(n, 2)).astype("float32"), random.permutation(np.arange(n) % classes)
    ours = pnn.MLPClassifier((), batch_size=1000, label_smoothing=0.1)
    ours.partial_fit(X[:1000], y[:1000], classes=np.arange(classes))
    tracemalloc.start()
    try:
        ours.partial_fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < n * classes * 4 / 10


def test_targets_without_a_meaning_make_a_traced_cost_nan(jax, random, images):
    backend = pnn.backends.get("jax")
    for kind, wrong in (("classes", 4), ("classes", -1), ("two classes", 7)):
        net, (given, wanted) = NETS[kind], targets(kind, random, n=48)
        params = net.initialize(backend=backend)
        X = backend.asarray(images)
        cost = jax.jit(lambda Y, net=net, params=params, X=X: net.cost(params, X, Y))
        right = float(net.cost(params, X, backend.asarray(wanted.astype("float32"))))
        assert float(cost(backend.asarray(given.astype("int32")))) == pytest.approx(right, rel=1e-6)
        given[5] = wrong
        assert np.isnan(float(cost(backend.asarray(given.astype("int32")))))
