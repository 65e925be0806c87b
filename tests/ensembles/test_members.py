"""A member of an ensemble is what the single estimator would be: same seed, same rows, same rules."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import portable_nn as pnn

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
SETTINGS = {"hidden_layer_sizes": (6,), "max_iter": 8, "learning_rate_init": 0.02}
CLASSES = load_iris(return_X_y=True)
VALUES = CLASSES[0][:, :3], CLASSES[0][:, 3]


def classifier(n=3, **options):
    return pnn.MLPEnsembleClassifier(n, random_state=0, **SETTINGS, **options)


def alone(member):
    return type(member)(**member.get_params())


def assert_same(member, single, curves=True):
    for name in ("coefs_", "intercepts_"):
        for ours, theirs in zip(getattr(member, name), getattr(single, name), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    if curves:
        assert member.loss_curve_ == single.loss_curve_
        assert member.validation_scores_ == single.validation_scores_


OPTIONS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 20},
    "dropout, sgd, batches": {"dropout": 0.3, "solver": "sgd", "batch_size": 32},
    "weights of classes": {"class_weight": "balanced", "label_smoothing": 0.1},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize("options", list(OPTIONS.values()), ids=list(OPTIONS))
def test_each_member_is_the_single_estimator_of_its_seed(options):
    ensemble = pnn.MLPEnsembleClassifier(3, random_state=0, **(SETTINGS | options)).fit(*CLASSES)
    assert len({member.random_state for member in ensemble.estimators_}) == 3
    for member in ensemble.estimators_:
        single = alone(member).fit(*CLASSES)
        assert_same(member, single, curves=False)
        assert member.loss_curve_ == single.loss_curve_


def test_members_are_those_of_scikit_learns_bagging():
    settings = {"n_estimators": 3, "random_state": 5, "bootstrap": True}
    theirs = BaggingClassifier(pnn.MLPClassifier(**SETTINGS), **settings).fit(*CLASSES)
    ours = pnn.MLPEnsembleClassifier(**settings, **SETTINGS).fit(*CLASSES)
    X = CLASSES[0]
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    of_numbers = BaggingRegressor(pnn.MLPRegressor(**SETTINGS), max_samples=0.5, **settings).fit(*VALUES)
    regressor = pnn.MLPEnsembleRegressor(max_samples=0.5, **settings, **SETTINGS).fit(*VALUES)
    for one, other in ((ours, theirs), (regressor, of_numbers)):
        for k in range(3):
            np.testing.assert_array_equal(one.estimators_samples_[k], other.estimators_samples_[k])
            for ours, theirs in zip(one.estimators_[k].coefs_, other.estimators_[k].coefs_, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_member_with_drawn_rows_is_the_single_estimator_on_those_rows(random):
    X, y = VALUES
    weight = random.uniform(0.5, 2, len(X))
    ensemble = pnn.MLPEnsembleRegressor(
        2, bootstrap=True, max_samples=90, random_state=1, early_stopping=True, **SETTINGS
    ).fit(X, y, weight)
    for member, rows in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        assert len(rows) == 90
        assert_same(member, alone(member).fit(X[rows], y[rows], weight[rows]))


def test_predictions_are_means_over_the_members_and_std_their_spread():
    X, y = VALUES
    ensemble = pnn.MLPEnsembleRegressor(4, random_state=0, **SETTINGS).fit(X, y)
    each = np.stack([member.predict(X) for member in ensemble.estimators_])
    mean, std = ensemble.predict(X, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, each.std(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(ensemble.predict(X), mean)
    two = pnn.MLPEnsembleRegressor(2, random_state=0, **SETTINGS).fit(X, np.stack([y, -y], axis=1))
    assert [a.shape for a in two.predict(X, return_std=True)] == [(150, 2)] * 2
    assert two.score(X, np.stack([y, -y], axis=1)) <= 1


def test_predictions_in_parts_are_those_in_one_piece(monkeypatch):
    from portable_nn.ensembles import stacked

    ensemble, X = classifier().fit(*CLASSES), CLASSES[0]
    whole = ensemble.predict_proba(X)
    monkeypatch.setattr(stacked, "PART_BYTES", 1000)
    np.testing.assert_allclose(ensemble.predict_proba(X), whole, rtol=1e-12)


def test_decision_spread_is_the_mutual_information_of_class_and_member():
    ensemble, X = classifier().fit(*CLASSES), CLASSES[0]
    P = np.stack([member.predict_proba(X) for member in ensemble.estimators_])
    joint = P / len(P)  # of member and class, for each row
    independent = joint.sum(axis=0) * joint.sum(axis=-1, keepdims=True)
    expected = (joint * np.log(joint / independent)).sum(axis=(0, 2))
    np.testing.assert_allclose(ensemble.decision_spread(X), expected, rtol=1e-7, atol=1e-12)
    ensemble.estimators_ = ensemble.estimators_[:1]
    np.testing.assert_allclose(ensemble.decision_spread(X), 0, atol=1e-12)
    X, y = CLASSES[0], (CLASSES[1] > 0).astype(int)
    assert classifier(2).fit(X, y).decision_spread(X).shape == (150,)


def test_many_labels_a_row_and_their_weights():
    X, Y = make_multilabel_classification(80, n_classes=3, n_features=5, random_state=0)
    ensemble = classifier(2, class_weight="balanced").fit(X, Y)
    each = np.stack([member.predict_proba(X) for member in ensemble.estimators_])
    np.testing.assert_allclose(ensemble.predict_proba(X), each.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(ensemble.predict(X), each.mean(axis=0) > 0.5)
    assert ensemble.decision_spread(X).shape == (80, 3)


def test_estimators_are_views_and_predictions_follow_the_list():
    ensemble, X = classifier().fit(*CLASSES), CLASSES[0]
    stack = ensemble.coefs_[0]
    assert stack.shape == (3, 4, 6)
    assert all(np.shares_memory(stack, member.coefs_[0]) for member in ensemble.estimators_)
    two = [member.predict_proba(X) for member in ensemble.estimators_[:2]]
    ensemble.estimators_ = ensemble.estimators_[:2]
    np.testing.assert_allclose(ensemble.predict_proba(X), np.mean(two, axis=0), rtol=1e-12)
    ensemble.estimators_[0].coefs_ = [np.zeros_like(coef) for coef in ensemble.estimators_[0].coefs_]
    assert not np.allclose(ensemble.predict_proba(X), np.mean(two, axis=0))


def test_copies_pickles_and_clones():
    ensemble, X = classifier().fit(*CLASSES), CLASSES[0]
    found = ensemble.predict_proba(X)
    for twin in (pickle.loads(pickle.dumps(ensemble)), copy.deepcopy(ensemble), copy.copy(ensemble)):
        np.testing.assert_array_equal(twin.predict_proba(X), found)
    assert clone(ensemble).get_params() == ensemble.get_params()
    assert not hasattr(clone(ensemble), "estimators_")
    one_stack = len(pickle.dumps(ensemble)) - len(pickle.dumps(classifier()))
    assert one_stack < 3 * len(pickle.dumps(ensemble.estimators_[0]))  # and not the arrays twice


def test_a_warm_start_adds_the_members_that_are_missing():
    X, y = CLASSES
    grown = classifier(2, warm_start=True).fit(X, y)
    first = [member.coefs_[0].copy() for member in grown.estimators_]
    grown.set_params(n_estimators=4).fit(X, y)
    whole = classifier(4).fit(X, y)
    for k in range(4):
        assert_same(grown.estimators_[k], whole.estimators_[k])
    np.testing.assert_array_equal(first[1], grown.estimators_[1].coefs_[0])
    with pytest.warns(UserWarning, match="all n_estimators are there"):
        grown.fit(X, y)
    with pytest.raises(ValueError, match=r"`n_estimators` is 3 .* 4 members are there"):
        grown.set_params(n_estimators=3).fit(X, y)
    grown.set_params(n_estimators=5)
    with pytest.raises(ValueError, match=r"the classes .* not .* begin anew"):
        grown.fit(X, y + 1)
    with pytest.raises(ValueError, match="networks of the sizes"):
        grown.fit(X[:, :2], y)
    assert len(grown.estimators_) == 4


def test_partial_fit_is_that_of_each_member():
    X, y = CLASSES
    ensemble = classifier(2)
    for start in (0, 75, 0):
        ensemble.partial_fit(X[start : start + 75], y[start : start + 75], classes=[0, 1, 2])
    for member in ensemble.estimators_:
        single = alone(member)
        for start in (0, 75, 0):
            single.partial_fit(X[start : start + 75], y[start : start + 75], classes=[0, 1, 2])
        assert_same(member, single)
    fitted = classifier(2).fit(X, y)
    before = fitted.coefs_[0].copy()
    fitted.set_params(learning_rate_init=1e-6).partial_fit(X, y)
    assert 0 < np.abs(fitted.coefs_[0] - before).max() < 1e-4


def test_members_that_diverge_are_left_out_and_named(monkeypatch):
    X, y = VALUES
    wild = pnn.MLPEnsembleRegressor(3, solver="sgd", learning_rate_init=1e200, max_iter=9)
    with pytest.raises(pnn.NonFiniteCostError):
        wild.fit(X, y)
    assert not hasattr(wild, "estimators_")
    calm = pnn.MLPEnsembleRegressor(3, random_state=0, solver="sgd", max_iter=5)
    made = type(calm)._new_member

    def one_is_wild(self, seed):
        member = made(self, seed)
        is_second = member.random_state == wanted
        return member.set_params(learning_rate_init=1e200) if is_second else member

    whole = clone(calm).fit(X, y)
    wanted = whole.estimators_[1].random_state
    monkeypatch.setattr(type(calm), "_new_member", one_is_wild)
    with pytest.warns(ConvergenceWarning, match=r"1 of 3 members have diverged.*\[1\]"):
        calm.fit(X, y)
    assert len(calm.estimators_) == len(calm.estimators_samples_) == 2
    assert_same(calm.estimators_[1], whole.estimators_[2])


def test_bad_settings_are_refused_before_anything_changes():
    X, y = CLASSES
    ensemble = classifier(2).fit(X, y)
    known = ensemble.estimators_
    for options, message in (
        ({"n_estimators": 0}, "n_estimators"),
        ({"max_samples": 151}, "`max_samples` is 151, and X has 150 rows"),
        ({"sharing": "all"}, "sharing"),
        ({"callbacks": [pnn.Checkpoint("nowhere", every_epochs=1)]}, "holds a Checkpoint"),
        ({"alpha": -1.0}, "alpha"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(ensemble).set_params(**options).fit(X, y)
        before = ensemble.get_params()
        with pytest.raises(ValueError, match=message):
            ensemble.set_params(**options).fit(X, y)
        ensemble.set_params(**before)
        assert ensemble.estimators_ is known
    with pytest.raises(TypeError, match=r"MLPEnsembleClassifier: .*hidden"):
        pnn.MLPEnsembleClassifier(hidden=(3,))
    with pytest.raises(ValueError, match="MLPEnsembleClassifier is expecting 4 features"):
        ensemble.predict(X[:, :3])


def test_it_can_be_searched_and_watched():
    epochs = []

    class Watch(pnn.Callback):
        def on_epoch_end(self, state):
            epochs.append(state.epoch)

    watch = Watch()
    watched = classifier(2, callbacks=[watch]).fit(*CLASSES)
    assert epochs == [*range(1, 9)] * 2
    assert watched.loss_curves_ == classifier(2).fit(*CLASSES).loss_curves_
    search = GridSearchCV(classifier(2), {"alpha": [1e-4, 1.0], "bootstrap": [True]}, cv=2)
    assert search.fit(*CLASSES).best_estimator_.n_iter_ <= 8


def test_what_the_guide_asks_of_an_ensemble_can_be_asked():
    text = (Path(__file__).parents[2] / "docs" / "guides" / "ensembles.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| `(\w+)[(`]", text, flags=re.MULTILINE)
    assert len(names) >= 6
    rows, numbers = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    fitted = [classifier(2).fit(*CLASSES), pnn.MLPEnsembleRegressor(2, max_iter=2).fit(rows, numbers)]
    for name in names:
        assert any(hasattr(ensemble, name) for ensemble in fitted), name


def test_all_members_are_one_stack_of_one_x(monkeypatch):
    from portable_nn.estimators import together

    stacks, data = [], []
    train, joined = together.train_stack, together.joined
    monkeypatch.setattr(together, "train_stack", lambda those: (stacks.append(len(those)), train(those)))
    monkeypatch.setattr(together, "joined", lambda *a: (data.append(joined(*a)), data[-1])[1])
    classifier(5, bootstrap=True, max_samples=0.7).fit(*CLASSES)
    assert stacks == [5]
    assert data[0][0].X.shape == (150, 4)


@pytest.mark.parametrize(("n_estimators", "hidden"), [(10**8, 4), (10**6, 10**5)])
def test_more_members_than_memory_holds_are_refused_before_any_is_made(n_estimators, hidden):
    ensemble = pnn.MLPEnsembleClassifier(n_estimators, hidden_layer_sizes=(hidden,))
    with pytest.raises(MemoryError, match=r"`n_estimators` is .*accepted: what fits into the memory"):
        ensemble.fit(*CLASSES)
    assert not hasattr(ensemble, "estimators_")


@pytest.mark.parametrize("options", [{"bootstrap": True}, {"max_samples": 0.6}])
def test_members_by_lbfgs_learn_from_their_rows_too(options):
    X, y = CLASSES
    ensemble = classifier(2, **options).set_params(solver="lbfgs").fit(X, y)
    for member, rows in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        assert_same(member, alone(member).fit(X[rows], y[rows]), curves=False)


def test_members_by_lbfgs_do_not_learn_from_the_rows_that_calibrate():
    X, y = VALUES
    options = {**SETTINGS, "solver": "lbfgs", "calibration_fraction": 0.3}
    ensemble = pnn.MLPEnsembleRegressor(2, random_state=0, **options).fit(X, y)
    member, rows = ensemble.estimators_[0], ensemble.estimators_samples_[0]
    assert len(rows) == 105
    np.testing.assert_array_equal(member.coefs_[0], alone(member).fit(X[rows], y[rows]).coefs_[0])


def test_a_member_that_was_taken_away_is_replaced_by_no_copy_of_another():
    X, y = CLASSES
    ensemble = classifier(4, warm_start=True).fit(X, y)
    del ensemble.estimators_[1]
    with pytest.raises(ValueError, match=r"3 members in `estimators_`.* 4 in `estimators_samples_`"):
        ensemble.fit(X, y)
    del ensemble.estimators_samples_[1]
    ensemble.set_params(n_estimators=6).fit(X, y)
    assert len({member.random_state for member in ensemble.estimators_}) == 6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"activation": "tanh"}, "other networks"),
        ({"hidden_layer_sizes": (7,)}, "networks of the sizes"),
        ({"calibration_fraction": 0.5}, "`calibration_fraction` is 0.5 with warm_start=True"),
    ],
)
def test_a_warm_start_that_would_mix_networks_or_rows_is_refused(changed, message):
    X, y = VALUES
    ensemble = pnn.MLPEnsembleRegressor(2, random_state=0, warm_start=True, **SETTINGS).fit(X, y)
    ensemble.set_params(n_estimators=3, **changed)
    with pytest.raises(ValueError, match=message):
        ensemble.fit(X, y)
    assert len(ensemble.estimators_) == 2


def test_a_warm_start_with_columns_in_another_order_is_refused():
    pandas = pytest.importorskip("pandas")
    X, y = pandas.DataFrame(CLASSES[0], columns=list("abcd")), CLASSES[1]
    ensemble = classifier(2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="other features, or in another order"):
        ensemble.set_params(n_estimators=3).fit(X[list("dcba")], y)
    assert list(ensemble.feature_names_in_) == list("abcd")


def test_what_partial_fit_has_changed_has_no_noise_of_before():
    X, y = VALUES
    ensemble = pnn.MLPEnsembleRegressor(2, random_state=0, **SETTINGS).fit(X, y)
    assert not hasattr(ensemble.partial_fit(X, y), "noise_")
