"""A fitted estimator comes back as it was, and goes on training as it would have, to the bit."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from storage_files import take_apart, with_values

import portable_nn as pnn
from portable_nn import schedules

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 4))
WORDS = np.array(["no", "yes", "perhaps, é"])[RNG.integers(0, 3, size=60)]
MANY = RNG.integers(0, 2, size=(60, 3))
VALUES = X @ RNG.normal(size=(4, 2))
SMALL = {"hidden_layer_sizes": (6, 5), "max_iter": 4, "batch_size": 16, "random_state": 0}


THEIRS = r"^scikit-learn's MLP.* was given; .*portable_nn\.interchange\.from_sklearn"
OF_SUBCLASSES = r"Subclasses are not saved, because .* save the network as \(net, params\), or pickle"


class Mine(pnn.MLPClassifier):
    pass


def transformer_of_a_subclass():
    one = pnn.MLPTransformer(Mine(), layer=0)
    one.estimator_ = Mine()
    return one


def classifier(**options):
    return pnn.MLPClassifier(**(SMALL | options))


def regressor(**options):
    return pnn.MLPRegressor(**(SMALL | options))


CASES = {
    "words": (classifier(), WORDS),
    "two words": (classifier(activation="logistic"), np.where(X[:, 0] > 0, "b", "a")),
    "objects": (classifier(), WORDS.astype(object)),
    "whole numbers": (classifier(solver="sgd"), RNG.integers(3, 7, size=60)),
    "small whole numbers": (classifier(), RNG.integers(0, 3, size=60).astype("uint8")),
    "floats": (classifier(solver="rmsprop"), RNG.integers(0, 3, size=60) + 0.0),
    "booleans": (classifier(solver="adamw", dropout=0.3), X[:, 0] > 0),
    "many labels": (classifier(early_stopping=True), MANY),
    "adaptive": (classifier(solver="sgd", learning_rate="adaptive", tol=1.0, n_iter_no_change=1), WORDS),
    "invscaling": (classifier(solver="sgd", learning_rate="invscaling"), WORDS),
    "early": (
        classifier(early_stopping=True, scoring="f1_macro", class_weight={"no": 2.0, "yes": 0.5}),
        WORDS,
    ),
    "lists and a schedule": (
        classifier(
            activation=["tanh", pnn.leaky_relu(0.2)],
            dropout=[0.1, 0.2],
            schedule=schedules.cosine(0.01, 30),
            clip_norm=1.0,
        ),
        WORDS,
    ),
    "a loss": (regressor(loss=pnn.huber(2.0)), VALUES),
    "one value": (regressor(loss="pinball", quantile=0.9), VALUES[:, 0]),
    "poisson": (regressor(loss="poisson", n_iter_no_change=np.inf), np.abs(VALUES)),
    "squared": (regressor(early_stopping=True), VALUES),
    "no hidden layer": (regressor(hidden_layer_sizes=()), VALUES),
    "a generator": (classifier(random_state=np.random.RandomState(7)), WORDS),
    "lbfgs": (classifier(solver="lbfgs", random_state=1), WORDS),
    "single": (regressor(), VALUES.astype("f4")),
}


def fitted(name):
    estimator, y = CASES[name]
    rows = X.astype("f4") if name == "single" else X
    return copy.deepcopy(estimator).fit(rows, y), rows, y


def outputs(estimator, rows):
    return getattr(estimator, "predict_proba", estimator.predict)(rows), estimator.predict(rows)


def check_same(a, b):
    """The fitted attributes are the same, to the bit, and of the same types."""
    assert type(a) is type(b)
    for name, value in vars(a).items():
        if name in ("random_state", "_optimizer", "_label_binarizer", "_best", "_ready"):
            continue
        other = vars(b)[name]
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype, name
            assert value.tolist() == other.tolist(), name
        elif name in ("coefs_", "intercepts_"):
            for one, its in zip(value, other, strict=True):
                assert (one.dtype, one.shape, one.tobytes()) == (its.dtype, its.shape, its.tobytes())
                assert one.shape[0] == 1 or one.strides == its.strides
        else:
            assert repr(value) == repr(other), name


def twins(name, tmp_path):
    """A fitted estimator, and the one that was loaded from its file."""
    estimator, rows, y = fitted(name)
    pnn.save(tmp_path / "e", estimator)
    return estimator, pnn.load(tmp_path / "e"), rows, y


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_estimator_is_the_saved_one_and_stays_it_in_further_training(name, tmp_path):
    one, other, rows, y = twins(name, tmp_path)
    assert {k: repr(v) for k, v in one.get_params().items() if k != "random_state"} == {
        k: repr(v) for k, v in other.get_params().items() if k != "random_state"
    }
    check_same(one, other)
    for mine, its in zip(outputs(one, rows), outputs(other, rows), strict=True):
        assert (mine.dtype, mine.tolist()) == (its.dtype, its.tolist())
    assert one.score(rows, y) == other.score(rows, y)
    held_out = {"X_val": rows[:20], "y_val": y[:20]} if one.early_stopping else {}
    if one.solver != "lbfgs":
        for e in (one, other):
            for _ in range(2):
                e.partial_fit(rows, y, **held_out)
        check_same(one, other)
    for e in (one, other):
        e.set_params(warm_start=True).fit(rows, y)
    check_same(one, other)


def test_a_clone_of_a_loaded_estimator_trains_as_the_saved_one_did(tmp_path):
    one, other, rows, y = twins("words", tmp_path)
    check_same(one, clone(other).fit(rows, y))
    check_same(one, other.fit(rows, y))


def test_after_partial_fit_alone_it_goes_on_the_same_way(tmp_path):
    one = classifier().partial_fit(X[:30], WORDS[:30], classes=np.unique(WORDS))
    pnn.save(tmp_path / "e", one)
    other = pnn.load(tmp_path / "e")
    for e in (one, other):
        e.partial_fit(X[30:], WORDS[30:])
    check_same(one, other)


def test_names_of_features_come_back(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "length, in é", "d"])
    one = classifier().fit(frame, WORDS)
    pnn.save(tmp_path / "e", one)
    other = pnn.load(tmp_path / "e")
    check_same(one, other)
    assert other.predict(frame).tolist() == one.predict(frame).tolist()
    with pytest.raises(ValueError, match="feature names"):
        other.predict(frame.rename(columns={"a": "z"}))


def test_for_prediction_leaves_the_arrays_of_the_optimizer_out(tmp_path):
    one = classifier(hidden_layer_sizes=(200,), early_stopping=True).fit(X, WORDS)
    for name, only in (("all", False), ("small", True)):
        pnn.save(tmp_path / name, one, for_prediction=only)
    assert (tmp_path / "all").stat().st_size > 3 * (tmp_path / "small").stat().st_size
    other = pnn.load(tmp_path / "small")
    assert other.predict_proba(X).tolist() == one.predict_proba(X).tolist()
    other.partial_fit(X, WORDS, X_val=X, y_val=WORDS)
    other.set_params(warm_start=True, early_stopping=False).fit(X, WORDS)


def test_callbacks_and_foreign_attributes_are_left_out_with_a_warning(tmp_path):
    one = classifier(callbacks=[pnn.Callback()]).fit(X, WORDS)
    with pytest.warns(UserWarning, match="MLPClassifier is without `callbacks`") as caught:
        pnn.save(tmp_path / "e", one)
    assert caught[0].filename == __file__
    assert pnn.load(tmp_path / "e").callbacks is None
    one = classifier().fit(X, WORDS)
    one.note = "mine"
    with pytest.warns(UserWarning, match="without the attribute `note`") as caught:
        pnn.save(tmp_path / "e", one)
    assert caught[0].filename == __file__
    assert not hasattr(pnn.load(tmp_path / "e"), "note")


def test_what_scikit_learn_attaches_is_left_out_in_words(tmp_path):
    import sklearn

    one = classifier().fit(X, WORDS)
    one._skl_callbacks = ["as set_callbacks does"]
    with sklearn.config_context(enable_metadata_routing=True):
        one.set_fit_request(sample_weight=True)
    transformer = pnn.MLPTransformer(classifier(), layer=0).fit(X, WORDS)
    transformer.estimator_ = one
    for thing in (one, transformer):
        with pytest.warns(UserWarning, match="without its metadata requests: call set_fit") as caught:
            pnn.save(tmp_path / "e", thing)
        assert "its callbacks: call set_callbacks again" in str(caught[0].message)
        assert "`_" not in str(caught[0].message)


def test_functions_are_refused_unless_they_are_named(tmp_path):
    def accuracy(estimator, X, y):
        return estimator.score(X, y)

    one = classifier(scoring=accuracy, early_stopping=True).fit(X, WORDS)
    with pytest.raises(TypeError, match=r"\['hyperparameters'\]\['scoring'\]"):
        pnn.save(tmp_path / "e", one)
    pnn.save(tmp_path / "e", one, custom={"my accuracy": accuracy})
    with pytest.raises(ValueError, match="my accuracy"):
        pnn.load(tmp_path / "e")
    assert pnn.load(tmp_path / "e", custom={"my accuracy": accuracy}).scoring is accuracy


def test_a_user_defined_activation_is_named_once_for_the_network_and_the_parameter(tmp_path):
    own = pnn.Activation("double", lambda xp, Z: 2.0 * Z, lambda xp, Z: 2.0 * xp.ones_like(Z))
    one = classifier(activation=own).fit(X, WORDS)
    pnn.save(tmp_path / "e", one, custom={"double": own})
    other = pnn.load(tmp_path / "e", custom={"double": own})
    assert other.activation is own
    assert other.predict_proba(X).tolist() == one.predict_proba(X).tolist()


def test_a_transformer_comes_back(tmp_path):
    one = pnn.MLPTransformer(classifier(), layer=0).set_output(transform="default").fit(X, WORDS)
    pnn.save(tmp_path / "t", one)
    other = pnn.load(tmp_path / "t")
    assert other.transform(X).tolist() == one.transform(X).tolist()
    assert repr(other.get_params()) == repr(one.get_params())
    check_same(one.estimator_, other.estimator_)
    assert other.get_feature_names_out().tolist() == one.get_feature_names_out().tolist()
    assert len(pnn.load(tmp_path / "t", as_network=True)) == 3


@pytest.mark.parametrize(
    ("thing", "error", "match"),
    [
        (classifier(), NotFittedError, "not fitted.*call fit first"),
        (pnn.MLPTransformer(classifier()), NotFittedError, "not fitted"),
        (make_pipeline(StandardScaler(), classifier()), TypeError, r"pipeline\[-1\].*skops"),
        (StandardScaler(), TypeError, "skops"),
        (Mine(), TypeError, f"Mine was given; accepted.*{OF_SUBCLASSES}"),
        (transformer_of_a_subclass(), TypeError, OF_SUBCLASSES),
        (type("Cut", (pnn.MLPTransformer,), {})(classifier()), TypeError, OF_SUBCLASSES),
        (neural_network.MLPClassifier(), TypeError, THEIRS),
        (neural_network.MLPRegressor(), TypeError, THEIRS),
    ],
    ids=[
        *("unfitted", "unfitted transformer", "pipeline", "scaler", "subclass"),
        *("transformer of a subclass", "subclass of the transformer", "theirs", "their regressor"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_the_remedy(tmp_path, thing, error, match):
    with pytest.raises(error, match=match):
        pnn.save(tmp_path / "f", thing)
    assert not list(tmp_path.iterdir())


def test_a_generator_of_another_kind_is_refused(tmp_path):
    random = np.random.RandomState(np.random.PCG64(3))
    with pytest.raises(TypeError, match="MT19937"):
        pnn.save(tmp_path / "f", classifier(random_state=random).fit(X, WORDS))


# ---- as a network -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["words", "two words", "many labels", "poisson", "lbfgs", "single"])
def test_as_a_network_it_predicts_the_same(name, tmp_path):
    one, _, rows, _ = twins(name, tmp_path)
    net, params, classes = pnn.load(tmp_path / "e", as_network=True)
    found, expected = net.predict(params, rows), outputs(one, rows)[0]
    if name == "two words":
        found = np.concatenate([1 - found, found], axis=1)
    assert found.tolist() == expected.tolist()
    if hasattr(one, "classes_"):
        assert (classes.dtype, classes.tolist()) == (one.classes_.dtype, one.classes_.tolist())
    else:
        assert classes is None


def test_without_scikit_learn_an_estimator_is_its_network(tmp_path):
    one, _, rows, _ = twins("words", tmp_path)
    np.save(tmp_path / "X.npy", rows)
    np.save(tmp_path / "expected.npy", one.predict_proba(rows))
    program = f"""if True:
        import sys
        sys.modules["sklearn"] = None  # importing it raises ImportError
        import warnings, numpy as np, portable_nn as pnn
        folder = {str(tmp_path)!r} + "/"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            net, params, classes = pnn.load(folder + "e")
            pnn.load(folder + "e", as_network=True)
        assert [w.category for w in caught] == [UserWarning], caught
        assert "MLPClassifier" in str(caught[0].message)
        assert "scikit-learn" in str(caught[0].message)
        assert caught[0].filename == "<string>"
        P = net.predict(params, np.load(folder + "X.npy"))
        assert P.tobytes() == np.load(folder + "expected.npy").tobytes()
        print(classes.tolist())
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == repr(one.classes_.tolist())


