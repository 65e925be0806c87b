"""The public docstrings of the estimators, in numpydoc's form: what both share stands here once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def documented(text: str) -> Callable[[F], F]:
    """A decorator that gives a function its docstring."""

    def document(function: F) -> F:
        function.__doc__ = text
        return function

    return document


PARAMETERS = """\
    hidden_layer_sizes : int or array-like of int, default=(100,)
        The units of each hidden layer; () for none.

    activation : str, Activation, or list of them, default='relu'
        Of all hidden layers, or one for each: 'identity', 'logistic' (or 'sigmoid'), 'tanh', 'relu',
        'leaky_relu', 'softmax', 'elu', 'selu', 'exp', 'softplus', 'silu', 'gelu' (in its tanh form), or
        a `portable_nn.Activation` of one's own.

    solver : {'adam', 'sgd', 'lbfgs', 'adamw', 'rmsprop'}, default='adam'
        'lbfgs' is SciPy's quasi-Newton method, on all the data at once; the others work on mini-batches.

    alpha : float, default=0.0001
        The strength of the L2 penalty, alpha / (2 B) sum ||W||^2 for a batch of B rows (for weighted
        rows, B is the sum of their weights).

    batch_size : int or 'auto', default='auto'
        Rows of a mini-batch; 'auto' is min(200, n_samples). The last one of an epoch takes what is left.

    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        For the solver 'sgd'. 'constant': learning_rate_init. 'invscaling': after each epoch
        learning_rate_init / (t_ + 1)^power_t. 'adaptive': divided by 5 whenever training has not got on
        by `tol` for `n_iter_no_change` epochs, down to 1e-6.

    learning_rate_init : float, default=0.001
        The learning rate at the beginning; not for 'lbfgs'.

    power_t : float, default=0.5
        The exponent of 'invscaling'.

    max_iter : int, default=200
        At most so many epochs; for 'lbfgs', iterations.

    shuffle : bool, default=True
        Whether the rows are shuffled before each epoch.

    random_state : int, RandomState instance or None, default=None
        What initial weights, the validation split, the shuffles and the dropout masks are drawn with, in
        this order, on the host: the same on every backend, and the same as in scikit-learn.

    tol : float, default=1e-4
        A loss (with `early_stopping`, a validation score) that is not better than the best by `tol` for
        more than `n_iter_no_change` epochs ends the training. For 'lbfgs', the largest component of the
        gradient at which to stop.

    verbose : bool, default=False
        Whether to print the loss of each epoch; not for 'lbfgs'.

    warm_start : bool, default=False
        Whether `fit` goes on from the last solution in place of beginning anew.

    momentum : float, default=0.9
        In [0, 1], for 'sgd'.

    nesterovs_momentum : bool, default=True
        Whether momentum looks ahead, for 'sgd'.

    early_stopping : bool, default=False
        Whether to judge each epoch by a validation score, to stop when it no longer rises, and to keep
        the weights that scored best. The data is `X_val`, `y_val` if they are given, else a share
        `validation_fraction` of the training data, set aside. Not for 'lbfgs'.

    validation_fraction : float, default=0.1
        The share that `early_stopping` sets aside.

    beta_1, beta_2 : float, default=0.9, 0.999
        In [0, 1): how much of the running means is kept, for 'adam' and 'adamw'.

    epsilon : float, default=1e-8
        Keeps divisions finite, for 'adam', 'adamw' and 'rmsprop'. As in scikit-learn 'adam' adds it
        before the bias is corrected, 'adamw' after it.

    n_iter_no_change : int or numpy.inf, default=10
        See `tol`.

    max_fun : int, default=15000
        At most so many evaluations of the loss, for 'lbfgs'.
"""

BEYOND = """\
    dropout : float or list of float, default=0.0
        The share, in [0, 1), of units left out at random for each row of a batch, of all hidden layers
        or of each. Training only; what is kept is divided by 1 - dropout. Not for 'lbfgs'.

    weight_decay : float, default=0.01
        The decay of all parameters apart from the gradient, for 'adamw'.

    rho : float, default=0.9
        In [0, 1): how much of the running mean is kept, for 'rmsprop'.

    clip_norm : float or None, default=None
        A gradient whose norm, over all parameters together, is larger is shortened to it. Not for
        'lbfgs'.

    schedule : callable or None, default=None
        ``schedule(step)`` is the learning rate of update 0, 1, ..., see `portable_nn.schedules`; for
        every solver but 'lbfgs'.

    scoring : str, callable or None, default=None
        The validation score, any scorer of scikit-learn; None: {score}. It is handed host arrays, and
        the weights of the rows, if there are any and it takes them.

    callbacks : list or None, default=None
        Objects with ``on_epoch_end(state)`` (see `portable_nn.Callback`; ``state.stop()`` ends the
        training), and callbacks of scikit-learn's own protocol, such as `sklearn.callback.ProgressBar`;
        those of `set_callbacks` are called too. `clone`, and so a grid search, copies them.

    max_time : float or None, default=None
        Seconds after which `fit` begins no further epoch; a ConvergenceWarning says so.

    backend : str, Backend or None, default=None
        None: train where X lies. A name (see `portable_nn.backends.names`): host data is taken there,
        and results come back to the host. A fitted estimator stays where it is: move it with `to`.

    device : optional
        The device of `backend`, by its name; None: its default.
