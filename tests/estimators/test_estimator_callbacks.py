"""Callbacks of the estimators, ours and scikit-learn's; limits of time; interrupts."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from iris import TRAIN, VAL, X, classifier, regressor, same, y
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
SINCE_1_9 = "scikit-learn has callbacks since its version 1.9"


class Watch(pnn.Callback):
    def __init__(self, last: int = 10**9) -> None:
        self.last, self.seen = last, []

    def on_train_begin(self, state: Any) -> None:
        self.seen.append("begin")

    def on_epoch_end(self, state: Any) -> None:
        self.seen.append((state.epoch, state.history.cost[-1]))
        if state.epoch == self.last:
            state.stop("enough")

    def on_train_end(self, state: Any) -> None:
        self.seen.append("end")
        self.stopped_by = state.history.stopped_by


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_our_callbacks_are_called_each_epoch_and_can_stop_the_training(solver):
    watch = Watch(last=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = classifier(solver=solver, callbacks=[watch]).fit(X, y)
    assert ours.n_iter_ == 4
    assert watch.stopped_by == "enough"
    assert watch.seen == ["begin", *enumerate(ours.loss_curve_, start=1), "end"]
    watch = Watch()
    ours = classifier(callbacks=[watch], batch_size=50).partial_fit(X, y, classes=[0, 1, 2])
    assert watch.seen == ["begin", (1, ours.loss_), "end"]


def test_a_callback_sees_the_parameters_and_the_step_of_its_epoch():
    seen = []

    class Look(pnn.Callback):
        def on_epoch_end(self, state: Any) -> None:
            seen.append((state.step, state.optimizer_state.t, [np.array(W.T) for W, _ in state.params]))

    ours = classifier(callbacks=[Look()], batch_size=50, max_iter=2).fit(X, y)
    assert [(step, t) for step, t, _ in seen] == [(3, 3), (6, 6)]
    np.testing.assert_array_equal(seen[-1][2][0], ours.coefs_[0])
    before = classifier(batch_size=50, max_iter=1).fit(X, y)
    np.testing.assert_array_equal(seen[0][2][0], before.coefs_[0])


def test_parameters_kept_by_a_callback_of_an_estimator_do_not_change():
    for solver in ("adam", "lbfgs"):
        kept, copies = [], []

        class Keep(pnn.Callback):
            def on_epoch_end(self, state: Any, kept: Any = kept, copies: Any = copies) -> None:
                kept.append(state.params[0][0])
                copies.append(np.array(state.params[0][0]))

        ours = classifier(solver=solver, callbacks=[Keep()], max_iter=8).fit(X, y)
        for array, copy in zip(kept, copies, strict=True):
            np.testing.assert_array_equal(array, copy)
        np.testing.assert_array_equal(ours.coefs_[0], copies[-1].T)


@pytest.mark.parametrize("given", [pnn.EarlyStopping(3), pnn.EarlyStopping], ids=["object", "class"])
def test_early_stopping_as_a_callback_is_refused_with_its_parameter(given):
    with pytest.raises(TypeError, match=r"EarlyStopping.*set `early_stopping=True`"):
        classifier(callbacks=[given]).fit(X, y)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("how", ["set_callbacks", "parameter"])
def test_scikit_learns_own_callbacks_are_called(solver, how):
    callback = pytest.importorskip("sklearn.callback", reason=SINCE_1_9)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    ours = classifier(solver=solver, max_iter=6, callbacks=[monitor] if how == "parameter" else None)
    ours.set_params(learning_rate_init=0.2)
    if how == "set_callbacks":
        ours.set_callbacks(monitor)
    ours.fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] != "fit"]
    assert len(rows) == ours.n_iter_ == 6
    assert rows[-1]["accuracy"] == ours.score(X, y)
    assert rows[0]["accuracy"] < rows[-1]["accuracy"]
    assert not hasattr(ours, "_skl_callbacks") or how == "set_callbacks"
    ours.fit(X, y)  # and again
    if solver != "lbfgs":
        ours.partial_fit(X, y)  # of which they are not told
        assert len(monitor.get_logs(select="all")) == 2


def test_a_callback_of_scikit_learn_can_stop_the_training():
    pytest.importorskip("sklearn.callback", reason=SINCE_1_9)

    class Stop:
        def setup(self, estimator, context):
            self.log = ["setup"]

        def teardown(self, estimator, context):
            self.log.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.log.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, X=None):
            assert fitted_estimator.predict(X).shape == (150,)
            return context.task_id == 2

    stop = Stop()
    ours = classifier(callbacks=[stop, Watch()]).fit(X, y)
    assert ours.n_iter_ == 3
    assert stop.log == ["setup", "begin fit", *["begin epoch"] * 3, "teardown"]


def test_the_progress_bar_of_scikit_learn_works(capsys):
    pytest.importorskip("rich", reason="rich is not installed")
    ProgressBar = pytest.importorskip("sklearn.callback", reason=SINCE_1_9).ProgressBar
    from sklearn.model_selection import GridSearchCV

    classifier(callbacks=[ProgressBar()]).fit(X, y)
    assert "MLPClassifier - fit" in capsys.readouterr().out
    search = GridSearchCV(classifier(max_iter=3), {"alpha": [0.1, 1]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "MLPClassifier - fit" in capsys.readouterr().out
    search = GridSearchCV(
        classifier(callbacks=[ProgressBar()]), {"alpha": [0.1]}, cv=2, error_score="raise"
    )
    with pytest.raises(TypeError, match="set it on the outermost"):
        search.fit(X, y)


def test_the_estimators_work_where_scikit_learn_has_no_callbacks():
    program = (
        "import sys, numpy as np, sklearn.model_selection as ms, sklearn.neural_network\n"
        "sys.modules['sklearn.callback'] = None  # as in versions before 1.9\n"
        "import warnings, portable_nn as pnn\n"
        "warnings.simplefilter('ignore')\n"
        "seen, X = [], np.random.default_rng(0).normal(size=(40, 3))\n"
        "class Watch(pnn.Callback):\n"
        "    def on_epoch_end(self, state): seen.append(state.epoch)\n"
        "for solver in ('adam', 'lbfgs'):\n"
        "    est = pnn.MLPRegressor(solver=solver, max_iter=2, callbacks=[Watch()], tol=0)\n"
        "    est.fit(X, X[:, 0])\n"
        "assert seen == [1, 2, 1, 2], seen\n"
        "assert not hasattr(est, 'set_callbacks')\n"
        "class Theirs:\n"
        "    def setup(self, estimator, context): pass\n"
        "    teardown = on_fit_task_begin = on_fit_task_end = setup\n"
        "try:\n"
        "    est.set_params(callbacks=[Theirs()]).fit(X, X[:, 0])\n"
        "except TypeError as error:\n"
        "    assert 'of 1.9 or newer' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('taken, though nothing calls it')\n"
        "ms.GridSearchCV(est.set_params(callbacks=None), {'alpha': [0, 1]}, cv=2).fit(X, X[:, 0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_scikit_learn_that_is_too_old_is_named_with_the_version_that_is_needed():
    program = (
        "import sklearn.utils.validation\n"
        "del sklearn.utils.validation.validate_data  # as in versions before 1.6\n"
        "import portable_nn\n"
        "portable_nn.MLPClassifier\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: the estimators need scikit-learn 1.6 or newer" in done.stderr


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_epoch_is_begun_after_max_time(solver):
    noise = np.random.default_rng(0).normal(size=(300, 6))
    ours = regressor(solver=solver, max_iter=10**6, tol=0, n_iter_no_change=np.inf, max_time=0.1)
    with pytest.warns(ConvergenceWarning, match=r"Maximum time \(0.1 s\) reached"):
        ours.fit(noise[:, :5], noise[:, 5])
    assert 1 <= ours.n_iter_ < 10**5


def test_a_single_epoch_of_partial_fit_knows_no_limit_of_time():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(max_time=1e-9).partial_fit(X, y, classes=[0, 1, 2])


def log_score(est: Any, rows: Any, labels: Any) -> float:
    return -float(log_loss(labels, est.predict_proba(rows), labels=est.classes_))


class Interrupt(pnn.Callback):
    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == 3:
            raise KeyboardInterrupt


def test_an_interrupt_keeps_the_best_weights_with_early_stopping():
    options = {"early_stopping": True, "callbacks": [Interrupt()], "learning_rate_init": 0.02}
    data = {"X_val": X[VAL], "y_val": 0 * y[VAL]}  # whose score falls
    options |= {"learning_rate_init": 0.1}
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        ours = classifier(**options, scoring=log_score).fit(X[TRAIN], y[TRAIN], **data)
    assert np.argmax(ours.validation_scores_) == 0
    P = ours.predict_proba(X[VAL])
    assert -log_loss(0 * y[VAL], P, labels=[0, 1, 2]) == pytest.approx(ours.validation_scores_[0])


def test_an_interrupt_keeps_what_was_learned():
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        ours = classifier(callbacks=[Interrupt()]).fit(X, y)
    assert ours.n_iter_ == 3
    assert same(ours, classifier(max_iter=3).fit(X, y))
