"""The texts that docstrings of both estimators share, and the template that puts them in.

A docstring has a line ``{{name}}`` where the text of that name belongs, indented as that line is. A name
that is not known, or a docstring without such a line, is an error when the module is imported.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

Documented = TypeVar("Documented", bound=Any)
NO_MORE: Mapping[str, str] = MappingProxyType({})
PLACE = re.compile(r"^( *)\{\{(\w+)\}\}$", re.MULTILINE)


def with_shared_texts(documented: Documented, more: Mapping[str, str] = NO_MORE) -> Documented:
    """A decorator that puts the shared texts, and `more`, into the docstring of what it decorates."""
    if documented.__doc__ is not None:  # it is None under python -OO
        documented.__doc__ = filled(documented.__doc__, more)
    return documented


def filled(docstring: str, more: Mapping[str, str] = NO_MORE) -> str:
    """The docstring with its places filled; KeyError or ValueError where one cannot be."""
    texts = TEXTS | dict(more)
    text, count = PLACE.subn(lambda place: textwrap.indent(texts[place[2]], place[1]), docstring)
    if not count or "{{" in text:
        raise ValueError(f"a docstring without a line of the form {{{{name}}}}: {docstring[:60]!r}")
    return text


TEXTS = {
    "parameters_of_scikit_learn": """\
hidden_layer_sizes : int or array-like of int, default=(100,)
    The units of each hidden layer; () for none.

activation : str, Activation, or list of them, default='relu'
    Of all hidden layers, or one for each: 'identity', 'logistic' (or 'sigmoid'), 'tanh', 'relu',
    'leaky_relu', 'softmax', 'elu', 'selu', 'exp', 'softplus', 'silu', 'gelu' (in its tanh form),
    'mish', 'hard_swish', or a user-defined `portable_nn.Activation`. 'relu' has scikit-learn's
    derivative at z = 0, which is 0; ``portable_nn.relu()`` has that of the source, 1.

solver : {'adam', 'sgd', 'lbfgs', 'adamw', 'rmsprop'}, default='adam'
    'lbfgs' is SciPy's quasi-Newton method, on all the data at once; the others use mini-batches.

alpha : float, default=0.0001
    The strength of the L2 penalty, alpha / (2 B) sum ||W||^2 for a batch of B rows (for weighted rows, B
    is the sum of their weights).

batch_size : int or 'auto', default='auto'
    Rows of a mini-batch; 'auto' is min(200, n_samples). The last batch of an epoch takes the rest.

learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
    For the solver 'sgd'. 'constant': learning_rate_init. 'invscaling': after each epoch
    learning_rate_init / (t_ + 1)^power_t. 'adaptive': divided by 5, down to 1e-6, whenever the loss has
    not improved by `tol` for `n_iter_no_change` epochs.

learning_rate_init : float, default=0.001
    The learning rate at the beginning; not for 'lbfgs'.

power_t : float, default=0.5
    The exponent of 'invscaling'.

max_iter : int, default=200
    The largest number of epochs; for 'lbfgs', of iterations.

shuffle : bool, default=True
    Whether the rows are shuffled before each epoch.

random_state : int, RandomState instance or None, default=None
    Draws the initial weights, the validation split, the shuffles and the dropout masks, in this order,
    on the host: the same on every backend, and the same as in scikit-learn.

tol : float, default=1e-4
    Training ends when the loss (with `early_stopping`, the validation score) has not been better than
    the best by `tol` for more than `n_iter_no_change` epochs. For 'lbfgs', the largest component of the
    gradient at which to stop.

verbose : bool or 'bar', default=False
    Whether to print the loss of each epoch, or of each iteration of 'lbfgs'; 'bar' shows a progress bar
    instead, which needs tqdm.

warm_start : bool, default=False
    Whether `fit` continues from the last solution instead of starting anew.

momentum : float, default=0.9
    In [0, 1], for 'sgd'.

nesterovs_momentum : bool, default=True
    Whether momentum looks ahead, for 'sgd'.

