"""Many steps on a GPU: by a program if there can be one, else eagerly.

Sums and matrix products of a program may be rounded in another way than the library's own; elementwise
operations are rounded alike. Whether a program is used does not depend on time, so a run can be repeated
to the bit; only where the device's memory is too small do steps run eagerly, with a warning. Beside the
user's arrays a program needs its own carry and the results, and keeps the first and its buffers for the
next call; the two scans that were used last keep theirs.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Hashable, Sequence

import numpy as np

from portable_nn import trees
from portable_nn.compiler.cuda.device import ArrayInfo, Device, DeviceArray
from portable_nn.compiler.cuda.loaded_program import LoadedProgram
from portable_nn.compiler.cuda.program import CudaProgram
from portable_nn.compiler.layout import Strides
from portable_nn.compiler.signatures import Step
from portable_nn.compiler.traced_step import is_steady
from portable_nn.trees import Form, Tree

CACHED_PROGRAMS = 32  # of one step, each for arrays of certain shapes
LOADED_PROGRAMS = 8  # of those, with memory on the device
MAX_CHANGES = 8  # in what a step does; after more of them it runs eagerly
ALIGNMENT = 512  # bytes: the beginning of each buffer
MEMORY_USERS = 2  # scans with memory on a device


class CudaScan:
    """``scan(carry, fixed, each, owned)``: see `Backend.scan`.

    `traced` is the step with NumPy's namespace, for tracing; `eager` the step with the library's own.
    With `replay` the program of a step is captured once and replayed as a CUDA graph. A program has
    arrays of its own: the carry is copied to them, and the results are copied out.
    """

    def __init__(self, traced: Step, eager: Step, device: Device, replay: bool) -> None:
        self.traced, self.eager = traced, eager
        self.device, self.replay, self.is_steady = device, replay, is_steady(traced)
        self.programs: OrderedDict[Hashable, CudaProgram | None] = OrderedDict()
        self.loaded: OrderedDict[tuple[Hashable, tuple[int, ...]], LoadedProgram] = OrderedDict()
        self.carries: dict[Hashable, list[DeviceArray]] = {}
        self.memory: DeviceArray = None
        self.changes = 0

    def __call__(self, carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
        del owned  # the arguments are never overwritten
        with self.device.lock:  # all scans share one stream
            found = self.run_program(carry, fixed, each)
        if found is not None:
            return found
        for i in range(trees.length(each)):
            carry = self.eager(carry, fixed, trees.at(each, i))
        return carry

    def run_program(self, carry: Tree, fixed: Tree, each: Tree) -> Tree | None:
        """The last carry; None, and nothing done, if there is no program."""
        (state, form), (data, form_of_data) = trees.flatten(carry), trees.flatten(fixed)
        per_step, form_of_one = trees.flatten(each)
        if not state or not trees.length(each):
            return None
        try:
            infos = [self.device.info(array) for array in (*state, *data, *per_step)]
            first = len(state) + len(data)
            ones = [ArrayInfo(info.shape[1:], info.dtype, ()) for info in infos[first:]]
            strides = tuple(info.strides for info in infos[len(state) : first])
            forms, leaves = (False, form, form_of_data, form_of_one), [*infos[:first], *ones]
            key = (trees.signature(forms, leaves), strides)
            hash(key)
        except TypeError:  # a dtype that NumPy lacks, or something that cannot be hashed
            return None
        program = self.program(key, forms, leaves, len(state), strides)
        if program is None:
            return None
        try:  # on the caller's stream, where they will be used and freed
            results = [self.device.empty(info.shape, info.dtype) for info in infos[: len(state)]]
        except Exception as error:
            self.give_up(key, error)
            return None
        with self.device.own_stream():
            try:
                loaded = self.load(program, key, state, data, per_step)
            except Exception as error:  # so far it has written to its own memory alone
                self.give_up(key, error)
                return None
            loaded.start([*state, *per_step])
            loaded.run(len(per_step[0]))
            loaded.release_data()
            for target, source in zip(results, loaded.carry, strict=True):
                self.device.copy(target, source)
        return trees.unflatten(form, results)

    def give_up(self, key: Hashable, error: Exception) -> None:
        """Run this step eagerly from now on, and say why; there may have been too little memory."""
        self.programs[key] = None
        self.free_memory()
        warnings.warn(f"the step runs eagerly, not compiled: {error}", stacklevel=2)

    def program(
        self,
        key: Hashable,
        form: Form,
        leaves: Sequence[ArrayInfo],
        states: int,
        strides: Sequence[Strides],
    ) -> CudaProgram | None:
        """The program for such arrays, with so many in the carry; None if the step is to run eagerly."""
        found = self.programs.get(key)
        if found and not self.is_steady and found.is_outdated():
            self.changes += 1
            self.forget(key)
            found = None
            if self.changes > MAX_CHANGES:  # each change would be compiled
                self.programs[key] = None
        if key not in self.programs:
            overwrites = {i: i for i in range(states)}
            of_data = {states + i: those for i, those in enumerate(strides)}
            try:
                first_per_step = states + len(strides)
                found = CudaProgram(self.traced, form, leaves, overwrites, first_per_step, of_data)
            except Exception:  # of any kind: the eager step is right, or raises what is wrong
                found = None
        self.programs[key] = found
        self.programs.move_to_end(key)
        if len(self.programs) > CACHED_PROGRAMS:
            self.forget(next(iter(self.programs)))
        return found

    def forget(self, key: Hashable) -> None:
        """Drop a program, and what it keeps on the device."""
        self.programs.pop(key, None)
        for where in [w for w in self.loaded if w[0] == key]:
            del self.loaded[where]

    def load(
        self,
        program: CudaProgram,
        key: Hashable,
        state: Sequence[DeviceArray],
        data: Sequence[DeviceArray],
        per_step: Sequence[DeviceArray],
    ) -> LoadedProgram:
        """The program with arrays of its own, for data at these addresses."""
        self.limit_memory_users()
        steps = len(per_step[0])
        addresses = tuple(self.device.address(array) for array in data)
        where = key, (self.device.tf32, *addresses)
        loaded = self.loaded.get(where)
        if loaded is None or loaded.steps < steps:
            self.loaded.pop(where, None)
            own, more = self.own_carry(state), map(self.device.info, per_step)
            inputs = [self.device.empty(info.shape, info.dtype) for info in more]
            buffers = self.allocate(program.plan.buffers)
            loaded = LoadedProgram(program, self.device, own, data, inputs, buffers, self.replay)
            loaded.start([*state, *per_step])
            loaded.enqueue(1)  # which loads all kernels: that must not happen during a capture
        loaded.lend_data(data)
        loaded.capture(steps)
        self.loaded[where] = loaded
        self.loaded.move_to_end(where)
        if len(self.loaded) > LOADED_PROGRAMS:
            self.loaded.popitem(last=False)
        return loaded

    def own_carry(self, state: Sequence[DeviceArray]) -> list[DeviceArray]:
        """Arrays like those of the carry, which programs of the same shapes share."""
        infos = [self.device.info(array) for array in state]
        form = tuple((info.shape, info.dtype.str) for info in infos)
        if form not in self.carries:
            self.carries.clear()  # as a rule there is one form; who uses another still has its arrays
            self.carries[form] = [self.device.empty(*one) for one in form]
        return self.carries[form]

    def allocate(self, sizes: Sequence[int]) -> list[DeviceArray]:
        """Buffers of so many bytes; all programs share the memory, because one runs at a time."""
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-max(size, 1) // ALIGNMENT) * ALIGNMENT)
        if self.memory is None or len(self.memory) < starts[-1]:
            self.memory = self.device.empty((max(starts[-1], 1),), np.dtype("uint8"))
        return [self.memory[start : start + size] for start, size in zip(starts, sizes, strict=False)]

    def limit_memory_users(self) -> None:
        """Free the memory of the scans that have not been used for longest."""
        users = self.device.memory_users
        if self in users:
            users.remove(self)
        users.append(self)
        for other in users[:-MEMORY_USERS]:
            other.free_memory()
        del users[:-MEMORY_USERS]

    def free_memory(self) -> None:
        """Free all memory on the device; the programs stay."""
        self.loaded.clear()
        self.carries.clear()
        self.memory = None
