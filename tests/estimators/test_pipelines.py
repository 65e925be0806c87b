"""Estimators within pipelines and searches: validation data, and pictures of them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import sklearn
from iris import X, classifier, regressor, t, y
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def raw_split(load):
    rows, labels = load(return_X_y=True)
    return train_test_split(rows, labels, random_state=0, stratify=labels)


def test_a_pipeline_transforms_the_validation_data_by_routing_alone():
    rows, held_out, labels, held_out_labels = raw_split(load_breast_cancer)
    est = classifier(early_stopping=True, max_iter=40)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", est)], transform_input=["X_val"])
        pipeline.fit(rows, labels, X_val=held_out, y_val=held_out_labels)
    scaler = StandardScaler().fit(rows)
    by_hand = classifier(early_stopping=True, max_iter=40).fit(
        scaler.transform(rows), labels, X_val=scaler.transform(held_out), y_val=held_out_labels
    )
    assert pipeline[-1].validation_scores_ == by_hand.validation_scores_
    assert max(by_hand.validation_scores_) > 0.9


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_validation_data_that_the_pipeline_has_not_transformed_is_warned_of(load, scaler):
    rows, held_out, labels, held_out_labels = raw_split(load)
    pipeline = make_pipeline(scaler, classifier(max_iter=2))
    with pytest.warns(UserWarning, match="of X_val are outside the range .* preprocessed as X is"):
        pipeline.fit(rows, labels, mlpclassifier__X_val=held_out, mlpclassifier__y_val=held_out_labels)


def kinds(random):
    """Data of the kinds that ranges are easily misjudged of."""
    yield random.normal(size=(60, 1))
    yield random.standard_cauchy(size=(60, 5))
    yield np.repeat(random.lognormal(sigma=3, size=(60, 1)), 4, axis=1)
    yield (random.random((60, 30)) < 0.02).astype(float)
    yield random.poisson(0.05, size=(60, 40)) * 1000.0
    yield np.full((60, 3), 0.1)
    yield np.hstack([np.arange(60.0)[:, None], random.normal(size=(60, 3))])


def test_ordinary_splits_are_not_warned_of(monkeypatch):
    judged = []
    monkeypatch.setattr(
        "portable_nn.estimators.minibatches.train", lambda e, problem, *_: judged.append(1)
    )
    random = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(40):
            for rows in kinds(random):
                order = random.permutation(60)
                for n_val in (1, 3, 10, 18):
                    held_out, learned = order[:n_val], order[n_val:]
                    regressor().fit(
                        rows[learned],
                        rows[learned, 0],
                        X_val=rows[held_out].astype("float32"),
                        y_val=rows[held_out, 0],
                    )
        images, held_out, labels, held_out_labels = raw_split(load_digits)
        classifier().fit(images, labels, X_val=held_out, y_val=held_out_labels)
    assert len(judged) == 40 * 7 * 4 + 1


def test_the_loss_curve_of_a_pipeline_or_a_search_can_be_drawn():
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    pipeline = make_pipeline(StandardScaler(), regressor(max_iter=3))
    search = GridSearchCV(pipeline, {"mlpregressor__alpha": [0.1, 0.2]}, cv=2)
    for est in (pipeline, search, TransformedTargetRegressor(pipeline)):
        display = pnn.LossCurveDisplay.from_estimator(est.fit(X, t))
        assert len(display.line_.get_ydata()) == 3
        assert "MLPRegressor" in display.line_.get_label()
    with pytest.raises(TypeError, match="a StandardScaler has no `loss_curve_`"):
        pnn.LossCurveDisplay.from_estimator(make_pipeline(StandardScaler()).fit(X))


def test_predictions_of_huge_values_warn_of_nothing_and_harmless_underflow_is_no_error():
    net = pnn.Network((4, 3, 1), ("tanh", "identity"), "squared_error")
    params = net.initialize(dtype="float64")
    fitted = [classifier(activation=g, max_iter=3).fit(X, y) for g in ("logistic", "tanh")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in (X, X * 1e4, X * 1e307, X * 1e-307):
            with np.errstate(all="raise"):
                net.predict(params, rows)
                net.cost(params, rows, t[:, None])
                net.cost_and_gradients(params, rows, t[:, None])
                for est in fitted:
                    est.predict(rows)
                    est.predict_log_proba(rows)
        for rows in (X * 1e4, X * 1e-307):
            with np.errstate(all="raise"):
                pnn.fit(net, params, rows, t[:, None], epochs=2, optimizer=pnn.SGD(1e-12))
    for rows in (X * 1e4, X * 1e-307):
        with np.errstate(all="raise"):
            classifier(activation="logistic", max_iter=3).fit(rows, y)
