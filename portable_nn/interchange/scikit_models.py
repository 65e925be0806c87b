"""scikit-learn: its MLPs, both ways; imported when they are asked for."""

from __future__ import annotations

from typing import Any


def from_sklearn(estimator: Any) -> Any:
    """scikit-learn's fitted MLP as ours: the same predictions, parameters and attributes.

    The optimizer's arrays are not carried over: `partial_fit` begins with new ones.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        Fitted. Of a pipeline or a search give the MLP in it.

    Returns
    -------
    estimator : portable_nn.MLPClassifier or MLPRegressor
        On the host, with copies of the weights; `to_sklearn` is its way back.

    Raises
    ------
    TypeError
        For another thing.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> import portable_nn as pnn
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> theirs = MLPRegressor(hidden_layer_sizes=(4,), tol=1.0, random_state=0).fit(X, X[:, 0])
    >>> ours = pnn.interchange.from_sklearn(theirs)
    >>> bool(np.allclose(ours.predict(X), theirs.predict(X)))
    True
    """
    from portable_nn.estimators.scikit_import import fitted_twin  # noqa: PLC0415

    return fitted_twin(estimator)


def to_sklearn(estimator: Any) -> Any:
    """Our fitted MLPClassifier or MLPRegressor as scikit-learn's; see its method `to_sklearn`.

    Parameters
    ----------
    estimator : portable_nn.MLPClassifier or MLPRegressor

    Returns
    -------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    TypeError
        For another thing, such as (net, params).

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> ours = pnn.MLPRegressor(hidden_layer_sizes=(4,), tol=1.0, random_state=0).fit(X, X[:, 0])
    >>> theirs = pnn.interchange.to_sklearn(ours)
    >>> type(theirs).__module__.partition(".")[0], bool(np.allclose(ours.predict(X), theirs.predict(X)))
    ('sklearn', True)
    """
    if not hasattr(estimator, "to_sklearn"):
        raise TypeError(
            f"`estimator` is a {type(estimator).__module__}.{type(estimator).__qualname__}; accepted: a "
            "fitted portable_nn.MLPClassifier or MLPRegressor"
        )
    return estimator.to_sklearn()
