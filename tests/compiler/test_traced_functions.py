"""Functions of NumPy in user-defined functions: traced where that is right, else refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import samples
from training_helpers import assert_same, assert_same_with

import portable_nn as pnn
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.known_functions import FOLLOWS_VIEWS
from portable_nn.compiler.stand_ins import cast, elementwise, product, reduction
from portable_nn.compiler.trace import trace

pytestmark = pytest.mark.usefixtures("host_only")
CONSTANT = np.array([[0.5, 2.0], [1.0, -1.0]], "float32")


def one_prime(xp, Z):
    return xp.ones_like(Z)


# each has a shape, or looks at one, that depends on values
BY_VALUE = {
    "unique": lambda xp, Z: Z / xp.unique_values(xp.round(Z)).size,
    "unique counts": lambda xp, Z: Z / xp.unique_counts(xp.round(Z)).counts.shape[0],
    "nonzero": lambda xp, Z: Z / (1 + xp.nonzero(Z > 0)[0].shape[0]),
    "argwhere": lambda xp, Z: Z / (1 + len(np.argwhere(Z > 0))),
    "compress": lambda xp, Z: Z / (1 + np.compress((Z > 0)[:, 0], Z, axis=0).shape[0]),
    "extract": lambda xp, Z: Z / (1 + np.extract(Z > 0, Z).size),
    "repeat": lambda xp, Z: Z / (1 + np.repeat(Z, xp.astype(Z[:, 0] > 0, xp.int64), axis=0).shape[0]),
    "trim_zeros": lambda xp, Z: Z / (1 + np.trim_zeros(xp.maximum(Z[:, 0], 0.0)).shape[0]),
    "histogram": lambda xp, Z: Z / (1 + float(np.max(np.histogram(Z)[0]))),
    "bincount": lambda xp, Z: Z / np.bincount(xp.astype(Z[:, 0] > 0, xp.int64)).size,
    "mask": lambda xp, Z: Z / (1 + Z[Z > 0].shape[0]),
    "length": lambda xp, Z: Z / (1 + len(Z[Z > 0])),
    "union": lambda xp, Z: Z / (1 + np.union1d(xp.round(Z), Z).size),
    "count as a shape": lambda xp, Z: Z / (1 + xp.zeros(int(xp.sum(xp.astype(Z > 0, xp.int64)))).size),
    "item": lambda xp, Z: Z * (0.5 if xp.max(Z).item() > 1 else 1.0),
    "tolist": lambda xp, Z: Z * (0.5 if max(Z[0, :].tolist()) > 1 else 1.0),
    "iteration": lambda xp, Z: Z * (0.5 if any(z > 1 for z in Z[0, :]) else 1.0),
    "index": lambda xp, Z: Z + Z[xp.argmax(Z[:, 0]), :],
    "slice": lambda xp, Z: Z / (1 + Z[: xp.argmax(Z[:, 0]), :].shape[0]),
    "text": lambda xp, Z: Z * (0.05 * len(f"{xp.max(Z)}")),
    "dictionary": lambda xp, Z: Z * {0: 1.0, 1: 0.5}[xp.argmax(Z[:, 0]) % 2],
    "membership": lambda xp, Z: Z * (0.5 if 0.0 in Z else 1.0),
    "negative index": lambda xp, Z: Z + xp.take(Z, xp.asarray([-1]), axis=-2),
    "hidden by try": lambda xp, Z: attempt(lambda: Z / (1 + Z[Z > 0].size), Z),
    "hidden by hasattr": lambda xp, Z: Z * (0.5 if hasattr(Z, "flags") else 1.0),
    "method": lambda xp, Z: Z - Z.mean(),
}


def attempt(function, otherwise):
    try:
        return function()
    except Exception:
        return otherwise


@pytest.mark.parametrize("name", list(BY_VALUE))
def test_a_shape_that_depends_on_values_is_not_taken_from_one_example_of_them(
    name, compiled_at_once, fit_eagerly, random
):
    own = pnn.Activation("own", BY_VALUE[name], one_prime)
    net = pnn.Network((5, 6, 2), (own, "identity"), "squared_error")
    X, Y = samples(random, 96, 5, 2, "float64")
    given = (net, net.initialize(dtype="float64"), X, Y, pnn.SGD(0.05), 2, 16)
    assert_same(pnn.fit(*given), fit_eagerly(*given))


def test_isinstance_finds_the_type_of_the_eager_array():
    seen = []

    def function(x):
        seen.append((isinstance(x, np.ndarray), isinstance(np.sum(x), np.float32), isinstance(x, list)))
        return [x]

    trace(function, [np.ones((3, 4), "float32")])
    assert seen == [(True, True, False)]


def test_what_was_refused_stays_refused_if_the_function_catches_the_error():
    for probe in (
        lambda x: x[x > 0],
        lambda x: x @ np.ones((9, 9)),
        lambda x: x + np.ones((7, 7)),
        lambda x: np.sum(x, axis=5),
        lambda x: x.mean(),
        lambda x: x.__setitem__(0, 1.0),
        lambda x: np.add(x, 1, out=np.ones((3, 4))),
        lambda x: np.copyto(np.ones((3, 4)), x),
        lambda x: np.full((3, 4), x[0, 0]),
        lambda x: x.__iadd__(1),
    ):
        with pytest.raises(UntraceableError):
            trace(lambda x, f=probe: [attempt(lambda: f(x), x)], [np.ones((3, 4))])


# views, copies of views, and what NumPy allocates in another memory order than row-major
REORDERED = {
    "flip": lambda xp, Z: xp.flip(Z, axis=-2),
    "flip both": lambda xp, Z: xp.flip(Z),
    "flip columns": lambda xp, Z: xp.flip(Z, axis=-1) * 0.5,
    "reversed": lambda xp, Z: Z[..., ::-1],
    "roll": lambda xp, Z: xp.roll(Z, 1, axis=-2),
    "real": lambda xp, Z: np.real(Z),
    "squeeze": lambda xp, Z: xp.squeeze(xp.flip(Z, axis=-1)[None, ...], axis=0),
    "new axis": lambda xp, Z: Z[None][0],
    "moveaxis": lambda xp, Z: xp.moveaxis(xp.moveaxis(Z, -1, 0) * 1.5, 0, -1),
    "reshaped": lambda xp, Z: xp.reshape(xp.reshape(Z.mT, (*Z.shape[:-2], -1)), Z.mT.shape).mT,
    "reshaped flip": lambda xp, Z: xp.reshape(xp.reshape(xp.flip(Z), (-1,)), Z.shape),
    "broadcast": lambda xp, Z: Z + 0.1 * xp.broadcast_to(Z[..., :1, :], Z.shape),
    "broadcast alone": lambda xp, Z: xp.broadcast_to(xp.mean(Z, axis=-2, keepdims=True), Z.shape),
    "diagonal": lambda xp, Z: Z + xp.sum(np.diagonal(Z, axis1=-2, axis2=-1)) * 0.1,
    "column-major": lambda xp, Z: (Z.mT * 0.5).mT,
    "column-major sums": lambda xp, Z: Z - 0.1 * xp.sum(xp.tanh(Z.mT), axis=-2, keepdims=True).mT,
    "column-major mean": lambda xp, Z: Z - xp.mean(xp.tanh(Z.mT), axis=-2, keepdims=True).mT,
    "sum of a view": lambda xp, Z: Z - 0.1 * xp.sum(Z.mT, axis=-1, keepdims=True).mT,
    "product of a view": lambda xp, Z: Z + 0.1 * (Z @ xp.flip(Z, axis=-2).mT) @ Z,
    "product of a copy": lambda xp, Z: Z + 0.1 * (Z @ (xp.flip(Z, axis=-2).mT * 0.5)) @ Z,
    "product of a product": lambda xp, Z: xp.tanh(Z + 0.1 * (Z @ Z.mT + 0.5).mT @ Z),
    "cumulative": lambda xp, Z: 0.1 * xp.cumulative_sum(xp.flip(Z, axis=-1), axis=-1),
    "sorted": lambda xp, Z: xp.sort(Z.mT, axis=-1).mT,
    "concatenated": lambda xp, Z: xp.concat([Z.mT[..., :2], Z.mT[..., 2:]], axis=-1).mT,
    "zeros": lambda xp, Z: xp.zeros_like(Z.mT).mT + Z,
    "standard deviation": lambda xp, Z: Z / (1 + xp.std(Z.mT, axis=-2, keepdims=True).mT),
    "power of a number": lambda xp, Z: Z / (1 + xp.sum(Z * Z) ** 0.5),
    "power of an element": lambda xp, Z: Z / (2 + xp.abs(Z[(0,) * Z.ndim]) ** 1.5),
    "powers": lambda xp, Z: 0.1 * (xp.abs(Z) ** 1.5 + Z**3 + xp.pow(xp.abs(Z), 0.5) + Z**2),
    "constant": lambda xp, Z: Z + 0.1 * xp.sum(xp.asarray(CONSTANT, dtype=Z.dtype).T @ CONSTANT.T),
}


@pytest.mark.parametrize("stack", [(), (2, 3)], ids=["one", "stack"])
@pytest.mark.parametrize("name", list(REORDERED))
def test_views_and_other_memory_orders_give_the_same_bits(
    name, stack, dtype, compiled_at_once, fit_eagerly, random
):
    own = pnn.Activation("own", REORDERED[name], lambda xp, Z: REORDERED[name](xp, Z) * 0.5 + 0.5)
    net = pnn.Network((5, 33, 1), (own, "identity"), "squared_error")
    X, Y = samples(random, 67, 5, 1, dtype)
    given = (net, net.initialize(dtype=dtype, stack=stack), X, Y, pnn.SGD(0.01), 2, 13)
    assert_same(pnn.fit(*given), fit_eagerly(*given))


@pytest.mark.parametrize("name", ["flip", "broadcast", "reshaped", "column-major", "roll"])
def test_views_give_the_same_bits_in_loops_too(name, mode, fit_eagerly, random):
    own = pnn.Activation("own", lambda xp, Z: REORDERED[name](xp, Z) * 0.5 + 0.1, one_prime)
    assert_same_with(own, fit_eagerly, random)


@pytest.mark.parametrize("name", ["flip", "flip both", "reversed", "roll", "squeeze", "new axis"])
def test_views_of_plain_arrays_are_traced(name):
    import array_api_compat.numpy as xp

    if not FOLLOWS_VIEWS and name in ("flip", "flip both", "roll", "squeeze"):
        with pytest.raises(UntraceableError):
            trace(lambda Z: [REORDERED[name](xp, Z) + 0.0], [np.ones((3, 4, 5))])
        return
    graph = trace(lambda Z: [REORDERED[name](xp, Z) + 0.0], [np.ones((3, 4, 5))])
    assert graph.outputs[0].shape == (3, 4, 5)


def in_any_order(random, shape):
    """An array of this shape whose axes lie in memory in any order, with gaps, forwards or backwards."""
    order = random.permutation(len(shape))
    steps = [2 if random.random() < 0.3 else 1 for _ in order]
    whole = random.normal(size=[shape[axis] * step for axis, step in zip(order, steps, strict=True)])
    x = whole[tuple(slice(None, None, step) for step in steps)].transpose(np.argsort(order))
    return x[tuple(slice(None, None, -1 if random.random() < 0.3 else None) for _ in shape)]


def assert_in_memory_as(stand_in, array):
    """The stand-in has shape, dtype and strides of the array (but for an axis of length 1)."""
    assert (stand_in.shape, stand_in.dtype) == (array.shape, array.dtype)
    counted = [n > 1 for n in array.shape]
    assert np.array_equal(np.array(stand_in.strides)[counted], np.array(array.strides)[counted])


@pytest.mark.parametrize("seed", range(20))
def test_stand_ins_have_the_memory_order_that_numpy_gives_to_results(seed):
    random = np.random.default_rng(seed)
    for _ in range(10):
        shape = tuple(int(n) for n in random.choice([1, 2, 3, 4], size=random.integers(1, 5)))
        x, y, z = (
            in_any_order(random, [1 if random.random() < 0.2 else n for n in shape]) for _ in range(3)
        )
        z = np.broadcast_to(z, shape) if random.random() < 0.3 else z
        assert_in_memory_as(elementwise(np.exp, [z]), np.exp(z))
        assert_in_memory_as(elementwise(np.add, [x, z]), x + z)
        assert_in_memory_as(elementwise(np.where, [x > 0, y, z]), np.where(x > 0, y, z))
        assert_in_memory_as(cast(x, np.dtype("float32")), x.astype("float32"))
        axis = tuple(int(a) for a in random.permutation(x.ndim)[: random.integers(1, x.ndim + 1)])
        for ufunc, keepdims in ((np.add, True), (np.maximum, False)):
            expected = np.asarray(ufunc.reduce(x, axis, keepdims=keepdims))
            assert_in_memory_as(reduction(ufunc, x, axis, keepdims), expected)
        A, B = in_any_order(random, (*x.shape, 3, 2)), in_any_order(random, (*y.shape, 2, 4))
        assert_in_memory_as(product(A, B), A @ B)


def test_the_graph_of_a_step_says_which_of_its_arrays_it_returns():
    def first(x):
        return [np.exp(x), np.tanh(x)]

    def second(x):
        return first(x)[::-1]

    one, other = (trace(f, [np.ones(3)]).fingerprint for f in (first, second))
    assert one != other
