"""The texts that docstrings of both estimators of tables share."""

from __future__ import annotations

from portable_nn.estimators.docs import Documented, with_shared_texts


def with_texts(documented: Documented) -> Documented:
    """A decorator that puts the shared texts into a docstring; see `estimators/docs.py`."""
    return with_shared_texts(documented, TEXTS)


TEXTS = {
    "first_parameters": """\
preset : {'default', 'fast'}, default='default'
    The settings of the networks and their training, which need no tuning; 'fast' has half the networks
    and half the epochs, for numbers also half the bins, and takes about a third of the time.

n_estimators : int or None, default=None
    How many networks are trained, in one pass, and averaged; None: as the preset says.

max_iter : int or None, default=None
    Epochs; each network keeps the parameters of its best one. None: as the preset says.

time_limit : float or None, default=None
    Seconds that `fit` may take. The training is made shorter where it would take more: fewer epochs,
    whose schedules end in time, and if there is no time for 16 of them, fewer rows. What comes before
    the training, and 16 epochs of a batch, take their time in any case: a second or so, with JAX, which
    compiles, several. Results depend on the machine then.

categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Columns of categories: their names, their places, or a boolean for each column. Columns of strings,
    booleans and categories, and of objects that are not all numbers, are such columns in any case;
    columns of numbers are if they are named here.""",
    "last_parameters": """\
validation_fraction : float, default=0.2
    The share of the rows that `fit` sets aside, unless it is given X_val and y_val: they say which epoch
    is the best, and calibrate. Of fewer than 10 rows none is set aside.

refit : bool, default=False
    Whether the networks are trained again with all rows, for as many epochs as was best. Calibration
    stays that of the networks before. It doubles the time; with a `time_limit` it is left out where
    there is no time for it.

random_state : int, RandomState instance or None, default=None
    Draws the rows that are set aside, and a seed for each network.

verbose : bool, default=False
    Whether to show a progress bar, which needs tqdm.

backend : str, Backend or None, default=None
    Where to train: the name of an array library, see `portable_nn.backends.names`. None: where X is, for
    frames and other host data NumPy.

device : optional
    A device of that library, or its name; None: its default.""",
    "attributes": """\
n_features_in_ : int
    Columns of X.

feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, if X had names that are all strings.

n_iter_ : int
    Epochs trained.

best_epochs_ : list of int
    The epoch, from 1, that each network kept.

loss_curve_, validation_loss_curve_ : list of float
    The loss of each epoch, its mean over the networks; the second is None where nothing was set aside.

network_ : Network
    What each of the networks is.

params_ : list of tuples of arrays
    The parameters of all networks, (n_estimators, ...), wherever they are.

encoding_ : Encoding
    How a table becomes the rows of numbers that the networks take.""",
    "notes": """\
Numbers are centred at their median, divided by the distance of their quartiles, and bent by
x / sqrt(1 + (x/3)^2); a missing one is at the median, and a unit of its own says so. Categories of up to
9 levels are one-hot, others have a trained vector each; levels that were seen once, and those that come
later, have one together; a level is named by its value, where 3, 3.0 and "3" are one, as True and 1 are.
All of it is learned from the rows that are learned from, none from those set
aside. Tables are read and encoded on the host; the networks are trained in float32.

With `sample_weight` rows count by their weights, in the calibration of probabilities too, so that these
are those of the weighted rows; in sets and intervals every row counts as one. Rows of weight 0 are left
out. Names of columns are compared with those in `fit` where all are strings, as in scikit-learn.

The rows set aside choose epochs and calibrate. Where they are few, sets and intervals hold a little less
than they say: for 90%, 86 to 88% with 20 of them, 88 to 89% with 100; see `calibrate`.""",
    "references": """\
Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on
tabular data", 2024.
Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", 2022.
Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using deep
ensembles", 2017.""",
    "fit": """\
X : frame of pandas or polars, or array-like, of shape (n_samples, n_features)
    Numbers, strings, booleans and categories; values may be missing. Arrays of any library, on any
    device, are of numbers.
y : array-like of shape (n_samples,)
    The targets; for a regressor also of shape (n_samples, n_outputs).
sample_weight : array-like of shape (n_samples,), default=None
    >= 0.
groups : array-like of shape (n_samples,), default=None
    Rows of one group are set aside together, or not.
X_val, y_val : of the form of X and y, default=None
    Rows that say which epoch is the best, and calibrate; then none are set aside.
sample_weight_val : array-like, default=None
    Their weights.

Returns
-------
self : object

Raises
------
TypeError, ValueError
    For tables, targets and parameters that are not of these forms; the estimator is as it was then.
NonFiniteCostError
    A ValueError, when all networks diverge.

Warns
-----
UserWarning
    When some networks diverge: they keep their best parameters so far. When a column of many categories
    is left out because hardly any of them comes twice.""",
    "rows": """\
X : frame or array-like of shape (n_samples, n_features)
    Columns as in `fit`; on the host, or on the device of the networks.""",
    "raises": """\
Raises
------
NotFittedError
    If the estimator is not fitted.
TypeError, ValueError
    If X has other columns than in `fit`, infinite values, or is on another device.""",
}
