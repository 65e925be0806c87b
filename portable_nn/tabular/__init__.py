"""Estimators of tables: frames or arrays in, with missing values and categories; nothing to tune."""

from portable_nn.tabular.classifier import TabularClassifier
from portable_nn.tabular.interval_display import IntervalDisplay
from portable_nn.tabular.regressor import TabularRegressor
from portable_nn.tabular.reliability_display import ReliabilityDisplay

__all__ = ["IntervalDisplay", "ReliabilityDisplay", "TabularClassifier", "TabularRegressor"]
