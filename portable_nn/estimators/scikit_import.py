"""A fitted MLP of scikit-learn as ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier as ScikitClassifier
from sklearn.neural_network import MLPRegressor as ScikitRegressor
from sklearn.utils.validation import check_is_fitted

from portable_nn.estimators.classifier import MLPClassifier
from portable_nn.estimators.ready import Ready
from portable_nn.estimators.regressor import MLPRegressor
from portable_nn.estimators.scikit_export import shared

TWINS: dict[type, type] = {ScikitClassifier: MLPClassifier, ScikitRegressor: MLPRegressor}


def fitted_twin(estimator: Any) -> Any:
    """See `portable_nn.interchange.from_sklearn`."""
    twin = TWINS.get(type(estimator))
    if twin is None:
        raise TypeError(
            f"`estimator` is a {type(estimator).__module__}.{type(estimator).__qualname__}; accepted: "
            "sklearn.neural_network.MLPClassifier or MLPRegressor, of a pipeline its last step"
        )
    check_is_fitted(estimator)
    ours = twin(**estimator.get_params(deep=False))
    ours.__dict__.update(shared(estimator))
    ours.coefs_ = [np.array(coef) for coef in estimator.coefs_]
    ours.intercepts_ = [np.array(intercept) for intercept in estimator.intercepts_]
    if estimator.solver == "lbfgs":
        ours.loss_curve_ = []  # which scikit-learn does not record
    else:
        ours.validation_loss_curve_, ours.stopped_early_ = None, False
    ours._takes_host, ours._ready = True, Ready()
    return ours
