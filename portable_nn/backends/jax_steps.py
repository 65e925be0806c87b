"""Steps of JAX: compiled once for all numbers of steps, and anew where user-defined functions change."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from portable_nn import trees
from portable_nn.backends.base import Backend
from portable_nn.backends.jax_meshes import Layout, Spreading, layout_of, mesh_of
from portable_nn.backends.padding import WithRoom, room_for
from portable_nn.compiler.signatures import Scan, ScanStep, Step
from portable_nn.trees import Tree

Made = TypeVar("Made")


def compiled_step(step: Step) -> Step:
    """See `Backend.compile`."""
    import jax  # noqa: PLC0415

    @functools.wraps(step)
    def run(*arguments: Tree) -> Tree:
        return compiled(step, lambda: arguments)(*arguments)

    # a new object each time: JAX compiles one and the same function once
    compiled = made_anew(step, lambda: jax.jit(functools.partial(step)))
    return run


def compiled_scan(backend: Backend, step: ScanStep) -> Scan:
    """See `Backend.scan`. The number of steps is an argument of what is compiled: a loop until then."""
    import jax  # noqa: PLC0415

    def make() -> Step:
        def steps_in_a_row(
            layout: Layout | None, carry: Tree, count: Tree, fixed: Tree, each: Tree
        ) -> Tree:
            xp = backend.xp if layout is None else Spreading(backend.xp, layout, fixed)

            def one_step(i: Tree, carry: Tree) -> Tree:
                one = trees.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), each)
                return step(xp, carry, fixed, one)

            carry = jax.lax.fori_loop(0, count, one_step, carry)
            return carry if layout is None else layout.kept(carry)

        jitted: Step = jax.jit(steps_in_a_row, static_argnums=0, donate_argnums=1)
        return jitted

    compiled, is_mesh = made_anew(step, make), mesh_of(backend.device) is not None
    own = jax.jit(functools.partial(trees.map, jax.numpy.copy))

    def run(carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
        layout = layout_of(carry, fixed) if is_mesh else None
        # a loop copies what it may not overwrite: copied here it is the same loop for whatever is owned
        carry = tuple(x if is_owned else own(x) for x, is_owned in zip(carry, owned, strict=True))
        one_step, count = functools.partial(step, backend.xp), np.int32(trees.length(each))
        steps_in_a_row = compiled(one_step, lambda: (carry, fixed, trees.at(each, 0)))
        return steps_in_a_row(layout, carry, count, fixed, with_room(each))

    return run


def with_room(each: Tree) -> Tree:
    """The arrays with room for more steps, of which few lengths are compiled for; masks get it here."""
    steps = trees.length(each)

    def roomy(x: Any) -> Any:
        if isinstance(x, WithRoom):
            return x.array
        room = room_for(steps, x.nbytes // steps)
        return x if room == steps else longer_function()(x, room)

    return trees.map(roomy, each)


@functools.cache
def longer_function() -> Callable[[Any, int], Any]:
    """A compiled function that gives an array room for so many steps."""
    import jax  # noqa: PLC0415

    def longer(x: Any, room: int) -> Any:
        return jax.numpy.pad(x, [(0, room - x.shape[0])] + [(0, 0)] * (x.ndim - 1))

    compiled: Callable[[Any, int], Any] = jax.jit(longer, static_argnums=1)
    return compiled


def made_anew(
    step: Step, make: Callable[[], Made]
) -> Callable[[Step, Callable[[], tuple[Tree, ...]]], Made]:
    """``made(call, arguments)`` gives ``make()``, anew where user-defined functions read other things.

    What JAX has compiled does not notice that. Where it is unknown what the functions of the step read,
    ``call(*arguments())`` is traced, and what that gives is compared. Functions that change something,
    or draw random numbers, do so when they are compiled, and not again.
    """
    from portable_nn.compiler.reads import StateChangeError  # noqa: PLC0415
    from portable_nn.compiler.traced_step import innermost, what_step_reads  # noqa: PLC0415

    last: list[Any] = []  # what was read, and what was made then

    def made(call: Step, arguments: Callable[[], tuple[Tree, ...]]) -> Made:
        try:
            reads = what_step_reads(step)
            if reads is None and hasattr(innermost(step), "functions"):
                reads = traced(call, arguments())
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
