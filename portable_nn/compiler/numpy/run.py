"""A step on NumPy arrays: as it stands at first, and once it comes again, as a program of its own.

A program gives, to the bit, what the step as it stands gives: when it takes over changes the time and
nothing else.
"""

from __future__ import annotations

import functools
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.numpy.loop_cache import installed, is_kept, loop_from
from portable_nn.compiler.numpy.loops import Argument, can_be_in_a_loop, loop_for
from portable_nn.compiler.numpy.source import Bind, Loops, Products, Run, write
from portable_nn.compiler.plan import Instruction, Plan, is_elementwise, make_plan
from portable_nn.compiler.record import Record, Step, is_steady

KEPT = 64  # programs of one step, each for arrays of certain shapes and dtypes
PATIENCE = 0.5, 5.0  # seconds a program has run before it gets loops: those on disk, or compiled now
STRIDE = 64  # steps between looks at the clock until then
AS_IT_STANDS = "as it stands"
SMALL = 2**16  # bytes of memory in all: a step with less is made once as fast as it stands
FEW = 4  # steps that are made faster than written down


class Program(Record):
    """A record that can be carried out; the inputs `each` come as one array for all steps."""

    def __init__(
        self,
        step: Step,
        skeleton: trees.Form,
        leaves: Sequence[Any],
        places: dict[int, int],
        each: Sequence[int],
        products: Products | None,
    ) -> None:
        super().__init__(step, skeleton, leaves, places)
        self.each, self.products = each, products
        self.seconds = 0.0
        plan = make_plan(self.graph, is_elementwise, places)
        self.memory = sum(plan.buffers)
        self.plain = self.bind(plan, {})
        self.fast: Bind | None = None
        self.may_be_fast = installed()

    def bind(self, plan: Plan, loops: Loops) -> Bind:
        """The function that takes the inputs and gives ``run(start, stop)`` and the outputs."""
        return write(self.graph, plan, self.each, loops, self.products)

    @functools.cached_property
    def loops(self) -> tuple[Plan, dict[Instruction, tuple[str, list[Argument]]]]:
        """Another plan, and the texts of its loops."""
        plan = make_plan(self.graph, can_be_in_a_loop, self.places)
        found = {one: loop_for(one, plan) for one in plan.instructions}
        return plan, {one: loop for one, loop in found.items() if loop is not None}

    def wants_loops(self) -> bool:
        """Whether so much time has been spent that compiled loops will be worth their own."""
        if not self.may_be_fast or self.seconds < PATIENCE[0]:
            return False
        if self.fast is None and self.seconds < PATIENCE[1]:
            return all(is_kept(text) for text, _ in self.loops[1].values())
        return True

    def compiled(self) -> Bind:
        """As `bind`, by compiled loops."""
        if self.fast is None:
            plan, found = self.loops
            self.fast = self.bind(plan, {one: (loop_from(t), a) for one, (t, a) in found.items()})
        return self.fast

    def bound(self, inputs: Sequence[Any]) -> tuple[Run, tuple[Any, ...]]:
        """``run(start, stop)`` and the outputs; by compiled loops once they are worth it."""
        if self.wants_loops():
            try:
                return self.compiled()(*inputs)
            except Exception as error:  # of the compiler: nothing has been written to yet
                warnings.warn(f"numba cannot be used, NumPy goes on alone: {error}", stacklevel=2)
                self.may_be_fast = False
        return self.plain(*inputs)

    def once(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs."""
        started = time.perf_counter()
        run, outputs = self.bound(inputs)
        run(0, 1)
        self.seconds += time.perf_counter() - started
        return outputs

    def many(self, inputs: Sequence[Any], steps: int) -> None:
        """So many steps; what has a place among the inputs is written there."""
        start = 0
        while start < steps:
            started, is_fast = time.perf_counter(), self.wants_loops()
            run, _ = self.bound(inputs)
            while start < steps and (is_fast or not self.wants_loops()):
                stop = steps if is_fast or not self.may_be_fast else min(start + STRIDE, steps)
                run(start, stop)
                start, now = stop, time.perf_counter()
                self.seconds, started = self.seconds + now - started, now


class Compiled:
    """``compiled(*arguments)`` is ``step(*arguments)``.

    A step that does not say of itself that it is steady is run as it stands; for the many steps of
    `Scanned` it is looked at again each time.
    """

    def __init__(self, step: Step, products: Products | None = None) -> None:
        self.step, self.products = step, products
        self.programs: OrderedDict[Hashable, Program | str] = OrderedDict()
        self.lock = threading.RLock()
        self.is_steady = is_steady(step)

    def __call__(self, *arguments: Any) -> Any:
        leaves, skeleton = trees.flatten(arguments)
        program = self.program(skeleton, leaves, {}, (), seldom=True) if self.is_steady else None
        with np.errstate(all="ignore"):
            if program is None:
                return self.step(*arguments)
            return trees.unflatten(program.results, iter(program.once(leaves)))

    def program(
        self,
        skeleton: trees.Form,
        leaves: Sequence[Any],
        places: dict[int, int],
        each: Sequence[int],
        seldom: bool,
    ) -> Program | None:
        """The program for such arguments; None where the step is run as it stands.

        `seldom` says that these arguments have to come twice for a program to be worth it.
        """
        if not all(is_plain(x) for x in leaves):
            return None
        key = trees.signature(skeleton, leaves)
        try:
            hash(key)
        except TypeError:  # something in it that cannot be hashed
            return None
        with self.lock:
            found = self.programs.get(key)
            if isinstance(found, Program) and not self.is_steady and found.is_outdated():
                found = None
            if found is None and seldom:
                found = "once"
            elif found is None or found == "once":
                try:
                    found = Program(self.step, skeleton, leaves, places, each, self.products)
                    if not each and found.memory < SMALL:
                        found = AS_IT_STANDS
                except Exception:  # of whatever kind: as it stands it is right, or tells what is wrong
                    found = AS_IT_STANDS
            self.programs[key] = found
            self.programs.move_to_end(key)
            if len(self.programs) > KEPT:
                self.programs.popitem(last=False)
        return found if isinstance(found, Program) else None


class Scanned:
    """Many steps on NumPy arrays: see `Backend.scan`; `products` as for `Writer`."""

    def __init__(self, step: Step, xp: Any, products: Products | None = None) -> None:
        self.step = functools.partial(step, xp)
        self.compiled = Compiled(self.step, products)

    def __call__(self, carry: Any, fixed: Any, each: Any, owned: Sequence[bool]) -> Any:
        taken: set[int] = set()
        carry = tuple(
            trees.map(functools.partial(own, owned=is_owned, taken=taken), part)
            for part, is_owned in zip(carry, owned, strict=True)
        )
        if self.in_place(carry, fixed, each):
            return carry
        with np.errstate(all="ignore"):
            for i in range(trees.length(each)):
                carry = self.step(carry, fixed, trees.at(each, i))
        return carry

    def in_place(self, carry: Any, fixed: Any, each: Any, always: bool = False) -> bool:
        """Make the steps by a program that writes over the carry; False, and nothing done, without one.

        `always`: also where there are so few steps that they are made faster as they stand.
        """
        (state, form), (rest, form_of_rest) = trees.flatten(carry), trees.flatten(fixed)
        stacked, form_of_one = trees.flatten(each)
        steps, first = len(stacked[0]), len(state) + len(rest)
        leaves = [*state, *rest, *(array[0, ...] for array in stacked)]
        program = self.compiled.program(
            (False, form, form_of_rest, form_of_one),
            leaves,
            places={i: i for i in range(len(state))},
            each=range(first, len(leaves)),
            seldom=steps <= FEW and not always,
        )
        if program is None:
            return False
        with np.errstate(all="ignore"):
            program.many([*state, *rest, *stacked], steps)
        return True


def is_plain(x: Any) -> bool:
    """Whether `x` is an array of NumPy itself, on which its functions do what they always do."""
    return type(x) in (np.ndarray, np.memmap) or isinstance(x, np.generic)


def own(x: Any, owned: bool, taken: set[int]) -> Any:
    """`x`, or a copy of it, that may be written over; `taken`: where those before it lie."""
    if not is_plain(x):
        return x
    if not (owned and isinstance(x, np.ndarray) and x.flags.carray and x.ctypes.data not in taken):
        x = np.array(x, order="C")
    taken.add(x.ctypes.data)
    return x