early_stopping : bool, default=False
    Whether to judge each epoch by a validation score, to stop when it no longer rises, and to keep the
    weights with the best score. The data is `X_val`, `y_val` if they are given, else a share
    `validation_fraction` of the training data, set aside. Not for 'lbfgs'.

validation_fraction : float, default=0.1
    The share that `early_stopping` sets aside.

beta_1, beta_2 : float, default=0.9, 0.999
    In [0, 1): how much of the running means is kept, for 'adam' and 'adamw'.

epsilon : float, default=1e-8
    Keeps divisions finite, for 'adam', 'adamw' and 'rmsprop'. As in scikit-learn 'adam' adds it before
    the bias is corrected, 'adamw' after it.

n_iter_no_change : int or numpy.inf, default=10
    See `tol`.

max_fun : int, default=15000
    The largest number of evaluations of the loss, for 'lbfgs'.""",
    "parameters_of_classifiers": """\
loss : {'log_loss'} or Loss, default='log_loss'
    'log_loss' is the cross-entropy. A user-defined `portable_nn.Loss` is used with its matched output
    activation, or with softmax (for two classes or many labels: sigmoid).

class_weight : dict, 'balanced', list of dicts or None, default=None
    Weights of the classes, which multiply the `sample_weight`, of the validation data too. 'balanced':
    inverse to how often the classes occur (each row counted by its `sample_weight`). A list of dicts,
    one per column, for targets with many labels a row. A class without a weight weighs 1; a weight for
    a class that y lacks counts for nothing.

label_smoothing : float, default=0.0
    In [0, 1): the share of each target that is spread over all classes (Szegedy et al., 2016).""",
    "loss_of_regressors": """\
loss : str or Loss, default='squared_error'
    'squared_error' (half of it, the mean over the outputs), 'poisson' (half the deviance; the outputs
    are exponentials, y >= 0), 'absolute_error', 'huber' (squared up to 1, then absolute), 'pinball' (for
    `quantile`), or a `portable_nn.Loss`, such as ``portable_nn.huber(delta)``, used with its matched
    output activation, or with none. All but 'squared_error' are summed over the outputs.""",
    "quantile": """\
quantile : float, default=0.5
    The quantile of y, in (0, 1), that the loss 'pinball' makes the predictions.""",
    "further_parameters": """\
dropout : float or callable, or list of these, default=0.0
    The probability, in [0, 1), of leaving a unit out for a row of a batch, for all hidden layers or for
    each; or a schedule, a function of the number of updates made, that gives it. Training only; what is
    kept is divided by 1 - dropout. Not for 'lbfgs'.

weight_decay : float, default=0.01
    The decay of all parameters apart from the gradient, for 'adamw'.

rho : float, default=0.9
    In [0, 1): how much of the running mean is kept, for 'rmsprop'.

clip_norm : float or None, default=None
    The largest norm of the gradient, over all parameters together; a longer gradient is shortened to it.
    Not for 'lbfgs'.

schedule : callable or None, default=None
    ``schedule(step)`` is the learning rate of update 0, 1, ..., see `portable_nn.schedules`; for every
    solver but 'lbfgs'. While a rate near 0 brings nothing, epochs count towards `n_iter_no_change`.

scoring : str, callable or None, default=None
    The validation score, any scorer of scikit-learn; None: accuracy of a classifier, R^2 of a regressor.
    It is called with host arrays and, if it accepts them, with the weights of the rows.

callbacks : list or None, default=None
    Objects with ``on_epoch_end(state)`` (see `portable_nn.Callback`; ``state.stop()`` ends the
    training), and, with scikit-learn 1.9 or newer, callbacks of its own protocol, such as
    `sklearn.callback.ProgressBar`; those of `set_callbacks` are called too. `clone`, and so a grid
    search, copies them.

max_time : float or None, default=None
    Seconds after which `fit` begins no further epoch; a ConvergenceWarning says so.

backend : str, Backend or None, default=None
    None: train on the device of X. A name (see `portable_nn.backends.names`): host data is moved there,
    and results come back to the host. A fitted estimator stays where it is: move it with `to`.

