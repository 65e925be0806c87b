"""scikit-learn's MLPClassifier on any array."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels

from portable_nn.backends import Backend
from portable_nn.equations import Loss
from portable_nn.estimators import inputs
from portable_nn.estimators.constraints import Range, store
from portable_nn.estimators.docs import with_shared_texts
from portable_nn.estimators.fitting import BaseMLP
from portable_nn.estimators.labels import (
    check_labels,
    first_labels,
    place_labels,
)
from portable_nn.estimators.predicting import ClassPredictions
from portable_nn.estimators.targets import ClassTargets, Targets


@with_shared_texts
class MLPClassifier(ClassPredictions, ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that classifies: scikit-learn's, on any array.

    Every parameter, attribute, warning and message is that of `sklearn.neural_network.MLPClassifier`
    1.9; the parameters from `loss` on are additions.

    Parameters
    ----------
    {{parameters_of_scikit_learn}}

    {{parameters_of_classifiers}}

    {{further_parameters}}

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels: numbers on the device of X, labels of other kinds as a NumPy array.

    {{attributes}}

    See Also
    --------
    MLPRegressor : The same for numbers.
    LossCurveDisplay : A picture of the loss curves.

    Notes
    -----
    {{notes}}

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    Kingma and Ba, "Adam: A method for stochastic optimization", 2015.
    Srivastava et al., "Dropout: A simple way to prevent neural networks from overfitting", 2014.
    Szegedy et al., "Rethinking the inception architecture for computer vision", 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from portable_nn import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = MLPClassifier((64,), dropout=0.2, class_weight="balanced", tol=0.01,
    ...                     learning_rate_init=0.005, random_state=0)
    >>> clf.fit(X, y, X_val=X_test, y_val=y_test).score(X_test, y_test) > 0.96
    True
    >>> clf.predict(X_test[:5])
    array([2, 8, 2, 6, 6])
    >>> len(clf.validation_loss_curve_) == clf.n_iter_
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), Loss],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Range(Real, 0, 1, closed="left")],
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
    @with_shared_texts
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
        """Learn from X and y for one epoch more.

        Parameters
        ----------
        {{training_data}}
        classes : array-like of shape (n_classes,), default=None
            All labels there are; needed at the first call, except for targets with many labels a row.
        {{validation_data}}
        {{needed_validation}}
        {{validation_weight}}

        Returns
        -------
        self : object

        {{raises_of_fit}}
        """
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
        targets = ClassTargets(self, y, weight, labels)
        targets.weigh(targets.weight_of_each_class(incremental))
        targets.attributes["classes_"] = place_labels(labels.classes_, backend)
        return targets

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
