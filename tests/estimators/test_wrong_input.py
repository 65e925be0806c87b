"""What the estimators refuse, with what words, and that nothing of them has changed then."""

from __future__ import annotations

import pickle
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import scipy.sparse
from scikit_features import HAS_LOSS, HAS_WEIGHTS, REFUSES_WEIGHTS_OF_ZERO
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.utils import get_tags

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
BOTH = ("MLPClassifier", "MLPRegressor")
WRONG: dict[str, list[Any]] = {
    "hidden_layer_sizes": [
        *(0, -1, (5, 0), "ten", (5.0,), (5, None), ((5,), 5), (True,), np.asarray(0.5)),
        *(10**400, (10**400,)),
    ],
    "activation": ["rule", 3, ["relu", "rule"], ["relu"], [["relu"], "relu"]],
    "solver": ["adams", None],
    "alpha": [-1.0, "a", True, 10**400, np.nan],
    "batch_size": [0, "all"],
    "learning_rate": ["fast"],
    "learning_rate_init": [0, -1, 10**400],
    "max_iter": [0, 1.5, True, 10**400],
    "momentum": [1.1, -0.1],
    "beta_1": [1.0],
    "tol": [-1],
    "dropout": [1.0, -0.1, [0.5], [0.5, 1.0], "half"],
    "weight_decay": [-1],
    "rho": [1.0],
    "clip_norm": [0, -1],
    "schedule": [0.1, lambda step: -1.0, lambda step: float("nan")],
    "scoring": ["accurate", 3],
    "callbacks": [3, [3], [pnn.Callback], "bar"],
    "max_time": [0, -1, 10**400],
    "backend": [3, "tourch"],
    "device": ["cpu"],
}
WRONG_CLASSIFIER = {
    "class_weight": ["even", {0: 1.0, "a": 2.0}, [{0: 1}], 3, {0: np.nan}, {1: -1.0}],
    "label_smoothing": [1.0, -0.1],
    "loss": ["hinge", "squared_error"],
}
WRONG_REGRESSOR = {"quantile": [0, 1, "median"], "loss": ["log_loss", "mse", None]}
CASES = [
    (kind, name, value)
    for kind, more in zip(BOTH, (WRONG_CLASSIFIER, WRONG_REGRESSOR), strict=True)
    for name, values in (WRONG | more).items()
    for value in values
]


def state(est: Any) -> dict[str, bytes]:
    """All that fitting has made of the estimator."""
    return {k: pickle.dumps(v) for k, v in vars(est).items() if "_" in (k[0], k[-1])}


@pytest.mark.parametrize(("kind", "name", "value"), CASES)
def test_a_wrong_parameter_is_refused_by_name_and_nothing_has_changed(kind, name, value):
    est = getattr(pnn, kind)(hidden_layer_sizes=(6, 5), max_iter=3, random_state=0).fit(X[:, :3], y)
    before, predictions = state(est), est.predict(X[:, :3])
    with pytest.raises((TypeError, ValueError)) as caught:
        est.set_params(**{name: value}).fit(X, y)
    said = str(caught.value)
    assert name.rstrip("s") in said or "tourch" in said, said
    assert state(est) == before
    np.testing.assert_array_equal(est.predict(X[:, :3]), predictions)


