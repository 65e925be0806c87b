"""The registry: names, availability with its reason, the table, registered backends."""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn import backends
from portable_nn.backends import registry
from portable_nn.backends.numpy_backend import NumpyBackend


@pytest.fixture
def clean_registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_owners", {})


def test_five_backends_are_known_and_numpy_always_works():
    known = backends.names()
    assert {"array_api_strict", "cupy", "jax", "numpy", "torch"} <= set(known)
    assert known == tuple(sorted(known))
    assert "numpy" in backends.available()
    assert set(backends.available()) <= set(known)


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(pnn.UnknownBackendError, match=r"'tourch'; known: .*torch.*did you mean 'torch'"):
        backends.get("tourch")
    assert issubclass(pnn.UnknownBackendError, ValueError)
    for wrong in (None, 3, ["numpy"]):
        with pytest.raises((TypeError, ValueError), match=r"known|accepted"):
            backends.get(wrong)


def test_a_missing_library_is_named_and_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(pnn.BackendUnavailableError, match=r"torch.*pip install torch"):
        backends.get("torch")
    assert issubclass(pnn.BackendUnavailableError, ImportError)
    assert "torch" not in backends.available()


def test_a_library_that_fails_at_import_is_reported(monkeypatch, tmp_path, clean_registry, capsys):
    (tmp_path / "broken_library.py").write_text("raise OSError('no such driver')\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Broken(NumpyBackend):
        name = "broken"
        package = "broken_library"
        owns = classmethod(lambda cls, x: False)

    backends.register("broken", Broken)
    assert "broken" not in backends.available()
    with pytest.raises(pnn.BackendUnavailableError, match="OSError: no such driver"):
        backends.get("broken")
    pnn.show_backends()
    assert "OSError: no such driver" in capsys.readouterr().out


def test_the_table_has_a_row_for_each_backend(capsys, monkeypatch):
    pnn.show_backends()
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["name", "version", "device", "works", "why", "not"]
    assert [row.split()[0] for row in table[1:]] == list(backends.names())
    (numpy_row,) = (row.split() for row in table if row.startswith("numpy"))
    assert numpy_row == ["numpy", np.__version__, "cpu", "yes"]
    monkeypatch.setattr(sys, "argv", ["portable_nn"])
    runpy.run_module("portable_nn", run_name="__main__")
    assert capsys.readouterr().out.splitlines() == table


class Tagged(np.ndarray):
    """An array of another library."""


class TaggedBackend(NumpyBackend):
    name = "tagged"

    @classmethod
    def owns(cls, x):
        return isinstance(x, Tagged)

    def from_host(self, host, dtype):
        return np.array(host, dtype=dtype).view(Tagged)


@pytest.mark.parametrize("given", [TaggedBackend, f"{__name__}:TaggedBackend"])
def test_a_registered_backend_owns_its_arrays(given, clean_registry):
    backends.register("tagged", given)
    assert "tagged" in backends.names()
    assert "tagged" in backends.available()
    net = pnn.Network((4, 3), ("softmax",), "categorical_cross_entropy")
    params = net.initialize(backend="tagged")
    X = backends.get("tagged").asarray(np.ones((5, 4), dtype="float32"))
    Y = backends.get("tagged").asarray(np.eye(3, dtype="float32")[[0, 1, 2, 0, 0]])
    trained, _ = pnn.fit(net, params, X, Y, epochs=2)
    assert type(trained[0][0]) is Tagged
    assert type(net.predict(trained, X)) is Tagged
    with pytest.raises(ValueError, match=r"'tagged' on cpu.*'numpy' on cpu"):
        net.predict(params, np.ones((5, 4), dtype="float32"))


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("numpy", "a.b:C", "'numpy' is built in"),
        ("", "a.b:C", "`name` is ''"),
        (3, "a.b:C", "`name` is 3"),
        ("mine", "a.b.C", "package.module:Class"),
        ("mine", ":C", "package.module:Class"),
        ("mine", dict, "package.module:Class"),
        ("mine", None, "package.module:Class"),
        ("mine", NumpyBackend, "calls itself 'numpy'; accepted: .*'mine'"),
    ],
)
def test_an_invalid_registration_is_refused(name, place, message, clean_registry):
    with pytest.raises((TypeError, ValueError), match=message):
        backends.register(name, place)
    assert "mine" not in backends.names()


