"""scikit-learn's MLPClassifier on any array."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted

from portable_nn.backends import Backend, of
from portable_nn.equations import Array, Loss
from portable_nn.estimators import docs, inputs
from portable_nn.estimators.constraints import store
from portable_nn.estimators.docs import documented
from portable_nn.estimators.fitting import BaseMLP
from portable_nn.estimators.labels import (
    check_labels,
    decide,
    first_labels,
    has_many,
    labels_beside,
)
from portable_nn.estimators.targets import ClassTargets, Targets, weight_of_each_class


class MLPClassifier(ClassifierMixin, BaseMLP):
    __doc__ = docs.CLASSIFIER

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), Loss],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout: Any = 0.0,
        weight_decay: float = 0.01,
        rho: float = 0.9,
        clip_norm: float | None = None,
        schedule: Any = None,
        scoring: Any = None,
        callbacks: Any = None,
        max_time: float | None = None,
        backend: Any = None,
        device: Any = None,
    ) -> None:
        store(self, locals())

    @available_if(lambda e: e._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    @documented(docs.PARTIAL_FIT_CLASSIFIER)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True, classes=classes)

    # ---- labels -------------------------------------------------------------------------------------

    def _targets(
        self, y: Any, weight: Any, incremental: bool, classes: Any, backend: Backend
    ) -> Targets:
        classes = None if classes is None else inputs.host(classes)
        is_known = hasattr(self, "classes_") and (self.warm_start or incremental)
        if is_known:
            labels = self._labels()
            if classes is not None and not np.array_equal(labels.classes_, unique_labels(classes)):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                    f"{labels.classes_!r}"
                )
        else:
            labels = first_labels(y, classes) if incremental else LabelBinarizer().fit(y)
        if is_known or incremental:
            check_labels(y, labels, all_of_them=self.warm_start)
        of_class = weight_of_each_class(self, y, weight, labels, incremental)
        targets = ClassTargets(self, y, weight, labels).weigh(of_class)
        targets.attributes["classes_"] = labels_beside(labels.classes_, backend)
        return targets

    def _labels(self) -> LabelBinarizer:
        """The labels of the training, or, where `classes_` were set by hand, those."""
        labels = self.__dict__.get("_label_binarizer")
        return LabelBinarizer().fit(inputs.host(self.classes_)) if labels is None else labels

    # ---- predictions --------------------------------------------------------------------------------

    def _score(self, y: Any, predicted: Any, weight: Any) -> float:
        return float(accuracy_score(y, predicted, sample_weight=weight))

    @documented(docs.PREDICT_CLASSIFIER)
    def predict(self, X: Any) -> Array:
        A, to_host = self._compute(X, "predict")
        labels = self._labels()
        if labels.sparse_input_:  # as y was
            return labels.inverse_transform(inputs.host(A))
        codes = decide(labels, self._hand_back(A, to_host))
        if has_many(labels):
            return codes
        classes = self.classes_
        if not inputs.in_one_place(classes, codes):
            classes = labels_beside(labels.classes_, of(codes))
        if inputs.on_host(classes):
            return labels.classes_[inputs.host(codes)]
        return of(A).xp.take(classes, codes, axis=0)

    @documented(docs.PREDICT_PROBA)
    def predict_proba(self, X: Any) -> Array:
        A, to_host = self._compute(X, "predict_proba")
        if self.n_outputs_ == 1:
            A = of(A).xp.concat([1 - A, A], axis=1)
        return self._hand_back(A, to_host)

    @documented(docs.PREDICT_LOG_PROBA)
    def predict_log_proba(self, X: Any) -> Array:
        check_is_fitted(self)
        inputs.fitted_backend(self, X, "predict_log_proba")
        P = self.predict_proba(X)
        return of(P).xp.log(P)

    score = BaseMLP.score  # which hands scikit-learn's function host arrays

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