def test_every_kind_of_number_may_be_a_parameter():
    with_fractions = {name: Fraction(1, 4) for name in ("alpha", "tol", "momentum", "power_t", "beta_1")}
    for solver in ("sgd", "adam", "lbfgs"):
        options = {"solver": solver, "learning_rate": "invscaling", "max_iter": 3, "random_state": 0}
        found = pnn.MLPRegressor(hidden_layer_sizes=(4,), **options, **with_fractions).fit(X, y)
        expected = pnn.MLPRegressor(
            hidden_layer_sizes=np.asarray(4), **options, **dict.fromkeys(with_fractions, 0.25)
        )
        np.testing.assert_array_equal(found.coefs_[0], expected.fit(X, y).coefs_[0])
    share = {"early_stopping": True, "validation_fraction": Fraction(1, 4), "verbose": True}
    pnn.MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, **share).fit(X, y)
    options = {"solver": "sgd", "learning_rate": "invscaling", "power_t": 1e300}
    assert (
        pnn.MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, **options)
        .fit(X, y)
        ._optimizer.learning_rate
        == 0
    )
    with pytest.raises(ValueError, match="`validation_fraction` is 0 with `early_stopping`"):
        pnn.MLPRegressor(early_stopping=True, validation_fraction=0).fit(X, y)
    for wrong in ({"X": [[10**400] * 4] * 8, "y": y[:8]}, {"X": X[:8], "y": [10**400] * 8}):
        with pytest.raises(ValueError, match="X or y has an integer that is too large"):
            pnn.MLPRegressor().fit(**wrong)
    with pytest.raises(ValueError, match="sample_weight has an integer that is too large"):
        pnn.MLPRegressor().fit(X[:8], y[:8], [10**400] * 8)


def test_layers_that_do_not_fit_into_memory_are_refused_by_name():
    with pytest.raises(MemoryError, match=r"`hidden_layer_sizes` is .*what fits into the memory"):
        pnn.MLPClassifier((10**9, 10**9)).fit(X, y)


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown activation 'rellu'.*did you mean 'relu'"):
        pnn.MLPClassifier(activation=["rellu"]).fit(X, y)
    with pytest.raises(pnn.UnknownBackendError, match=r"tourch.*did you mean 'torch'"):
        pnn.MLPClassifier(backend="tourch").fit(X, y)
    with pytest.raises(ValueError, match="'solver' parameter of MLPClassifier must be a str among"):
        pnn.MLPClassifier(solver="adams").fit(X, y)


@pytest.mark.parametrize(
    "options",
    [{"dropout": 0.5}, {"schedule": lambda step: 0.1}, {"clip_norm": 1.0}, {"X_val": X, "y_val": y}],
)
def test_what_needs_mini_batches_is_refused_with_lbfgs(options):
    fit = {k: options.pop(k) for k in ("X_val", "y_val") if k in options}
    (name,) = options or ("X_val",)
    with pytest.raises(ValueError, match=f"`{name}` was given with solver='lbfgs'"):
        pnn.MLPClassifier(solver="lbfgs", **options).fit(X, y, **fit)


def test_a_schedule_and_a_rule_for_the_learning_rate_contradict_each_other():
    with pytest.raises(ValueError, match="`schedule` was given with learning_rate='adaptive'"):
        pnn.MLPClassifier(solver="sgd", learning_rate="adaptive", schedule=lambda s: 0.1).fit(X, y)


VALIDATION = {
    "other width": (X[:, :3], y, None, "X has 3 features, but MLPClassifier is expecting 4"),
    "no labels": (X, None, None, "only one of X_val and y_val was given"),
    "no rows": (None, y, None, "only one of X_val and y_val was given"),
    "weights alone": (None, None, np.ones(150), "only one of X_val and y_val was given"),
    "unseen classes": (X, y + 1, None, r"`y_val` has classes not in `self.classes_`"),
    "names for numbers": (X, np.array(["a", "b", "c"])[y], None, "y_val"),
    "many labels": (X, np.eye(3)[y], None, "`y_val` has many labels a row; accepted: one, as at first"),
    "NaN": (np.where(X > 2, np.nan, X), y, None, "Input X contains NaN"),
    "lengths": (X, y[:-1], None, "inconsistent numbers of samples"),
    "weights of other length": (X, y, np.ones(3), r"sample_weight_val.shape == \(3,\)"),
}


