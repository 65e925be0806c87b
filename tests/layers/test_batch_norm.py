"""Running statistics: PyTorch's to the last digit, in training, stopped, streamed, gone on with."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat

import portable_nn as pnn

NET = pnn.Network((5, pnn.Dense(4, bias=False), pnn.BatchNorm(), "tanh", 2), loss="squared_error")


@pytest.fixture
def data(random):
    return random.normal(2.0, 3.0, size=(30, 5)), random.normal(size=(30, 2))


def test_training_moves_them_as_torch_does(data, torch):
    X, Y = data
    params = NET.initialize(dtype="float64")
    (W1,), _, (W2, b2) = params
    dense, norm, output = (
        torch.nn.Linear(5, 4, bias=False),
        torch.nn.BatchNorm1d(4),
        torch.nn.Linear(4, 2),
    )
    model = torch.nn.Sequential(dense, norm, torch.nn.Tanh(), output).double()
    with torch.no_grad():
        dense.weight.copy_(torch.tensor(W1))
        output.weight.copy_(torch.tensor(W2))
        output.bias.copy_(torch.tensor(b2[:, 0]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        for start in range(0, 30, 8):  # the last batch has 6 rows
            x, y = torch.tensor(X[start : start + 8]), torch.tensor(Y[start : start + 8])
            optimizer.zero_grad()
            (0.5 * ((model(x) - y) ** 2).sum(1).mean()).backward()
            optimizer.step()
    model.eval()
    how = {"optimizer": pnn.SGD(0.1), "epochs": 3, "batch_size": 8}
    params, history = pnn.fit(
        NET, params, X, Y, epoch_order=lambda epoch, n: np.arange(n), validation=(X, Y), **how
    )
    _, (_, _, mean, variance), _ = params
    np.testing.assert_allclose(mean[:, 0], norm.running_mean, rtol=1e-12)
    np.testing.assert_allclose(variance[:, 0], norm.running_var, rtol=1e-12)
    expected = model(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(NET.predict(params, X), expected, rtol=1e-11, atol=1e-13)
    cost = 0.5 * np.mean(np.sum((expected - Y) ** 2, axis=1))  # of validation data: by the running ones
    assert history.validation_cost[-1] == pytest.approx(cost, rel=1e-12)


@pytest.mark.usefixtures("host_only")
def test_cost_is_that_of_predictions_unless_asked_for_that_of_training(data):
    X, Y = data
    params = NET.with_statistics(NET.initialize(dtype="float64"), X)
    predicted = 0.5 * np.mean(np.sum((NET.predict(params, X) - Y) ** 2, axis=1))
    assert float(NET.cost(params, X, Y)) == pytest.approx(predicted, rel=1e-14)
    J, _ = NET.cost_and_gradients(params, X, Y)
    assert NET.cost(params, X, Y, training=True) == J
    assert abs(float(J) - predicted) > 1e-3
    assert NET.cost_and_gradients(params, X, Y, training=False)[0] == NET.cost(params, X, Y)


@pytest.mark.usefixtures("host_only")
def test_a_loop_of_ones_own_is_the_training(data):
    X, Y = data
    start = params = NET.initialize(dtype="float64")
    optimizer = pnn.AdamW(0.01, weight_decay=0.5)
    state = optimizer.init(params)
    for _ in range(4):
        _, grads = NET.cost_and_gradients(params, X, Y)
        assert [g is None for g in flat(grads)] == [False, False, False, True, True, False, False]
        moved = NET.with_statistics(params, X)
        params, state = optimizer.update(moved, grads, state)
    how = {"optimizer": optimizer, "epochs": 4, "batch_size": None}
    fitted, _ = pnn.fit(NET, start, X, Y, epoch_order=lambda epoch, n: np.arange(n), **how)
    for ours, theirs in zip(flat(params), flat(fitted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    # no decay has touched the statistics: they are the means of means of the batch
    assert fitted[1][2] == pytest.approx(params[1][2], rel=1e-13)


@pytest.mark.usefixtures("host_only")
def test_predictions_and_gradients_leave_them_alone(data):
    params = NET.with_statistics(NET.initialize(dtype="float64"), data[0])
    before = [a.copy() for a in flat(params)]
    NET.predict(params, data[0])
    NET.cost_and_gradients(params, *data)
    for array, copy in zip(flat(params), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.usefixtures("host_only")
def test_the_best_epoch_keeps_its_own(data):
    X, Y = data
    seen = {}

    class Watch(pnn.Callback):
        def on_epoch_end(self, state):
            seen[state.epoch] = [a.copy() for a in flat(state.params)]

    params, history = pnn.fit(
        NET,
        NET.initialize(dtype="float64"),
        X[:20],
        Y[:20],
        optimizer=pnn.Adam(0.3),
        epochs=30,
        batch_size=5,
        validation=(X[20:], Y[20:]),
        early_stopping=pnn.EarlyStopping(patience=3),
        callbacks=[Watch()],
    )
    assert history.best_epoch < len(history.cost)
    for array, copy in zip(flat(params), seen[history.best_epoch], strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.usefixtures("host_only")
def test_data_on_the_host_train_them_to_the_same_bits(data):
    how = {"epochs": 2, "batch_size": 7, "dropout": 0.2}
    there, _ = pnn.fit(NET, NET.initialize(dtype="float64"), *data, **how)
    here, _ = pnn.fit(NET, NET.initialize(dtype="float64"), *data, stream=True, **how)
    for a, b in zip(flat(there), flat(here), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("host_only")
def test_batches_of_one_row_are_refused_before_anything_is_trained(data):
    X, Y = data
    params = NET.initialize(dtype="float64")
    for rows, size in ((29, 7), (30, 1), (1, 8)):
        with pytest.raises(ValueError, match=r"one row.*two rows or more in every batch"):
            pnn.fit(NET, params, X[:rows], Y[:rows], batch_size=size)
    with pytest.raises(ValueError, match="one row"):
        NET.cost_and_gradients(params, X[:1], Y[:1])
    with pytest.raises(ValueError, match="one row"):
        NET.with_statistics(params, X[:1])
    NET.predict(params, X[:1])
    pnn.fit(NET, params, X, Y, epochs=1, validation=(X[:1], Y[:1]))


@pytest.mark.usefixtures("host_only")
def test_statistics_of_another_shape_are_refused(data):
    W, (gamma, beta, mean, variance), output = NET.initialize(dtype="float64")
    with pytest.raises(ValueError, match=r"`mean\[2\]` has shape \(3, 1\); accepted: \(4, 1\)"):
        NET.predict([W, (gamma, beta, mean[:3], variance), output], data[0])
    with pytest.raises(ValueError, match=r"`params\[1\]` .*a tuple \(gamma, beta, mean, variance\)"):
        NET.predict([W, (gamma, beta), output], data[0])
    with pytest.raises(ValueError, match="`variance"):
        NET.predict([W, (gamma, beta, mean, -variance), output], data[0])
