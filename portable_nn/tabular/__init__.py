"""Estimators of tables: frames or arrays in, with missing values and categories; nothing to tune."""

from portable_nn.tabular.classifier import TabularClassifier
from portable_nn.tabular.displays import IntervalDisplay, ReliabilityDisplay
from portable_nn.tabular.regressor import TabularRegressor

__all__ = ["IntervalDisplay", "ReliabilityDisplay", "TabularClassifier", "TabularRegressor"]