@pytest.mark.parametrize("case", VALIDATION)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_wrong_validation_data_is_refused_and_nothing_has_changed(case, method):
    rows, labels, weight, message = VALIDATION[case]
    est = pnn.MLPClassifier((5,), max_iter=3, random_state=0).fit(X, y)
    before = state(est)
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(est, method)(X, y, X_val=rows, y_val=labels, sample_weight_val=weight)
    assert state(est) == before


DATA = {
    "NaN": (np.where(X > 2, np.nan, X), y, None, "Input X contains NaN"),
    "infinity": (np.where(X > 2, np.inf, X), y, None, "Input X contains infinity"),
    "one row": (X[0], y[:1], None, "Expected 2D array, got 1D array instead"),
    "no rows": (X[:0], y[:0], None, "Found array with 0 sample"),
    "strings": (np.full((150, 4), "a"), y, None, "could not convert string to float"),
    "complex": (X + 1j, y, None, "Complex data not supported"),
    "lengths": (X, y[:-1], None, "inconsistent numbers of samples"),
    "no y": (X, None, None, "requires y to be passed, but the target y is None"),
    "NaN in y": (X, np.where(y > 1, np.nan, y), None, "Input y contains NaN"),
    "weights of other length": (X, y, np.ones(7), r"sample_weight.shape == \(7,\), expected \(150,\)"),
    "weights of zero": (X, y, np.zeros(150), "Sample weights must contain at least one non-zero"),
    "NaN in the weights": (X, y, np.full(150, np.nan), "Input sample_weight contains NaN"),
    "a masked array": (np.ma.masked_greater(X, 2), y, None, "a masked array was given"),
}


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("kind", BOTH)
def test_wrong_data_is_refused_as_by_scikit_learn_and_nothing_has_changed(case, kind):
    rows, targets, weight, message = DATA[case]
    est = getattr(pnn, kind)(hidden_layer_sizes=(5,), max_iter=3, random_state=0).fit(X[:, :3], y)
    before = state(est)
    with pytest.raises((ValueError, TypeError), match=message):
        est.fit(rows, targets, sample_weight=weight)
    assert state(est) == before
    has_theirs = {
        "a masked array": False,  # scikit-learn drops the mask in silence
        "weights of zero": REFUSES_WEIGHTS_OF_ZERO,
    }.get(case, weight is None or HAS_WEIGHTS)
    if has_theirs:
        given = {} if weight is None else {"sample_weight": weight}
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(neural_network, kind)().fit(rows, targets, **given)


@pytest.mark.parametrize("kind", BOTH)
def test_predictions_take_numbers_alone_as_in_scikit_learn(kind):
    theirs, ours = (
        getattr(module, kind)(max_iter=3, random_state=0).fit(X, y) for module in (neural_network, pnn)
    )
    counts = np.round(X * 3)
    for dtype in ("int8", "uint8", "bool", "float16", "object", ">f8"):
        np.testing.assert_allclose(
            ours.predict(counts.astype(dtype)), theirs.predict(counts.astype(dtype)), rtol=1e-12
        )
    for wrong in (counts.astype("U"), counts.astype("S"), counts.astype("M8[s]")):
        with pytest.raises((TypeError, ValueError)):
            theirs.predict(wrong)
        with pytest.raises((TypeError, ValueError)):
            ours.predict(wrong)


def test_regression_targets_that_do_not_suit_the_loss_are_refused():
    with pytest.raises(ValueError, match="`y` has a value that poisson gives no meaning to"):
        pnn.MLPRegressor("poisson").fit(X, -y - 1.0)
    with pytest.raises(ValueError, match="Unknown label type"):
        pnn.MLPClassifier().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        pnn.MLPClassifier().fit(X, np.stack([y, y], axis=1))
    with pytest.raises(TypeError, match="y is of dtype datetime64"):
        pnn.MLPRegressor().fit(X, y.astype("M8[s]"))
    with pytest.raises(TypeError, match="y is sparse"):
        pnn.MLPRegressor().fit(X, scipy.sparse.csr_array(y[:, None] * np.ones(2)))
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="`y` has NaN or infinite values"):
        pnn.MLPRegressor().fit(X.astype("float32"), 1e300 * (y + 1.0))  # infinite as float32


