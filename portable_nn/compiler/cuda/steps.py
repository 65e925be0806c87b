"""Many steps on a GPU by a program, where one can be made, else as they stand.

Sums and products of a program are rounded otherwise than CuPy's own; everything elementwise is rounded
alike. Whether it is used does not depend on the time: the same work gives the same numbers again.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.cuda.device import Device, Look
from portable_nn.compiler.cuda.program import Bound, Program
from portable_nn.compiler.record import is_steady

WRITTEN = 32  # programs of one step, each for arrays of certain shapes
BOUND = 8  # of them that keep memory on the device
CHANGES = 8  # of what a step does: from then on it runs as it stands
ALIGNED = 512  # bytes: where a piece of memory may begin
USERS = 2  # steps that keep memory on a device


class Steps:
    """``steps(carry, fixed, each, owned)``: see `Backend.scan`.

    `traced` is the step with NumPy's namespace, for the tracer; `as_it_stands` the step with the
    library's namespace; `replay` says whether the program of a step
    is captured once and replayed as a CUDA graph. A program works on arrays of its own: what it is
    handed is copied there, and its results are copied out.
    """

    def __init__(
        self, traced: Callable[..., Any], as_it_stands: Callable[..., Any], device: Device, replay: bool
    ) -> None:
        self.as_it_stands = as_it_stands
        self.traced = traced
        self.device, self.replay, self.is_steady = device, replay, is_steady(traced)
        self.programs: OrderedDict[Hashable, Program | None] = OrderedDict()
        self.bound: OrderedDict[tuple[Hashable, Any], Bound] = OrderedDict()
        self.carries: dict[Hashable, list[Any]] = {}
        self.memory: Any = None
        self.changes = 0

    def __call__(self, carry: Any, fixed: Any, each: Any, owned: Sequence[bool]) -> Any:
        del owned  # nothing that is handed in is written over
        with self.device.lock:  # one stream is shared by all
            found = self.by_program(carry, fixed, each)
        if found is not None:
            return found
        for i in range(trees.length(each)):
            carry = self.as_it_stands(carry, fixed, trees.at(each, i))
        return carry

    def by_program(self, carry: Any, fixed: Any, each: Any) -> Any:
        """The last carry; None, and nothing done, where there is no program."""
        (state, form), (rest, form_of_rest) = trees.flatten(carry), trees.flatten(fixed)
        stacked, form_of_one = trees.flatten(each)
        skeleton = (False, form, form_of_rest, form_of_one)
        if not state or not trees.length(each):
            return None
        try:
            looks = [self.device.look(array) for array in (*state, *rest, *stacked)]
            first, many = looks[: len(state) + len(rest)], looks[len(state) + len(rest) :]
            leaves = [*first, *(Look(one.shape[1:], one.dtype, ()) for one in many)]
            strides = tuple(one.strides for one in first[len(state) :])
            key = (trees.signature(skeleton, leaves), strides)
            hash(key)
        except TypeError:  # a dtype that is not NumPy's, something that cannot be hashed
            return None
        program = self.program(key, skeleton, leaves, len(state), strides)
        if program is None:
            return None
        results = [self.device.empty(one.shape, one.dtype) for one in looks[: len(state)]]
        with self.device.turn():
            try:
                bound = self.on_arrays(program, key, state, rest, stacked, looks)
            except Exception as error:  # nothing but its own memory has been written to
                self.programs[key] = None
                self.free()  # it may have been the memory that was short
                warnings.warn(f"the step runs as it stands, not as a program: {error}", stacklevel=2)
                return None
            bound.start([*state, *stacked])
            bound.run(len(stacked[0]))
            bound.give_back()
            for target, source in zip(results, bound.carry, strict=True):
                self.device.copy(target, source)
        return trees.unflatten(form, results)

    def program(
        self, key: Hashable, skeleton: Any, leaves: Sequence[Any], states: int, strides: Sequence[Any]
    ) -> Program | None:
        """The program for such arrays; None where the step cannot be written down."""
        found = self.programs.get(key)
        if found and not self.is_steady and found.is_outdated():
            self.changes += 1
            self.drop(key)
            found = None
            if self.changes > CHANGES:  # each change would be compiled
                self.programs[key] = None
        if key not in self.programs:
            places = {i: i for i in range(states)}
            lie = {states + i: those for i, those in enumerate(strides)}
            try:
                found = Program(self.traced, skeleton, leaves, places, states + len(strides), lie)
            except Exception:  # of whatever kind: as it stands it is right, or tells what is wrong
                found = None
        self.programs[key] = found
        self.programs.move_to_end(key)
        if len(self.programs) > WRITTEN:
            self.drop(next(iter(self.programs)))
        return found

    def drop(self, key: Hashable) -> None:
        """Forget a program, and what it keeps on the device."""
        self.programs.pop(key, None)
        for where in [w for w in self.bound if w[0] == key]:
            del self.bound[where]

    def on_arrays(
        self,
        program: Program,
        key: Hashable,
        state: Sequence[Any],
        rest: Sequence[Any],
        stacked: Sequence[Any],
        looks: Sequence[Look],
    ) -> Bound:
        """The program on its own arrays, and on those of the data as they lie."""
        self.make_room()
        steps = len(stacked[0])
        where = key, tuple(self.device.address(array) for array in rest)
        bound = self.bound.get(where)
        if bound is None or bound.steps < steps:
            self.bound.pop(where, None)
            form = tuple((one.shape, one.dtype.str) for one in looks[: len(state)])
            if form not in self.carries:
                self.carries.clear()  # one form at a time, as a rule; who uses another still has it
                self.carries[form] = [self.device.empty(*one) for one in form]
            those = [self.device.empty(one.shape, one.dtype) for one in looks[-len(stacked) :]]
            room = self.room(program.plan.buffers)
            own = self.carries[form]
            bound = Bound(program, self.device, own, rest, those, room, self.replay)
            bound.start([*state, *stacked])
            bound.put(1)  # for all to be loaded before anything is captured
        bound.lend(rest)
        bound.capture(steps)
        self.bound[where] = bound
        self.bound.move_to_end(where)
        if len(self.bound) > BOUND:
            self.bound.popitem(last=False)
        return bound

    def room(self, sizes: Sequence[int]) -> list[Any]:
        """Memory of so many bytes each: programs share it, for one runs at a time."""
        places = [0]
        for size in sizes:
            places.append(places[-1] + -(-max(size, 1) // ALIGNED) * ALIGNED)
        if self.memory is None or len(self.memory) < places[-1]:
            self.memory = self.device.empty((max(places[-1], 1),), np.dtype("uint8"))
        return [self.memory[place : place + size] for place, size in zip(places, sizes, strict=False)]

    def make_room(self) -> None:
        """Let the steps that have not been used for longest free what they keep on the device."""
        users = self.device.users
        if self in users:
            users.remove(self)
        users.append(self)
        for other in users[:-USERS]:
            other.free()
        del users[:-USERS]

    def free(self) -> None:
        """Keep nothing on the device; what has been written stays."""
        self.bound.clear()
        self.carries.clear()
        self.memory = None
