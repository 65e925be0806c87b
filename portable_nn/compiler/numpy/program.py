"""A traced step on NumPy arrays as a program: by calls of NumPy at first, by compiled loops later.

Both give the same bits, so when the loops take over changes the time and nothing else.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

from portable_nn import trees
from portable_nn.compiler.graph import is_computed, is_elementwise
from portable_nn.compiler.instructions import Fusable, Instruction
from portable_nn.compiler.numpy.codegen import (
    Bind,
    Inputs,
    Loops,
    Run,
    generate,
    sources_of_rows,
)
from portable_nn.compiler.numpy.loop_cache import installed, is_cached, is_imported, load_loop, was_lost
from portable_nn.compiler.numpy.loops import Argument, can_be_in_a_loop, loop_for
from portable_nn.compiler.plan import Plan, make_plan
from portable_nn.compiler.signatures import HostArray, Step
from portable_nn.compiler.traced_step import TracedStep

OWN_MEMORY = 2**20, 2**23  # bytes of bound inputs, and of all results: a program of so few is small
PATIENCE = 1.0, 5.0  # seconds that a program runs before it loads cached loops; before it compiles some
WITH_IMPORT = 2  # times as long where numba is not imported: that takes as long as loading the loops
STRIDE = 64  # steps between two looks at the clock until then
warned: list[bool] = []  # not empty: this process has been told that numba cannot be used


class NumpyProgram(TracedStep):
    """A traced step that can be run on NumPy arrays.

    The inputs whose numbers are in `per_step` are arrays whose first axis is the steps. A program that
    `is_small` has memory of its own for its other inputs, see `small`.
    """

    def __init__(
        self,
        step: Step,
        form: trees.Form,
        leaves: Sequence[HostArray],
        overwrites: dict[int, int],
        per_step: Sequence[int],
    ) -> None:
        super().__init__(step, form, leaves, overwrites)
        self.seconds = 0.0
        self.inputs = self.sort_inputs(per_step)
        plan = self.plan(is_elementwise)
        self.nbytes = sum(plan.buffers)
        self.bind_blocks = self.generate(plan, {})
        self.bind_loops: Bind | None = None
        self.may_use_loops = installed()
        self.found_loops: tuple[Plan, dict[Instruction, tuple[str, list[Argument]]]] | None = None

    def sort_inputs(self, per_step: Sequence[int]) -> Inputs:
        """The inputs by kind; of a single step all are bound."""
        nodes, steps = self.graph.inputs, set(per_step)
        given = steps | (sources_of_rows(self.graph) if steps else set())
        given -= set(self.overwrites.values())
        bound = [i for i in range(len(nodes)) if i not in given]
        most_inputs, most_results = OWN_MEMORY
        is_small = sum(nodes[i].nbytes for i in bound) <= most_inputs and (
            sum(n.nbytes for n in self.graph.nodes if is_computed(n)) <= most_results
        )
        return Inputs(bound, sorted(given), list(per_step), owns=bool(steps) and is_small)

    @property
    def is_small(self) -> bool:
        """Whether the program has memory of its own for its bound inputs."""
        return self.inputs.owns

    def plan(self, fusable: Fusable) -> Plan:
        """The plan that fuses such operations."""
        own = [self.graph.inputs[i] for i in self.inputs.bound] if self.is_small else None
        return make_plan(self.graph, fusable, self.overwrites, movable=own)

    def generate(self, plan: Plan, loops: Loops) -> Bind:
        """The function ``bind`` of this plan."""
        return generate(self.graph, plan, self.inputs, loops)

    def loops(self) -> tuple[Plan, dict[Instruction, tuple[str, list[Argument]]]]:
        """The plan that fuses what a loop can compute, and the source of each loop."""
        if self.found_loops is None:  # Python 3.11's cached_property has a lock that a fork may lose
            plan = self.plan(can_be_in_a_loop)
            found = {one: loop_for(one, plan) for one in plan.instructions}
            self.found_loops = plan, {one: loop for one, loop in found.items() if loop is not None}
        return self.found_loops

    def wants_loops(self) -> bool:
        """Whether the program has run for so long that loading or compiling loops is worth the time."""
        if not self.may_use_loops or self.seconds < PATIENCE[0] or was_lost():
            return False
        if self.bind_loops is not None:
            return True
        if self.seconds < WITH_IMPORT * PATIENCE[0] and not is_imported():
            return False
        if self.seconds < PATIENCE[1]:
            try:
                return all(is_cached(source) for source, _ in self.loops()[1].values())
            except Exception as error:  # a speed-up that fails must not end a training
                self.go_on_without_loops(error)
                return False
        return True

    def go_on_without_loops(self, error: Exception) -> None:
        """Give up loops for this program; the first time in a process a warning says so."""
        self.may_use_loops = False
        if not warned:
            warned.append(True)
            text = f"numba cannot be used, NumPy goes on alone: {type(error).__name__}: {error}"
            warnings.warn(text, stacklevel=2)

    def bind(
        self, inputs: Sequence[HostArray]
    ) -> tuple[Run, tuple[HostArray, ...], tuple[HostArray, ...]]:
        """The function ``run(start, stop, *given)``, the outputs, and the inputs in own memory."""
        if self.wants_loops():
            try:
                if self.bind_loops is None:
                    plan, found = self.loops()
                    loops = {one: (load_loop(source), of) for one, (source, of) in found.items()}
                    self.bind_loops = self.generate(plan, loops)
                return self.bind_loops(*inputs)
            except Exception as error:  # numba's; nothing has been written to yet
                self.go_on_without_loops(error)
        return self.bind_blocks(*inputs)

    def run_once(self, inputs: Sequence[HostArray]) -> tuple[HostArray, ...]:
        """The outputs of one step."""
        started = time.perf_counter()
        run, outputs, _ = self.bind(inputs)
        run(0, 1)
        self.seconds += time.perf_counter() - started
        return outputs

    def run_steps(self, inputs: Sequence[HostArray], steps: int) -> None:
        """Run so many steps; each overwrites the inputs that are to be overwritten."""
        bound = BoundProgram(self, [inputs[i] for i in self.inputs.bound])
        bound.run_steps([inputs[i] for i in self.inputs.given], steps)


class BoundProgram:
    """A program and its bound inputs, the `arrays`, some of which it overwrites.

    They are its own, and filled by the caller, if the program is small.
    """

    def __init__(self, program: NumpyProgram, arrays: Sequence[HostArray] = ()) -> None:
        self.program, self.arrays = program, arrays
        self.by_loops = program.wants_loops()
        self.bind()

    def bind(self) -> None:
        """Bind the program anew, to the same values."""
        passed = () if self.program.is_small else self.arrays
        self.run, self.outputs, own = self.program.bind(passed)
        for array, before in zip(own, self.arrays, strict=False):
            array[...] = before
        self.arrays = own if self.program.is_small else self.arrays

    def run_steps(self, given: Sequence[HostArray], steps: int) -> None:
        """Run so many steps."""
        program, start = self.program, 0
        while start < steps:
            started, by_loops = time.perf_counter(), program.wants_loops()
            if by_loops != self.by_loops:
                self.by_loops = by_loops
                self.bind()
            while start < steps and (by_loops or not program.wants_loops()):
                stop = steps if by_loops or not program.may_use_loops else min(start + STRIDE, steps)
                self.run(start, stop, *given)
                start, now = stop, time.perf_counter()
                program.seconds, started = program.seconds + now - started, now
