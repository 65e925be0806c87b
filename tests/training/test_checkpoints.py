"""Checkpoints: what is killed and resumed is what was never interrupted."""

from __future__ import annotations

import functools
import re
import warnings

import numpy as np
import pytest
from helpers import flat, to
from interrupted import Death, DeathAfter, DeathError, checkpoints

import portable_nn as pnn
from portable_nn.storage import read_document, write_document

EPOCHS, SIZE = 5, 8  # of 40 rows: 5 updates an epoch
DIES_AT = {"within an epoch": 13, "at the end of one": 15, "before any checkpoint": 2}


def backwards(epoch, n):
    return np.arange(n)[::-1] if epoch % 2 else np.arange(n)


def sure(xp, A, Y):
    return xp.max(A, axis=-1) > 0.5


def weights():
    return np.random.default_rng(3).uniform(0.5, 2, size=40)


def held_out(weighted):
    random = np.random.default_rng(4)
    X, Y = random.normal(size=(20, 4)), np.eye(3)[random.integers(0, 3, size=20)]
    return (X, Y, weights()[:20]) if weighted else (X, Y)


VARIANTS = {
    "plain": dict,
    "dropout": lambda: {"dropout": [0.3], "clip_norm": 0.5, "optimizer": pnn.RMSprop(0.01)},
    "schedule": lambda: {"schedule": pnn.schedules.one_cycle(0.1, 25), "l2": 0.1},
    "early stopping": lambda: {
        "early_stopping": pnn.EarlyStopping(patience=2),
        "validation": held_out(True),
        "optimizer": pnn.Adam(0.1),
        "metrics": ["accuracy"],
    },
    "weights": lambda: {"sample_weight": weights(), "metrics": {"sure": sure}, "stream": True},
    "own order": lambda: {"epoch_order": backwards, "optimizer": pnn.SGD(0.1, momentum=0.9)},
    "generator": lambda: {"seed": np.random.default_rng(9), "dropout": 0.2},
    "mersenne": lambda: {
        "seed": np.random.Generator(np.random.MT19937(5)),
        "validation": held_out(False),
    },
}


