"""PyTorch, on any of its devices; nothing is recorded for autograd."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import array_api_compat
import array_api_compat.numpy
import numpy as np

from portable_nn import trees
from portable_nn.backends.base import Backend
from portable_nn.backends.namespaces import namespace_with
from portable_nn.backends.scans import Exchange, First, Second, as_one_step
from portable_nn.backends.streaming import OverlappingSender, Sender
from portable_nn.compiler.signatures import HostArray, Scan, ScanStep, Step
from portable_nn.errors import BackendUnavailableError
from portable_nn.trees import Tree

if TYPE_CHECKING:
    from portable_nn.backends.torch_device import TorchDevice


class TorchBackend(Backend):
    """PyTorch tensors; devices "cpu", "cuda:0", "mps", ... as `torch.device` names them."""

    name = "torch"
    package = "torch"
    remedy = "install it with: pip install torch"

    @classmethod
    def namespace(cls) -> Any:
        return lean_namespace()

    @classmethod
    def owns(cls, x: object) -> bool:
        return bool(array_api_compat.is_torch_array(x))

    def find_device(self, device: Any) -> Any:
        import torch  # noqa: PLC0415

        if device is None:
            return torch.get_default_device()
        try:
            named = torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"backend 'torch' has no device {device!r}: {first_line(error)}") from None
        try:
            return torch.empty(0, device=named).device  # with its index: "cuda" becomes "cuda:0"
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise BackendUnavailableError(
                f"backend 'torch' cannot use the device {device!r} here: {first_line(error)}; accepted: "
                "'cpu', or a device that this build of torch and this machine have"
            ) from None

    @classmethod
    def values_known(cls, x: Any) -> bool:
        import torch  # noqa: PLC0415

        return not torch._C._functorch.is_functorch_wrapped_tensor(x)  # as torch.func.grad makes them

    @classmethod
    @contextlib.contextmanager
    def own_settings(cls) -> Iterator[None]:
        import torch  # noqa: PLC0415

        with contextlib.ExitStack() as stack:
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):  # products in the dtype of X, as promised
                    stack.enter_context(torch.autocast(kind, enabled=False))
            yield

    def from_host(self, host: HostArray, dtype: Any) -> Any:
        import torch  # noqa: PLC0415

        # torch warns of read-only memory and refuses negative strides, so it gets a copy
        return torch.from_numpy(np.array(host, order="C")).to(device=self.device, dtype=dtype)

    def to_numpy(self, x: Any) -> HostArray:
        import torch  # noqa: PLC0415

        x = x.detach().cpu().resolve_conj().resolve_neg()
        host: HostArray = (x.float() if x.dtype == torch.bfloat16 else x).numpy()
        return host

    def all_finite(self, x: Any) -> Any:
        import torch  # noqa: PLC0415

        if self.device.type == "cpu":  # a finite sum is the rule; on a GPU, reading it would wait
            total = x.detach().sum()
            if math.isfinite(float(total)):
                return torch.isfinite(total)
        return super().all_finite(x.detach())

    def compile(self, step: Step) -> Step:
        import torch  # noqa: PLC0415

        @functools.wraps(step)
        def run(*arguments: Tree) -> Tree:
            with torch.no_grad():
                return step(*arguments)

        return run

    def scan(self, step: ScanStep) -> Scan:
        if self.device.type == "cpu":
            return self.scan_on_cpu(step)
        return self.scan_on_cuda(step) if self.device.type == "cuda" else super().scan(step)

    def scan_in_halves(self, first: First, second: Second, exchange: Exchange) -> Scan:
        eager = super().scan_in_halves(first, second, exchange)
        if self.device.type != "cpu":
            return eager
        return self.scan_on_cpu(as_one_step(first, second, exchange), eager)

    def scan_on_cpu(self, step: ScanStep, eager: Scan | None = None) -> Scan:
        """NumPy's program, on the memory of the tensors, with NumPy's results to the bit.

        Its matrix products are NumPy's too: torch's, by MKL, took 1.2 times as long on an AMD processor,
        in whichever memory order. `OMP_NUM_THREADS` limits their threads, `torch.set_num_threads` not.

        Where a user-defined function cannot be traced, NumPy runs the step eagerly: functions written
        for the array API standard give what they give on NumPy. Those that are written for tensors
        alone, and fail there, are run by torch.
        """
        import torch  # noqa: PLC0415

        from portable_nn.compiler.numpy import CompiledScan  # noqa: PLC0415

        eager = eager or super().scan(step)
        compiled = CompiledScan(step, array_api_compat.numpy, few_steps=0)

        def run(carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
            with torch.no_grad():
                taken: set[int] = set()
                mine = tuple(
                    trees.map(functools.partial(own_tensor, owned=is_owned, taken=taken), part)
                    for part, is_owned in zip(carry, owned, strict=True)
                )
                on_host = [trees.map(as_numpy, x) for x in (mine, fixed, each)]
                if compiled.run_in_place(*on_host):
                    return mine
                if getattr(step, "functions", ()) != ():
                    with contextlib.suppress(Exception):
                        return trees.map(as_tensor, compiled.run_eagerly(*on_host))
            return eager(carry, fixed, each, owned)

        return run

    def scan_on_cuda(self, step: ScanStep) -> Scan:
        """A CUDA program, unless the user asks for eager steps, or torch cannot compile one."""
        import torch  # noqa: PLC0415

        from portable_nn.backends.torch_device import can_compile  # noqa: PLC0415
        from portable_nn.compiler.cuda import CudaScan, StepMode, step_mode  # noqa: PLC0415

        mode = step_mode()
        if mode is StepMode.EAGER or not can_compile():
            return super().scan(step)
        eager = self.compile(functools.partial(step, self.xp))
        traced = functools.partial(step, array_api_compat.numpy)
        compiled = CudaScan(traced, eager, self.cuda, replay=mode is StepMode.REPLAYED)

        def run(carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
            with torch.no_grad():
                return compiled(carry, fixed, each, owned)

        return run

    @functools.cached_property
    def cuda(self) -> TorchDevice:
        """The device as CUDA programs use it."""
        from portable_nn.backends.torch_device import TorchDevice  # noqa: PLC0415

        return TorchDevice(self.device)

    def ready(self, *arrays: Any) -> None:
        import torch  # noqa: PLC0415

        if self.device.type != "cpu":
            which = (self.device,) if self.device.type == "cuda" else ()
            getattr(torch, self.device.type).synchronize(*which)

    def sender(self) -> Sender:
        from portable_nn.backends.cuda_streams import TorchStreams  # noqa: PLC0415

        if self.device.type != "cuda":
            return super().sender()
        return OverlappingSender(TorchStreams(self.device))


def first_line(error: Exception) -> str:
    """The message of an error of torch, without its stack."""
    return str(error).partition("\n")[0]


def own_tensor(x: Any, owned: bool, taken: set[int]) -> Any:
    """`x` if it may be overwritten, else a contiguous copy; `taken` collects the addresses in use."""
    import torch  # noqa: PLC0415

    if not (owned and x.is_contiguous() and x.data_ptr() not in taken and not x.requires_grad):
        x = torch.empty(x.shape, dtype=x.dtype, device=x.device).copy_(x)
    taken.add(x.data_ptr())
    return x


def as_numpy(x: Any) -> HostArray:
    """A NumPy array that shares the memory of a tensor on the CPU."""
    array: HostArray = x.detach().resolve_neg().numpy()
    return array


def as_tensor(x: Any) -> Any:
    """A tensor that shares the memory of a NumPy array, if it can."""
    import torch  # noqa: PLC0415

    return torch.from_numpy(np.ascontiguousarray(x).reshape(np.shape(x)))


@functools.cache
def lean_namespace() -> Any:
    """array_api_compat.torch, with a faster `maximum` and `minimum` of an array and a Python number.

    Those of array_api_compat make a tensor of the number at each call: on a GPU that is a copy from the
    host, which waits for the device. torch's own clamp takes the number as it is.
    """
    import array_api_compat.torch as compat  # noqa: PLC0415
    import torch  # noqa: PLC0415

    def maximum(x1: Any, x2: Any) -> Any:
        return torch.clamp(x1, min=x2) if isinstance(x2, (int, float)) else compat.maximum(x1, x2)

    def minimum(x1: Any, x2: Any) -> Any:
        return torch.clamp(x1, max=x2) if isinstance(x2, (int, float)) else compat.minimum(x1, x2)

    return namespace_with(compat, "torch", maximum=maximum, minimum=minimum)
