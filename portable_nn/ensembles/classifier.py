"""An ensemble that classifies."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.metaestimators import available_if

from portable_nn.ensembles.base import CONSTRAINTS, BaseMLPEnsemble
from portable_nn.ensembles.docs import with_texts
from portable_nn.ensembles.signatures import with_parameters_of
from portable_nn.ensembles.stacked import (
    Reduce,
    mutual_information,
    mutual_information_of_each,
    mutual_information_of_two,
)
from portable_nn.equations import Array
from portable_nn.estimators.classifier import MLPClassifier
from portable_nn.estimators.labels import has_many
from portable_nn.estimators.predicting import ClassPredictions
from portable_nn.estimators.targets import Targets


@with_texts
class MLPEnsembleClassifier(ClassPredictions, ClassifierMixin, BaseMLPEnsemble):
    """Several multi-layer perceptrons, trained in one pass, whose probabilities are averaged.

    Parameters
    ----------
    {{parameters_of_ensembles}}

    {{parameters_of_members}}

    {{parameters_of_classifiers}}

    {{further_parameters}}

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels: numbers on the device of X, labels of other kinds as a NumPy array.

    {{attributes_of_ensembles}}

    See Also
    --------
    MLPEnsembleRegressor : The same for numbers, with their uncertainty.
    MLPClassifier : One network.

    Notes
    -----
    {{notes_of_ensembles}}

    References
    ----------
    {{references_of_ensembles}}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from portable_nn import MLPEnsembleClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    >>> ensemble = MLPEnsembleClassifier(4, hidden_layer_sizes=(32,), max_iter=30, tol=0.01,
    ...                                  learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> ensemble.score(X_test, y_test) > 0.95
    True
    >>> upside_down = X_test[:, ::-1]
    >>> ensemble.decision_spread(upside_down).mean() > 2 * ensemble.decision_spread(X_test).mean()
    np.True_
    """

    _member: ClassVar[type[MLPClassifier]] = MLPClassifier
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLPClassifier._parameter_constraints,
        **CONSTRAINTS,
    }

    @with_parameters_of(MLPClassifier)
    def __init__(
        self,
        n_estimators: int = 16,
        *,
        bootstrap: bool = False,
        max_samples: float | None = None,
        sharing: str = "none",
        **of_member: Any,
    ) -> None:
        """Store the parameters."""

    @available_if(lambda e: e._member._check_solver(e))
    @_fit_context(prefer_skip_nested_validation=True)
    @with_texts
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
        """Learn from X and y for one epoch more: each member from all the rows.

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
        return self._partial_fit(X, y, sample_weight, validation, classes)

    def _outputs_differ(self, targets: Targets) -> str | None:
        found, known = targets.attributes["_label_binarizer"], self._labels()
        if np.array_equal(found.classes_, known.classes_) and found.y_type_ == known.y_type_:
            return None
        return f"the classes {found.classes_}, not {known.classes_}"

    @with_texts
    def decision_spread(self, X: Any) -> Array:
        """How much the members disagree about the class: 0 where all have the same probabilities.

        The mutual information between the class and the choice of a member, in nats: the entropy of the
        mean of the probabilities less the mean of their entropies. It is large where the members are
        sure of different classes, as far from the training data, and small where all of them find a row
        ambiguous; the whole uncertainty is the entropy of `predict_proba`.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        spread : array of shape (n_samples,), or (n_samples, n_outputs) for many labels a row
            Up to log(min(n_classes, n_estimators)); on the device of X.

        {{raises_of_predict}}

        References
        ----------
        Smith and Gal, "Understanding measures of uncertainty for adversarial example detection", 2018.
        """
        measure: Reduce = mutual_information
        if self.__dict__.get("n_outputs_") == 1:
            measure = mutual_information_of_two
        if "estimators_" in vars(self) and has_many(self._labels()):
            measure = mutual_information_of_each
        (found,), to_host = self._reduced(X, "decision_spread", [measure])
        return self._hand_back(found, to_host)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
