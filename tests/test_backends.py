"""The registry and each backend: names, availability with its reason, moving arrays, dtypes, devices."""

from __future__ import annotations

import runpy
import subprocess
import sys
import textwrap
import types

import numpy as np
import pytest
from helpers import assert_place

import portable_nn as pnn
from portable_nn import backends
from portable_nn.backends import registry
from portable_nn.backends.cupy_backend import CupyBackend
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


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(pnn.BackendUnavailableError, match=r"torch.*pip install 'portable-nn\[torch\]'"):
        backends.get("torch")
    assert issubclass(pnn.BackendUnavailableError, ImportError)
    assert "torch" not in backends.available()


def test_a_library_that_breaks_when_imported_is_reported_and_raises_nothing(
    monkeypatch, tmp_path, clean_registry, capsys
):
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


def test_cupy_without_a_cuda_device_says_so(monkeypatch):
    class Library:
        __version__ = "14.2.0"

        @staticmethod
        def is_available():
            return False

    monkeypatch.setitem(sys.modules, "cupy", Library)
    assert CupyBackend.problem() == "no CUDA device"
    with pytest.raises(
        pnn.BackendUnavailableError, match=r"'cupy' is unavailable: no CUDA device; .*GPU"
    ):
        backends.get("cupy")


@pytest.mark.parametrize("missing", ["cublas", "nvrtc", None])
def test_cupy_without_a_library_of_the_toolkit_says_which(missing, monkeypatch):
    class Nvrtc:
        @staticmethod
        def getVersion():
            if missing == "nvrtc":
                raise RuntimeError("no libnvrtc.so.13\nand more lines")

    library, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
    library.is_available, library.cuda, cuda.nvrtc = lambda: True, cuda, Nvrtc
    if missing != "cublas":
        cuda.cublas = object()
    monkeypatch.setitem(sys.modules, "cupy", library)
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    found = CupyBackend.problem()
    if missing is None:
        assert found is None
    else:
        assert found.startswith("a library of the CUDA toolkit is missing: ")
        assert missing in found
        assert "\n" not in found


