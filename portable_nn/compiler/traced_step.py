"""A step traced for arrays of certain shapes and dtypes: the start of a program for any target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.graph import Graph, UntraceableError
from portable_nn.compiler.reads import StateChangeError, what_is_read
from portable_nn.compiler.signatures import HostArray, Step
from portable_nn.compiler.stand_ins import stand_in
from portable_nn.compiler.trace import trace
from portable_nn.compiler.traced_array import TracedArray


class TracedStep:
    """The graph of ``step(*arguments)``, where the arguments have this form and these leaves.

    Of the leaves only shape and dtype are read. Output i is to overwrite input ``overwrites[i]``.
    Raises UntraceableError where the step cannot be traced.
    """

    def __init__(
        self, step: Step, form: trees.Form, leaves: Sequence[Any], overwrites: Mapping[int, int]
    ) -> None:
        def function(*arrays: TracedArray) -> list[Any]:
            try:
                found = step(*trees.unflatten(form, arrays))
            except (
                Exception
            ) as error:  # the eager step that follows raises what is wrong, if anything is
                raise UntraceableError(str(error)) from error
            results, self.results = trees.flatten(found)
            return results

        self.function, self.step = function, step
        self.stand_ins: list[HostArray] = [stand_in(x.shape, np.dtype(x.dtype)) for x in leaves]
        self.reads, self.is_steady = what_step_reads(step), is_steady(step)
        self.graph: Graph = trace(function, self.stand_ins)
        if self.is_outdated():  # by its own call
            raise UntraceableError("it does not do the same each time: it may draw random numbers")
        if overwrites and (self.results != form[1] or not keeps_shapes_and_dtypes(self.graph)):
            raise UntraceableError("the carry changes its structure, a shape or a dtype")
        self.overwrites = dict(overwrites)

    def is_outdated(self) -> bool:
        """Whether the step does something else by now: it may read a variable that has changed.

        Where all that it reads is known, that is compared; else it is traced again.
        """
        if self.is_steady:
            return False
        try:
            if self.reads is not None:
                return bool(what_step_reads(self.step) != self.reads)
            return trace(self.function, self.stand_ins).fingerprint != self.graph.fingerprint
        except (UntraceableError, StateChangeError):
            return True


def is_steady(step: Any) -> bool:
    """Whether the step promises, by ``step.steady = True``, to do the same at any time."""
    return bool(getattr(innermost(step), "steady", False))


def what_step_reads(step: Any) -> Any:
    """What the functions in ``step.functions`` read, on which alone it depends; None if unknown.

    Raises StateChangeError where one of them may do something else each time it is called.
    """
    functions = getattr(innermost(step), "functions", None)
    return None if functions is None else what_is_read(functions)


def innermost(step: Any) -> Any:
    """The function of a `functools.partial`, or the step itself."""
    return getattr(step, "func", step)


def keeps_shapes_and_dtypes(graph: Graph) -> bool:
    """Whether each output has shape, dtype and memory order of the input of the same number."""
    pairs = zip(graph.outputs, graph.inputs, strict=False)
    same = ((out.shape, out.dtype) == (into.shape, into.dtype) for out, into in pairs)
    return all(same) and all(out.row_major for out in graph.outputs[: len(graph.inputs)])
