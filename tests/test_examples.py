"""What the examples say of layers and of codes; the nox session `examples` runs them as a whole."""

import inspect
import runpy
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example(monkeypatch):
    """What a script defines, without its main."""
    monkeypatch.syspath_prepend(FOLDER.as_posix())
    return lambda name: runpy.run_path((FOLDER / f"{name}.py").as_posix())


@pytest.mark.usefixtures("host_only")
def test_a_layer_of_ones_own_takes_less_than_thirty_lines_and_its_gradients_are_right(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER.as_posix())
    import own_layer

    assert len(inspect.getsource(own_layer.Residual).splitlines()) < 30
    net, random = own_layer.network([own_layer.Residual()] * 2), np.random.default_rng(0)
    params = [
        tuple(random.normal(scale=0.5, size=array.shape) for array in layer)
        for layer in net.initialize(dtype="float64")
    ]
    X, Y = random.standard_normal((6, 8)), random.standard_normal((6, 1))
    assert net.check_gradients(params, X, Y) < 1e-7


@pytest.mark.usefixtures("host_only")
def test_a_category_unseen_in_training_gets_the_reserved_code(example):
    codes = example("categories")["codes"]
    known, code = np.unique(["s3", "s1", "s3"], return_inverse=True)
    assert codes(known, np.array(["s3", "s1", "s3"])).tolist() == (1 + code).tolist() == [2, 1, 2]
    assert codes(known, np.array(["s0", "s2", "s9"])).tolist() == [0, 0, 0]