def assert_same(found, expected):
    (params, history), (wanted, record) = found, expected
    for a, b in zip(flat(params), flat(wanted), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    for name in ("cost", "validation_cost", "metrics", "learning_rate"):
        np.testing.assert_equal(getattr(history, name), getattr(record, name))
    assert (history.best_epoch, history.stopped_by) == (record.best_epoch, record.stopped_by)
    assert history.optimizer_state.t == record.optimizer_state.t
    assert len(history.seconds) == history.epochs


def killed(fit, at, checkpoint):
    with pytest.raises(DeathError):
        fit(callbacks=[Death(at), checkpoint], resume=checkpoint)


@pytest.mark.parametrize("at", DIES_AT.values(), ids=DIES_AT)
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_killed_and_resumed_is_what_was_never_interrupted(
    variant, at, training_problem, tmp_path, host_only
):
    net, params, X, Y = training_problem

    def fit(**more):
        return pnn.fit(net, params, X, Y, epochs=EPOCHS, batch_size=SIZE, **VARIANTS[variant](), **more)

    expected, checkpoint = fit(), checkpoints(tmp_path, every_steps=3)
    killed(fit, at, checkpoint)
    assert_same(fit(callbacks=[checkpoint], resume=checkpoint), expected)
    assert_same(fit(resume=checkpoint.path), expected)  # it is over: nothing is left to be done


def test_the_same_on_every_backend(backend, training_problem, tmp_path):
    net, host, X, Y = training_problem
    params, data = to(backend, host), [backend.asarray(X), backend.asarray(Y)]
    fit = functools.partial(
        pnn.fit,
        net,
        params,
        *data,
        epochs=4,
        batch_size=SIZE,
        dropout=0.3,
        early_stopping=pnn.EarlyStopping(),
    )
    (expected, record), checkpoint = fit(), checkpoints(tmp_path)
    with pytest.raises(DeathError):
        fit(callbacks=[checkpoint, DeathAfter(2)])
    found, history = fit(resume=checkpoint)
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert pnn.backends.of(a) is backend
        np.testing.assert_array_equal(backend.to_numpy(a), backend.to_numpy(b))
    assert history.cost == record.cost


def test_a_training_is_resumed_again_and_again(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    fit = functools.partial(pnn.fit, net, params, X, Y, epochs=EPOCHS, batch_size=SIZE, dropout=0.5)
    expected, checkpoint = fit(), checkpoints(tmp_path, every_steps=1)
    for at in range(1, 5 * EPOCHS - 1, 2):
        killed(fit, at, checkpoint)
    assert_same(fit(resume=checkpoint), expected)


def test_a_stack_is_resumed(training_problem, tmp_path, host_only):
    net, _, X, Y = training_problem
    stack = net.initialize(seed=[0, 1, 2], stack=3, dtype="float64")
    how = {"optimizer": pnn.Adam([0.1, 0.01, 0.001]), "l2": [0.0, 0.1, 0.2], "dropout": 0.3}
    fit = functools.partial(pnn.fit, net, stack, X, Y, epochs=EPOCHS, batch_size=SIZE, **how)
    expected, checkpoint = fit(), checkpoints(tmp_path, every_steps=4)
    killed(fit, 14, checkpoint)
    found = fit(resume=checkpoint)
    np.testing.assert_array_equal(np.asarray(found[1].cost), np.asarray(expected[1].cost))
    for a, b in zip(flat(found[0]), flat(expected[0]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_epochs_than_before_go_on(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    checkpoint = checkpoints(tmp_path, every_epochs=2)  # and at the end
    fit = functools.partial(pnn.fit, net, params, X, Y, batch_size=SIZE, dropout=0.1)
    fit(epochs=3, callbacks=[checkpoint])
    assert_same(fit(epochs=7, resume=checkpoint), fit(epochs=7))
    with pytest.raises(ValueError, match="after 3 epochs, and 2 are asked for"):
        fit(epochs=2, resume=checkpoint)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"l2": 0.2}, "`l2` was 0.0 and is 0.2"),
        ({"batch_size": 4}, "`batch_size` was 8 and is 4"),
        ({"seed": 1}, "`seed` was 0 and is 1"),
        ({"optimizer": pnn.Adam(0.02)}, "`optimizer.learning_rate` was 0.001 and is 0.02"),
        ({"schedule": pnn.schedules.cosine(0.001, 9)}, "`schedule` was None and is cosine"),
        ({"early_stopping": pnn.EarlyStopping()}, "`early_stopping` was None and is EarlyStopping"),
        ({"validation": held_out(False)}, "`validation` was [] and is [float64 of shape (20, 4)"),
        ({"sample_weight": weights()}, "`sample_weight` was [] and is [float64 of shape (40,)]"),
        ({"metrics": "accuracy"}, "`metrics` was [] and is [['accuracy', Mean]]"),
        ({"epoch_order": backwards}, "`epoch_order` was None and is backwards"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_other_arguments_than_at_the_checkpoint_are_named(
    changed, message, training_problem, tmp_path, host_only
):
    net, params, X, Y = training_problem
    how = {"epochs": 1, "batch_size": SIZE}
    pnn.fit(net, params, X, Y, callbacks=[checkpoints(tmp_path)], **how)
    with pytest.raises(ValueError, match=r"accepted: the arguments and data") as caught:
        pnn.fit(net, params, X, Y, resume=tmp_path / "run.ckpt", **(how | changed))
    different = str(caught.value).partition("another training: ")[2].partition("; accepted")[0]
    assert different.startswith(message)
    assert different.count("`") == 2  # no other is named


@pytest.mark.parametrize("name", ["X", "Y", "params", "net"])
def test_other_data_than_at_the_checkpoint_are_named(name, training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    given = {"net": net, "params": params, "X": X, "Y": Y}
    pnn.fit(**given, epochs=1, callbacks=[checkpoints(tmp_path)])
    other = X.copy()
    other[7, 2] += 1e-9
    changed = {
        "X": other,
        "Y": Y[::-1],
        "params": net.initialize(1, dtype="float64"),
        "net": pnn.Network(net.sizes, (pnn.leaky_relu(0.2), "softmax"), net.loss),
    }
    words = (
        "`net.g[0]` was 'tanh' and is 'leaky_relu'" if name == "net" else f"`{name}` has other values"
    )
    with pytest.raises(ValueError, match=re.escape(f"another training: {words}; accepted")):
        pnn.fit(**(given | {name: changed[name]}), epochs=1, resume=tmp_path / "run.ckpt")


def scaled(k):
    return pnn.Activation(
        "scaled", lambda xp, Z: xp.tanh(k * Z), lambda xp, Z: k * (1 - xp.tanh(k * Z) ** 2)
    )


def rate(k):
    return lambda step: k / (1 + step)


def test_other_functions_of_the_same_name_are_found(training_problem, tmp_path, host_only):
    _, params, X, Y = training_problem

    def fit(k, alpha, **more):
        net = pnn.Network((4, 5, 3), (scaled(k), "softmax"), "categorical_cross_entropy")
        return pnn.fit(net, params, X, Y, epochs=2, schedule=rate(alpha), **more)

    expected, path = fit(1.0, 0.1), tmp_path / "run.ckpt"
    fit(1.0, 0.1, callbacks=[checkpoints(tmp_path)])
    assert_same(fit(1.0, 0.1, resume=path), expected)
    with pytest.raises(ValueError, match=r"`net\.g\[0\]\.g` is another one"):
        fit(3.0, 0.1, resume=path)
    with pytest.raises(ValueError, match="`schedule` is another one"):
        fit(1.0, 0.2, resume=path)


class Remembers(pnn.Callback):
    """A callback with a state: it stops training when it has seen 4 epochs."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, state):
        self.seen.append(state.history.cost[-1])
        if len(self.seen) == 4:
            state.stop("enough")

    def state_dict(self):
        return {"seen": np.asarray(self.seen), "nested": {"a": [1, None]}}

    def load_state_dict(self, state):
        self.seen = state["seen"].tolist()
        assert state["nested"] == {"a": [1, None]}


def test_callbacks_go_on_with_what_they_remember(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    fit = functools.partial(pnn.fit, net, params, X, Y, epochs=EPOCHS, batch_size=SIZE)
    expected, checkpoint, second = fit(callbacks=[Remembers()]), checkpoints(tmp_path), Remembers()
    with pytest.raises(DeathError):
        fit(callbacks=[checkpoint, Remembers(), Death(12)])
    found = fit(callbacks=[second, checkpoint], resume=checkpoint)
    assert_same(found, expected)
    assert found[1].stopped_by == "enough"
    assert second.seen == found[1].cost
    with pytest.raises(ValueError, match=r"\[\], and at the checkpoint they were \['Remembers'\]"):
        fit(callbacks=[checkpoint], resume=checkpoint)


def test_what_a_callback_cannot_save_is_said_before_training(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem

    class Wrong(Remembers):
        def state_dict(self):
            return {"function": print}

    wrong = Wrong()
    with pytest.raises(
        TypeError, match=r"`state_dict\(\)` of .*Wrong gives what cannot be saved: .*'function'"
    ):
        pnn.fit(net, params, X, Y, callbacks=[wrong, checkpoints(tmp_path)])
    assert not wrong.seen


def test_a_state_that_cannot_be_saved_later_does_not_end_training(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem

    class Late(Remembers):
        def state_dict(self):
            return {"seen": self.seen, "last": print if len(self.seen) == 2 else None}

    with pytest.warns(UserWarning, match=r"could not be saved: .*print"):
        pnn.fit(net, params, X, Y, epochs=4, callbacks=[Late(), checkpoints(tmp_path)])
    assert read_document(tmp_path / "run.ckpt").values["position"]["epoch"] == 4


def test_a_callback_has_to_take_its_state_back(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem

    class OnlyState(pnn.Callback):
        def state_dict(self):
            return {}

    with pytest.raises(TypeError, match="`state_dict` and no `load_state_dict"):
        pnn.fit(net, params, X, Y, callbacks=[OnlyState(), checkpoints(tmp_path)])


def test_a_checkpoint_shows_when_it_saves(host_only):
    assert repr(pnn.Checkpoint("a.ckpt")) == "Checkpoint('a.ckpt', every_epochs=1, keep=2)"
    assert repr(pnn.Checkpoint("a.ckpt", every_steps=5)) == "Checkpoint('a.ckpt', every_steps=5, keep=2)"


def test_so_many_checkpoints_are_kept(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    for keep in (1, 3):
        folder = tmp_path / str(keep)
        folder.mkdir()
        pnn.fit(net, params, X, Y, epochs=5, callbacks=[checkpoints(folder, keep=keep)])
        names = ["run.ckpt", "run.ckpt.1", "run.ckpt.2"][:keep]
        assert sorted(path.name for path in folder.iterdir()) == names
    for name, epochs in (("run.ckpt", 5), ("run.ckpt.1", 4), ("run.ckpt.2", 3)):
        _, history = pnn.fit(net, params, X, Y, epochs=5, resume=folder / name)
        assert history.seconds[epochs - 1] > 0
        assert history.epochs == 5


def test_a_damaged_checkpoint_gives_way_to_the_one_before(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    fit = functools.partial(pnn.fit, net, params, X, Y, epochs=4, batch_size=SIZE)
    expected, path = fit(callbacks=[checkpoints(tmp_path)]), tmp_path / "run.ckpt"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(UserWarning, match=r"truncated.*the older checkpoint '.*run\.ckpt\.1' is resumed"):
        assert_same(fit(resume=path), expected)
    (tmp_path / "run.ckpt.1").write_bytes(b"nothing")
    with pytest.raises(pnn.ModelFormatError, match=r"run\.ckpt: .*truncated"):
        fit(resume=path)


def broken(values, name):
    position, layer = values["position"], values["params"]["1"]
    match name:
        case "place":
            position["now"]["state"]["pos"] = 10**8
        case "key":
            position["now"]["state"]["key"] = position["now"]["state"]["key"][:7]
        case "batches":
            position["batches"] = -3
        case "shape":
            layer["W"] = layer["W"][:, :1]
        case "dtype":
            layer["b"] = layer["b"].astype("float32")
        case "history":
            del values["record"]["history"]["cost"]


@pytest.mark.parametrize("name", ["place", "key", "batches", "shape", "dtype", "history"])
def test_a_forged_checkpoint_is_refused(name, training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    path = tmp_path / "run.ckpt"
    fit = functools.partial(pnn.fit, net, params, X, Y, epochs=3, batch_size=SIZE)
    fit(seed=np.random.Generator(np.random.MT19937(5)), callbacks=[checkpoints(tmp_path, keep=1)])
    kind, values, _ = read_document(path)
    broken(values, name)
    write_document(path, kind, values)
    with pytest.raises(pnn.ModelFormatError, match=r"run\.ckpt is a checkpoint that lacks something"):
        fit(seed=np.random.Generator(np.random.MT19937(5)), resume=path)


def test_what_is_no_checkpoint_is_refused(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    fit = functools.partial(pnn.fit, net, params, X, Y, epochs=1)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nowhere\.ckpt.*resume=checkpoint"):
        fit(resume=tmp_path / "nowhere.ckpt")
    with pytest.raises(
        TypeError, match=r"`resume` is 7; accepted: the path of a checkpoint, or a Checkpoint"
    ):
        fit(resume=7)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"every_epochs": 0}, ValueError),
        ({"every_steps": 1.5}, TypeError),
        ({"every_seconds": -1}, ValueError),
        ({"every_epochs": 1, "every_steps": 1}, ValueError),
        ({"keep": 0}, ValueError),
    ],
)
def test_when_is_checked(given, error, host_only):
    with pytest.raises(error, match="accepted"):
        pnn.Checkpoint("run.ckpt", **given)


def test_where_is_checked_before_anything_is_trained(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    for path, error in ((tmp_path, IsADirectoryError), (tmp_path / "a" / "b", FileNotFoundError)):
        seen = Remembers()
        with pytest.raises(error, match="checkpoint"):
            pnn.fit(net, params, X, Y, epochs=1, callbacks=[seen, pnn.Checkpoint(path)])
        assert not seen.seen
    with pytest.raises(TypeError, match="`path` is 3; accepted"):
        pnn.Checkpoint(3)


def test_checkpoints_by_the_clock(training_problem, tmp_path, host_only, monkeypatch):
    net, params, X, Y = training_problem
    now = [0.0]
    monkeypatch.setattr("portable_nn.training.checkpoints.time.monotonic", lambda: now[0])
    saved = []

    class Clock(pnn.Callback):
        def on_epoch_end(self, state):
            now[0] += 4.0
            saved.append((tmp_path / "run.ckpt").exists())

    fit = functools.partial(pnn.fit, net, params, X, Y, epochs=5)
    fit(callbacks=[Clock(), checkpoints(tmp_path, every_seconds=10)])
    assert saved == [False, False, False, True, True]  # saved after the third, when 12 s have passed


def test_a_checkpoint_that_cannot_be_written_later_is_a_warning(
    training_problem, tmp_path, host_only, monkeypatch
):
    net, params, X, Y = training_problem
    fit = functools.partial(pnn.fit, net, params, X, Y, epochs=3)
    expected, checkpoint = fit(), checkpoints(tmp_path)
    fit(callbacks=[checkpoint])
    before = (tmp_path / "run.ckpt").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("portable_nn.training.checkpoints.write_snapshot", full)
    with pytest.warns(UserWarning, match="No space left on device.*training goes on"):
        found = fit(callbacks=[checkpoint])
    assert_same(found, expected)
    assert (tmp_path / "run.ckpt").read_bytes() == before


def test_what_is_not_finite_is_not_saved(training_problem, tmp_path, host_only):
    _, _, X, Y = training_problem
    net = pnn.Network((4, 3), ["identity"], "squared_error")
    params, far = net.initialize(dtype="float64"), pnn.SGD(1e30)
    checkpoint = checkpoints(tmp_path, every_steps=1)
    with np.errstate(all="ignore"), pytest.raises(pnn.NonFiniteCostError):
        pnn.fit(net, params, X, Y, far, batch_size=1, callbacks=[checkpoint])
    assert (tmp_path / "run.ckpt").exists()
    for path in tmp_path.iterdir():
        values = read_document(path).values
        assert all(np.isfinite(a).all() for layer in values["params"].values() for a in layer.values())


class Interrupts(pnn.Callback):
    """Ctrl-C in an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupt_leaves_the_last_epoch_and_its_checkpoint(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    fit = functools.partial(pnn.fit, net, params, X, Y, batch_size=SIZE)
    checkpoint, expected = checkpoints(tmp_path), fit(epochs=EPOCHS)
    with pytest.warns(
        UserWarning, match="interrupted in epoch 4; the parameters are those after epoch 3"
    ):
        found, history = fit(epochs=EPOCHS, callbacks=[Interrupts(3), checkpoint])
    wanted, _ = fit(epochs=3)
    for a, b in zip(flat(found), flat(wanted), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (history.stopped_by, history.epochs) == ("interrupt", 3)
    assert_same(fit(epochs=EPOCHS, resume=checkpoint), expected)


def test_an_interrupt_in_the_first_epoch_reaches_the_user(training_problem, host_only):
    net, params, X, Y = training_problem

    def interrupts(epoch, n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pnn.fit(net, params, X, Y, epoch_order=interrupts)


def test_no_warning_without_an_interrupt(training_problem, tmp_path, host_only):
    net, params, X, Y = training_problem
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pnn.fit(net, params, X, Y, epochs=2, callbacks=[checkpoints(tmp_path)])
