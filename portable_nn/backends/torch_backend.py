"""PyTorch, on any of its devices; no step is recorded for autograd."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat
import array_api_compat.numpy
import numpy as np

from portable_nn import trees
from portable_nn.backends.base import Backend
from portable_nn.backends.streaming import Relay, Sender
from portable_nn.errors import BackendUnavailableError


class TorchBackend(Backend):
    """PyTorch tensors; devices "cpu", "cuda:0", "mps", ... as `torch.device` names them."""

    name = "torch"
    package = "torch"
    remedy = "install it with: pip install 'portable-nn[torch]'"

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

    def from_host(self, host: np.ndarray[Any, Any], dtype: Any) -> Any:
        import torch  # noqa: PLC0415

        # torch warns of read-only memory and refuses negative strides: give it memory of its own
        return torch.from_numpy(np.array(host, order="C")).to(device=self.device, dtype=dtype)

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        import torch  # noqa: PLC0415

        x = x.detach().cpu().resolve_conj().resolve_neg()
        host: np.ndarray[Any, Any] = (x.float() if x.dtype == torch.bfloat16 else x).numpy()
        return host

    def all_finite(self, x: Any) -> Any:
        import torch  # noqa: PLC0415

        if self.device.type == "cpu":  # as a rule the sum is finite; on a GPU to ask would be to wait
            total = x.detach().sum()
            if math.isfinite(float(total)):
                return torch.isfinite(total)
        return super().all_finite(x.detach())

    def compile(self, step: Callable[..., Any]) -> Callable[..., Any]:
        import torch  # noqa: PLC0415

        @functools.wraps(step)
        def run(*arguments: Any) -> Any:
            with torch.no_grad():
                return step(*arguments)

        return run

    def scan(self, step: Callable[..., Any]) -> Callable[..., Any]:
        import torch  # noqa: PLC0415

        from portable_nn.compiler.numpy import Products, Scanned  # noqa: PLC0415

        steps = super().scan(step)
        if self.device.type == "cuda":
            return self.on_cuda(step, steps)
        if self.device.type != "cpu":
            return steps
        products = Products(torch.from_numpy, torch.mm)
        scanned = Scanned(step, array_api_compat.numpy, products)

        def run(carry: Any, fixed: Any, each: Any, owned: Sequence[bool]) -> Any:
            # a tensor on the CPU lies in the host's memory: NumPy's program runs there, but for products
            with torch.no_grad():
                taken: set[int] = set()
                mine = tuple(
                    trees.map(functools.partial(own, owned=is_owned, taken=taken), part)
                    for part, is_owned in zip(carry, owned, strict=True)
                )
                state, data, those = (trees.map(shared, x) for x in (mine, fixed, each))
                if scanned.in_place(state, data, those, always=True):
                    return mine
            return steps(carry, fixed, each, owned)

        return run

    def on_cuda(self, step: Callable[..., Any], steps: Callable[..., Any]) -> Callable[..., Any]:
        """The steps by a program if the user asks for one; `steps` makes them as they stand."""
        import torch  # noqa: PLC0415

        from portable_nn.compiler.cuda import Steps, way  # noqa: PLC0415

        how = way()
        if how == "eager":
            return steps
        as_it_stands = self.compile(functools.partial(step, self.xp))
        traced = functools.partial(step, array_api_compat.numpy)
        made = Steps(traced, as_it_stands, self.cuda, replay=how == "replayed")

        def run(carry: Any, fixed: Any, each: Any, owned: Sequence[bool]) -> Any:
            with torch.no_grad():
                return made(carry, fixed, each, owned)

        return run

    @functools.cached_property
    def cuda(self) -> Any:
        """The device, as the programs of steps see it."""
        from portable_nn.backends.torch_device import TorchDevice  # noqa: PLC0415

        return TorchDevice(self.device)

    def ready(self, *arrays: Any) -> None:
        import torch  # noqa: PLC0415

        if self.device.type != "cpu":
            where = (self.device,) if self.device.type == "cuda" else ()
            getattr(torch, self.device.type).synchronize(*where)

    def sender(self) -> Sender:
        from portable_nn.backends.cuda_streams import TorchLanes  # noqa: PLC0415

        return Relay(TorchLanes(self.device)) if self.device.type == "cuda" else super().sender()


def first_line(error: Exception) -> str:
    """What torch says, without its stack."""
    return str(error).partition("\n")[0]


def own(x: Any, owned: bool, taken: set[int]) -> Any:
    """`x`, or a copy, that may be written over, its elements in one row; `taken`: where others lie."""
    import torch  # noqa: PLC0415

    if not (owned and x.is_contiguous() and x.data_ptr() not in taken and not x.requires_grad):
        x = torch.empty(x.shape, dtype=x.dtype, device=x.device).copy_(x)
    taken.add(x.data_ptr())
    return x


def shared(x: Any) -> np.ndarray[Any, Any]:
    """The memory of a tensor on the CPU as a NumPy array."""
    array: np.ndarray[Any, Any] = x.detach().resolve_neg().numpy()
    return array


@functools.cache
def lean_namespace() -> Any:
    """array_api_compat.torch, but for two functions that it makes slow where a number is handed in.

    ``maximum(x, 0.0)`` builds a tensor of the number there at each call: on a GPU that is a copy from
    the host, which waits for the device. torch's own clamp takes the number as it is.
    """
    import array_api_compat.torch as compat  # noqa: PLC0415
    import torch  # noqa: PLC0415

    def maximum(x1: Any, x2: Any) -> Any:
        return torch.clamp(x1, min=x2) if isinstance(x2, (int, float)) else compat.maximum(x1, x2)

    def minimum(x1: Any, x2: Any) -> Any:
        return torch.clamp(x1, max=x2) if isinstance(x2, (int, float)) else compat.minimum(x1, x2)

    lean = types.ModuleType("portable_nn.backends.torch_namespace", lean_namespace.__doc__)
    vars(lean).update({name: getattr(compat, name) for name in dir(compat) if name != "__name__"})
    vars(lean).update(maximum=maximum, minimum=minimum)
    return lean
