"""The weights of rows and of classes: which are refused, and which count for nothing."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from iris import X, classifier, differs, regressor, same, t, y
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
OUT_OF_RANGE = {"float64": (1e308, 1e-320), "float32": (1e38, 1e-44)}


@pytest.mark.parametrize("dtype", OUT_OF_RANGE)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_whose_sum_is_too_large_or_too_small_are_refused(solver, dtype):
    rows = X.astype(dtype)
    for weight in OUT_OF_RANGE[dtype]:
        est = regressor(solver=solver)
        with pytest.raises(ValueError, match="`sample_weight`.* too small or too large for " + dtype):
            est.fit(rows, t, np.full(150, weight))
        assert not hasattr(est, "coefs_")


def test_class_weights_and_weights_of_validation_data_count_in_that():
    huge = np.full(150, 1e308)
    for weight, of_class in ((None, 1e308), (np.full(150, 1e300), 1e100)):
        with pytest.raises(ValueError, match="times `class_weight` if that is given"):
            classifier(class_weight=dict.fromkeys(range(3), of_class)).fit(X, y, weight)
    with pytest.raises(ValueError, match="`sample_weight_val`"):
        regressor().fit(X, t, X_val=X, y_val=t, sample_weight_val=huge)


def test_a_class_weight_for_a_class_that_y_lacks_counts_for_nothing():
    two, weights = y < 2, {0: 1.0, 1: 2.0, 2: 3.0}
    LogisticRegression(class_weight=weights, solver="newton-cholesky").fit(
        X[two], y[two]
    )  # it does not mind either
    ours = classifier(class_weight=weights).fit(X[two], y[two])
    assert same(ours, classifier().fit(X[two], y[two], np.array([1.0, 2.0])[y[two]]))
    ours = classifier(class_weight={7: 2.0, 1: 3.0}).partial_fit(X, y, classes=[0, 1, 2, 3])
    assert same(ours, classifier().partial_fit(X, y, np.array([1.0, 3, 1])[y], classes=[0, 1, 2, 3]))


def test_among_many_labels_it_counts_for_nothing_too_and_the_others_weigh_1():
    rows, Y = make_multilabel_classification(n_samples=80, n_classes=3, random_state=0)
    ours = classifier(class_weight=[{1: 3.0}, {}, {0: 2.0, 5: 9.0}]).fit(rows, Y)
    by_hand = np.where(Y[:, 0], 3.0, 1.0) * np.where(Y[:, 2], 1.0, 2.0)
    assert same(ours, classifier().fit(rows, Y, by_hand))
    for wrong in ({0: 1.0}, [{0: 1.0}], [{0: 1.0}, 3, {}], [{0: -1.0}, {}, {}]):
        with pytest.raises(ValueError, match="class_weight"):
            classifier(class_weight=wrong).fit(rows, Y)


def test_balanced_is_that_of_the_rows_that_weigh_something():
    v = np.random.default_rng(0).integers(1, 4, size=150) * (y != 1)
    repeated = np.repeat(y, v)  # a row of weight 2 is two rows
    weights = compute_class_weight("balanced", classes=np.array([0, 2]), y=repeated)
    ours = classifier(class_weight="balanced").fit(X, y, v)
    assert same(ours, classifier().fit(X, y, v * np.array([weights[0], 0.0, weights[1]])[y]))
    assert np.isfinite(ours.loss_curve_).all()


def test_balanced_counts_rows_by_their_weights_for_many_labels_too():
    rows, Y = make_multilabel_classification(n_samples=80, n_classes=2, random_state=0)
    v = np.random.default_rng(0).integers(0, 3, size=80)
    of_row = np.ones(80)
    for column in Y.T:  # a row of weight 2 is two rows
        repeated = np.repeat(column, v)
        of_row *= compute_class_weight("balanced", classes=np.array([0, 1]), y=repeated)[column]
    ours = classifier(class_weight="balanced").fit(rows, Y, v)
    assert same(ours, classifier().fit(rows, Y, v * of_row))
    assert differs(ours, classifier(class_weight="balanced").fit(rows, Y))


def test_validation_data_is_balanced_as_the_training_data_is():
    rows, Y = make_multilabel_classification(n_samples=80, n_classes=2, random_state=0)
    fitted = classifier(class_weight="balanced").fit(rows, Y, X_val=rows[:20], y_val=Y[:20])
    of_row = np.ones(80)
    for column in Y.T:
        of_row *= compute_class_weight("balanced", classes=np.array([0, 1]), y=column)[column]
    by_hand = classifier().fit(
        rows, Y, of_row, X_val=rows[:20], y_val=Y[:20], sample_weight_val=of_row[:20]
    )
    assert np.allclose(fitted.validation_loss_curve_, by_hand.validation_loss_curve_, rtol=1e-12)
