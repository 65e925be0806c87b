"""The optimizers: against torch's, and by their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat, relative, worst

import portable_nn as pnn
from portable_nn.optimizers.update import clipped

pytestmark = pytest.mark.usefixtures("host_only")

TABLE = {
    "sgd": (pnn.SGD(0.05), lambda t, p: t.optim.SGD(p, lr=0.05)),
    "momentum": (pnn.SGD(0.05, momentum=0.9), lambda t, p: t.optim.SGD(p, lr=0.05, momentum=0.9)),
    "nesterov": (
        pnn.SGD(0.05, momentum=0.9, nesterov=True),
        lambda t, p: t.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (pnn.RMSprop(0.01), lambda t, p: t.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-8)),
    "adam": (pnn.Adam(0.01), lambda t, p: t.optim.Adam(p, lr=0.01)),
    "adamw": (pnn.AdamW(0.01), lambda t, p: t.optim.AdamW(p, lr=0.01)),
}


def quadratic(random, dtype):
    """Parameters, and gradients that differ from step to step."""
    params = [(random.normal(size=(3, 4)), random.normal(size=(3, 1)))]
    params = [(W.astype(dtype), b.astype(dtype)) for W, b in params]
    scale = random.uniform(0.1, 10, size=(60, 3, 1)).astype(dtype)
    return params, scale


@pytest.mark.parametrize("name", TABLE)
def test_each_optimizer_takes_the_steps_of_torchs(name, dtype, random, torch):
    optimizer, make = TABLE[name]
    params, scale = quadratic(random, dtype)
    leaves = [torch.nn.Parameter(torch.tensor(a)) for a in flat(params)]
    theirs, state = make(torch, leaves), optimizer.init(params)
    for s in scale:
        grads = [tuple(s * a - 1 for a in layer) for layer in params]
        params, state = optimizer.update(params, grads, state)
        for leaf in leaves:
            leaf.grad = torch.tensor(s) * leaf.detach() - 1
        theirs.step()
    assert state.t == len(scale)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert worst(flat(params), [leaf.detach().numpy() for leaf in leaves]) < tolerance


@pytest.mark.parametrize("name", TABLE)
def test_an_update_changes_nothing_that_it_was_given(name, random):
    optimizer, _ = TABLE[name]
    params, _ = quadratic(random, "float64")
    copies, state = [a.copy() for a in flat(params)], optimizer.init(params)
    grads = [tuple(a + 1 for a in layer) for layer in params]
    new, new_state = optimizer.update(params, grads, state)
    optimizer.update(new, grads, new_state)
    for array, copy in zip(flat(params), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert state.t == 0
    assert all(np.all(a == 0) for layer in state.slots for kept in layer for a in kept)


def test_the_first_step_of_adam_is_the_formula_of_the_paper():
    optimizer = pnn.Adam(0.1, beta_1=0.8, beta_2=0.9, epsilon=0.5)
    params = [(np.array([[1.0]]), np.array([[0.0]]))]
    grads = [(np.array([[3.0]]), np.array([[-3.0]]))]
    ((W, b),), _ = optimizer.update(params, grads, optimizer.init(params))
    # m^ = g, v^ = g^2: theta - 0.1 3 / (3 + 0.5)
    assert W[0, 0] == pytest.approx(1 - 0.3 / 3.5, rel=1e-14)
    assert b[0, 0] == pytest.approx(0.3 / 3.5, rel=1e-14)


def test_adamw_is_adam_and_a_decay_of_the_parameter():
    params = [(np.array([[2.0]]), np.array([[1.0]]))]
    grads = [(np.array([[3.0]]), np.array([[-3.0]]))]
    adam, decayed = pnn.Adam(0.1), pnn.AdamW(0.1, weight_decay=0.25)
    ((W, b),), _ = adam.update(params, grads, adam.init(params))
    ((V, c),), _ = decayed.update(params, grads, decayed.init(params))
    assert V[0, 0] == pytest.approx(W[0, 0] - 0.1 * 0.25 * 2.0, rel=1e-14)
    assert c[0, 0] == pytest.approx(b[0, 0] - 0.1 * 0.25 * 1.0, rel=1e-14)


def test_adamw_decays_by_the_learning_rate_of_the_update():
    params = [(np.array([[2.0]]), np.array([[1.0]]))]
    grads = [(np.array([[3.0]]), np.array([[-3.0]]))]
    adam, decayed = pnn.Adam(9.0), pnn.AdamW(9.0, weight_decay=0.25)
    ((W, _),), _ = adam.update(params, grads, adam.init(params), learning_rate=0.1)
    ((V, _),), _ = decayed.update(params, grads, decayed.init(params), learning_rate=0.1)
    assert V[0, 0] == pytest.approx(W[0, 0] - 0.1 * 0.25 * 2.0, rel=1e-14)


def test_a_learning_rate_may_be_given_for_one_update():
    params = [(np.array([[1.0]]), np.array([[0.0]]))]
    grads = [(np.array([[1.0]]), np.array([[1.0]]))]
    optimizer = pnn.SGD(0.1)
    ((W, _),), _ = optimizer.update(params, grads, optimizer.init(params), learning_rate=0.5)
    assert W[0, 0] == 0.5


def test_numbers_of_numpy_become_plain_floats_so_that_no_dtype_is_widened(random):
    optimizer = pnn.AdamW(np.float64(0.01), beta_1=np.float32(0.5), weight_decay=np.float64(0.1))
    assert type(optimizer.learning_rate) is type(optimizer.beta_1) is float
    params, _ = quadratic(random, "float32")
    params, _ = optimizer.update(params, params, optimizer.init(params))
    assert all(a.dtype == np.float32 for a in flat(params))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pnn.SGD(0), "`learning_rate`"),
        (lambda: pnn.SGD(-1.0), "`learning_rate`"),
        (lambda: pnn.SGD(float("nan")), "`learning_rate`"),
        (lambda: pnn.SGD("fast"), "`learning_rate`"),
        (lambda: pnn.SGD(0.1, momentum=1.01), "`momentum` is 1.01"),
        (lambda: pnn.SGD(0.1, momentum=True), "`momentum`"),
        (lambda: pnn.SGD(0.1, nesterov=True), "`nesterov`"),
        (lambda: pnn.SGD(0.1, momentum=0.9, nesterov="no"), "`nesterov`"),
        (lambda: pnn.Adam(beta_1=1.0), "`beta_1`"),
        (lambda: pnn.Adam(beta_2=-0.1), "`beta_2`"),
        (lambda: pnn.Adam(epsilon=0.0), "`epsilon`"),
        (lambda: pnn.RMSprop(rho=2), "`rho`"),
        (lambda: pnn.RMSprop(epsilon=-1), "`epsilon`"),
        (lambda: pnn.AdamW(weight_decay=-1), "`weight_decay`"),
    ],
)
def test_a_number_outside_its_range_is_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=rf"{message}.*accepted"):
        make()


def test_momentum_may_be_one_and_then_no_step_is_forgotten():
    optimizer, params = pnn.SGD(0.5, momentum=1), [(np.zeros((1, 1)), np.zeros((1, 1)))]
    state = optimizer.init(params)
    for _ in range(3):
        params, state = optimizer.update(params, [(np.ones((1, 1)), np.zeros((1, 1)))], state)
    assert params[0][0] == -3.0  # 0.5 (1 + 2 + 3)


@pytest.mark.parametrize("stack", [(), (2,)])
def test_gradients_are_scaled_down_to_the_norm_and_never_up(stack, random, backend):
    grads = [tuple(random.normal(size=(*stack, *shape)) for shape in ((3, 2), (3, 1)))]
    norm = np.sqrt(sum(np.sum(g * g, axis=(-2, -1), keepdims=True) for g in grads[0]))
    ours = [tuple(backend.asarray(g) for g in grads[0])]
    for c in (0.5, 1e9):
        for g, found in zip(grads[0], clipped(backend.xp, ours, c)[0], strict=True):
            np.testing.assert_allclose(backend.to_numpy(found), g * np.minimum(1, c / norm), rtol=1e-14)
    zero = [(0 * ours[0][0], 0 * ours[0][1])]
    assert all(np.all(backend.to_numpy(g) == 0) for g in clipped(backend.xp, zero, 1.0)[0])


@pytest.mark.parametrize("size", [1e-25, 1e30, 3e37])
def test_a_gradient_whose_square_overflows_or_vanishes_is_scaled_down_all_the_same(
    size, random, backend, dtype
):
    size = size if dtype == "float32" else size**8 / 1e10  # 1e-210, 1e230, 4e290
    parts = [random.normal(size=shape) for shape in ((3, 2), (3, 1))]
    norm = np.sqrt(sum(np.sum(g * g) for g in parts))
    ours = [tuple(backend.asarray((size * g).astype(dtype)) for g in parts)]
    for c in (size / 100, 1.0):
        scale = min(size, c / norm)
        with np.errstate(all="ignore"):
            found = clipped(backend.xp, ours, c)[0]
        for g, shortened in zip(parts, found, strict=True):
            np.testing.assert_allclose(backend.to_numpy(shortened), g * scale, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [pnn.Adam(), pnn.AdamW(), pnn.RMSprop()])
def test_a_gradient_whose_square_overflows_is_refused_by_what_keeps_squares(optimizer, backend, dtype):
    one = np.ones((1, 1), dtype=dtype)
    params = [(backend.asarray(one), backend.asarray(one))]
    size = 1e30 if dtype == "float32" else 1e200
    grads = [(backend.asarray(size * one), backend.asarray(one))]
    message = rf"`grads`.*{type(optimizer).__name__}.*{dtype}.*accepted"
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        optimizer.update(params, grads, optimizer.init(params))
    plain, _ = pnn.SGD(1 / size).update(params, grads, pnn.SGD().init(params))
    assert relative(backend.to_numpy(plain[0][0]), np.zeros((1, 1))) < 1e-6


def test_gradients_or_a_state_of_something_else_are_refused(random):
    optimizer = pnn.Adam()
    params, _ = quadratic(random, "float64")
    state = optimizer.init(params)
    (W, b) = params[0]
    for grads in (
        [],
        [(W, b), (W, b)],
        [(W, b.T)],
        [(W,)],
        None,
        [(W.astype("float32"), b)],
        [("W", b)],
    ):
        with pytest.raises((TypeError, ValueError), match="accepted"):
            optimizer.update(params, grads, state)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"`db\[1\]` has NaN or infinite values"):
            optimizer.update(params, [(W, b * value)], state)
    wide = [(np.ones((3, 9)), b)]
    narrow = [(W.astype("float32"), b.astype("float32"))]
    for wrong in (
        None,
        pnn.SGD().init(params),
        (0, []),
        optimizer.init([(W, b), (W, b)]),
        optimizer.init(wide),
        optimizer.init(narrow),
    ):
        with pytest.raises(ValueError, match=r"`state`.*accepted"):
            optimizer.update(params, params, wrong)
    for rate in (-1.0, float("inf"), "1"):
        with pytest.raises((TypeError, ValueError), match=r"`learning_rate`.*accepted"):
            optimizer.update(params, params, state, learning_rate=rate)


@pytest.mark.parametrize("t", [-5, -1, 2.5, True, np.inf, "3", None, np.asarray([3, 4]), 10**400])
def test_a_state_counts_its_updates_in_whole_numbers(t, training_problem):
    net, params, X, Y = training_problem
    state = pnn.Adam().init(params)._replace(t=t)
    with pytest.raises((TypeError, ValueError), match=r"`state\.t` is .*accepted: a whole number"):
        pnn.Adam().update(params, params, state)
    with pytest.raises((TypeError, ValueError), match=r"`state\.t` is .*accepted: a whole number"):
        pnn.fit(net, params, X, Y, optimizer_state=state)


def test_the_count_of_a_state_may_be_an_array_of_no_axis(backend):
    params = [(backend.asarray(np.ones((2, 3))), backend.asarray(np.ones((2, 1))))]
    state = pnn.Adam().init(params)
    counted = state._replace(t=backend.asarray(np.asarray(3)))
    (found, after), (expected, _) = (
        pnn.Adam().update(params, params, s) for s in (counted, state._replace(t=3))
    )
    assert (type(after.t), after.t) == (int, 4)
    assert relative(backend.to_numpy(found[0][0]), backend.to_numpy(expected[0][0])) == 0


def test_the_arrays_of_a_state_have_the_form_the_shapes_and_the_dtype_of_the_parameters(
    training_problem,
):
    net, params, X, Y = training_problem
    state = pnn.Adam().init(params)
    m, v = state.slots
    (W, b), *rest = v
    for slots, message in [
        (3, "`state.slots` is <class 'int'>, and 2 are kept"),
        ((m,), "`state.slots` is 1 trees, and 2 are kept"),
        ((1, 2), r"`state.slots\[0\]` has another form"),
        ((m, {"a": 1}), r"`state.slots\[1\]` has another form"),
        ((m, [(W.T, b), *rest]), r"`state.slots\[1\]` has an array of shape \(4, 5\)"),
        ((m, [(W.astype("float32"), b), *rest]), "dtype float32 for a parameter .* dtype float64"),
        ((m, [("W", b), *rest]), r"`state.slots\[1\]` has another form"),
        ((m, [(W * np.nan, b), *rest]), r"`state.slots\[1\]\[0\]` has NaN or infinite values"),
    ]:
        wrong = state._replace(slots=slots)
        with pytest.raises(ValueError, match=message):
            pnn.Adam().update(params, params, wrong)
        with pytest.raises(ValueError, match=message):
            pnn.fit(net, params, X, Y, optimizer=pnn.Adam(), optimizer_state=wrong)


@pytest.mark.parametrize("empty", [[], [[]], np.ones((0,))])
def test_an_empty_list_is_no_number_for_each_network(host_only, empty):
    with pytest.raises(ValueError, match=r"`learning_rate.* is an empty list"):
        pnn.Adam(empty)


@pytest.mark.parametrize("name", TABLE)
def test_a_gradient_that_is_none_leaves_its_array_as_it_is(name, random):
    optimizer, _ = TABLE[name]
    (layer,), _ = quadratic(random, "float64")
    params, grads = [layer, layer], [tuple(a + 1 for a in layer)] * 2
    first, state = optimizer.update(params, grads, optimizer.init(params))
    frozen = [grads[0], (None, grads[1][1])]
    moved, after = optimizer.update(first, frozen, state)
    whole, expected = optimizer.update(first, grads, state)
    assert moved[1][0] is first[1][0]
    assert worst(flat([moved[0], moved[1][1:]]), flat([whole[0], whole[1][1:]])) == 0
    assert after.t == expected.t
    for found, before, right in zip(after.slots, state.slots, expected.slots, strict=True):
        assert found[1][0] is before[1][0]
        assert worst([*found[0], found[1][1]], [*right[0], right[1][1]]) == 0
    still, _ = optimizer.update(first, [(None, None)] * 2, state)
    assert all(a is b for a, b in zip(flat(still), flat(first), strict=True))


def test_none_is_accepted_in_the_place_of_an_array_alone(random):
    params, _ = quadratic(random, "float64")
    optimizer = pnn.SGD()
    for wrong in ([None], [(None,)], None):
        with pytest.raises(ValueError, match=r"a gradient for each of W\[1\], b\[1\], or None"):
            optimizer.update(params, wrong, optimizer.init(params))


def test_the_norm_of_gradients_leaves_none_out(random):
    grads = [(random.normal(size=(3, 4)), None), (None, random.normal(size=(3, 1)))]
    found = clipped(np, grads, 0.5)
    assert found[0][1] is found[1][0] is None
    norm = np.sqrt(sum(float((g**2).sum()) for g in (grads[0][0], grads[1][1])))
    assert relative(found[0][0], grads[0][0] * 0.5 / norm) < 1e-15