device : optional
    The device of `backend`, by its name; None: its default.""",
    "attributes": """\
coefs_ : list of arrays of shape (n_in, n_out)
    The weights of each layer, on the device of X and with its dtype.

intercepts_ : list of arrays of shape (n_out,)
    The biases of each layer.

loss_ : float
    The last loss.

loss_curve_ : list of float
    The loss of each epoch: the mean over its batches, before their updates, with the penalty. For
    'lbfgs', the loss after each iteration.

best_loss_ : float or None
    The lowest of them; None with `early_stopping`. Not for 'lbfgs'.

validation_scores_ : list of float or None
    The validation score after each epoch (NaN for epochs of an earlier call that had no validation
    data); None without validation data. Not for 'lbfgs'.

validation_loss_curve_ : list of float or None
    The loss of the validation data after each epoch, without the penalty; likewise.

best_validation_score_ : float or None
    The best score of all calls; None without `early_stopping`. `coefs_` are those of the best epoch of
    the last call that reached it, or of its last epoch.

stopped_early_ : bool
    Whether the last call of `fit` or `partial_fit` ended because the validation score no longer rose.
    Not for 'lbfgs'.

n_iter_ : int
    Epochs, or iterations of 'lbfgs', of the last call.

t_ : int
    Rows learned from, each counted as often as it was.

n_features_in_ : int
    Features of X.

feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, if X had names that are all strings.

n_layers_ : int
    Layers, the inputs being one.

n_outputs_ : int
    Outputs.

out_activation_ : str
    The activation of the outputs.""",
    "notes": """\
X may be an array of NumPy, CuPy, PyTorch, JAX, array_api_strict or a user-defined backend, on any of its
devices, or host data of any other kind (lists, frames, sparse matrices). Training and predictions
happen there, with float32 or float64 as X has it; floating X is not copied, except for a share that is
set aside. Sparse X stays sparse, on the CPU. Labels, weights, random numbers and the outputs for
validation data go between host and device, and, for a scorer, that data; for 'lbfgs' the parameters. A
pickle holds NumPy arrays and loads on machines without the library of the training; `to` moves a fitted
estimator.

Parameters set after `fit` count from the next call of `fit` or `partial_fit` on: predictions are those
of what was trained. With scikit-learn's own parameters, on float64 NumPy data and from the same
`random_state`, the losses, weights and predictions are those of scikit-learn but for rounding.""",
    "training_data": """\
X : array-like or sparse matrix of shape (n_samples, n_features)
    The rows to learn from; the work is done on their device.
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    Their labels or values, on the host or on any device.
sample_weight : array-like of shape (n_samples,), default=None
    How much each row counts.""",
    "validation_data": """\
X_val, y_val : array-like, default=None
    Validation data, of the kind of X and y: judged after each epoch (`validation_scores_`,
    `validation_loss_curve_`), and what `early_stopping` goes by. Not for the solver 'lbfgs'. A pipeline
    transforms X alone, and X_val too where it is told to, with ``enable_metadata_routing=True`` in
    scikit-learn's configuration: ``Pipeline(steps, transform_input=["X_val"]).fit(X, y, X_val=X_val,
    y_val=y_val)``. A warning tells where much of X_val is outside the range of X.""",
    "validation_weight": """\
sample_weight_val : array-like of shape (n_samples_val,), default=None
    How much each row of the validation data counts.""",
    "needed_validation": """\
    With `early_stopping` they are needed: after more than `n_iter_no_change` calls without a better
    score the best weights are restored, and `stopped_early_` is True.""",
    "raises_of_fit": """\
Raises
------
TypeError, ValueError
    For what scikit-learn refuses, in its words, and for arrays on different devices, before the
    estimator has changed.
NonFiniteCostError
    A ValueError, when the loss or a weight becomes NaN or infinite; the weights before it are kept.""",
    "rows": """\
X : array-like or sparse matrix of shape (n_samples, n_features)
    On the device of the X of `fit` or, if that was host data, on the host.""",
    "raises_of_predict": """\
Raises
------
ValueError
    If X is on another device; the message names `to`.""",
}
