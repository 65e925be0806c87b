"""JAX: the whole training step is compiled by `jax.jit`; its arrays are immutable."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import array_api_compat
import numpy as np

from portable_nn.backends.base import Backend
from portable_nn.backends.jax_meshes import (
    OVER,
    as_place,
    check_axes,
    from_every_process,
    mesh_name,
    mesh_named,
    mesh_of,
    readable,
    row_shards,
    whole,
)
from portable_nn.backends.jax_steps import compiled_scan, compiled_step
from portable_nn.compiler.signatures import HostArray, Scan, ScanStep, Step
from portable_nn.errors import BackendUnavailableError

ACCELERATORS = ("cuda", "gpu", "rocm", "tpu")  # platforms that JAX knows, present or not


MOST_PADDED = 2**25  # bytes: padding more would take longer than it saves


class JaxBackend(Backend):
    """JAX arrays; devices "cpu:0", "cuda:0", ... as JAX prints them, or "cpu" for the first one.

    A mesh of several devices counts as one: its arrays may be split over them or copied to each of them,
    and what is moved there is copied. It is given as `jax.sharding.Mesh`, or by its name, such as
    "data=2,model=2 over cpu:0-3".
    """

    name = "jax"
    package = "jax"
    remedy = "install it with: pip install jax"
    dtype_remedy = (
        "64-bit types need jax.config.update('jax_enable_x64', True) before any array is made; "
        "else cast the array to float32, or class indices to int32"
    )

    def __init__(self, device: Any = None) -> None:
        super().__init__(device)  # which says what to do where JAX is missing
        import jax  # noqa: PLC0415

        if isinstance(self.device, jax.Device):  # else arrays may be spread over several
            self.padded_bytes = MOST_PADDED if self.device.platform == "cpu" else MOST_PADDED // 8
        elif mesh_of(self.device) is not None:
            self.is_shared = not self.device.is_fully_addressable

    @classmethod
    def namespace(cls) -> Any:
        import jax.numpy  # noqa: PLC0415

        return jax.numpy

    @classmethod
    def owns(cls, x: object) -> bool:
        return bool(array_api_compat.is_jax_array(x))

    def find_device(self, device: Any) -> Any:
        import jax  # noqa: PLC0415

        if device is None:
            return default_device()
        if not isinstance(device, str):
            if isinstance(device, (jax.Device, jax.sharding.Sharding, jax.sharding.Mesh)):
                return as_place(device)
            raise self.unknown_device(device, jax.devices())
        if OVER in device:
            return as_place(mesh_named(device))
        platform, _, index = device.partition(":")
        try:
            return jax.devices(platform)[int(index or 0)]
        except (RuntimeError, IndexError, ValueError):
            if platform in ACCELERATORS:
                raise BackendUnavailableError(
                    f"backend 'jax' cannot use the device {device!r} here; accepted: "
                    f"{', '.join(map(str, jax.devices()))}; for a GPU JAX needs its driver and a build "
                    "for it, for NVIDIA's: pip install 'jax[cuda13]' (or [cuda12])"
                ) from None
            raise self.unknown_device(device, jax.devices()) from None

    @classmethod
    def device_of(cls, x: Any) -> Any:
        mesh = mesh_of(getattr(x, "sharding", None))
        return super().device_of(x) if mesh is None else whole(mesh)

    @classmethod
    def name_device(cls, device: Any) -> str:
        mesh = mesh_of(device)
        return super().name_device(device) if mesh is None else mesh_name(mesh)

    @classmethod
    def values_known(cls, x: Any) -> bool:
        import jax  # noqa: PLC0415

        return not isinstance(x, jax.core.Tracer)

    @classmethod
    @contextlib.contextmanager
    def own_settings(cls) -> Iterator[None]:
        import jax  # noqa: PLC0415

        with jax.transfer_guard("allow"):  # every 0.0 of a formula is one
            yield

    def dtypes(self) -> dict[str, Any]:
        import jax  # noqa: PLC0415

        return self._dtypes(bool(jax.config.jax_enable_x64))

    @functools.cache  # noqa: B019  (there is one object for each device, for good)
    def _dtypes(self, has_64_bits: bool) -> dict[str, Any]:  # JAX takes half a millisecond
        return super().dtypes()

    def check_usable(self, x: Any) -> None:
        if x.dtype.itemsize == 8:  # once 64-bit types are off JAX computes with it in 32 bits
            self.dtype(x.dtype)
        check_axes(getattr(x, "sharding", None))

    def all_finite(self, x: Any) -> Any:
        return finite_check()(x)

    def from_host(self, host: HostArray, dtype: Any) -> Any:
        import jax  # noqa: PLC0415

        copied = np.array(host, dtype=dtype)  # JAX may alias what it gets
        if self.is_shared:
            return from_every_process(copied, self.device)
        return jax.device_put(copied, self.device)

    def to_numpy(self, x: Any) -> HostArray:
        return np.asarray(readable(x))

    def row_shards(self, x: Any) -> int:
        return row_shards(x)

    def laid_out(self, x: Any, like: Any) -> Any:
        import jax  # noqa: PLC0415

        return x if mesh_of(like.sharding) is None else jax.device_put(x, like.sharding)

    def compile(self, step: Step) -> Step:
        return compiled_step(step)

    def scan(self, step: ScanStep) -> Scan:
        return compiled_scan(self, step)

    def ready(self, *arrays: Any) -> None:
        import jax  # noqa: PLC0415

        jax.block_until_ready(arrays)


@functools.cache
def finite_check() -> Callable[[Any], Any]:
    """A compiled function that says whether all elements are finite, in one pass."""
    import jax  # noqa: PLC0415

    compiled: Callable[[Any], Any] = jax.jit(lambda x: jax.numpy.all(jax.numpy.isfinite(x)))
    return compiled


def default_device() -> Any:
    """The device on which JAX makes an array when none is named."""
    import jax  # noqa: PLC0415

    chosen = jax.config.jax_default_device
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return jax.local_devices()[0] if chosen is None else chosen
