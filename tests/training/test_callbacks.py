"""Early stopping, callbacks and the progress bar."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers import flat

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


def test_early_stopping_gives_back_the_best_parameters(training_problem):
    net, params, X, Y = training_problem
    Xv, Yv = X[:10], np.roll(Y[:10], 1, axis=1)  # what is learnt makes this worse
    options = {"epochs": 50, "batch_size": 8, "seed": 5, "validation": (Xv, Yv)}
    rule = pnn.EarlyStopping(patience=4)
    best, history = pnn.fit(net, params, X, Y, pnn.Adam(0.05), early_stopping=rule, **options)
    assert history.stopped_by == "early stopping"
    assert history.best_epoch == 1 + int(np.argmin(history.validation_cost))
    assert history.epochs == history.best_epoch + 4
    assert float(net.cost(best, Xv, Yv)) == pytest.approx(min(history.validation_cost), rel=1e-12)
    options["epochs"] = history.epochs
    plain, _ = pnn.fit(net, params, X, Y, pnn.Adam(0.05), **options)
    rule = pnn.EarlyStopping(patience=4, restore_best=False)
    last, _ = pnn.fit(net, params, X, Y, pnn.Adam(0.05), early_stopping=rule, **options)
    for a, b in zip(flat(last), flat(plain), strict=True):
        np.testing.assert_array_equal(a, b)


def test_early_stopping_without_validation_data_watches_the_training_cost(training_problem):
    net, params, X, Y = training_problem
    rule = pnn.EarlyStopping(patience=2, min_delta=10.0)  # no epoch can be that much better
    _, history = pnn.fit(net, params, X, Y, epochs=50, early_stopping=rule)
    assert history.epochs == 3  # patience counts from the first epoch
    assert history.best_epoch == 1 + int(np.argmin(history.cost))


def test_the_best_epoch_is_the_lowest_also_with_min_delta(training_problem):
    net, params, X, Y = training_problem
    rule = pnn.EarlyStopping(patience=3, min_delta=0.02)
    best, history = pnn.fit(
        net, params, X, Y, pnn.Adam(0.01), epochs=60, early_stopping=rule, validation=(X, Y)
    )
    assert history.stopped_by == "early stopping"
    assert history.best_epoch == 1 + int(np.argmin(history.validation_cost))
    assert float(net.cost(best, X, Y)) == pytest.approx(min(history.validation_cost), rel=1e-12)


@pytest.mark.parametrize(
    "options", [{"restore_best": "no"}, {"patience": 0}, {"patience": 1.5}, {"min_delta": -1.0}]
)
def test_an_invalid_early_stopping_is_refused(options):
    with pytest.raises((TypeError, ValueError), match="accepted"):
        pnn.EarlyStopping(**options)


def test_callbacks_see_every_epoch_and_can_stop_the_training(training_problem):
    net, params, X, Y = training_problem
    calls = []

    class Watch(pnn.Callback):
        def on_train_begin(self, state):
            calls.append(("begin", state.epoch, state.step))

        def on_epoch_end(self, state):
            calls.append(("epoch", state.epoch, state.step))
            assert len(state.history.cost) == state.epoch
            if state.epoch == 3:
                state.stop()

        def on_train_end(self, state):
            calls.append(("end", state.epoch, state.step))

    class OnlyTheNeedful:
        seen = 0

        def on_epoch_end(self, state):
            self.seen += 1

    other = OnlyTheNeedful()
    _, history = pnn.fit(net, params, X, Y, epochs=9, batch_size=20, callbacks=[Watch(), other])
    assert calls == [("begin", 0, 0), ("epoch", 1, 2), ("epoch", 2, 4), ("epoch", 3, 6), ("end", 3, 6)]
    assert other.seen == 3
    assert history.stopped_by == "callback"


def test_arrays_kept_by_a_callback_do_not_change_later(backend, random):
    net = pnn.Network((3, 4, 2), ("tanh", "identity"), "squared_error")
    X, Y = (backend.asarray(random.normal(size=(70, n))) for n in (3, 2))

    class Keeper(pnn.Callback):
        kept, copies = [], []

        def on_train_begin(self, state):
            self.on_epoch_end(state)

        def on_epoch_end(self, state):
            arrays = [a for layer in state.params for a in layer]
            arrays += [a for layer in state.optimizer_state.slots for s in layer for a in s]
            self.kept.append(arrays)
            self.copies.append([np.array(backend.to_numpy(a)) for a in arrays])

    params = net.initialize(dtype="float64", backend=backend)
    pnn.fit(net, params, X, Y, epochs=4, batch_size=8, callbacks=[Keeper()])
    for arrays, copies in zip(Keeper.kept, Keeper.copies, strict=True):
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(backend.to_numpy(array), copy)


def test_the_progress_bar_goes_to_standard_error_and_a_missing_tqdm_is_named(
    training_problem, capsys, monkeypatch
):
    net, params, X, Y = training_problem
    pnn.fit(net, params, X, Y, epochs=2, progress=True)
    shown = capsys.readouterr()
    assert "2/2" in shown.err
    assert "cost=" in shown.err
    assert shown.out == ""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"tqdm is not installed.*pip install tqdm"):
        pnn.fit(net, params, X, Y, progress=True)


def test_a_training_may_be_stopped_before_it_begins(training_problem):
    net, params, X, Y = training_problem

    class Never(pnn.Callback):
        def on_train_begin(self, state):
            state.stop("no time")

    found, history = pnn.fit(net, params, X, Y, callbacks=[Never()], early_stopping=pnn.EarlyStopping())
    assert (history.epochs, history.stopped_by) == (0, "no time")
    for layer, theirs in zip(found, params, strict=True):
        for a, b in zip(layer, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
