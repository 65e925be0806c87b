"""JAX: the whole training step is compiled by `jax.jit`; its arrays are immutable."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import array_api_compat
import numpy as np

from portable_nn import trees
from portable_nn.backends.base import Backend
from portable_nn.compiler.signatures import HostArray, Scan, ScanStep, Step
from portable_nn.errors import BackendUnavailableError
from portable_nn.trees import Tree

ACCELERATORS = ("cuda", "gpu", "rocm", "tpu")  # platforms that JAX knows, present or not


class JaxBackend(Backend):
    """JAX arrays; devices "cpu:0", "cuda:0", ... as JAX prints them, or "cpu" for the first one."""

    name = "jax"
    package = "jax"
    remedy = "install it with: pip install jax"
    dtype_remedy = (
        "64-bit types need jax.config.update('jax_enable_x64', True) before any array is made; "
        "else cast the array to float32, or class indices to int32"
    )

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
            if isinstance(device, (jax.Device, jax.sharding.Sharding)):
                return device
            raise self.unknown_device(device, jax.devices())
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

    def all_finite(self, x: Any) -> Any:
        return finite_check()(x)

    def from_host(self, host: HostArray, dtype: Any) -> Any:
        import jax  # noqa: PLC0415

        return jax.device_put(np.array(host, dtype=dtype), self.device)  # JAX may alias what it gets

    def compile(self, step: Step) -> Step:
        import jax  # noqa: PLC0415

        @functools.wraps(step)
        def run(*arguments: Tree) -> Tree:
            return compiled(step, arguments)(*arguments)

        # a new object each time: JAX compiles one and the same function once
        compiled = made_anew(step, lambda: jax.jit(functools.partial(step)))
        return run

    def scan(self, step: ScanStep) -> Scan:
        import jax  # noqa: PLC0415

        def make() -> Callable[[tuple[bool, ...]], Step]:
            def scanned(fixed: Tree, each: Tree, *carry: Tree) -> Tree:
                def one_step(carry: Tree, one: Tree) -> tuple[Tree, None]:
                    return step(self.xp, carry, fixed, one), None

                # two steps per iteration are an eighth faster on a tiny network; four gain no more
                return jax.lax.scan(one_step, carry, each, unroll=2)[0]

            @functools.cache
            def for_owned(owned: tuple[bool, ...]) -> Step:
                donated = [2 + i for i, is_owned in enumerate(owned) if is_owned]
                jitted: Step = jax.jit(scanned, donate_argnums=donated)
                return jitted

            return for_owned

        compiled = made_anew(step, make)
        known: set[int] = set()  # numbers of steps for which there is a compiled scan

        def run(carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
            start, total = 0, trees.length(each)
            one_step = functools.partial(step, self.xp)
            for_owned = compiled(one_step, (carry, fixed, trees.at(each, 0)))
            for steps in lengths(total, known):
                at = slice(start, start + steps)
                part = each if steps == total else trees.map(operator.itemgetter(at), each)
                carry = for_owned(tuple(owned))(fixed, part, *carry)
                start, owned = start + steps, [True] * len(owned)
            return carry

        return run

    def ready(self, *arrays: Any) -> None:
        import jax  # noqa: PLC0415

        jax.block_until_ready(arrays)


Made = TypeVar("Made")


def made_anew(step: Step, make: Callable[[], Made]) -> Callable[[Step, tuple[Tree, ...]], Made]:
    """``made(call, arguments)`` gives ``make()``, anew where user-defined functions read other things.

    What JAX has compiled does not notice that. Where it is unknown what the functions of the step read,
    ``call(*arguments)`` is traced, and what that gives is compared. Functions that change something, or
    draw random numbers, do so when they are compiled, and not again.
    """
    from portable_nn.compiler.reads import StateChangeError  # noqa: PLC0415
    from portable_nn.compiler.traced_step import innermost, what_step_reads  # noqa: PLC0415

    last: list[Any] = []  # what was read, and what was made then

    def made(call: Step, arguments: tuple[Tree, ...]) -> Made:
        try:
            reads = what_step_reads(step)
            if reads is None and hasattr(innermost(step), "functions"):
                reads = traced(call, arguments)
        except StateChangeError:
            reads = None
        if not last or last[0] != reads:
            last[:] = reads, make()
        return last[1]  # type: ignore[no-any-return]

    return made


def traced(call: Step, arguments: tuple[Tree, ...]) -> Any:
    """What JAX makes of ``call(*arguments)``: the operations in words, and the arrays in them."""
    import jax  # noqa: PLC0415

    found = jax.make_jaxpr(functools.partial(call))(*arguments)  # a new object is traced anew
    return str(found.jaxpr), [np.asarray(constant).tobytes() for constant in found.consts]


@functools.cache
def finite_check() -> Callable[[Any], Any]:
    """A compiled function that says whether all elements are finite, in one pass."""
    import jax  # noqa: PLC0415

    compiled: Callable[[Any], Any] = jax.jit(lambda x: jax.numpy.all(jax.numpy.isfinite(x)))
    return compiled


def lengths(steps: int, known: set[int], most: int = 8) -> list[int]:
    """How many steps to run at a time: all of them, unless too many numbers have been compiled for.

    Then it is powers of two, of which there are few.
    """
    if steps in known or len(known) < most:
        known.add(steps)
        return [steps]
    return [1 << bit for bit in reversed(range(steps.bit_length())) if steps >> bit & 1]


def default_device() -> Any:
    """The device on which JAX makes an array when none is named."""
    import jax  # noqa: PLC0415

    chosen = jax.config.jax_default_device
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return jax.local_devices()[0] if chosen is None else chosen