"""

ATTRIBUTES = """\
    coefs_ : list of arrays of shape (n_in, n_out)
        The weights of each layer, where X lies and with its dtype.

    intercepts_ : list of arrays of shape (n_out,)
        The biases of each layer.

    loss_ : float
        The last loss.

    loss_curve_ : list of float
        The loss of each epoch: the mean of its batches', before their updates, with the penalty. For
        'lbfgs', the loss after each iteration.

    best_loss_ : float or None
        The lowest of them; None with `early_stopping`. Not for 'lbfgs'.

    validation_scores_ : list of float or None
        The validation score after each epoch (NaN for epochs of an earlier call that had no validation
        data); None without validation data. Not for 'lbfgs'.

    validation_loss_curve_ : list of float or None
        The loss of the validation data after each epoch, without the penalty; likewise.

    best_validation_score_ : float or None
        The best score of all calls; None without `early_stopping`. `coefs_` are those of the best epoch
        of the last call that reached it, or of its last epoch.

    stopped_early_ : bool
        Whether the last call of `fit` or `partial_fit` ended because the validation score no longer
        rose. Not for 'lbfgs'.

    n_iter_ : int
        Epochs, or iterations of 'lbfgs', of the last call.

    t_ : int
        Rows learned from, each as often as it was.

    n_features_in_ : int
        Features of X.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if X had names that are all strings.

    n_layers_ : int
        Layers, the inputs being one.

    n_outputs_ : int
        Outputs.

    out_activation_ : str
        The activation of the outputs.
"""

WHERE = """\
    X may be of NumPy, CuPy, PyTorch, JAX, array_api_strict or a backend of one's own, on any of its
    devices, or host data of any other kind (lists, frames, sparse matrices). Training and predictions
    happen there, with float32 or float64 as X has it; floating X is not copied but for a share that is
    set aside. Sparse X stays sparse, on the CPU. Labels, weights, random numbers and the outputs for
    validation data go between host and device, and, for a scorer, that data; for 'lbfgs' the
    parameters. A pickle holds NumPy arrays and needs the library of the training nowhere; `to` moves a
    fitted estimator.

    Parameters set after `fit` count from the next call of `fit` or `partial_fit` on: predictions are
    those of what was trained. With scikit-learn's own parameters, on float64 NumPy data and from the
    same `random_state`, the losses, weights and predictions are those of scikit-learn but for rounding.
"""

CLASSIFIER = (
    """A multi-layer perceptron that classifies: scikit-learn's, on any array.

    Every parameter, attribute, warning and message is that of `sklearn.neural_network.MLPClassifier`
    1.9; the parameters from `loss` on are more.

    Parameters
    ----------
"""
    + PARAMETERS
    + """
    loss : {'log_loss'} or Loss, default='log_loss'
        'log_loss' is the cross-entropy. A `portable_nn.Loss` of one's own is used with its matched
        output activation, or with softmax (for two classes or many labels: sigmoid).

    class_weight : dict, 'balanced', list of dicts or None, default=None
        Weights of the classes, which multiply the `sample_weight`, of the validation data too.
        'balanced': inverse to how often the classes occur (each row counted by its `sample_weight`). A
        list of dicts, one per column, for targets with many labels a row.

    label_smoothing : float, default=0.0
        In [0, 1): the share of each target that is spread over all classes (Szegedy et al., 2016).

"""
    + BEYOND.replace("{score}", "accuracy")
    + """
    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels. Numbers lie where X does, labels of other kinds are a NumPy array.

"""
    + ATTRIBUTES
    + """
    See Also
    --------
    MLPRegressor : The same for numbers.
    LossCurveDisplay : A picture of the loss curves.

    Notes
    -----
