"""Ensembles of multi-layer perceptrons, trained in one pass: scikit-learn estimators."""
