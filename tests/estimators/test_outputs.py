"""What a fitted estimator returns: features, frames, sparse labels, scores, loss curves."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from helpers import relative
from iris import X, classifier, regressor, same, t, y
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def test_activations_are_those_of_every_layer():
    ours = classifier().fit(X, y)
    first = np.maximum(X @ ours.coefs_[0] + ours.intercepts_[0], 0)
    second = np.maximum(first @ ours.coefs_[1] + ours.intercepts_[1], 0)
    found = ours.activations(X)
    assert relative(found[1], second) < 1e-12
    assert [a.shape for a in found] == [(150, 6), (150, 5), (150, 3)]
    assert relative(found[0], first) < 1e-12
    np.testing.assert_array_equal(found[2], ours.predict_proba(X))
    assert "MLPClassifier" in ours._repr_html_()


def test_a_predictor_is_no_transformer():
    for ours in (classifier(), pnn.MLPRegressor()):
        assert not any(hasattr(ours, name) for name in ("transform", "fit_transform", "set_output"))
        assert get_tags(ours).transformer_tags is None


def test_a_transformer_gives_the_activations_of_a_layer():
    ours = classifier().fit(X, y)
    features = pnn.MLPTransformer(classifier())
    np.testing.assert_array_equal(features.fit_transform(X, y), ours.activations(X)[1])
    assert list(features.get_feature_names_out()) == [f"mlptransformer{i}" for i in range(5)]
    assert features.n_features_in_ == 4
    for layer, units in ((0, 6), (1, 5), (-1, 3), (-3, 6)):
        found = pnn.MLPTransformer(classifier(), layer=layer).fit(X, y).transform(X)
        np.testing.assert_array_equal(found, ours.activations(X)[layer])
        assert found.shape == (150, units)
    pipe = make_pipeline(pnn.MLPTransformer(classifier()), LogisticRegression(solver="newton-cholesky"))
    assert cross_val_score(pipe, X, y).mean() > 0.8
    for layer in (3, -4):
        with pytest.raises(ValueError, match=rf"`layer` is {layer}.*accepted: -3 to 2"):
            pnn.MLPTransformer(classifier(), layer=layer).fit(X, y)
    with pytest.raises(ValueError, match="accepted: -1 to 0"):
        pnn.MLPTransformer(classifier(hidden_layer_sizes=())).fit(X, y)


def test_a_transformer_may_give_a_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=list("abcd"), index=np.arange(150) + 7)
    ours = pnn.MLPTransformer(classifier()).set_output(transform="pandas").fit(frame, y)
    found = ours.transform(frame)
    assert list(found.columns) == [f"mlptransformer{i}" for i in range(5)]
    assert list(ours.feature_names_in_) == list("abcd")
    assert list(found.index) == list(frame.index)


def test_feature_names_come_from_frames():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    expected = classifier(early_stopping=True).fit(X, y)
    for module in (polars, pandas):
        frame = module.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
        labels = module.Series("species", y) if module is polars else module.Series(y, name="species")
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            ours = classifier(early_stopping=True, scoring="accuracy").fit(frame, labels)
            assert list(ours.feature_names_in_) == list("abcd")
            assert same(ours, expected)
            ours.predict(frame)
            if module is pandas:
                with pytest.raises(ValueError, match="The feature names should match"):
                    ours.predict(frame.rename(columns={"a": "A"}))


def test_sample_weights_are_routed_as_metadata():
    import sklearn
    from sklearn.exceptions import UnsetMetadataPassedError
    from sklearn.linear_model import Perceptron
    from sklearn.metrics import accuracy_score, make_scorer
    from sklearn.model_selection import cross_validate
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    w = np.random.default_rng(0).uniform(size=150)
    with sklearn.config_context(enable_metadata_routing=True):
        ours = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, ours).fit(X, y, sample_weight=w)
        assert same(pipe[-1], classifier().fit(pipe[0].transform(X), y, w))
        options = {"params": {"sample_weight": w}, "cv": 2, "error_score": "raise"}
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        with_scorer = cross_validate(pipe, X, y, scoring=scorer, **options)["test_score"]
        linear = Perceptron().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        try:
            cross_validate(make_pipeline(scaler, linear), X, y, **options)
        except UnsetMetadataPassedError:  # before 1.9 it did not ask the steps for the score
            return
        np.testing.assert_array_equal(cross_validate(pipe, X, y, **options)["test_score"], with_scorer)


def test_scores_are_those_of_scikit_learn_with_weights_too():
    from sklearn.metrics import accuracy_score, r2_score

    w = np.random.default_rng(0).uniform(size=150)
    ours, real = classifier().fit(X, y), regressor().fit(X, t)
    assert ours.score(X, y, w) == accuracy_score(y, ours.predict(X), sample_weight=w)
    assert real.score(X, t, w) == r2_score(t, real.predict(X), sample_weight=w)
    assert ours.score(X, y, w) != ours.score(X, y)


def test_weights_set_by_hand_predict():
    import sklearn.neural_network

    random = np.random.default_rng(0)
    for module in (sklearn.neural_network, pnn):
        est = module.MLPRegressor(hidden_layer_sizes=(5,), activation="tanh")
        random = np.random.default_rng(0)
        est.coefs_ = [random.normal(size=(4, 5)), random.normal(size=(5, 1))]
        est.intercepts_ = [random.normal(size=5), random.normal(size=1)]
        est.n_layers_, est.n_outputs_, est.out_activation_ = 3, 1, "identity"
        A = np.tanh(X @ est.coefs_[0] + est.intercepts_[0]) @ est.coefs_[1] + est.intercepts_[1]
        assert relative(est.predict(X), A[:, 0]) < 1e-13
    assert relative(pickle.loads(pickle.dumps(est)).predict(X), A[:, 0]) < 1e-13
    trained = classifier().fit(X, y)
    ours = classifier(hidden_layer_sizes=(6, 5))
    ours.coefs_, ours.intercepts_, ours.classes_ = trained.coefs_, trained.intercepts_, np.arange(3)
    ours.n_outputs_, ours.out_activation_ = 3, "softmax"
    np.testing.assert_array_equal(ours.predict(X), trained.predict(X))
    ours.coefs_ = [*ours.coefs_[:1], np.eye(6), *ours.coefs_[1:]]  # deeper than any training
    ours.intercepts_ = [*ours.intercepts_[:1], np.zeros(6), *ours.intercepts_[1:]]
    np.testing.assert_array_equal(ours.predict(X), trained.predict(X))


def test_sparse_labels_come_back_sparse():
    import scipy.sparse
    import sklearn.neural_network

    rows, Y = make_multilabel_classification(n_samples=60, random_state=0)
    sparse = scipy.sparse.csr_matrix(Y)
    theirs = sklearn.neural_network.MLPClassifier(max_iter=5, random_state=0).fit(rows, sparse)
    ours = pnn.MLPClassifier(max_iter=5, random_state=0).fit(rows, sparse)
    assert type(ours.predict(rows)) is type(theirs.predict(rows))
    np.testing.assert_array_equal(ours.predict(rows).toarray(), theirs.predict(rows).toarray())
    assert ours.score(rows, sparse) == theirs.score(rows, sparse)


def test_the_loss_curves_can_be_drawn():
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import LogisticRegression

    ours = classifier(early_stopping=True).fit(X, y)
    display = pnn.LossCurveDisplay.from_estimator(ours, name="mine", c="red", ls=":")
    np.testing.assert_array_equal(display.line_.get_ydata(), ours.loss_curve_)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, ours.n_iter_ + 1))
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), ours.validation_loss_curve_)
    assert display.line_.get_color() == display.validation_line_.get_color() == "red"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "mine: training",
        "mine: validation",
    ]
    late = classifier(warm_start=True, max_iter=2).fit(X, y).fit(X, y, X_val=X, y_val=y).fit(X, y)
    drawn = pnn.LossCurveDisplay.from_estimator(late).validation_line_  # of the second fit alone
    np.testing.assert_array_equal(drawn.get_xdata()[~np.isnan(drawn.get_ydata())], [3, 4])
    curves = {"loss_curve": [2.0, 1.0], "validation_loss_curve": np.array([3.0, 2.0])}
    assert pnn.LossCurveDisplay(**curves).plot().validation_line_ is not None
    again = pnn.LossCurveDisplay.from_estimator(classifier(solver="lbfgs").fit(X, y), ax=display.ax_)
    assert again.figure_ is display.figure_
    assert again.validation_line_ is None
    with pytest.raises(NotFittedError):
        pnn.LossCurveDisplay.from_estimator(classifier())
    with pytest.raises(TypeError, match=r"no `loss_curve_`; accepted"):
        pnn.LossCurveDisplay.from_estimator(LogisticRegression().fit(X, y))
    plt.close("all")


def test_a_transformer_refuses_what_it_cannot_use_before_it_trains():
    for wrong in (LogisticRegression(), "mlp", None):
        with pytest.raises(TypeError, match=r"`estimator` is a .*accepted: a portable_nn.MLPClassifier"):
            pnn.MLPTransformer(wrong).fit(X, y)
    for wrong in ("x", 0.0, True):
        with pytest.raises(TypeError, match=r"`layer` is .*accepted: a whole number"):
            pnn.MLPTransformer(classifier(), layer=wrong).fit(X, y)