"""
    + WHERE
    + """
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
    >>> clf = MLPClassifier((64,), dropout=0.2, class_weight="balanced", max_iter=60, tol=0.01,
    ...                     random_state=0)
    >>> clf.fit(X, y, X_val=X_test, y_val=y_test).score(X_test, y_test) > 0.96
    True
    >>> clf.predict(X_test[:5])
    array([2, 8, 2, 6, 6])
    >>> len(clf.validation_loss_curve_) == clf.n_iter_
    True
    """
)

REGRESSOR = (
    """A multi-layer perceptron that predicts numbers: scikit-learn's, on any array.

    Every parameter, attribute, warning and message is that of `sklearn.neural_network.MLPRegressor`
    1.9; the parameters from `quantile` on are more.

    Parameters
    ----------
    loss : str or Loss, default='squared_error'
        'squared_error' (half of it, the mean over the outputs), 'poisson' (half the deviance; the
        outputs are exponentials, y >= 0), 'absolute_error', 'huber' (squared up to 1, then absolute),
        'pinball' (for `quantile`), or a `portable_nn.Loss`, such as ``portable_nn.huber(delta)``, used
        with its matched output activation, or with none. All but 'squared_error' are summed over the
        outputs.

"""
    + PARAMETERS
    + """
    quantile : float, default=0.5
        Which quantile of y, in (0, 1), the loss 'pinball' makes the predictions.

"""
    + BEYOND.replace("{score}", "R^2")
    + """
    Attributes
    ----------
"""
    + ATTRIBUTES
    + """
    See Also
    --------
    MLPClassifier : The same for classes.
    LossCurveDisplay : A picture of the loss curves.

    Notes
    -----
"""
    + WHERE
    + """
    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    Huber, "Robust estimation of a location parameter", 1964.
    Kingma and Ba, "Adam: A method for stochastic optimization", 2015.
    Koenker and Bassett, "Regression quantiles", 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn import MLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(2000, 1))
    >>> y = X[:, 0] ** 2 + (1 + X[:, 0]) * rng.uniform(size=2000)
    >>> options = dict(loss="pinball", solver="lbfgs", max_iter=1000, random_state=0)
    >>> low = MLPRegressor(quantile=0.1, **options).fit(X, y)
    >>> high = MLPRegressor(quantile=0.9, **options).fit(X, y)
    >>> inside = (low.predict(X) < y) & (y < high.predict(X))
    >>> bool(abs(inside.mean() - 0.8) < 0.01)
    True
    """
)

FIT = """Learn from X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows to learn from; where they lie is where the work is done.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their labels or values, on the host or on any device.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.
        X_val, y_val : array-like, default=None
            Validation data, of the kind of X and y: judged after each epoch (`validation_scores_`,
            `validation_loss_curve_`), and what `early_stopping` goes by. Not for the solver 'lbfgs'.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            How much each row of the validation data counts.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError, ValueError
            For what scikit-learn refuses, in its words, and for what lies in different places, before
            the estimator has changed.
        NonFiniteCostError
            A ValueError, when the loss or a weight becomes NaN or infinite; the weights before it are
            kept.
        """

_PARTIAL_FIT = FIT.replace("Learn from X and y.", "Learn from X and y, one epoch more.")
PARTIAL_FIT_REGRESSOR = _PARTIAL_FIT.replace(
    """        sample_weight_val :""",
    """            With `early_stopping` they are needed: after more than `n_iter_no_change` calls
            without a better score the best weights are put back, and `stopped_early_` is True.
        sample_weight_val :""",
)
PARTIAL_FIT_CLASSIFIER = PARTIAL_FIT_REGRESSOR.replace(
    """        X_val, y_val : array-like, default=None
""",
    """        classes : array-like of shape (n_classes,), default=None
            All labels there are; needed at the first call, but for targets with many labels a row.
        X_val, y_val : array-like, default=None
""",
    1,
)

_ROWS = """

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Where the X of `fit` was, or, if that was host data, on the host.

        Returns
        -------
"""
_RAISES = """
        Raises
        ------
        ValueError
            If X lies elsewhere; the message names `to`.
        """
PREDICT_CLASSIFIER = (
    "The most probable class of each row; for targets with many labels a row, each label's 0 or 1."
    + _ROWS
    + """        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Labels: numbers lie where X does, labels of other kinds are a NumPy array.
"""
    + _RAISES
)
PREDICT_PROBA = (
    "The probabilities of the classes."
    + _ROWS
    + """        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`, where X lies.
"""
    + _RAISES
)
PREDICT_LOG_PROBA = PREDICT_PROBA.replace("The probabilities", "The logarithms of the probabilities")
PREDICT_REGRESSOR = (
    "The predicted values."
    + _ROWS
    + """        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Where X lies.
"""
    + _RAISES
)
