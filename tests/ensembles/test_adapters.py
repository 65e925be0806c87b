"""Networks that share weights: the update is that of the mean of their losses, by torch's autograd."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

import portable_nn as pnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
SETTINGS = {"hidden_layer_sizes": (6, 5), "random_state": 0, "sharing": "adapters", "alpha": 0.7}


def classifier(**options):
    return pnn.MLPEnsembleClassifier(3, **(SETTINGS | {"max_iter": 4} | options))


def leaves(ensemble):
    shared = ensemble.shared_
    adapters = [array for pair in shared.adapters_ for array in pair]
    return [*shared.coefs_, *shared.intercepts_, *adapters]


def loss_by_torch(torch, arrays, mean_of_weights=None):
    """The mean over the networks of log loss and penalty, of arrays as `leaves` gives them."""
    coefs, intercepts, adapters = arrays[:3], arrays[3:6], arrays[6:]
    total = 0.0
    for k in range(3):
        A = torch.tensor(X)
        for l in range(2):
            r, s = adapters[2 * l][k, :, 0], adapters[2 * l + 1][k, :, 0]
            A = torch.relu(((A * r) @ coefs[l]) * s + intercepts[l][k])
        out = A @ coefs[2][k] + intercepts[2][k]
        total = total + torch.nn.functional.cross_entropy(out, torch.tensor(Y))
        squares = (coefs[0] ** 2).sum() + (coefs[1] ** 2).sum() + (coefs[2][k] ** 2).sum()
        total = total + 0.7 / (2 * len(X)) * squares
    return total / 3


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_an_update_is_that_of_the_mean_loss(torch, solver):
    options = {"solver": solver, "batch_size": 150, "momentum": 0.0, "max_iter": 1, "epsilon": 1e-3}
    first = classifier(learning_rate_init=1e-300, **options).fit(X, Y)
    after = classifier(learning_rate_init=0.1, **options).fit(X, Y)
    start = [torch.tensor(np.ascontiguousarray(array), requires_grad=True) for array in leaves(first)]
    loss = loss_by_torch(torch, start)
    loss.backward()
    assert first.shared_.loss_ == pytest.approx(float(loss.detach()), rel=1e-12)
    for theta, found in zip(start, leaves(after), strict=True):
        g, one = theta.grad.numpy(), theta.detach().numpy()
        step = {
            "sgd": g,
            "adam": 0.1 * g * np.sqrt(0.001) / 0.1 / (np.sqrt(0.001) * np.abs(g) + 1e-3),
            "rmsprop": g / (np.sqrt(0.1) * np.abs(g) + 1e-3),
        }[solver]
        np.testing.assert_allclose(found, one - 0.1 * step, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("host_only")
def test_networks_begin_as_published_and_share_one_gradient():
    first = classifier(learning_rate_init=1e-300, solver="sgd", max_iter=1).fit(X, Y).shared_
    (r, s), (r2, s2) = first.adapters_
    assert set(np.unique(r)) == {-1.0, 1.0}
    assert all((array == 1).all() for array in (s, r2, s2))
    assert r.shape == (3, 4, 1)
    assert [coef.shape for coef in first.coefs_] == [(4, 6), (6, 5), (3, 5, 3)]
    assert len(np.unique(first.coefs_[2][:, 0, 0])) == 3
    assert (first.intercepts_[0] == first.intercepts_[0][:1]).all()


@pytest.mark.usefixtures("host_only")
def test_members_are_dense_networks_that_predict_the_same():
    ensemble = classifier().fit(X, Y)
    shared = ensemble.shared_
    found = ensemble.predict_proba(X)
    np.testing.assert_allclose(found, shared.predict_proba(X), rtol=1e-9)
    each = [member.predict_proba(X) for member in ensemble.estimators_]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-12)
    assert np.abs(each[0] - each[1]).max() > 1e-3
    again = pickle.loads(pickle.dumps(ensemble))
    for _ in range(2):
        ensemble.partial_fit(X, Y)
        again.partial_fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), ensemble.predict_proba(X))
    assert np.abs(ensemble.predict_proba(X) - found).max() > 1e-4


@pytest.mark.usefixtures("host_only")
def test_it_is_judged_and_stopped_by_the_averaged_prediction():
    A, B, a, b = train_test_split(X[:, :3], X[:, 3], random_state=0, test_size=0.4)
    options = {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 3, "learning_rate_init": 0.03}

    def fitted(**more):
        ensemble = pnn.MLPEnsembleRegressor(3, **(SETTINGS | options | {"alpha": 0.0}), **more)
        return ensemble.fit(A, a, X_val=B, y_val=b)

    ensemble = fitted()
    shared = ensemble.shared_
    assert shared.stopped_early_
    assert len(shared.validation_scores_) == shared.n_iter_ < 60
    averaged = np.mean([member.predict(B) for member in ensemble.estimators_], axis=0)
    assert r2_score(b, averaged) == pytest.approx(max(shared.validation_scores_), rel=1e-9)
    assert ensemble.loss_curves_[0] == shared.loss_curve_
    scores = fitted(scoring="r2").shared_.validation_scores_
    np.testing.assert_allclose(scores, shared.validation_scores_, rtol=1e-9)


@pytest.mark.usefixtures("host_only")
def test_numbers_dropout_and_intervals_and_a_file(tmp_path):
    ensemble = pnn.MLPEnsembleRegressor(
        3,
        calibration_fraction=0.2,
        dropout=0.1,
        max_iter=40,
        learning_rate_init=0.03,
        **SETTINGS | {"alpha": 0.01},
    ).fit(X[:, :3], X[:, 3])
    assert ensemble.score(X[:, :3], X[:, 3]) > 0.5
    low, high = ensemble.predict_interval(X[:, :3])
    assert (low < high).all()
    with pytest.warns(UserWarning, match="without the adapters"):
        pnn.save(tmp_path / "a", ensemble)
    twin = pnn.load(tmp_path / "a")
    np.testing.assert_array_equal(twin.predict_interval(X[:, :3]), (low, high))
    with pytest.raises(ValueError, match="come from a file"):
        twin.partial_fit(X[:, :3], X[:, 3])


def test_every_backend_trains_the_same(backend):
    host = classifier().fit(X, Y).predict_proba(X)
    there = backend.asarray(X)
    ensemble = classifier().fit(there, backend.asarray(Y))
    found = ensemble.predict_proba(there)
    assert pnn.backends.of(found) is backend
    np.testing.assert_allclose(backend.to_numpy(found), host, rtol=1e-8)
    moved = ensemble.to("numpy").partial_fit(X, Y)
    np.testing.assert_allclose(
        moved.predict_proba(X), classifier().fit(X, Y).partial_fit(X, Y).predict_proba(X), rtol=1e-8
    )


@pytest.mark.usefixtures("host_only")
@pytest.mark.parametrize(
    "options", [{"solver": "lbfgs"}, {"bootstrap": True}, {"clip_norm": 1.0}, {"warm_start": True}]
)
def test_what_shared_weights_cannot_do_is_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=rf"`{name}` is .* accepted: its default, or sharing='none'"):
        classifier(**options).fit(X, Y)
