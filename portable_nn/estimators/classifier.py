"""scikit-learn's MLPClassifier on any array."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted

from portable_nn.backends import Backend, of
from portable_nn.equations import ACTIVATIONS, Activation, Array, Loss
from portable_nn.estimators import docs, inputs
from portable_nn.estimators.constraints import store
from portable_nn.estimators.conventions import BINARY_LOG_LOSS, LOG_LOSS
from portable_nn.estimators.docs import documented
from portable_nn.estimators.fitting import BaseMLP
from portable_nn.estimators.labels import (
    check_class_weight,
    check_labels,
    first_labels,
    has_many,
    labels_beside,
)


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

    def _read_targets(
        self, y: Any, weight: Any, incremental: bool, classes: Any, backend: Backend
    ) -> dict[str, Any]:
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
        return {
            "classes_": labels_beside(labels.classes_, backend),
            "_label_binarizer": labels,
            "_class_weight": self._weight_of_each_class(y, weight, labels, incremental),
        }

    def _labels(self) -> LabelBinarizer:
        """The labels of the training, or, where `classes_` were set by hand, those."""
        labels = self.__dict__.get("_label_binarizer")
        return LabelBinarizer().fit(inputs.host(self.classes_)) if labels is None else labels

    def _check_validation_targets(self, y: Any, known: dict[str, Any]) -> None:
        check_labels(y, known["_label_binarizer"], "y_val")

    def _compared(self, y: Any, known: dict[str, Any]) -> np.ndarray[Any, Any]:
        labels = known["_label_binarizer"]
        if has_many(labels):
            return np.asarray(labels.transform(y))
        codes: np.ndarray[Any, Any] = np.searchsorted(labels.classes_, y)
        return codes

    def _encode(self, y: Any, known: dict[str, Any], backend: Backend, dtype: Any) -> Array:
        labels, codes = known["_label_binarizer"], self._compared(y, known)
        if labels.y_type_ != "multiclass":
            return backend.asarray(codes.reshape(len(codes), -1), dtype)
        xp, index = backend.xp, backend.index_dtype()
        classes = xp.arange(len(labels.classes_), dtype=index, device=backend.device)
        return xp.astype(backend.asarray(codes, index)[:, None] == classes[None, :], dtype)

    def _smoothed(self, Y: Array, known: dict[str, Any]) -> Array:
        if not self.label_smoothing:
            return Y
        shared_by = Y.shape[1] if known["_label_binarizer"].y_type_ == "multiclass" else 2
        share = float(self.label_smoothing)
        return (1 - share) * Y + share / shared_by

    def _weight_of_each_class(
        self, y: Any, weight: Any, labels: LabelBinarizer, incremental: bool
    ) -> np.ndarray[Any, Any] | None:
        """What `class_weight` says of each class; None if it says nothing, or rows have many labels."""
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: the shares of the classes in "
                "all the data are not known; accepted: a dict of weights"
            )
        if has_many(labels):
            return None
        check_class_weight(self.class_weight, labels.classes_)
        each: np.ndarray[Any, Any] = compute_class_weight(
            self.class_weight, classes=labels.classes_, y=y, sample_weight=weight
        )
        return each

    def _all_weights(self, y: Any, known: dict[str, Any], weight: Any) -> Any:
        if self.class_weight is None:
            return weight
        if has_many(known["_label_binarizer"]):
            by_class = compute_sample_weight(self.class_weight, y)
        else:
            by_class = known["_class_weight"][self._compared(y, known)]
        return by_class if weight is None else weight * by_class

    def _output(self, known: dict[str, Any]) -> tuple[Activation, Loss]:
        is_multiclass = known["_label_binarizer"].y_type_ == "multiclass"
        g = ACTIVATIONS["softmax" if is_multiclass else "sigmoid"]
        if isinstance(self.loss, Loss):
            matched = self.loss.matched
            is_probability = matched in (ACTIVATIONS["sigmoid"], ACTIVATIONS["softmax"])
            return matched if matched is not None and is_probability else g, self.loss
        return g, LOG_LOSS if is_multiclass else BINARY_LOG_LOSS

    # ---- predictions --------------------------------------------------------------------------------

    def _decide(self, A: Array) -> Array:
        """The number of each row's class; for many labels a row, 1 for those it has and else 0."""
        backend = of(A)
        xp, labels, index = backend.xp, self._labels(), backend.index_dtype()
        if labels.y_type_ == "multiclass":
            return xp.astype(xp.argmax(A, axis=1), index)
        is_on = xp.astype(A > 0.5, index)
        return is_on if has_many(labels) else is_on[:, 0] * (len(labels.classes_) - 1)

    def _score_outputs(self, y: Any, A: np.ndarray[Any, Any], weight: Any) -> float:
        return self._score(y, self._decide(A), weight)

    def _score(self, y: Any, predicted: Any, weight: Any) -> float:
        return float(accuracy_score(y, predicted, sample_weight=weight))

    @documented(docs.PREDICT_CLASSIFIER)
    def predict(self, X: Any) -> Array:
        A, to_host = self._compute(X, "predict")
        labels = self._labels()
        if labels.sparse_input_:  # as y was
            return labels.inverse_transform(inputs.host(A))
        codes = self._decide(self._hand_back(A, to_host))
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
