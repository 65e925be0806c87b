"""The files of every release are read for ever, by the package and by whoever follows its documents."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import independent_reader
import numpy as np
import pytest

pytest.importorskip("sklearn")

from storage_files import take_apart
from write_golden_files import CUSTOM, outputs, rows_for

import portable_nn as pnn
from portable_nn.files.show import show
from portable_nn.storage import write_document
from portable_nn.storage.known_layers import LAYERS

pytestmark = [
    pytest.mark.usefixtures("host_only"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.safetensors"))
ESTIMATORS = [path for path in FILES if path.stem.startswith(("classifier", "regressor"))]
IDS = [f"{path.parent.name}-{path.stem}" for path in FILES]


def recorded(path):
    """The rows, and what was predicted for them when the file was written."""
    found = json.loads((path.parent / "outputs.json").read_text(encoding="utf-8"))
    return np.asarray(found["X"]), np.asarray(found[path.stem])


def check_close(found, expected, exactly):
    assert np.shape(found) == expected.shape
    assert np.allclose(found, expected, rtol=1e-12 if exactly else 1e-5, atol=1e-12 if exactly else 1e-6)


def test_there_are_golden_files_and_they_are_small():
    assert len(FILES) >= 10
    assert all(path.stat().st_size < 20_000 for path in GOLDEN.rglob("*.*"))


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_golden_file_predicts_what_it_did(path):
    X, expected = recorded(path)
    is_exact = "float64" in path.stem or "activations" in path.stem or path.stem[:3] in ("reg", "tra")
    for options in ({}, {"mmap": True}):
        thing = pnn.load(path, custom=CUSTOM, **options)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            check_close(outputs(thing, X), expected, is_exact)
    assert show(str(path)) == 0


@pytest.mark.parametrize("path", ESTIMATORS, ids=[path.stem for path in ESTIMATORS])
def test_a_golden_estimator_can_be_trained_further(path):
    estimator, X = pnn.load(path), np.repeat(recorded(path)[0], 12, axis=0)
    if "regressor" in path.stem:
        y = X[:, :2]
    elif "many" in path.stem:
        y = (X[:, :3] > 0).astype(int)
    else:
        y = estimator.classes_[np.arange(len(X)) % len(estimator.classes_)]
    held_out = {"X_val": X, "y_val": y} if estimator.early_stopping else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if estimator.solver != "lbfgs":
            estimator.partial_fit(X, y, **held_out)
        estimator.set_params(warm_start=True).fit(X, y)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_whoever_follows_the_document_reads_a_golden_file(path, monkeypatch):
    for name, g in CUSTOM.items():
        monkeypatch.setitem(independent_reader.ACTIVATIONS, name, lambda z, g=g: g.g(np, z))
    X, expected = recorded(path)
    kind, values = independent_reader.read(path)
    if kind == "MLPTransformer":
        return  # the outputs are those of a layer
    found = independent_reader.predict(
        values, rows_for(pnn.load(path, custom=CUSTOM, as_network=True)[0], X)
    )
    if values.get("labels") and values["labels"]["type"] == "binary":
        found = np.concatenate([1 - found, found], axis=1)
    check_close(found, expected, exactly=False)
    if kind == "MLPClassifier":
        assert values["classes"].tolist() == pnn.load(path).classes_.tolist()


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_the_safetensors_library_reads_a_golden_file(path):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = numpy.load_file(path)
    net, params = pnn.load(path, custom=CUSTOM, as_network=True)[:2]
    for layer, theta in zip(net.described.layers, params, strict=True):
        for one, array in zip(layer.arrays, theta, strict=True):
            assert np.array_equal(arrays[f"params.{layer.number}.{one.symbol}"], array)


def test_every_layer_is_in_a_golden_file():
    nets = [pnn.load(path, custom=CUSTOM)[0] for path in FILES if path.stem.startswith("layers")]
    found = {type(layer).__name__ for net in nets for layer in net.layers} - {"Activation"}
    assert found == set(LAYERS)


def test_another_reader_reads_long_lists_of_numbers(tmp_path):
    values = {"floats": [0.1, float("inf")] * 501, "ints": [-(2**63), 2**63 - 1] * 501}
    write_document(tmp_path / "f", "test", values)
    assert independent_reader.read(tmp_path / "f")[1] == values
    text = (tmp_path / "f").read_bytes()
    assert b"$floats" in text
    assert b"$ints" in text


@pytest.mark.parametrize("name", ["leaky_relu-huber", "stack-float64", "activations", "user-defined"])
def test_a_dense_network_is_written_as_it_was_before_there_were_layers(name, tmp_path):
    path = GOLDEN / "0.2" / f"{name}.safetensors"
    pnn.save(tmp_path / "f", pnn.load(path, custom=CUSTOM), custom=CUSTOM)
    (was, data), (found, again) = take_apart(path), take_apart(tmp_path / "f")
    assert again == data
    assert found["__metadata__"].pop("values") == was["__metadata__"].pop("values")
    assert {k: v for k, v in found.items() if k[0] != "_"} == {
        k: v for k, v in was.items() if k[0] != "_"
    }