@pytest.mark.parametrize("missing", ["name", "package", "namespace", "owns"])
def test_a_backend_that_does_not_define_what_it_has_to_is_refused(missing, clean_registry):
    class Whole(pnn.backends.Backend):
        name, package = "mine", "numpy"
        namespace = classmethod(lambda cls: np)
        owns = classmethod(lambda cls, x: False)

    kept = {k: v for k, v in vars(Whole).items() if not k.startswith("__") and k != missing}
    with pytest.raises(TypeError, match=rf"lacks {missing}: define it"):
        backends.register("mine", type("Partial", (pnn.backends.Backend,), kept))
    backends.register("mine", Whole)


@pytest.mark.parametrize("owns", [lambda cls, x: isinstance(x, np.ndarray), lambda cls, x: 1 / 0])
def test_a_registered_backend_gets_no_arrays_of_a_built_in_library(owns, clean_registry):
    greedy = type("Greedy", (TaggedBackend,), {"name": "greedy", "owns": classmethod(owns)})
    backends.register("greedy", greedy)
    assert backends.of(np.ones(3)) is backends.get("numpy")
    with pytest.raises(TypeError, match="was given; accepted"):
        backends.of("no array")


def test_a_registered_location_that_does_not_exist_is_reported_when_used(clean_registry, capsys):
    backends.register("mine", "no_such_package.module:Backend")
    assert "mine" in backends.names()
    assert "mine" not in backends.available()
    pnn.show_backends()
    assert "No module named 'no_such_package'" in capsys.readouterr().out
    assert backends.of(np.ones(3)).name == "numpy"
    with pytest.raises(pnn.BackendUnavailableError, match=r"no_such_package.module:Backend'.*imported"):
        backends.get("mine")


def test_packages_declare_backends_by_entry_points(monkeypatch, tmp_path, clean_registry):
    info = tmp_path / "declared-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: declared\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[portable_nn.backends]\ntagged = {__name__}:TaggedBackend\nnumpy = a.b:C\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry.entry_points.cache_clear()
    try:
        with pytest.warns(UserWarning, match="'numpy' = 'a.b:C'.*is ignored: a built-in"):
            assert "tagged" in backends.names()
        assert type(backends.get("tagged")) is TaggedBackend
        assert type(backends.get("numpy")) is NumpyBackend
    finally:
        registry.entry_points.cache_clear()


def test_a_backend_whose_module_ends_the_process_is_reported_and_ends_nothing(
    tmp_path, monkeypatch, clean_registry, capsys
):
    (tmp_path / "leaving.py").write_text("raise SystemExit('no licence')\n")
    (tmp_path / "leaving_library.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Leaving(backends.Backend):
        name, package = "needs_leaving", "leaving_library"

        @classmethod
        def namespace(cls):
            raise SystemExit

        @classmethod
        def owns(cls, x):
            raise SystemExit

    backends.register("leaving", "leaving:Class")
    backends.register("needs_leaving", Leaving)
    pnn.show_backends()
    out = capsys.readouterr().out
    assert "no licence" in out
    assert "leaving_library cannot be imported: SystemExit: 3" in out
    net = pnn.Network((2, 1), ("identity",), "squared_error")
    with pytest.raises(TypeError, match="accepted: an array"):
        net.predict(net.initialize(), [[1.0, 2.0]])
    with pytest.raises(pnn.BackendUnavailableError, match="no licence"):
        backends.get("leaving")


@pytest.mark.parametrize("name", ["torch", "jax", "cupy", "array_api_strict"])
def test_a_backend_whose_library_is_missing_says_how_to_install_it(name, host_only, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    kind = registry.backend_class(name)
    with pytest.raises(pnn.BackendUnavailableError, match=f"(?s){name}.*pip install"):
        kind()
