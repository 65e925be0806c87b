"""skops reads and writes our estimators, and finds no types of ours but the estimators themselves."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
sio = pytest.importorskip("skops.io", reason="skops is not installed")
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
CLASSIFIER = "portable_nn.estimators.classifier.MLPClassifier"
REGRESSOR = "portable_nn.estimators.regressor.MLPRegressor"


def test_skops_needs_to_trust_nothing_but_the_estimators(random):
    X = random.normal(size=(60, 4))
    y = np.array(["a", "b", "c"])[random.integers(0, 3, size=60)]
    how = {"max_iter": 4, "random_state": 0, "schedule": pnn.schedules.cosine(0.01, 50)}
    activations = [pnn.leaky_relu(0.2), "tanh"]
    clf = pnn.MLPClassifier((5, 4), activations, early_stopping=True, **how).fit(X, y)
    reg = pnn.MLPRegressor(pnn.huber(2.0), (5,), solver="sgd", max_iter=4).fit(X, X[:, 0])
    for estimator, name in (
        (clf, CLASSIFIER),
        (make_pipeline(StandardScaler().fit(X), clf), CLASSIFIER),
        (reg, REGRESSOR),
    ):
        data = sio.dumps(estimator)
        assert sio.get_untrusted_types(data=data) == [name]
        again = sio.loads(data, trusted=[name])
        np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    again = sio.loads(sio.dumps(clf), trusted=[CLASSIFIER])
    assert again.activation[0] == pnn.leaky_relu(0.2)
    assert again.schedule == clf.schedule
    for estimator in (again, clf):
        estimator.set_params(early_stopping=False).partial_fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], clf.coefs_[0])
