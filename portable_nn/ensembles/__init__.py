"""Ensembles of multi-layer perceptrons, trained in one pass: scikit-learn estimators."""

from portable_nn.ensembles.classifier import MLPEnsembleClassifier
from portable_nn.ensembles.regressor import MLPEnsembleRegressor

__all__ = ["MLPEnsembleClassifier", "MLPEnsembleRegressor"]
