"""A step written down for arrays of certain shapes and dtypes: what any program of it starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from portable_nn import trees
from portable_nn.compiler.trace import Graph, Traced, UntraceableError, stand_in, trace

Step = Callable[..., Any]


class Record:
    """The graph of ``step(*arguments)``; the arguments have the form `skeleton` and the arrays `leaves`.

    Output number i is to take the place of input number ``places[i]``. `results` is the form of what the
    step gives. Raises UntraceableError where the step cannot be written down.
    """

    def __init__(
        self, step: Step, skeleton: trees.Form, leaves: Sequence[Any], places: Mapping[int, int]
    ) -> None:
        def function(*arrays: Traced) -> list[Any]:
            try:
                found = step(*trees.unflatten(skeleton, arrays))
            except Exception as error:  # what is wrong shows when the step is run as it stands
                raise UntraceableError(str(error)) from error
            results, self.results = trees.flatten(found)
            return results

        self.function, self.given = function, [stand_in(x.shape, x.dtype) for x in leaves]
        self.graph: Graph = trace(function, self.given)
        if self.is_outdated():
            raise UntraceableError("it does not do the same each time, as where it draws numbers")
        if places and (self.results != skeleton[1] or not keeps_its_form(self.graph)):
            raise UntraceableError("the carry changes its form from step to step")
        self.places = dict(places)

    def is_outdated(self) -> bool:
        """Whether the step does something else by now, as where it reads what has changed meanwhile."""
        try:
            return trace(self.function, self.given).record != self.graph.record
        except UntraceableError:
            return True


def is_steady(step: Any) -> bool:
    """Whether the step says of itself, by ``step.steady``, that it does the same at any time."""
    return bool(getattr(getattr(step, "func", step), "steady", False))


def keeps_its_form(graph: Graph) -> bool:
    """Whether each output can take the place of the input of its number."""
    pairs = zip(graph.outputs, graph.inputs, strict=False)
    return all((out.shape, out.dtype) == (into.shape, into.dtype) for out, into in pairs)
