"""The targets of one data set: y, checked and encoded once, as the loss and the score take it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer

from portable_nn.backends import Backend
from portable_nn.checks import check_values
from portable_nn.equations import ACTIVATIONS, Activation, Array, Loss
from portable_nn.equations.scikit_losses import BINARY_LOG_LOSS, LOG_LOSS
from portable_nn.estimators import inputs
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.conventions import regression_loss
from portable_nn.estimators.labels import check_labels, class_weights, decide, has_many
from portable_nn.network.parameters import class_indices

Host = np.ndarray[Any, Any]


class Encoded(NamedTuple):
    """Y (n, n_outputs) on the device; with `classes`, (n, 1): the index of each row's class."""

    Y: Array
    classes: Array | None = None

    @property
    def n_outputs(self) -> int:
        """How many outputs there are."""
        return int(self.Y.shape[1] if self.classes is None else self.classes.shape[0])


class Targets(ABC):
    """y, as scikit-learn's checks left it; `weight` is what each row counts, on the host, or None.

    `attributes` are the fitted attributes that the targets decide; `smoothing` is the share of them that
    is spread over all classes.
    """

    y: Any
    weight: Host | None
    attributes: dict[str, Any]
    smoothing: float = 0.0

    @abstractmethod
    def encode(self, backend: Backend, dtype: Any, name: str = "y") -> Encoded:
        """Y on the device; ValueError for a value without a meaning for the loss."""

    @abstractmethod
    def output(self) -> tuple[Activation, Loss]:
        """The output layer's activation, and the loss."""

    @abstractmethod
    def score(self, A: Host) -> float:
        """scikit-learn's score of the outputs A (n, n_outputs) for these targets."""

    @abstractmethod
    def others(self, y: Any, weight: Host | None) -> Targets:
        """Those of validation data, checked by what is known of these."""

    @abstractmethod
    def some(self, rows: Host, weight: Host | None) -> Self:
        """Those of some rows."""

    @property
    def strata(self) -> Host | None:
        """What a share that is set aside is stratified by."""
        return None


class ClassTargets(Targets):
    """Labels; `codes` has the number of each row's class or, with many labels a row, 0 and 1."""

    def __init__(
        self, estimator: MLPAttributes, y: Any, weight: Host | None, labels: LabelBinarizer
    ) -> None:
        self.estimator, self.y, self.labels = estimator, y, labels
        self.is_multiclass = labels.y_type_ == "multiclass"
        self.codes: Host
        if has_many(labels):
            self.codes = np.asarray(labels.transform(y))
        else:
            self.codes = np.searchsorted(labels.classes_, y)
        self.weight, self.smoothing = weight, float(estimator.label_smoothing)
        self.attributes = {"_label_binarizer": labels}
        self.of_class: list[Host] | None = None

    @property
    def columns(self) -> Host:
        """The numbers of the classes in columns: one, or one for each of many labels."""
        return self.codes.reshape(len(self.codes), -1)

    def weigh(self, of_class: list[Host] | None) -> Self:
        """Weigh the rows by the weights of the classes in each column, see `weight_of_each_class`."""
        self.of_class = of_class
        if of_class is None:
            return self
        with np.errstate(over="ignore"):  # the sum of the weights is checked later
            for column, each in zip(self.columns.T, of_class, strict=True):
                of_row = each[column]
                self.weight = of_row if self.weight is None else self.weight * of_row
        return self

    def weight_of_each_class(self, incremental: bool) -> list[Host] | None:
        """What `class_weight` says of the classes in each column; None if it says nothing.

        The weights of rows count for "balanced", also with many labels a row, where a column has the
        classes 0 and 1. A class that lacks rows, or whose rows weigh nothing, weighs nothing.
        """
        given = self.estimator.class_weight
        if given is None:
            return None
        if incremental and given == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: the shares of the classes in "
                "all the data are not known; accepted: a dict of weights"
            )
        if has_many(self.labels):
            classes = [np.arange(2)] * self.columns.shape[1]
        else:
            classes = [self.labels.classes_]
        return class_weights(given, classes, self.columns, self.weight, has_many(self.labels))

    def encode(self, backend: Backend, dtype: Any, name: str = "y") -> Encoded:
        if self.is_multiclass:  # every loss has a meaning for the one-hot rows that batches make of it
            codes = backend.asarray(self.codes[:, None], backend.index_dtype())
            return Encoded(codes, class_indices(backend, len(self.labels.classes_)))
        Y = backend.asarray(self.codes.reshape(len(self.codes), -1), dtype)
        if isinstance(self.estimator.loss, Loss):  # ours has a meaning for 0 and 1
            check_values(backend, {name: Y}, self.estimator.loss, name)
        return Encoded(Y)

    def output(self) -> tuple[Activation, Loss]:
        g, loss = ACTIVATIONS["softmax" if self.is_multiclass else "sigmoid"], self.estimator.loss
        if isinstance(loss, Loss):
            is_probability = loss.matched in (ACTIVATIONS["sigmoid"], ACTIVATIONS["softmax"])
            return loss.matched if loss.matched is not None and is_probability else g, loss
        return g, LOG_LOSS if self.is_multiclass else BINARY_LOG_LOSS

    def score(self, A: Host) -> float:
        return float(accuracy_score(self.codes, decide(self.labels, A), sample_weight=self.weight))

    def others(self, y: Any, weight: Host | None) -> Targets:
        check_labels(y, self.labels, "y_val")
        return ClassTargets(self.estimator, y, weight, self.labels).weigh(self.of_class)

    def some(self, rows: Host, weight: Host | None) -> Self:
        part = type(self)(self.estimator, self.y[rows], weight, self.labels)
        part.of_class = self.of_class
        return part

    @property
    def strata(self) -> Host | None:
        """The two classes; none for many classes or many labels, as in scikit-learn."""
        is_one_column = self.codes.ndim == 1 and not self.is_multiclass
        return self.codes.reshape(-1, 1).astype(bool) if is_one_column else None


class ValueTargets(Targets):
    """Numbers, of one output or of many; y may be on the device of X."""

    def __init__(self, estimator: MLPAttributes, y: Any, weight: Host | None) -> None:
        if issparse(y) or (isinstance(y, np.ndarray) and y.dtype.kind not in "biuf"):
            given = "sparse" if issparse(y) else f"of dtype {y.dtype}"
            raise TypeError(f"y is {given}; accepted: a dense array of numbers")
        if isinstance(y, np.ndarray) and y.dtype == np.longdouble:  # which other libraries lack
            y = y.astype(np.float64)
        self.estimator, self.y, self.weight = estimator, y, weight
        self.attributes = {}

    def encode(self, backend: Backend, dtype: Any, name: str = "y") -> Encoded:
        Y = backend.asarray(self.y if self.y.ndim == 2 else self.y[:, None], dtype)
        check_values(backend, {name: Y}, self.output()[1], name)
        return Encoded(Y)

    def output(self) -> tuple[Activation, Loss]:
        loss = regression_loss(self.estimator.loss, self.estimator.quantile)
        return loss.matched or ACTIVATIONS["identity"], loss

    def score(self, A: Host) -> float:
        if not np.isfinite(A).all():
            return float("nan")
        predicted = A[:, 0] if A.shape[1] == 1 else A
        return float(r2_score(np.asarray(inputs.host(self.y)), predicted, sample_weight=self.weight))

    def others(self, y: Any, weight: Host | None) -> Targets:
        return ValueTargets(self.estimator, y, weight)

    def some(self, rows: Host, weight: Host | None) -> Self:
        return type(self)(self.estimator, inputs.host(self.y)[rows], weight)
