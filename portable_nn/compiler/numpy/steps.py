"""Steps on NumPy arrays: eager at first, and compiled if they come again."""

from __future__ import annotations

import enum
import functools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.locks import Lock
from portable_nn.compiler.numpy.matching import Match, matcher
from portable_nn.compiler.numpy.program import NumpyProgram
from portable_nn.compiler.numpy.small import SmallScan
from portable_nn.compiler.signatures import HostArray, ScanStep, Step
from portable_nn.compiler.traced_step import is_steady
from portable_nn.equations import Namespace
from portable_nn.trees import Form, Tree

CACHED = 64  # programs of one step, each for arrays of certain shapes and dtypes
SMALL = 2**16  # bytes of buffers: a single step with less is as fast eagerly
EAGER_FORMS = 8  # of arguments that are recognized at once
SMALL_PROGRAMS = 4  # of one step, with memory of their own
FEW_STEPS = 4  # so few are faster eagerly than tracing takes


class WithoutProgram(enum.Enum):
    """Why there is no program for certain arguments."""

    SEEN_ONCE = enum.auto()  # they may never come again
    EAGER = enum.auto()  # the step cannot be traced, or is as fast eagerly


class CompiledStep:
    """``compiled(*arguments)`` is ``step(*arguments)``, to the bit.

    A step that does not promise to be steady runs eagerly; `CompiledScan` looks before each scan whether
    it has changed, and traces it again then.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self.programs: OrderedDict[Hashable, NumpyProgram | WithoutProgram] = OrderedDict()
        self.of_one: OrderedDict[Hashable, NumpyProgram] = OrderedDict()
        self.eager: dict[Hashable, Match] = {}  # of arguments with which the step runs eagerly
        self.lock = Lock()
        self.is_steady = is_steady(step)

    def __call__(self, *arguments: Tree) -> Tree:
        with np.errstate(all="ignore"):
            if any(match(arguments) is not None for match in self.eager.values()):
                return self.step(*arguments)
            leaves, form = trees.flatten(arguments)
            program = (
                self.program(form, leaves, {}, (), when_seen_twice=True) if self.is_steady else None
            )
            if program is not None:
                return trees.unflatten(program.results, iter(program.run_once(leaves)))
            self.remember_eager(form, leaves)
            return self.step(*arguments)

    def remember_eager(self, form: Form, leaves: Sequence[Any]) -> None:
        """Let such arguments be recognized at once, if it is settled that they need no program."""
        if not self.is_steady or len(self.eager) == EAGER_FORMS:
            return
        with suppress(TypeError):  # something among the arguments cannot be hashed
            key = trees.signature(form, leaves)
            if self.programs.get(key) is WithoutProgram.EAGER and key not in self.eager:
                self.eager[key] = matcher(form, leaves, len(leaves))

    def program(
        self,
        form: Form,
        leaves: Sequence[Any],
        overwrites: dict[int, int],
        per_step: Sequence[int],
        when_seen_twice: bool,
    ) -> NumpyProgram | None:
        """The program for such arguments; None where the step is to run eagerly.

        `when_seen_twice`: only if such arguments have been seen before, so that tracing is worth it.
        """
        if not all(is_plain_array(x) for x in leaves):
            return None
        key = trees.signature(form, leaves)
        try:
            hash(key)
        except TypeError:  # something among the arguments cannot be hashed
            return None
        with self.lock:
            found = self.programs.get(key)
            if isinstance(found, NumpyProgram) and found.is_outdated():
                found = None
            if found is None and when_seen_twice:
                found = WithoutProgram.SEEN_ONCE
            elif found in (None, WithoutProgram.SEEN_ONCE):
                found = self.make_program(form, leaves, overwrites, per_step)
            self.programs[key] = found
            self.programs.move_to_end(key)
            if len(self.programs) > CACHED:
                self.programs.popitem(last=False)
        return found if isinstance(found, NumpyProgram) else None

    def program_of_one(self, form: Form, leaves: Sequence[Any]) -> NumpyProgram:
        """The program of one step for such arguments, however small; it may be bound several times.

        Raises UntraceableError where there is none.
        """
        if not self.is_steady or not all(type(x) is np.ndarray for x in leaves):
            raise UntraceableError("it may change, or takes other arrays than NumPy's own")
        key = trees.signature(form, leaves)
        with self.lock:
            found = self.of_one.get(key)
            if found is None:
                found = NumpyProgram(self.step, form, leaves, {}, ())
                self.of_one[key] = found
                if len(self.of_one) > CACHED:
                    self.of_one.popitem(last=False)
        return found

    def make_program(
        self,
        form: Form,
        leaves: Sequence[HostArray],
        overwrites: dict[int, int],
        per_step: Sequence[int],
    ) -> NumpyProgram | WithoutProgram:
        """A new program, if there can be one and it is worth having."""
        try:
            program = NumpyProgram(self.step, form, leaves, overwrites, per_step)
        except Exception:  # of any kind: the eager step is right, or raises what is wrong
            return WithoutProgram.EAGER
        return program if per_step or program.nbytes >= SMALL else WithoutProgram.EAGER


class CompiledScan:
    """Many steps on NumPy arrays: see `Backend.scan`.

    Up to `few_steps` steps run eagerly the first time.
    """

    def __init__(
        self,
        step: ScanStep,
        xp: Namespace,
        few_steps: int | None = None,
    ) -> None:
        self.step = functools.partial(step, xp)
        self.few_steps = FEW_STEPS if few_steps is None else few_steps
        self.compiled = CompiledStep(self.step)
        self.small: list[SmallScan] = []  # those that ran last

    def __call__(self, carry: Tree, fixed: Tree, each: Tree, owned: Sequence[bool]) -> Tree:
        found = self.run_small(carry, fixed, each)
        if found is not None:
            return found
        taken: set[int] = set()
        carry = tuple(
            trees.map(functools.partial(own_array, owned=is_owned, taken=taken), part)
            for part, is_owned in zip(carry, owned, strict=True)
        )
        return carry if self.run_in_place(carry, fixed, each) else self.run_eagerly(carry, fixed, each)

    def run_small(self, carry: Tree, fixed: Tree, each: Tree) -> Tree | None:
        """The last carry, if a program with memory of its own has run such arguments before."""
        with np.errstate(all="ignore"):
            found = (scan(carry, fixed, each) for scan in self.small)
            return next((last for last in found if last is not None), None)

    def run_eagerly(self, carry: Tree, fixed: Tree, each: Tree) -> Tree:
        """The last carry, by operations one by one."""
        with np.errstate(all="ignore"):
            for i in range(trees.length(each)):
                carry = self.step(carry, fixed, trees.at(each, i))
        return carry

    def run_in_place(self, carry: Tree, fixed: Tree, each: Tree) -> bool:
        """Run the steps by a program that overwrites the carry. False, and nothing done, without one."""
        (state, form), (data, form_of_data) = trees.flatten(carry), trees.flatten(fixed)
        per_step, form_of_one = trees.flatten(each)
        steps, first = len(per_step[0]), len(state) + len(data)
        leaves = [*state, *data, *(array[0, ...] for array in per_step)]
        program = self.compiled.program(
            (False, form, form_of_data, form_of_one),
            leaves,
            overwrites={i: i for i in range(len(state))},
            per_step=range(first, len(leaves)),
            when_seen_twice=steps <= self.few_steps,
        )
        if program is None:
            return False
        inputs = [*state, *data, *per_step]
        with np.errstate(all="ignore"):
            if not program.is_small:
                program.run_steps(inputs, steps)
                return True
            scan = next((known for known in self.small if known.program is program), None)
            if scan is None:
                forms = False, form, form_of_data, form_of_one
                scan = SmallScan(program, forms, leaves, len(state), first)
                still = [known for known in self.small if not known.program.is_outdated()]
                self.small = [scan, *still[: SMALL_PROGRAMS - 1]]
            for array, result in zip(state, scan.run(inputs), strict=True):
                np.copyto(array, result)
        return True


def is_plain_array(x: Any) -> bool:
    """Whether `x` is an array of NumPy itself: a subclass may give its functions another meaning."""
    return type(x) in (np.ndarray, np.memmap) or isinstance(x, np.generic)


def own_array(x: Any, owned: bool, taken: set[int]) -> Any:
    """`x` if it may be overwritten, else a contiguous copy; `taken` collects the addresses in use."""
    if not is_plain_array(x):
        return x
    if not (owned and isinstance(x, np.ndarray) and x.flags.carray and x.ctypes.data not in taken):
        x = np.array(x, order="C")
    taken.add(x.ctypes.data)
    return x
