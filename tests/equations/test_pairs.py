"""Cost and Delta[L] of every pair of output activation and loss that is accepted, saturated ones too."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import EXACT
from helpers import PAIRS, relative

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS, LOSSES, cost, output_delta

pytestmark = pytest.mark.usefixtures("host_only")
mpf = mpmath.mpf

Z_ALONE = [sign * z for z in (0.25, 1, 6.5, 17, 40, 60, 1e4, 1e30) for sign in (1, -1)]
Z_OF_THREE = [
    (0.0, 0.0, 0.0),
    (1.0, 0.0, -1.0),
    (40.0, -12.0, 3.0),
    (-60.0, 60.0, 0.0),
    (60.0, 60.0, -60.0),
    (60.0, 59.5, -60.0),
    (-60.0, -60.0, -59.0),
    (0.0, 20.0, 19.0),
    (1e4, 0.0, -1e4),
    (1e4, 1e4, 1e4),
    (-1e4, 1e4, 9990.0),
    (1e30, -1e30, 0.0),
]
TARGETS = {  # of one output, of three
    "binary_cross_entropy": ([0, 1, 0.25], [(0, 1, 0), (1, 1, 0), (0, 0, 0), (0.25, 0.5, 1)]),
    "categorical_cross_entropy": ([], [(0, 1, 0), (1, 0, 0), (0.25, 0.25, 0.5)]),
    "poisson": ([0, 1, 5], [(0, 1, 5), (2, 0, 0)]),
}
REAL = ([-1.5, 0, 1, 3], [(0, 1, 0), (-2, 0.5, 3)])


@functools.cache
def accepted() -> tuple[tuple[str, str], ...]:
    """The pairs that `Network` accepts without a warning."""
    found = []
    for g, loss in PAIRS:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            pnn.Network((2, 2), (g,), loss)
        if not warned:
            found.append((g, loss))
    return tuple(found)


def points(g: str, loss: str) -> tuple[Any, Any]:
    """Z and Y (n, outputs), all exact in float32."""
    alone, of_three = TARGETS.get(loss, REAL)
    if g == "softmax":
        pairs = [(z, y) for z in Z_OF_THREE for y in of_three]
    else:
        pairs = [((z,), (y,)) for z in Z_ALONE for y in alone]
    Z, Y = (np.array(each, dtype="float64") for each in zip(*pairs, strict=True))
    return Z.astype("float32"), Y.astype("float32")


def outputs(g: str, z: list[Any]) -> tuple[list[Any], list[Any], list[list[Any]]]:
    """a, 1 - a and the Jacobian da_k/dz_j, without cancellation."""
    if g != "softmax":
        value, slope = EXACT[g]
        return [value(z[0])], [EXACT["sigmoid"][0](-z[0]) if g == "sigmoid" else None], [[slope(z[0])]]
    e = [mpmath.exp(v - max(z)) for v in z]
    total = mpmath.fsum(e)
    a = [v / total for v in e]
    others = [mpmath.fsum(e[:k] + e[k + 1 :]) / total for k in range(len(e))]
    jacobian = [[a[k] * (others[k] if j == k else -a[j]) for j in range(3)] for k in range(3)]
    return a, others, jacobian


def terms(loss: str, a: Any, rest: Any, y: Any) -> tuple[Any, Any]:
    """The term of one output and its derivative dL/da; `rest` is 1 - a."""
    e = a - y
    sign = mpf(1) if e >= 0 else mpf(-1)
    value, slope = {
        "binary_cross_entropy": lambda: (
            -(y and y * mpmath.log(a)) - (y != 1 and (1 - y) * mpmath.log(rest)),
            -(y and y / a) + (y != 1 and (1 - y) / rest),
        ),
        "categorical_cross_entropy": lambda: (-(y and y * mpmath.log(a)), -(y and y / a)),
        "poisson": lambda: (e + (y and y * mpmath.log(y / a)), 1 - (y and y / a)),
        "squared_error": lambda: (e * e / 2, e),
        "absolute_error": lambda: (abs(e), sign),
        "huber": lambda: (e * e / 2, e) if abs(e) <= 1 else (abs(e) - mpf(0.5), sign),
        "pinball": lambda: (abs(e) / 2, sign / 2),
    }[loss]()
    return value, slope


def near(a: Any, y: Any) -> bool:
    return bool(abs(a - y) < 1e-6 * (abs(a) + abs(y)))


@functools.cache
def truth(g: str, loss: str) -> list[tuple[Any, list[Any], list[Any], Any]]:
    """For each point L, dL/dz, and what of both may be off for each unit of rounding of a and y."""
    found = []
    for point in zip(*points(g, loss), strict=True):
        z, y = ([mpf(float(v)) for v in values] for values in point)
        a, rest, jacobian = outputs(g, z)
        values, slopes = zip(*(terms(loss, *each) for each in zip(a, rest, y, strict=True)), strict=True)
        outs = range(len(z))
        Delta = [mpmath.fsum(slopes[k] * jacobian[k][j] for k in outs) for j in outs]
        if loss in TARGETS:  # a - y, times 1; the logarithms are not to lose anything
            size = mpmath.fsum(map(abs, [*a, *y]))
            found.append((mpmath.fsum(values), Delta, [size] * len(z), size * (loss == "poisson")))
        else:
            off = [abs(a[k]) + abs(y[k]) for k in outs]
            jumps = [loss in ("absolute_error", "pinball") and near(a[k], y[k]) for k in outs]
            reach = [mpf("1e20") if jumps[k] else off[k] for k in outs]  # a rounds to the kink
            slack = [mpmath.fsum(abs(jacobian[k][j]) * reach[k] for k in outs) for j in outs]
            found.append((mpmath.fsum(values), Delta, slack, mpmath.fsum(off)))
    return found


def excess(found: float, exact: Any, slack: Any, dtype: str) -> float:
    """The relative error beyond what the rounding of a and y explains; 0 where the truth overflows."""
    info = np.finfo(dtype)
    if abs(exact) > float(info.max) / 4:
        return 0.0
    error = abs(mpf(float(found)) - exact) - 4 * float(info.eps) * slack - float(info.smallest_normal)
    return float(max(error, 0) / abs(exact)) if exact else float(max(error, 0))


def of_one_shape(each: Any) -> Any:
    """(64, outputs, 1), with rows repeated: JAX compiles every operation for every shape."""
    return np.resize(each, (64, each.shape[1]))[:, :, None]


def test_every_accepted_pair_is_right_also_where_it_saturates(backend, dtype, margin):
    xp, tolerance, worst, count = backend.xp, {"float64": 1e-10, "float32": 1e-4}[dtype], {}, 0
    for g, loss in accepted():
        z, y = (backend.asarray(of_one_shape(each.astype(dtype))) for each in points(g, loss))
        with np.errstate(all="ignore"):  # squares that overflow are not compared
            A = ACTIVATIONS[g].g(xp, z)
            J = backend.to_numpy(cost(xp, LOSSES[loss], ACTIVATIONS[g], z, A, y))
            Delta = backend.to_numpy(output_delta(xp, LOSSES[loss], ACTIVATIONS[g], z, A, y))
        for i, (value, slopes, slack, slack_of_value) in enumerate(truth(g, loss)):
            errors = [excess(J[i], value, slack_of_value, dtype)]
            errors += map(excess, Delta[i, :, 0], slopes, slack, [dtype] * len(slopes))
            worst[g, loss, i] = float(np.max(errors))  # of which Python's max would hide a NaN
            count += 1
    assert len(accepted()) == 63
    what = f"{len(accepted())} pairs, {count} points, {dtype}"
    margin(what, backend.name, max(worst.values()))
    assert not {place: error for place, error in worst.items() if not error < tolerance}


def test_softmax_with_binary_cross_entropy_goes_down_also_from_wrong_and_certain(backend, dtype):
    net = pnn.Network((2, 2), ("softmax",), "binary_cross_entropy")
    params = [tuple(backend.asarray(x.astype(dtype)) for x in (np.eye(2), np.zeros((2, 1))))]
    X = backend.asarray(np.array([[40.0, -12.0]], dtype=dtype))
    Y = backend.asarray(np.array([[0.0, 1.0]], dtype=dtype))
    J, ((_, db),) = net.cost_and_gradients(params, X, Y)
    assert relative(backend.to_numpy(J), 104.0) < 1e-6
    assert relative(backend.to_numpy(db), [[2.0], [-2.0]]) < 1e-6


@pytest.mark.parametrize("loss", [loss for g, loss in PAIRS if g == "softmax" and loss not in TARGETS])
def test_softmax_gradients_keep_their_digits_where_a_wrong_class_is_certain(loss, backend):
    z, y = [0.0, -40.0, -41.0], [0.0, 1.0, 0.25]
    a, _, jacobian = outputs("softmax", [mpf(v) for v in z])
    slopes = [terms(loss, a[k], None, mpf(y[k]))[1] for k in range(3)]
    exact = [float(mpmath.fsum(slopes[k] * jacobian[k][j] for k in range(3))) for j in range(3)]
    Z, Y = (backend.asarray(np.array(each)[:, None]) for each in (z, y))
    g = ACTIVATIONS["softmax"]
    Delta = output_delta(backend.xp, LOSSES[loss], g, Z, g.g(backend.xp, Z), Y)
    assert relative(backend.to_numpy(Delta), np.reshape(exact, (3, 1))) < 1e-12
