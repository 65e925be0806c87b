"""Classes of the rows of a table."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelEncoder
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight

from portable_nn.backends import of
from portable_nn.ensembles import conformal
from portable_nn.ensembles.stacked import mean_of
from portable_nn.equations import Array
from portable_nn.estimators import inputs
from portable_nn.estimators.constraints import store
from portable_nn.estimators.labels import place_labels
from portable_nn.tabular.base import CONSTRAINTS, BaseTabular
from portable_nn.tabular.calibration import class_scores, fit_temperature, tempered
from portable_nn.tabular.columns import Host
from portable_nn.tabular.docs import with_texts
from portable_nn.tabular.given import check_every_class, labels_of
from portable_nn.tabular.preset import Preset, preset_of_classes
from portable_nn.tabular.training import Rows


@with_texts
class TabularClassifier(ClassifierMixin, BaseTabular):
    """Classes of the rows of a table: frames or arrays in, calibrated probabilities out; no tuning.

    Several networks are trained in one pass, with everything around them: missing values, categories,
    the scale of numbers, the rows that are set aside, and the calibration.

    Parameters
    ----------
    {{first_parameters}}

    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, which multiply the `sample_weight`. 'balanced': inverse to how often the
        classes occur.

    calibration : {'temperature'} or None, default='temperature'
        'temperature': probabilities become p^(1/T), divided by their sum, with the T that gives the
        lowest log loss on the rows set aside (Guo et al., 2017). None: as the networks say.

    {{last_parameters}}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, on the host.

    temperature_ : float
        T; 1 where nothing was set aside.

    calibration_scores_ : ndarray of shape (n_rows, 1)
        1 - p of the true class of each row set aside, sorted; if there are such rows.

    {{attributes}}

    See Also
    --------
    TabularRegressor : The same for numbers.
    ReliabilityDisplay : A picture of how well the probabilities are calibrated.
    MLPClassifier : One network, with all its settings.

    Notes
    -----
    {{notes}}

    References
    ----------
    {{references}}
    Guo et al., "On calibration of modern neural networks", 2017.
    Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import train_test_split
    >>> from portable_nn import TabularClassifier
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> clf = TabularClassifier(max_iter=32, random_state=0).fit(X, y)
    >>> clf.score(X_test, y_test) > 0.9
    True
    >>> clf.predict_set(X_test, coverage=0.9).shape
    (45, 3)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "calibration": [StrOptions({"temperature"}), None],
    }

    class_weight: Any
    calibration: str | None
    classes_: Host
    temperature_: float
    calibration_scores_: Host

    def __init__(
        self,
        preset: str = "default",
        *,
        n_estimators: int | None = None,
        max_iter: int | None = None,
        time_limit: float | None = None,
        categorical_features: Any = "from_dtype",
        class_weight: Any = None,
        calibration: str | None = "temperature",
        validation_fraction: float = 0.2,
        refit: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        backend: Any = None,
        device: Any = None,
    ) -> None:
        store(self, locals())

    # ---- targets ------------------------------------------------------------------------------------

    def _learn_targets(self, y: Any) -> Host:
        host = labels_of(y)
        encoder = LabelEncoder().fit(host)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {self.classes_.tolist()[0]!r}; accepted: two or more classes, since "
                "there is nothing to learn from one"
            )
        codes: Host = encoder.transform(host)
        return codes

    def _check_learned(self, Y: Host, learned: Host) -> None:
        check_every_class(self.classes_, Y[learned])

    def _weighed(self, weight: Host | None, Y: Host, learned: Host) -> Host | None:
        if self.class_weight is None:
            return weight
        known = self.classes_[learned]
        of_classes = compute_class_weight(self.class_weight, classes=self.classes_, y=known)
        own: Host = of_classes[Y]
        return own if weight is None else own * weight

    def _encode_targets(self, y: Any, n: int, name: str = "y_val") -> Host:
        host = labels_of(y)
        unknown = sorted({str(each) for each in np.setdiff1d(host, self.classes_)})
        if unknown or len(host) != n:
            raise ValueError(
                f"`{name}` has {len(host)} rows"
                + f" and the classes {unknown[:5]}" * bool(unknown)
                + f"; accepted: {n} rows of the classes of y"
            )
        found: Host = np.searchsorted(self.classes_, host)
        return found

    def _standardize(self, Y: Host, weight: Host | None) -> None:
        self.temperature_ = 1.0
        self.__dict__.pop("calibration_scores_", None)

    def _as_targets(self, Y: Host) -> Host:
        return Y.astype(np.int32)

    def _plan(self) -> tuple[Preset, int, str]:
        preset = self._with_own(preset_of_classes(self.preset))
        return preset, len(self.classes_), "categorical_cross_entropy"

    def _calibrate(self, rows: Rows, anew: bool) -> None:
        (P,) = self._outputs(rows.X, [mean_of])
        if anew and self.calibration is not None:
            self.temperature_ = fit_temperature(P, rows.Y, rows.weight)
        self.calibration_scores_ = class_scores(tempered(P, self.temperature_), rows.Y)

    def _probabilities(self, X: Any) -> Host:
        (P,) = self._predicted(X, [mean_of])
        return tempered(P, self.temperature_)

    # ---- predictions --------------------------------------------------------------------------------

    @with_texts
    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the classes: the mean over the networks, calibrated.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`, beside X.

        {{raises}}
        """
        return self._hand_back(self._probabilities(X), X)

    @with_texts
    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of the probabilities of the classes.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        log_probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`, beside X.

        {{raises}}
        """
        with np.errstate(divide="ignore"):  # of a probability of 0
            return self._hand_back(np.log(self._probabilities(X)), X)

    @with_texts
    def predict(self, X: Any) -> Array:
        """The most probable class of each row.

        Parameters
        ----------
        {{rows}}

        Returns
        -------
        y : array of shape (n_samples,)
            Labels: numbers beside X, labels of other kinds as a NumPy array.

        {{raises}}
        """
        codes = np.argmax(self._probabilities(X), axis=1)
        labels = self.classes_[codes]
        return labels if inputs.on_host(X) else place_labels(labels, of(X))

    @with_texts
    def predict_set(self, X: Any, coverage: float = 0.9) -> Array:
        """Classes of each row, among which the true one is with at least this probability.

        All classes whose probability is not below a bound, by split conformal prediction with the rows
        that were set aside: the probability is over rows, those and the ones to come, which have to come
        from one distribution. Where the classifier is right more often than `coverage` asks for, some
        sets are empty.

        Parameters
        ----------
        {{rows}}
        coverage : float, default=0.9
            In (0, 1).

        Returns
        -------
        sets : boolean array of shape (n_samples, n_classes)
            Whether each class, in the order of `classes_`, is in the set of the row; beside X.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted, or no rows were set aside.
        ValueError
            If so few rows were that no smaller set has this coverage, and as `predict`.

        References
        ----------
        Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error levels",
        2019.
        """
        self._check_calibrated("predict_set")
        scores = self.calibration_scores_
        share = conformal.check_share("coverage", coverage, len(scores))
        largest = conformal.upper_score(scores, share)
        found = 1 - self._probabilities(X) <= largest
        return found if inputs.on_host(X) else of(X).asarray(found)

    @with_texts
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy.

        Parameters
        ----------
        {{rows}}
        y : array-like of shape (n_samples,)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        weight = None if sample_weight is None else inputs.host(sample_weight)
        return float(accuracy_score(inputs.host(y), inputs.host(self.predict(X)), sample_weight=weight))
