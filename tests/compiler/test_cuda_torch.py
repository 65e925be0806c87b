"""Steps as programs on torch's CUDA devices: torch's tensors, on a GPU that is none."""

from __future__ import annotations

import contextlib
import functools

import array_api_compat.numpy
import numpy as np
import pytest
from cuda_helpers import needs_gcc
from fake_cuda import CUBLAS, FakeDevice, compiled

import portable_nn as pnn
from portable_nn.backends.torch_backend import TorchBackend
from portable_nn.backends.torch_device import TorchDevice
from portable_nn.compiler.cuda import CudaScan
from portable_nn.compiler.cuda.cublas import Cublas
from portable_nn.compiler.cuda.device import MODE_VARIABLE
from portable_nn.compiler.cuda.products import product_of
from portable_nn.compiler.layout import Layout
from portable_nn.training.steps import training_steps

pytestmark = needs_gcc


@pytest.fixture
def torch(request):
    asked = request.config.getoption("--backend")
    if (asked and "torch" not in asked) or request.config.getoption("--gpu"):
        pytest.skip("on torch alone: run with --backend torch")
    return pytest.importorskip("torch", reason="torch is not installed")


class Pretended(FakeDevice):
    """Memory as `TorchDevice` has it, on the CPU; kernels, products and graphs as `FakeDevice` does."""

    def __init__(self, torch, folder):
        self.memory = object.__new__(TorchDevice)
        self.memory.torch, self.memory.device = torch, "cpu"
        super().__init__(folder)
        for name in ("info", "to_device", "address", "view"):
            setattr(self, name, getattr(self.memory, name))

    def empty(self, shape, dtype):
        array = self.memory.empty(shape, dtype)
        if array.is_floating_point():
            array.fill_(float("nan"))
        return array

    def address(self, array):
        return int(array.__array_interface__["data"][0])

    def copy(self, target, source):
        assert (target.shape, target.dtype) == (source.shape, source.dtype)
        self.enqueue(functools.partial(self.memory.copy, target, source))


@pytest.fixture
def train(torch, folder, monkeypatch):
    """`pnn.fit` on torch's CPU, its steps compiled as on a CUDA device."""
    made = []

    def scan(self, step):
        eager = self.compile(functools.partial(step, self.xp))
        traced = functools.partial(step, array_api_compat.numpy)
        made.append(CudaScan(traced, eager, Pretended(torch, folder), True))
        return made[-1]

    def fit(*arguments, **options):
        training_steps.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(TorchBackend, "scan", scan)
            found = pnn.fit(*arguments, **options)
        training_steps.cache_clear()
        return found

    fit.scans = made
    return fit


def case(torch, random, dtype):
    X = random.normal(size=(90, 12)).astype(dtype)
    Y = np.eye(3, dtype=dtype)[random.integers(0, 3, 90)]
    return torch.from_numpy(X), torch.from_numpy(Y)


def test_tensors_train_as_they_do_eagerly(torch, train, dtype, random):
    net = pnn.Network((12, 16, 9, 3), ("relu", "tanh", "softmax"), "categorical_cross_entropy")
    X, Y = case(torch, random, dtype)
    params = net.initialize(backend="torch", dtype=dtype)
    weight = torch.from_numpy(random.random(90).astype(dtype))
    options = {"l2": 0.1, "dropout": 0.2, "sample_weight": weight}
    given = (net, params, X, Y, pnn.Adam(0.01), 3, 16)
    kept = [theta.clone() for layer in params for theta in layer]
    found, history = train(*given, **options)
    expected, theirs = pnn.fit(*given, **options)
    assert None not in train.scans[-1].programs.values()
    assert history.cost == pytest.approx(theirs.cost, rel=1e-5 if dtype == "float32" else 1e-12)
    for layer, other in zip(found, expected, strict=True):
        for a, b in zip(layer, other, strict=True):
            assert (type(a), a.dtype, a.device) == (type(b), b.dtype, b.device)
            np.testing.assert_allclose(a, b, atol=2e-6 if dtype == "float32" else 1e-13)
    for old, theta in zip(kept, [theta for layer in params for theta in layer], strict=True):
        assert torch.equal(old, theta)


def test_tensors_of_any_memory_layout_are_read_in_place(torch, train, random):
    net = pnn.Network((12, 3), ("softmax",), "categorical_cross_entropy")
    X, Y = case(torch, random, "float64")
    given = {"params": net.initialize(backend="torch", dtype="float64"), "Y": Y, "batch_size": 16}
    (expected,), _ = train(net, X=X, **given)
    apart = torch.zeros(90, 24, dtype=torch.float64)[:, ::2].copy_(X)
    in_columns = X.T.contiguous().T
    further = torch.cat([X[:7], X])[7:]
    for other in (apart, in_columns, further, X.clone().requires_grad_()):
        (found,), _ = train(net, X=other, **given)
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b)
            assert not a.requires_grad