# ---- values that describe no estimator ----------------------------------------------------------------

CHANGES = {
    "no network": lambda v: v.pop("network"),
    "a stack": lambda v: v.update(params=3),
    "no classes": lambda v: v.pop("classes"),
    "classes of another length": lambda v: v["classes"]["$labels"].update(shape=[2], values=["a", "b"]),
    "labels of another kind": lambda v: v["labels"].update(type="binary"),
    "labels that are no object": lambda v: v.update(labels=True),
    "an optimizer that is no object": lambda v: v.update(optimizer=True),
    "labels of no kind": lambda v: v["labels"].update(type="x"),
    "an unknown hyperparameter": lambda v: v["hyperparameters"].update(n_jobs=3),
    "hyperparameters in a list": lambda v: v.update(hyperparameters=[]),
    "an unknown attribute": lambda v: v["attributes"].update(predict=3),
    "an attribute of another type": lambda v: v["attributes"].update(n_iter_="x"),
    "a boolean as a count": lambda v: v["attributes"].update(n_iter_=True),
    "a count of features": lambda v: v["attributes"].update(n_features_in_=9),
    "no solver": lambda v: v["optimizer"].pop("solver"),
    "a rule of another form": lambda v: v["optimizer"].update(rule={"$tuple": ["constant", 1]}),
    "t below 0": lambda v: v["optimizer"].update(t=-1),
    "slots without names": lambda v: v["optimizer"].update(slots={"x": v["optimizer"]["slots"]["1"]}),
    "best of another form": lambda v: v.update(best=3),
    "no position": lambda v: v["hyperparameters"]["random_state"].pop("position"),
    "a position beyond the end": lambda v: v["hyperparameters"]["random_state"].update(position=10**6),
    "a position below 0": lambda v: v["hyperparameters"]["random_state"].update(position=-1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_values_that_describe_no_estimator_are_refused(tmp_path, change):
    pnn.save(tmp_path / "e", classifier(random_state=np.random.RandomState(0)).fit(X, WORDS))

    def changed(values):
        CHANGES[change](values)
        return values

    with_values(tmp_path / "e", changed)
    with pytest.raises(pnn.ModelFormatError, match="e: "):
        pnn.load(tmp_path / "e")


def test_the_header_says_what_the_issue_of_a_reader_is(tmp_path):
    pnn.save(tmp_path / "e", classifier().fit(X, WORDS))
    header, _ = take_apart(tmp_path / "e")
    assert header["__metadata__"]["kind"] == "MLPClassifier"
    assert header["params.1.W"]["shape"] == [6, 4]
    assert header["optimizer.slots.1.1.W"]["shape"] == [6, 4]


def test_a_backend_that_is_no_name_is_refused_when_it_is_used(tmp_path):
    one = classifier().fit(X, WORDS)
    pnn.save(tmp_path / "e", one)
    for backend, device in (([], None), ("torch", "nowhere"), ("x", None), ("numpy", [3])):

        def changed(values, new=(backend, device)):
            values["hyperparameters"].update(zip(("backend", "device"), new, strict=True))
            return values

        with_values(tmp_path / "e", changed)
        assert pnn.load(tmp_path / "e").predict(X).tolist() == one.predict(X).tolist()


def test_warnings_are_not_repeated(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = classifier().fit(X, WORDS)
        pnn.save(tmp_path / "e", one)
        pnn.load(tmp_path / "e")


def test_a_mapped_estimator_predicts_and_trains_the_same(tmp_path):
    one, _, rows, y = twins("words", tmp_path)
    other = pnn.load(tmp_path / "e", mmap=True)
    assert not other.coefs_[0].flags.writeable
    assert other.predict_proba(rows).tolist() == one.predict_proba(rows).tolist()
    for e in (one, other):
        e.partial_fit(rows, y)
    check_same(one, other)
