"""The record of a training, in print and as a picture; the bar that shows it while it grows."""

from __future__ import annotations

import io

import numpy as np
import pytest

import portable_nn as pnn


@pytest.fixture
def trained(training_problem):
    net, params, X, Y = training_problem
    held_out = {"validation": (X, Y), "metrics": "accuracy"}
    stopping = pnn.EarlyStopping(patience=50)
    return pnn.fit(net, params, X, Y, epochs=4, batch_size=8, early_stopping=stopping, **held_out)[1]


def test_a_history_in_print_is_a_summary_of_five_lines(host_only, trained):
    lines = str(trained).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("History: 4 epochs in ")
    assert f"best epoch {trained.best_epoch}" in lines[0]
    first, last = trained.validation_cost[0], trained.validation_cost[-1]
    assert f"first {first:.4g}" in lines[2]
    assert f"last {last:.4g}" in lines[2]
    assert f"accuracy: first {trained.metrics['accuracy'][0]:.4g}" in lines[3]
    assert "0.001 at the end" in lines[4]
    assert repr(trained) == str(trained)
    assert str(pnn.History()).startswith("History: 0 epochs")


def test_a_history_of_a_stack_in_print_names_the_range(host_only, training_problem):
    net, _, X, Y = training_problem
    stack = net.initialize(dtype="float64", stack=(3,))
    _, history = pnn.fit(net, stack, X, Y, epochs=2)
    assert f"{history.cost[0].min():.4g} to {history.cost[0].max():.4g}" in str(history)


def test_a_history_is_drawn(host_only, trained):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("agg")
    ax = trained.plot()
    right = next(other for other in ax.figure.axes if other is not ax)
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), trained.cost)
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), trained.validation_cost)
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), trained.metrics["accuracy"])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["cost", "validation cost", "accuracy", "best epoch"]
    assert trained.plot(ax=matplotlib.pyplot.subplots()[1]).figure is not ax.figure
    matplotlib.pyplot.close("all")


def test_the_bar_moves_within_a_long_epoch(host_only, training_problem, monkeypatch):
    net, params, X, Y = training_problem
    shown = io.StringIO()
    bar = pnn.ProgressBar(file=shown, mininterval=0, miniters=0)
    seen = []
    told = bar.on_batches_end
    monkeypatch.setattr(
        bar, "on_batches_end", lambda state, *counts: (seen.append(counts), told(state, *counts))
    )
    with_bar = pnn.fit(net, params, X, Y, epochs=2, batch_size=1, callbacks=[bar], metrics="accuracy")
    assert seen == [(2 * i, 40) for i in range(1, 21)]  # in the first epoch; it was short
    assert "0.05/2" in shown.getvalue()
    assert "2/2" in shown.getvalue()
    assert "accuracy=" in shown.getvalue()
    plain = pnn.fit(net, params, X, Y, epochs=2, batch_size=1)
    assert with_bar[1].cost == plain[1].cost


def test_estimators_show_a_bar_or_a_line_per_iteration(host_only, random, capsys):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    X = random.normal(size=(60, 3))
    common = {"hidden_layer_sizes": (3,), "random_state": 0, "tol": 0.1}
    for solver in ("adam", "lbfgs"):
        ours = pnn.MLPClassifier(solver=solver, verbose="bar", **common).fit(X, X[:, 0] > 0)
        shown = capsys.readouterr()
        assert f"{ours.n_iter_}/200" in shown.err
        assert "cost=" in shown.err
        assert shown.out == ""
        pnn.MLPClassifier(solver=solver, verbose=True, **common).fit(X, X[:, 0] > 0)
        shown = capsys.readouterr()
        assert shown.out.startswith("Iteration 1, loss = ")
        assert shown.err == ""
    ours.set_params(verbose="line")
    with pytest.raises(ValueError, match="'verbose' parameter"):
        ours.fit(X, X[:, 0] > 0)


def test_the_bar_is_closed_when_a_fit_fails(host_only, random, capsys):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    X = random.normal(size=(60, 3)) * 1e200
    with pytest.raises(ValueError, match="non-finite"):
        pnn.MLPRegressor(solver="sgd", verbose="bar", learning_rate_init=1e9).fit(X, X[:, 0])
    assert capsys.readouterr().err.endswith("\n")
