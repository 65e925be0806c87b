"""The tape on which the operations of a step are recorded while it is traced."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import numpy as np

from portable_nn.compiler.graph import Node, UntraceableError, base
from portable_nn.compiler.signatures import HostArray

Recorded: TypeAlias = tuple[Node, HostArray]  # with a stand-in for its array
ORDERED = ("matmul", "reduce", "call")  # whose results depend on the memory order of their operands


@dataclass
class Tape:
    """What has been recorded; the same operation on the same arrays is recorded once.

    With `to_the_bit` what depends on memory orders is recorded only where they are row-major.
    """

    to_the_bit: bool = True
    nodes: list[Node] = field(default_factory=list)
    known: dict[Hashable, Recorded] = field(default_factory=dict)
    refused: str = ""  # why tracing failed: the function may have caught the error and gone on

    def refuse(self, why: str) -> NoReturn:
        """Raise UntraceableError, and remember why."""
        self.refused = why
        raise UntraceableError(why)

    def record(
        self, kind: str, sources: Sequence[Any], detail: Any, key: Hashable, compute: Callable[[], Any]
    ) -> Recorded:
        """The node of an operation; ``compute()`` makes a stand-in for its result."""
        if self.to_the_bit and kind in ORDERED and not all(base(s).row_major for s in sources):
            self.refuse(f"{kind} of an array that is in another memory order in an eager step")
        names = tuple(
            ("node", s.number) if isinstance(s, Node) else (type(s).__name__, repr(s)) for s in sources
        )
        full = (kind, names, key)
        if full not in self.known:
            try:
                value = compute()
            except Exception as error:  # the function may catch it, and would not meet it eagerly
                self.refuse(str(error))
            if value.dtype.kind not in "biuf":
                self.refuse(f"an array of {value.dtype}")
            node = Node(
                kind,
                tuple(sources),
                detail,
                value.shape,
                value.dtype,
                len(self.nodes),
                value.flags.c_contiguous,
            )
            self.nodes.append(node)
            self.known[full] = node, value
        return self.known[full]

    def add(self, kind: str, detail: Any, value: HostArray) -> Recorded:
        """The node of an array that is an input or a constant, with this stand-in."""
        is_row_major = value.flags.c_contiguous
        node = Node(kind, (), detail, value.shape, value.dtype, len(self.nodes), is_row_major)
        self.nodes.append(node)
        return node, value

    def constant(self, x: Any) -> Recorded:
        """The node of an array, or of a number, that is no stand-in."""
        array = np.asarray(x)
        return self.add("constant", np.array(array, order="C"), array)
