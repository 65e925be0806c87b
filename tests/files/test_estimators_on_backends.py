"""Estimators trained on any backend, saved there, loaded here and on it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

import portable_nn as pnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def data(random):
    X = random.normal(size=(40, 4)).astype("float32")
    return X, np.array(["a", "b", "c"])[random.integers(0, 3, size=40)]


def host_parameters(estimator):
    arrays = [*estimator.coefs_, *estimator.intercepts_]
    return [pnn.backends.to_host(array) for array in arrays]


def same_bits(a, b):
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_saved_on_a_backend_and_loaded_on_numpy_it_has_equal_bits(backend, tmp_path, data):
    X, y = data
    one = pnn.MLPClassifier((5,), max_iter=2, random_state=0, batch_size=20).fit(backend.asarray(X), y)
    pnn.save(tmp_path / "e", one)
    other = pnn.load(tmp_path / "e")
    assert all(type(array) is np.ndarray for array in (*other.coefs_, *other.intercepts_))
    assert same_bits(host_parameters(one), host_parameters(other))
    assert other.classes_.tolist() == one.classes_.tolist()
    expected = backend.to_numpy(one.predict_proba(backend.asarray(X)))
    assert np.allclose(other.predict_proba(X), expected, rtol=1e-5, atol=1e-6)
    other.partial_fit(X, y)


def test_loaded_on_its_backend_it_goes_on_as_the_saved_one(backend, tmp_path, data):
    X, y = backend.asarray(data[0]), np.unique(data[1], return_inverse=True)[1]
    one = pnn.MLPClassifier((5,), max_iter=2, random_state=0, batch_size=20).fit(X, y)
    pnn.save(tmp_path / "e", one)
    other = pnn.load(tmp_path / "e", backend)
    assert all(pnn.backends.of(array) is backend for array in (*other.coefs_, *other.intercepts_))
    assert type(other.classes_) is type(one.to(backend).classes_)
    assert np.array_equal(
        backend.to_numpy(other.predict_proba(X)), backend.to_numpy(one.predict_proba(X))
    )
    for e in (one, other):
        e.partial_fit(X, y)
    assert same_bits(host_parameters(one), host_parameters(other))


def test_the_parameter_backend_is_kept_and_host_arrays_are_taken(backend, tmp_path, data):
    X, y = data
    options = {"backend": backend, "device": backend.device, "random_state": 0, "max_iter": 2}
    one = pnn.MLPClassifier((5,), **options).fit(X, y)
    pnn.save(tmp_path / "e", one)
    other = pnn.load(tmp_path / "e", backend.name, backend.device_name())
    assert other.get_params()["backend"] == backend.name
    assert other.predict_proba(X).tolist() == one.predict_proba(X).tolist()
    on_host = pnn.load(tmp_path / "e")
    assert type(on_host.predict_proba(X)) is np.ndarray
    on_host.partial_fit(X, y)


@pytest.mark.usefixtures("host_only")
def test_an_estimator_whose_backend_is_missing_loads_on_numpy(tmp_path, data, monkeypatch):
    X, y = data
    one = pnn.MLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    one.set_params(backend="cupy", device="cuda:0")
    monkeypatch.setattr(
        "portable_nn.backends.cupy_backend.CupyBackend.problem", classmethod(lambda cls: "not here")
    )
    pnn.save(tmp_path / "e", one)
    other = pnn.load(tmp_path / "e")
    assert (other.backend, other.device) == ("cupy", "cuda:0")
    assert np.array_equal(other.predict_proba(X), one.predict_proba(X))
    other.partial_fit(X, y)
    pnn.save(tmp_path / "again", other)
    pytest.importorskip("array_api_strict")
    elsewhere = pnn.load(tmp_path / "again", "array_api_strict")
    assert (elsewhere.backend, elsewhere._takes_host) == ("cupy", False)
