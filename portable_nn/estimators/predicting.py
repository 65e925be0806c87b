"""What the outputs of an estimator say: classes, probabilities, values, and how good they are.

The outputs are those of one network, or of several put together; who computes them says how.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from portable_nn.backends import of, own_settings
from portable_nn.equations import Array
from portable_nn.estimators import inputs
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.docs import with_shared_texts
from portable_nn.estimators.labels import decide, has_many, place_labels


class Predicting(MLPAttributes, BaseEstimator, metaclass=ABCMeta):
    """An estimator that is judged by what it predicts."""

    @abstractmethod
    def _compute(self, X: Any, method: str) -> tuple[Any, bool]:
        """The outputs for X, on the device; and whether they go to the host."""

    @abstractmethod
    def _score(self, y: Any, predicted: Any, weight: Any) -> float:
        """Accuracy, or R^2, by scikit-learn's function, of host arrays."""

    @abstractmethod
    def predict(self, X: Any) -> Array:
        """What the estimator predicts for X."""

    def _hand_back(self, A: Array, to_host: bool) -> Array:
        return of(A).to_numpy(A) if to_host and type(A) is not np.ndarray else A

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R^2 of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels or values, on the host or on any device.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        weight = None if sample_weight is None else inputs.host(sample_weight)
        return self._score(inputs.host(y), inputs.host(self.predict(X)), weight)


class ClassPredictions(Predicting):
    """A classifier's predictions."""

    score = Predicting.score  # ClassifierMixin's own would not take arrays of a device

    def _labels(self) -> LabelBinarizer:
        """The labels of the training, or, where `classes_` were set by hand, those."""
        labels = self.__dict__.get("_label_binarizer")
        return LabelBinarizer().fit(inputs.host(self.classes_)) if labels is None else labels

    def _score(self, y: Any, predicted: Any, weight: Any) -> float:
        return float(accuracy_score(y, predicted, sample_weight=weight))

    @with_shared_texts
    def predict(self, X: Any) -> Array:
        """The most probable class of each row; with many labels a row, each label's 0 or 1.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Labels: numbers on the device of X, labels of other kinds as a NumPy array.

        {{raises_of_predict}}
        """
        A, to_host = self._compute(X, "predict")
        labels = self._labels()
        if labels.sparse_input_:  # as y was
            known: Array = labels.inverse_transform(inputs.host(A))
            return known
        codes = decide(labels, self._hand_back(A, to_host))
        if has_many(labels):
            return codes
        classes = self.classes_
        if not inputs.in_one_place(classes, codes):
            classes = place_labels(labels.classes_, of(codes))
        if inputs.on_host(classes):
            found: Array = labels.classes_[inputs.host(codes)]
            return found
        return of(A).xp.take(classes, codes, axis=0)

    @with_shared_texts
    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the classes.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`, on the device of X.

        {{raises_of_predict}}
        """
        A, to_host = self._compute(X, "predict_proba")
        if self.n_outputs_ == 1:
            A = of(A).xp.concat([1 - A, A], axis=1)
        return self._hand_back(A, to_host)

    @with_shared_texts
    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of the probabilities of the classes.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        log_probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`, on the device of X.

        {{raises_of_predict}}
        """
        check_is_fitted(self)
        inputs.fitted_backend(self, X, "predict_log_proba")
        P = self.predict_proba(X)
        with own_settings():
            return of(P).xp.log(P)


class ValuePredictions(Predicting):
    """A regressor's predictions."""

    score = Predicting.score  # RegressorMixin's own would not take arrays of a device

    def _score(self, y: Any, predicted: Any, weight: Any) -> float:
        return float(r2_score(y, predicted, sample_weight=weight))

    @with_shared_texts
    def predict(self, X: Any) -> Array:
        """The predicted values.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            On the device of X.

        {{raises_of_predict}}
        """
        A, to_host = self._compute(X, "predict")
        return self._hand_back(A[:, 0] if A.shape[1] == 1 else A, to_host)
