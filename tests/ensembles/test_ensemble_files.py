"""An ensemble comes back from a file as it was, and goes on as it would have."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from storage_files import with_values

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
X, Y = load_iris(return_X_y=True)
WORDS = np.array(["one", "two", "three"])[Y]
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
CASES = {
    "words": (pnn.MLPEnsembleClassifier(3, **SMALL), WORDS),
    "drawn rows": (pnn.MLPEnsembleClassifier(2, bootstrap=True, max_samples=60, **SMALL), WORDS),
    "many labels": (pnn.MLPEnsembleClassifier(2, **SMALL), np.eye(3, dtype=int)[Y]),
    "early": (pnn.MLPEnsembleClassifier(2, early_stopping=True, **SMALL), Y),
    "intervals": (pnn.MLPEnsembleRegressor(2, calibration_fraction=0.2, **SMALL), X[:, :2]),
    "lbfgs": (pnn.MLPEnsembleRegressor(2, solver="lbfgs", **SMALL), X[:, 0]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_an_ensemble_comes_back_and_goes_on(name, tmp_path):
    ensemble, y = CASES[name]
    ensemble.fit(X, y)
    pnn.save(tmp_path / "a", ensemble)
    twin = pnn.load(tmp_path / "a")
    assert twin.get_params() == ensemble.get_params()
    assert twin.loss_curves_ == ensemble.loss_curves_
    for one, other in zip(twin.estimators_samples_, ensemble.estimators_samples_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(twin.predict(X), ensemble.predict(X))
    if name == "intervals":
        np.testing.assert_array_equal(twin.predict_interval(X), ensemble.predict_interval(X))
    if name not in ("lbfgs", "early"):
        np.testing.assert_array_equal(
            twin.partial_fit(X, y).predict(X), ensemble.partial_fit(X, y).predict(X)
        )
    for each in (twin, ensemble):
        if name == "intervals":  # a warm start would set other rows aside
            each.set_params(calibration_fraction=0.0)
        each.set_params(n_estimators=4, warm_start=True).fit(X, y)
    np.testing.assert_array_equal(twin.coefs_[0], ensemble.coefs_[0])
    ensemble.set_params(n_estimators=2, warm_start=False)


def test_a_file_for_predictions_is_smaller_and_a_network_is_the_stack(tmp_path):
    ensemble = pnn.MLPEnsembleClassifier(3, **SMALL).fit(X, WORDS)
    pnn.save(tmp_path / "whole", ensemble)
    pnn.save(tmp_path / "short", ensemble, for_prediction=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("whole", "short")]
    assert sizes[1] < 0.7 * sizes[0]
    twin = pnn.load(tmp_path / "short")
    np.testing.assert_array_equal(twin.predict_proba(X), ensemble.predict_proba(X))
    net, params, classes = pnn.load(tmp_path / "short", as_network=True)
    np.testing.assert_allclose(net.predict(params, X).mean(axis=0), ensemble.predict_proba(X), rtol=1e-9)
    assert classes.tolist() == ["one", "three", "two"]


def test_what_is_no_ensemble_is_refused(tmp_path):
    class Mine(pnn.MLPEnsembleClassifier):
        pass

    with pytest.raises(TypeError, match="Subclasses are not saved"):
        pnn.save(tmp_path / "a", Mine(2, **SMALL).fit(X, Y))
    with pytest.raises(ValueError, match="MLPEnsembleClassifier is not fitted"):
        pnn.save(tmp_path / "a", pnn.MLPEnsembleClassifier())
    ensemble = pnn.MLPEnsembleClassifier(2, **SMALL).fit(X, Y)
    changes = {
        "members": lambda v: v["members"].pop("2"),
        "members are none": lambda v: v.update(estimator="MLPRegressor"),
        "features and outputs": lambda v: v["attributes"].update(n_features_in_=5),
        "not known here": lambda v: v["attributes"].update(predict=1),
        "hyperparameters": lambda v: v["members"]["1"]["hyperparameters"].update(x=1),
        "rows of its members": lambda v: v["samples"].update({"2": 5}),
    }
    for message, change in changes.items():
        pnn.save(tmp_path / "a", ensemble)
        with_values(tmp_path / "a", lambda values, change=change: (change(values), values)[1])
        with pytest.raises(pnn.ModelFormatError, match=message):
            pnn.load(tmp_path / "a")
