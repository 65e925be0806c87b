"""What is wrong with a table is said, or harmless; and an error changes nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse
from tables import QUICK, classes, table

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
KINDS = pytest.mark.parametrize("kind", [pnn.TabularClassifier, pnn.TabularRegressor])


def target(kind, random, n):
    return random.integers(0, 2, n) if kind is pnn.TabularClassifier else random.normal(size=n)


@KINDS
def test_a_column_without_values_is_harmless(kind, random):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"empty": [None] * 60, "gaps": [math.nan] * 60, "x": random.normal(size=60)})
    fitted = kind(**QUICK).fit(X, target(kind, random, 60))
    assert len(fitted.encoding_.numbers) == 1
    assert not fitted.encoding_.categories
    other = X.assign(empty="now", gaps=1.0)
    np.testing.assert_array_equal(fitted.predict(X), fitted.predict(other))


@KINDS
def test_only_columns_without_values_leave_the_mean(kind, random):
    fitted = kind(**QUICK).fit(np.full((60, 2), math.nan), target(kind, random, 60))
    found = fitted.predict(np.zeros((5, 2)))
    assert np.ptp(found) < 1e-12


def test_one_class_is_refused(random):
    with pytest.raises(ValueError, match="y has one class, 'a'; accepted: two or more classes"):
        pnn.TabularClassifier().fit(random.normal(size=(20, 2)), ["a"] * 20)


def test_a_constant_target_is_what_is_predicted(random):
    X = random.normal(size=(60, 2))
    for value in (0.0, -3.5, 1e6 + 0.1):
        regressor = pnn.TabularRegressor(**QUICK).fit(X, np.full(60, value))
        np.testing.assert_array_equal(regressor.predict(X), value)
        low, high = regressor.predict_interval(X, 0.8)
        assert (low <= value).all()
        assert (value <= high).all()


@KINDS
@pytest.mark.parametrize("n", [2, 3, 9, 10])
def test_a_few_rows_are_enough_to_train(kind, n, random):
    X, y = random.normal(size=(n, 2)), np.arange(n) % 2
    fitted = kind(**QUICK).fit(X, y)
    assert fitted.predict(X).shape == (n,)
    assert ("calibration_scores_" in vars(fitted)) == (n >= 10)


@KINDS
def test_one_row_has_only_one_class_but_one_value(kind):
    if kind is pnn.TabularClassifier:
        with pytest.raises(ValueError, match="y has one class"):
            kind(**QUICK).fit([[1.0]], [0])
    else:
        assert kind(**QUICK).fit([[1.0]], [2.0]).predict([[5.0]]) == [2.0]


@KINDS
def test_thousands_of_categories_most_of_them_seen_once(kind, random):
    level = [f"level {k}" for k in random.integers(0, 5000, 6000)]
    X = np.array([level, random.normal(size=6000).tolist()], dtype=object).T
    fitted = kind(**QUICK | {"max_iter": 2}).fit(X, target(kind, random, 6000))
    (levels,) = fitted.network_.layers[0].levels
    assert 1000 < levels[1] < 4000
    X[:, 0] = "never seen"
    assert np.isfinite(fitted.predict(X[:9])).all()


@KINDS
def test_a_column_left_out_because_all_its_words_differ_is_warned_of(kind, random):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"x": random.normal(size=60)}).assign(comma=lambda X: X["x"].astype(str))
    said = "column 'comma' of X .60 categories, such as '.*'. is left out: .* pandas.to_numeric"
    with pytest.warns(UserWarning, match=said):
        kind(**QUICK).fit(X, target(kind, random, 60))


@KINDS
def test_categories_never_seen_are_harmless(kind):
    pytest.importorskip("pandas")
    X, y = table() if kind is pnn.TabularRegressor else classes()
    fitted = kind(**QUICK).fit(X, y)
    new = X.assign(few="new", many="new", truth="perhaps")
    assert len(fitted.predict(new[:9])) == 9
    said = (
        "column 'few' of X .'new', .*, column 'many' .* are without any category that was there in fit"
    )
    with pytest.warns(UserWarning, match=said):
        assert len(fitted.predict(new)) == len(X)
    missing = X.assign(few=None, many=None, truth=None, x=None, gaps=None)
    assert len(fitted.predict(missing)) == len(X)


@KINDS
def test_infinite_values_are_refused_by_name(kind, random):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": random.normal(size=30), "b": [*[1.0] * 29, math.inf]})
    y = target(kind, random, 30)
    with pytest.raises(ValueError, match="column 'b' of X contains infinity"):
        kind(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        kind(**QUICK).fit(X.to_numpy(), y)
    fitted = kind(**QUICK).fit(X[:-1], y[:-1])
    with pytest.raises(ValueError, match="column 'b' of X contains infinity"):
        fitted.predict(X)
    if kind is pnn.TabularRegressor:
        with pytest.raises(ValueError, match=r"Input y contains (infinity|NaN)"):
            kind(**QUICK).fit(X[["a"]], np.where(np.arange(30) == 3, math.nan, y))


@KINDS
def test_columns_of_one_name_are_refused(kind, random):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(random.normal(size=(30, 3)), columns=["a", "b", "a"])
    with pytest.raises(ValueError, match="X has more than one column of the name a; accepted: names"):
        kind(**QUICK).fit(X, target(kind, random, 30))


@KINDS
def test_other_columns_than_in_fit_are_refused(kind, random):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": random.normal(size=30), "b": random.normal(size=30)})
    fitted = kind(**QUICK).fit(X, target(kind, random, 30))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X[["b", "a"]])
    with pytest.raises(ValueError, match=r"feature names|features"):
        fitted.predict(X[["a"]])
    with pytest.raises(ValueError, match="column 'b' of X holds 'word', and held numbers when"):
        fitted.predict(X.assign(b="word"))


@KINDS
def test_numbers_in_a_column_of_words_are_names(kind, random):
    pd = pytest.importorskip("pandas")
    words = pd.DataFrame({"a": [str(k) for k in random.integers(0, 3, 30)]})
    fitted = kind(**QUICK).fit(words, target(kind, random, 30))
    numbers = words.assign(a=words["a"].astype(float))
    np.testing.assert_array_equal(fitted.predict(words), fitted.predict(numbers))


@KINDS
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((0, 2)), ValueError, "0 sample"),
        (np.zeros((5, 0)), ValueError, "0 feature"),
        (np.zeros(5), ValueError, "Expected 2D array"),
        (np.zeros((5, 2, 2)), ValueError, "dim 3"),
        (np.ones((5, 2)) * 1j, ValueError, "Complex data not supported"),
        (scipy.sparse.eye_array(5).tocsr(), TypeError, "[Ss]parse"),
    ],
    ids=["no rows", "no columns", "one axis", "three axes", "complex", "sparse"],
)
def test_what_is_no_table_is_refused(kind, X, error, message):
    with pytest.raises(error, match=message):
        kind(**QUICK).fit(X, [0, 1, 0, 1, 0])


@KINDS
def test_an_empty_frame_is_refused(kind):
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        kind(**QUICK).fit(pd.DataFrame({"a": []}), [])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        kind(**QUICK).fit(pd.DataFrame(index=[0, 1]), [0, 1])


@KINDS
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sample_weight": [-1.0] * 30}, "`sample_weight` has negative values; accepted: weights >= 0"),
        ({"sample_weight": [0.0] * 30}, "at least one non-zero|the sum of `sample_weight` is 0.0"),
        ({"sample_weight": [1.0] * 29}, r"sample_weight.*shape"),
        ({"groups": [1, 2]}, r"inconsistent numbers of samples: \[30, 2\]; `groups` has 2 rows"),
        ({"X_val": np.zeros((3, 2))}, "only one of X_val and y_val was given"),
        ({"sample_weight_val": [1.0]}, "only one of X_val and y_val was given"),
        ({"X_val": np.zeros((3, 2)), "y_val": [0, 1]}, "`y_val` has"),
        ({"X_val": np.zeros((2, 1)), "y_val": [0, 1]}, "features"),
        (
            {"X_val": np.zeros((2, 2)), "y_val": [0, 1], "groups": np.arange(30)},
            "`groups` and X_val were given; accepted: one of them",
        ),
    ],
)
def test_what_does_not_suit_the_rows_is_refused(kind, given, message, random):
    X = random.normal(size=(30, 2))
    with pytest.raises(ValueError, match=message):
        kind(**QUICK).fit(X, np.arange(30) % 2, **given)


def test_a_class_without_a_row_to_learn_from_is_refused(random):
    X, y = random.normal(size=(30, 2)), np.arange(30) % 2
    for options in ({"groups": y}, {"sample_weight": 1.0 - y}):
        with pytest.raises(ValueError, match=r"the classes \[[01]\] have no row to learn from"):
            pnn.TabularClassifier(**QUICK).fit(X, y, **options)


def test_missing_labels_are_refused(random):
    labels = np.array(["a", "b", None] * 10, dtype=object)
    with pytest.raises(ValueError, match="Input y contains NaN, or None; accepted: a label for each"):
        pnn.TabularClassifier(**QUICK).fit(random.normal(size=(30, 2)), labels)


def test_classes_that_were_not_learned_are_refused_in_y_val(random):
    X = random.normal(size=(30, 2))
    with pytest.raises(ValueError, match=r"the classes \['2'\]; accepted: 2 rows of the classes of y"):
        pnn.TabularClassifier(**QUICK).fit(X, np.arange(30) % 2, X_val=X[:2], y_val=[0, 2])


@KINDS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "best"),
        ("n_estimators", 0),
        ("max_iter", 1.5),
        ("time_limit", 0),
        ("validation_fraction", 1.0),
        ("refit", "yes"),
        ("categorical_features", "auto"),
    ],
)
def test_settings_that_have_no_meaning_are_refused(kind, name, value, random):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {kind.__name__}"):
        kind(**{name: value}).fit(random.normal(size=(30, 2)), np.arange(30) % 2)


@KINDS
def test_an_error_changes_nothing(kind, random):
    X, y = random.normal(size=(30, 2)), np.arange(30) % 2
    fitted = kind(**QUICK).fit(X, y)
    before = vars(fitted).copy()
    with pytest.raises(ValueError, match="infinity"):
        fitted.fit(np.full((30, 3), math.inf), y)
    with pytest.raises(ValueError, match="only one of"):
        fitted.fit(np.ones((30, 3)), y, X_val=X)
    assert vars(fitted) == before


@KINDS
def test_names_are_forgotten_where_a_second_fit_has_none(kind, random):
    pd = pytest.importorskip("pandas")
    X, y = random.normal(size=(30, 2)), np.arange(30) % 2
    fitted = kind(**QUICK).fit(pd.DataFrame(X, columns=["a", "b"]), y).fit(X, y)
    assert not hasattr(fitted, "feature_names_in_")


def test_values_of_every_size(random):
    X, y = random.normal(size=(60, 2)), random.normal(size=60)
    for factor in (1e-300, 1e-30, 1e30, 1e300):
        found = pnn.TabularRegressor(**QUICK).fit(X * factor, y * factor).predict(X * factor)
        wanted = pnn.TabularRegressor(**QUICK).fit(X, y).predict(X)
        np.testing.assert_allclose(found / factor, wanted, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="the range of y is too large for float64"):
        pnn.TabularRegressor(**QUICK).fit(X, np.sign(y) * 1.7e308)
    extremes = X.copy()
    extremes[0], extremes[1] = 8e307, -8e307
    for rows in (extremes, np.where(random.random((60, 2)) < 0.5, 9e307, 8e307)):
        assert np.isfinite(pnn.TabularRegressor(**QUICK).fit(rows, y).predict(rows)).all()
