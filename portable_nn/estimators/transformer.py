"""What an MLP has learned, as features for other estimators."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from portable_nn.equations import Array
from portable_nn.estimators.fitting import BaseMLP


class MLPTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The activations of a layer of an MLP as features: learned from X and y, computed for any X.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        What learns; a copy of it is fitted.
    layer : int, default=-2
        Which layer's activations: 0 is the first hidden layer, -2 the last one, -1 the outputs.

    Attributes
    ----------
    estimator_ : MLPClassifier or MLPRegressor
        The fitted copy.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        If X has names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from portable_nn import MLPClassifier, MLPTransformer
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((5,), max_iter=9, tol=1.0, n_iter_no_change=3, random_state=0)
    >>> MLPTransformer(net).fit_transform(X, y).shape
    (150, 5)
    """

    def __init__(self, estimator: Any, *, layer: int = -2) -> None:
        self.estimator = estimator
        self.layer = layer

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit a copy of the estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **fit_params : dict
            Passed to its `fit`: `sample_weight`, `X_val`, `y_val`.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If the estimator is none of the two, or the layer no whole number.
        ValueError
            If there is no such layer, and whatever the estimator's `fit` raises.
        """
        if not isinstance(self.estimator, BaseMLP):
            raise TypeError(
                f"`estimator` is a {type(self.estimator).__module__}.{type(self.estimator).__name__}; "
                "accepted: a portable_nn.MLPClassifier or MLPRegressor"
            )
        if not isinstance(self.layer, Integral) or isinstance(self.layer, bool):
            raise TypeError(f"`layer` is {self.layer!r}; accepted: a whole number, such as -2")
        fitted = clone(self.estimator).fit(X, y, **fit_params)
        layers = len(fitted.coefs_)
        if not -layers <= self.layer < layers:
            raise ValueError(
                f"`layer` is {self.layer}, and the network has {layers} layer(s), the output's included;"
                f" accepted: {-layers} to {layers - 1}"
            )
        self.estimator_: Any = fitted
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        return self

    def transform(self, X: Any) -> Array:
        """The activations of the layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X_new : array of shape (n_samples, n_units)
            On the device of X.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If X has other columns than in `fit`, or is on another device.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.activations(X)[self.layer]  # type: ignore[no-any-return]

    @property
    def _n_features_out(self) -> int:
        return int(self.estimator_.coefs_[self.layer].shape[1])

    def __sklearn_tags__(self) -> Any:
        tags, of_net = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.target_tags.required = True
        tags.input_tags.sparse = of_net.input_tags.sparse
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