def test_class_weights_that_are_all_zero_or_for_labels_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero number"):
        pnn.MLPClassifier(class_weight={0: 0.0, 1: 0.0, 2: 0.0}).fit(X, y)
    message = re.escape(
        "`class_weight` has a weight for '0'; accepted: labels like the classes [0, 1, 2]"
    )
    with pytest.raises(ValueError, match=message):
        pnn.MLPClassifier(class_weight={"0": 1.0, "1": 2.0}).fit(X, y)


def test_partial_fit_knows_its_classes():
    est = pnn.MLPClassifier((5,), random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        est.partial_fit(X, y)
    with pytest.raises(ValueError, match="`y` has classes not in"):
        est.partial_fit(X, y, classes=[0, 1])
    assert not hasattr(est, "classes_")
    est.partial_fit(X[:60], y[:60], classes=[0, 1, 2])
    before = state(est)
    for rows, labels, classes, message in (
        (X, y + 1, None, "`y` has classes not in"),
        (X, y, [0, 1], "is not the same as on last call"),
        (X[:, :3], y, None, "X has 3 features"),
        (X, np.eye(3)[y], None, "`y` has many labels a row"),
    ):
        with pytest.raises(ValueError, match=message):
            est.partial_fit(rows, labels, classes=classes)
        assert state(est) == before


def test_parameters_set_between_calls_of_partial_fit_are_checked():
    est = pnn.MLPClassifier((5,), max_iter=3).fit(X, y)
    for wrong in ({"batch_size": -5}, {"batch_size": 3.7}, {"dropout": 2.0}):
        with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter of MLPClassifier"):
            pnn.MLPClassifier((5,), max_iter=3).fit(X, y).set_params(**wrong).partial_fit(X, y)
    est.coefs_ = [np.ones((4, 5), int), np.ones((5, 3), int)]
    with pytest.raises(TypeError, match="accepted: float32 or float64"):
        est.partial_fit(X, y)


def test_warm_start_wants_all_the_classes_it_knows():
    est = pnn.MLPClassifier((5,), warm_start=True, max_iter=3).fit(X, y)
    message = re.escape("Previously got [0 1 2], `y` has [0 1]")
    for method in (est.fit, est.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(X[:100], y[:100])


def test_continuing_with_another_network_is_refused():
    est = pnn.MLPClassifier((5,), warm_start=True, max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match=r"`coefs_` have the shapes \[\(4, 5\), \(5, 3\)\]"):
        est.set_params(hidden_layer_sizes=(7,)).fit(X, y)
    with pytest.raises(ValueError, match="`coefs_` have the shapes"):
        est.partial_fit(X, y)
    rows, Y = make_multilabel_classification(n_samples=50, n_features=4, n_classes=4)
    est = pnn.MLPRegressor(hidden_layer_sizes=(5,)).partial_fit(rows, Y)
    with pytest.raises(ValueError, match="`coefs_` have the shapes"):
        est.partial_fit(rows, Y[:, :2])


def test_sparse_rows_are_for_numpy_alone(strict):
    sparse = scipy.sparse.csr_array(X)
    with pytest.raises(TypeError, match=r"X is sparse.*X\.toarray\(\)"):
        pnn.MLPClassifier(backend="array_api_strict").fit(sparse, y)
    est = pnn.MLPClassifier(max_iter=3).fit(strict.asarray(X), y)
    with pytest.raises(ValueError, match="must use the same namespace"):
        est.predict(sparse)
    est = pnn.MLPClassifier(backend="array_api_strict", max_iter=3).fit(X, y)
    with pytest.raises(TypeError, match=r"X is sparse.*X\.toarray\(\)"):
        est.predict(sparse)
    assert not get_tags(est).input_tags.sparse
    with pytest.raises(ValueError, match="`backend` is 'numpy' and X is on"):
        pnn.MLPClassifier(backend="numpy").fit(strict.asarray(X), y)
    with pytest.raises(TypeError, match=r"X is sparse.*X\.toarray\(\)"):
        pnn.MLPClassifier(backend="array_api_strict").fit(X, y, X_val=sparse, y_val=y)
    with pytest.raises(ValueError, match="X_val is on"):
        pnn.MLPClassifier().fit(X, y, X_val=strict.asarray(X), y_val=y)


def test_a_backend_that_is_missing_is_named_with_its_remedy():
    if "cupy" in pnn.backends.available():
        pytest.skip("CuPy works here")
    with pytest.raises(pnn.BackendUnavailableError, match="backend 'cupy' is unavailable"):
        pnn.MLPClassifier(backend="cupy").fit(X, y)
    est = pnn.MLPClassifier(max_iter=3).fit(X, y)
    with pytest.raises(pnn.BackendUnavailableError, match="backend 'cupy' is unavailable"):
        est.to("cupy")
    est.predict(X)


@pytest.mark.parametrize("kind", BOTH)
def test_a_fit_that_diverges_says_so_and_keeps_the_last_finite_weights(kind):
    options = {"solver": "sgd", "learning_rate_init": 1e150, "activation": "identity"}
    est = getattr(pnn, kind)(hidden_layer_sizes=(5,), **options)
    with pytest.raises(pnn.NonFiniteCostError, match="Solver produced non-finite") as caught:
        est.fit(X, y)
    assert isinstance(caught.value, ValueError)
    assert caught.value.epoch == est.n_iter_ + 1
    assert all(np.isfinite(W).all() for W in est.coefs_)
    est.predict(X[:3])


@pytest.mark.parametrize("kind", BOTH)
def test_every_parameter_and_fitted_attribute_is_documented(kind):
    cls = getattr(pnn, kind)
    sections = re.split(r"\n +(\w[\w ]+)\n +-{3,}\n", cls.__doc__)
    parts = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert {"Parameters", "Attributes", "See Also", "Notes", "References", "Examples"} <= set(parts)

    def names(part: str) -> set[str]:
        found = re.findall(r"^    ([\w, ]+) :", parts[part], flags=re.M)
        return {name for line in found for name in line.split(", ")}

    assert names("Parameters") == set(cls().get_params())
    est = cls(max_iter=3, early_stopping=True).fit(X, y)
    assert {name for name in vars(est) if name.endswith("_")} <= names("Attributes")
    for method in ("fit", "partial_fit", "predict", "score", "activations", "to"):
        assert "Parameters\n" in getattr(cls, method).__doc__


@pytest.mark.parametrize("kind", BOTH)
def test_the_parameters_and_defaults_are_those_of_scikit_learn_and_more(kind):
    theirs, ours = getattr(neural_network, kind)(), getattr(pnn, kind)()
    assert theirs.get_params().items() <= ours.get_params().items()
    positional = {"MLPClassifier": ((3,), "tanh"), "MLPRegressor": ("poisson", (3,), "tanh")}[kind]
    if kind == "MLPClassifier" or HAS_LOSS:
        ours, theirs = getattr(pnn, kind)(*positional), getattr(neural_network, kind)(*positional)
    else:  # the order is that of the newest
        ours, theirs = pnn.MLPRegressor("squared_error", (3,), "tanh"), type(theirs)((3,), "tanh")
    assert repr(ours) == repr(theirs)
    assert get_tags(ours).estimator_type == get_tags(theirs).estimator_type
    assert clone(ours).get_params() == ours.get_params()
    with pytest.raises(TypeError):
        getattr(pnn, kind)((3,), "relu", "adam", "adam")
