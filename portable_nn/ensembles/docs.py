"""The texts that docstrings of both ensembles share, beside those of the estimators."""

from __future__ import annotations

from portable_nn.estimators.docs import TEXTS as OF_ESTIMATORS
from portable_nn.estimators.docs import Documented, with_shared_texts

OF_ENSEMBLES = ("random_state ", "warm_start ")  # parameters of members that mean something else here


def with_texts(documented: Documented) -> Documented:
    """A decorator that puts the shared texts into a docstring; see `estimators/docs.py`."""
    return with_shared_texts(documented, TEXTS)


def without(names: tuple[str, ...], parameters: str) -> str:
    """The text of some parameters, without those of these names."""
    return "\n\n".join(each for each in parameters.split("\n\n") if not each.startswith(names))


TEXTS = {
    "parameters_of_members": without(OF_ENSEMBLES, OF_ESTIMATORS["parameters_of_scikit_learn"]),
    "parameters_of_ensembles": """\
n_estimators : int, default=16
    How many networks.

bootstrap : bool, default=False
    Whether each network learns from rows drawn with replacement. Without it, and without `max_samples`,
    all learn from all rows, and differ by their initial weights, shuffles and dropout masks.

max_samples : int, float or None, default=None
    How many rows are drawn for each network, or what share of them; None: as many as there are.

sharing : {'none', 'adapters'}, default='none'
    'none': independent networks (Lakshminarayanan et al., 2017). 'adapters': all networks share the
    weights W, and each scales the inputs and outputs of every layer by vectors of its own and has biases
    of its own, and an output layer (Gorishniy et al., 2025): one estimator, which minimizes the mean of
    the losses and is stopped by the averaged prediction. For solvers with mini-batches of all rows,
    without `clip_norm` and `warm_start`.

random_state : int, RandomState instance or None, default=None
    Draws the seeds of the networks, and their rows, as scikit-learn's BaggingClassifier does.

warm_start : bool, default=False
    Whether `fit` adds networks, up to `n_estimators`, to those that are there.""",
    "attributes_of_ensembles": """\
estimators_ : list of MLPs
    The networks as estimators that predict by themselves; their arrays are views of those of the stack.
    Predictions are those of the estimators in this list, whatever becomes of it.

estimators_samples_ : list of arrays of int
    The rows that each has learned from, in `partial_fit` those of the last call. Whoever takes a network
    out of `estimators_` takes its rows out of this list.

coefs_, intercepts_ : lists of arrays of shape (n_estimators, n_in, n_out) and (n_estimators, n_out)
    The weights and biases of each layer, of all networks.

loss_curves_ : list of lists of float
    The `loss_curve_` of each network.

n_iter_ : int
    Epochs of the network that took the most.

n_features_in_ : int
    Features of X.

feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, if X had names that are all strings.

n_outputs_ : int
    Outputs.

shared_ : estimator
    With `sharing='adapters'` the networks as one estimator: what `partial_fit` goes on with. Members are
    dense networks then, each with its adapters multiplied in.""",
    "notes_of_ensembles": """\
The networks are trained in one stack: one array operation computes a step of all of them, from one X.
Each follows the stopping rules by itself. Without drawn rows a network is what the single MLP would be
whose `random_state` it has, to the bit on NumPy; with them, what it would be on those rows, but for
`class_weight='balanced'`, which counts the classes of all rows. The solver 'lbfgs', sparse X,
`callbacks` and `max_time` make the networks be trained one after the other. A network whose training
diverges is left out, with a warning; if all do, that is an error. `partial_fit` lets every network learn
from all the rows that it is given.

X may be an array of any backend, as for the single MLP; predictions are computed for some rows at a
time, so that the outputs of all networks never exist for all rows at once.""",
    "references_of_ensembles": """\
Breiman, "Bagging predictors", 1996.
Gorishniy, Kotelnikov and Babenko, "TabM: Advancing tabular deep learning with parameter-efficient
ensembling", 2025.
Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using deep
ensembles", 2017.""",
}