def test_cupy_names_the_real_library_that_it_lacks(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    try:
        from cupy.cuda import cublas  # noqa: F401
    except ImportError:
        monkeypatch.setattr(cupy, "is_available", lambda: True)
        assert "libcublas" in CupyBackend.problem()


def test_cupy_finds_its_devices_by_number_by_name_and_by_object(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    monkeypatch.setattr(CupyBackend, "problem", classmethod(lambda cls: None))
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 2)
    monkeypatch.setattr(registry, "_instances", {})
    second = backends.get("cupy", 1)
    assert second.device == cupy.cuda.Device(1)
    assert second.device_name() == "cuda:1"
    assert second is backends.get("cupy", "cuda:1") is backends.get("cupy", cupy.cuda.Device(1))
    assert backends.get("cupy", "cuda") is backends.get("cupy", "cuda:0") is not second

    class Array:  # what the registry asks of an array: its type and its device
        device = cupy.cuda.Device(1)

    monkeypatch.setattr(CupyBackend, "owns", classmethod(lambda cls, x: isinstance(x, Array)))
    monkeypatch.setattr(registry, "_owners", {})
    assert backends.of(Array()) is second
    for wrong in (2, "cuda:2", "gpu", True, 0.0):
        with pytest.raises(ValueError, match=r"no device .*accepted: cuda, cuda:0, cuda:1"):
            backends.get("cupy", wrong)


def test_the_table_has_a_row_for_each_backend(capsys):
    pnn.show_backends()
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["name", "version", "device", "works", "why", "not"]
    assert [row.split()[0] for row in table[1:]] == list(backends.names())
    (numpy_row,) = (row.split() for row in table if row.startswith("numpy"))
    assert numpy_row == ["numpy", np.__version__, "cpu", "yes"]
    runpy.run_module("portable_nn", run_name="__main__")
    assert capsys.readouterr().out.splitlines() == table


def test_there_is_one_object_per_library_and_device(backend):
    assert backends.get(backend.name, backend.device_name()) is backend
    assert backends.get(backend.name, backend.device) is backend
    assert backends.get(backend) is backend
    assert backends.get(backend, backend.device_name()) is backend
    x = backend.asarray(np.ones((2, 3), dtype="float32"))
    assert backends.of(x) is backend
    assert repr(backend) == f"<backend {backend.name!r} on {backend.device_name()}>"


@pytest.mark.parametrize("name", ["bool", "int32", "uint8", "float32", "float64"])
def test_arrays_come_and_go_unchanged(name, backend):
    host = (np.arange(6) % 2).astype(name).reshape(2, 3)
    array = backend.asarray(host)
    assert_place(array, backend, name, (2, 3))
    back = backend.to_numpy(array)
    assert back.dtype == host.dtype
    np.testing.assert_array_equal(back, host)
    assert backend.asarray(array) is array
    assert_place(backend.asarray(array, dtype="float32"), backend, "float32", (2, 3))
    assert_place(backend.asarray(host, dtype=backend.xp.float64), backend, "float64", (2, 3))
    backend.ready(array, array)


def test_awkward_memory_is_taken(backend):
    host = np.arange(24.0).reshape(4, 6)
    frozen = host.copy()
    frozen.flags.writeable = False
    big_endian = host.astype(">f8")
    for awkward in (host[::-1, ::-2], host.T, np.asfortranarray(host), frozen, host[:0], host.tolist()):
        np.testing.assert_array_equal(backend.to_numpy(backend.asarray(awkward)), np.asarray(awkward))
    np.testing.assert_array_equal(backend.to_numpy(backend.asarray(big_endian)), host)


def test_a_copy_does_not_share_memory_with_the_host(backend):
    if backend.name == "numpy":
        pytest.skip("NumPy arrays are on the host: asarray gives the array itself")
    host = np.ones((2, 3))
    array = backend.asarray(host)
    host[...] = 7
    np.testing.assert_array_equal(backend.to_numpy(array), np.ones((2, 3)))


def test_what_has_no_numbers_is_refused(backend):
    for wrong in (["a", "b"], [object()], np.array(["2020-01-01"], dtype="datetime64[D]")):
        with pytest.raises(TypeError, match=r"accepted: numbers or booleans|has no dtype 'datetime64"):
            backend.asarray(wrong)
    with pytest.raises(TypeError, match="a masked array was given"):
        backend.asarray(np.ma.array([1.0, 2.0], mask=[True, False]))
    with pytest.raises(TypeError, match=r"has no dtype 'float128'|has no dtype 'longdouble'"):
        backend.asarray(np.ones(3, dtype=np.longdouble))


def test_an_unknown_device_is_refused_with_those_there_are(backend):
    with pytest.raises((ValueError, ImportError), match=r"no device 'nowhere'"):
        backends.get(backend.name, "nowhere")


def test_arrays_move_between_the_devices_of_a_library():
    pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    first = backends.get("array_api_strict")
    second = backends.get(first, "device1")
    assert second is not first
    x = first.asarray(np.ones((2, 3)))
    assert_place(second.asarray(x), second, "float64", (2, 3))
    assert_place(first.asarray(second.asarray(x)), first, "float64", (2, 3))


def test_arrays_move_between_libraries_only_when_asked(backend):
    source = backends.get("numpy").asarray(np.ones((2, 3)))
    there = backend.asarray(source)
    assert_place(backends.get("numpy").asarray(there), backends.get("numpy"), "float64", (2, 3))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_is_no_array_has_no_backend():
    for wrong in ([1.0], 1.0, None, "x", np.matrix([[1.0]]), np.ma.array([1.0]), object()):
        with pytest.raises(
            TypeError, match=r"was given; accepted: an array of one of the backends.*numpy"
        ):
            backends.of(wrong)


def test_a_compiled_step_computes_the_same(backend):
    xp = backend.xp
    x = backend.asarray(np.linspace(-1, 1, 6).reshape(2, 3))
    step = backend.compile(lambda a, b: (xp.exp(a) @ b, a))
    product, same = step(x, x.mT)
    expected = np.exp(backend.to_numpy(x)) @ backend.to_numpy(x).T
    np.testing.assert_allclose(backend.to_numpy(product), expected, rtol=1e-12)
    np.testing.assert_array_equal(backend.to_numpy(same), backend.to_numpy(x))


def test_a_step_on_torch_records_nothing_for_autograd():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.ones((2, 2), requires_grad=True)
    assert not backends.get("torch").compile(lambda a: a * 2)(x).requires_grad
    np.testing.assert_array_equal(backends.get("torch").to_numpy(x), np.ones((2, 2)))


def test_a_number_costs_torch_no_tensor(monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    xp, x = backends.get("torch").xp, torch.asarray([-1.0, 2.0])
    for name in ("asarray", "tensor", "as_tensor"):
        monkeypatch.setattr(
            torch, name, lambda *a, name=name, **k: pytest.fail(f"torch.{name} was called")
        )
    assert xp.maximum(x, 0.0).tolist() == [0.0, 2.0]
    assert xp.minimum(x, 0.0).tolist() == [-1.0, 0.0]
    assert xp.maximum(x, -x).tolist() == [1.0, 2.0]
    assert xp.minimum(x, -x).tolist() == [-1.0, -2.0]


# ---- a backend of one's own ----------------------------------------------------------------------


class Tagged(np.ndarray):
    """An array of somebody else's library."""


class TaggedBackend(NumpyBackend):
    name = "tagged"

    @classmethod
    def owns(cls, x):
        return isinstance(x, Tagged)

    def from_host(self, host, dtype):
        return np.array(host, dtype=dtype).view(Tagged)


@pytest.mark.parametrize("given", [TaggedBackend, f"{__name__}:TaggedBackend"])
def test_a_backend_of_ones_own_owns_its_arrays(given, clean_registry):
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
def test_a_registration_that_cannot_be_is_refused(name, place, message, clean_registry):
    with pytest.raises((TypeError, ValueError), match=message):
        backends.register(name, place)
    assert "mine" not in backends.names()


@pytest.mark.parametrize("missing", ["name", "package", "namespace", "owns"])
def test_a_backend_that_lacks_what_only_it_can_say_is_refused(missing, clean_registry):
    class Whole(pnn.backends.Backend):
        name, package = "mine", "numpy"
        namespace = classmethod(lambda cls: np)
        owns = classmethod(lambda cls, x: False)

    kept = {k: v for k, v in vars(Whole).items() if not k.startswith("__") and k != missing}
    with pytest.raises(TypeError, match=rf"lacks {missing}: define it"):
        backends.register("mine", type("Partial", (pnn.backends.Backend,), kept))
    backends.register("mine", Whole)


@pytest.mark.parametrize("owns", [lambda cls, x: isinstance(x, np.ndarray), lambda cls, x: 1 / 0])
def test_a_backend_of_ones_own_takes_no_arrays_of_a_built_in_library(owns, clean_registry):
    greedy = type("Greedy", (TaggedBackend,), {"name": "greedy", "owns": classmethod(owns)})
    backends.register("greedy", greedy)
    assert backends.of(np.ones(3)) is backends.get("numpy")
    with pytest.raises(TypeError, match="was given; accepted"):
        backends.of("no array")


def test_a_registered_place_that_does_not_exist_is_reported_when_used(clean_registry, capsys):
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


# ---- JAX without 64-bit types, in a process of its own -------------------------------------------


def test_float64_on_jax_without_x64_is_refused_and_float32_trains():
    pytest.importorskip("jax", reason="jax is not installed")
    program = textwrap.dedent(
        """
        import warnings; warnings.simplefilter("error")
        import numpy as np, portable_nn as pnn
        net = pnn.Network((4, 3), ("softmax",), "categorical_cross_entropy")
        for make in (lambda: net.initialize(backend="jax", dtype="float64"),
                     lambda: pnn.backends.get("jax").asarray(np.ones(3))):
            try:
                make()
            except TypeError as error:
                assert "no dtype 'float64'" in str(error) and "jax_enable_x64" in str(error), error
            else:
                raise SystemExit("float64 was narrowed silently")
        jax = pnn.backends.get("jax")
        X = jax.asarray(np.ones((5, 4), "float32"))
        Y = jax.asarray(np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]])
        params, history = pnn.fit(net, net.initialize(backend="jax"), X, Y, epochs=3, batch_size=2)
        assert str(params[0][0].dtype) == "float32" and len(history.cost) == 3
        """
    )
    environment = {"PATH": "", "JAX_ENABLE_X64": "0", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
