"""A pytest plugin: scikit-learn's own tests of its MLPs, run on ours (nox -s sklearn_suite)."""

import sklearn.neural_network

from portable_nn import MLPClassifier, MLPRegressor

sklearn.neural_network.MLPClassifier = MLPClassifier
sklearn.neural_network.MLPRegressor = MLPRegressor