def test_a_dtype_that_numpy_lacks_runs_eagerly(torch, folder):
    device = Pretended(torch, folder)
    step = lambda xp, carry, fixed, one: (carry[0] + one[0],)  # noqa: E731
    steps = CudaScan(*2 * [functools.partial(step, None)], device, True)
    start, each = torch.zeros(3, dtype=torch.bfloat16), torch.ones(2, 1, dtype=torch.bfloat16)
    (found,) = steps((start,), (), each, (False,))
    assert found.tolist() == [2.0] * 3
    assert device.launches == 0


def test_a_view_of_memory_has_another_layout(torch):
    device = object.__new__(TorchDevice)
    device.torch, device.device = torch, "cpu"
    whole = torch.arange(400, dtype=torch.uint8)
    seen = device.view(whole, np.dtype("int32"), Layout((2, 3), (1, 10), 7))
    expected = np.arange(400).astype("uint8").view("int32")[7 + np.array([[0, 10, 20], [1, 11, 21]])]
    np.testing.assert_array_equal(seen, expected)
    other = torch.arange(10.0)[2:]
    assert device.view(other, np.dtype("float32"), Layout((2,), (3,), 1)).tolist() == [3.0, 6.0]


@pytest.fixture
def scans(torch, monkeypatch):
    """``scans()`` makes a scan on a CUDA device by torch: [whether it replays], [] if it is eager."""
    backend = object.__new__(TorchBackend)
    backend.xp, backend.device = array_api_compat.numpy, torch.device("cuda:0")
    backend.__dict__["cuda"] = None

    def make():
        made = []
        monkeypatch.setattr("portable_nn.compiler.cuda.CudaScan", lambda *_, replay: made.append(replay))
        backend.scan(lambda xp, *_: None)
        return made

    return make


def test_where_torch_compiles_no_kernels_steps_run_eagerly_without_a_warning(scans, monkeypatch):
    monkeypatch.delenv(MODE_VARIABLE, raising=False)
    assert scans() == [True]
    with monkeypatch.context() as patch:
        patch.delattr("torch.cuda._utils._nvrtc_compile")  # as before torch 2.8
        assert scans() == []
    monkeypatch.setattr("torch.version.hip", "6.0")  # a build for AMD's cards
    assert scans() == []


@pytest.mark.parametrize(("how", "kind"), [("eager", None), ("fused", False), ("replayed", True)])
def test_the_user_chooses_how_steps_run_on_cuda_by_torch(how, kind, scans, monkeypatch):
    monkeypatch.setenv(MODE_VARIABLE, how)
    assert scans() == ([] if kind is None else [kind])


def test_products_go_through_our_handle_or_else_through_torch(torch, folder):
    device = object.__new__(TorchDevice)
    device.torch = torch
    left, right, out = torch.ones(2, 3), torch.ones(3, 2), torch.zeros(2, 2)
    layouts = [Layout(tuple(x.shape), x.stride()) for x in (left, right, out)]
    for cublas in (Cublas(compiled(CUBLAS, folder), 1, 1), None):
        device.__dict__["cublas"] = cublas
        out.zero_()
        device.product(product_of(*layouts, np.dtype("float32")), left, right, out)()
        assert (out == 3).all()


def test_the_user_chooses_tf32_as_torch_has_it(torch):
    device = object.__new__(TorchDevice)
    device.torch = torch
    settings = torch.backends.cuda.matmul
    before = torch.get_float32_matmul_precision()
    try:
        for precision, expected in (("highest", False), ("high", True), ("medium", True)):
            torch.set_float32_matmul_precision(precision)
            assert device.tf32 == expected
        if hasattr(settings, "fp32_precision"):  # since 2.9
            settings.fp32_precision = "ieee"
            assert not device.tf32
            torch.set_float32_matmul_precision("highest")
            settings.fp32_precision = "tf32"
            assert device.tf32
    finally:
        torch.set_float32_matmul_precision(before)


def test_our_stream_waits_for_the_callers_and_the_caller_for_ours(torch):
    said = []

    class Stream:
        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            said.append(f"{self.name} waits for {other.name}")

    class Library:
        class cuda:  # noqa: N801
            current_stream = staticmethod(lambda device: Stream("the caller's"))
            stream = staticmethod(lambda stream: contextlib.nullcontext())

    device = object.__new__(TorchDevice)
    device.torch, device.device, device.stream = Library, "cuda:0", Stream("ours")
    with device.own_stream():
        said.append("work")
    assert said == ["ours waits for the caller's", "work", "the caller's waits for ours"]
