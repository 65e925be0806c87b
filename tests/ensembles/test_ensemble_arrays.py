"""Ensembles of arrays of every backend: there and back, moved, with the host's results."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris

import portable_nn as pnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
SETTINGS = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, "bootstrap": True}


def test_arrays_go_in_and_come_out_where_they_were(backend):
    there, host = backend.asarray(X), pnn.MLPEnsembleClassifier(2, **SETTINGS).fit(X, Y)
    ensemble = pnn.MLPEnsembleClassifier(2, **SETTINGS).fit(there, backend.asarray(Y))
    P, spread = ensemble.predict_proba(there), ensemble.decision_spread(there)
    for found, expected in ((P, host.predict_proba(X)), (spread, host.decision_spread(X))):
        assert pnn.backends.of(found) is backend
        np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(backend.to_numpy(ensemble.predict(there)), host.predict(X))
    assert pnn.backends.of(ensemble.estimators_[1].coefs_[0]) is backend
    moved = pickle.loads(pickle.dumps(ensemble)).to("numpy")
    np.testing.assert_allclose(moved.predict_proba(X), host.predict_proba(X), rtol=1e-9)
    back = moved.to(backend).predict_proba(there)
    np.testing.assert_allclose(backend.to_numpy(back), host.predict_proba(X), rtol=1e-9)


def test_host_data_is_trained_on_a_backend_and_comes_back(backend):
    options = SETTINGS | {"backend": backend.name, "device": backend.device_name()}
    ensemble = pnn.MLPEnsembleRegressor(2, calibration_fraction=0.2, **options).fit(X, Y)
    host = pnn.MLPEnsembleRegressor(2, calibration_fraction=0.2, **SETTINGS).fit(X, Y)
    pairs = [
        *zip(ensemble.predict(X, return_std=True), host.predict(X, return_std=True), strict=True),
        *zip(ensemble.predict_interval(X), host.predict_interval(X), strict=True),
        (ensemble.predict_quantiles(X, [0.4]), host.predict_quantiles(X, [0.4])),
    ]
    for found, expected in pairs:
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
