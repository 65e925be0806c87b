"""Which memory each computed array is written to: an input's that it overwrites, or a buffer's.

A buffer is used again as soon as the array in it has been read for the last time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Collection, Mapping

from portable_nn.compiler.graph import Node, base
from portable_nn.compiler.instructions import Instruction, Readers
from portable_nn.compiler.ordering import Precedence


class FreeBuffers:
    """The buffers whose arrays are not needed any more, by size: a deep network has thousands."""

    def __init__(self) -> None:
        self.sizes: list[int] = []  # in ascending order, each once
        self.of_size: dict[int, deque[int]] = {}

    def add(self, buffer: int, size: int) -> None:
        """A buffer that has become free."""
        if size not in self.of_size:
            insort(self.sizes, size)
            self.of_size[size] = deque()
        self.of_size[size].append(buffer)

    def take(self, least: int, most: int) -> int | None:
        """One of the smallest that have at least `least` bytes, and at most `most`; None without one."""
        place = bisect_left(self.sizes, least)
        if place == len(self.sizes) or self.sizes[place] > most:
            return None
        size = self.sizes[place]
        buffer = self.of_size[size].popleft()
        if not self.of_size[size]:
            del self.of_size[size], self.sizes[place]
        return buffer


def can_overwrite(
    node: Node,
    target: Node,
    maker: Mapping[Node, Instruction],
    readers: set[Instruction],
    precedence: Precedence,
) -> bool:
    """Whether `node` can overwrite the input `target`, because nothing reads the old values later.

    `maker` is the instruction that computes each node; `readers` are those that read `target`.
    """
    if node not in maker or not maker[node].is_group:
        return False
    if (node.shape, node.dtype) != (target.shape, target.dtype):
        return False
    mine = maker[node]
    if any(s is not target and base(s) is target for s in mine.sources):
        return False  # a view of it is read, at other indices
    if any(n is not node and n.shape != node.shape for n in mine.nodes):
        return False
    return not precedence.comes_before(mine, readers - {mine})


def can_reuse(one: Instruction, node: Node, dead: Node) -> bool:
    """Whether a group can write `node` over `dead`, which it is the last to read, at the same index."""
    if not one.is_group or (node.shape, node.dtype) != (dead.shape, dead.dtype):
        return False
    if any(s is not dead and base(s) is dead for s in one.sources):
        return False
    return one.position_of_last_use(dead) <= one.nodes.index(node)


def twice(size: int) -> int:
    """Up to twice as large, or 1 kB larger: little memory is lost, and many arrays find a buffer."""
    return 2 * size + 1024


def assign_buffers(
    ordered: list[Instruction],
    readers: Readers,
    results: set[Node],
    have_memory: Collection[Node],
    largest: Callable[[int], int] = twice,
) -> tuple[list[int], dict[Node, int]]:
    """The size of each buffer in bytes, and the number of the buffer of each computed node.

    Nodes that have memory need none; those of `results` keep theirs. ``largest(size)`` is the size of
    the largest buffer that an array of `size` bytes may be written to.
    """
    buffers: list[int] = []
    buffer_of: dict[Node, int] = {}
    free = FreeBuffers()
    unread = {node: len(those) for node, those in readers.items()}

    def take(size: int, may_share: bool) -> int:
        found = free.take(size, largest(size)) if may_share else None
        if found is not None:
            return found
        buffers.append(size)
        return len(buffers) - 1

    for one in ordered:
        dead = []
        for b in {base(s): None for s in one.sources}:
            unread[b] -= 1
            if unread[b] == 0 and b in buffer_of and b not in results:
                dead.append(b)
        for node in one.outputs:
            if node in have_memory:
                continue
            reused = next((b for b in dead if node not in results and can_reuse(one, node, b)), None)
            if reused is not None:
                dead.remove(reused)
                buffer_of[node] = buffer_of[reused]
            else:
                buffer_of[node] = take(node.nbytes, may_share=node not in results)
        never_read = (n for n in one.outputs if n in buffer_of and not unread.get(n))
        for node in (*dead, *(n for n in never_read if n not in results)):
            free.add(buffer_of[node], buffers[buffer_of[node]])
    return buffers, buffer_of
