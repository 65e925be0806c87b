"""Many networks in one pass: a flat stack that is trained in blocks, and that networks may leave.

A block is a stack that is trained by a loop of its own. Networks whose numbers of rows differ are in
different blocks: their batches are. Blocks may be no larger than suits the caches of a processor, and
several may be trained at once, by a thread each; no network sees any of that.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Self

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend, dtype_name, own_settings
from portable_nn.backends.blas_threads import ONE_THREAD, loaded
from portable_nn.equations import Parameters
from portable_nn.optimizers import OptimizerState
from portable_nn.training.loop import Epoch, Loop
from portable_nn.training.snapshots import Start
from portable_nn.training.stack_data import Members, behind_one_another, some_of

FULL = 0.75  # while a larger share of the networks of a block goes on, those that are done stay in it
FEWEST_EACH = 4  # networks: with fewer in each of two threads the calls take longer than the work
MakeLoop = Callable[[Members, Start], Loop]


class Block:
    """Some of the networks, all of one kind, trained as one stack.

    `before` has the parameters at the beginning of the last epoch; `carried` is a tree of the caller's,
    arrays (k, ...) that go with the networks when they are put into other blocks.
    """

    def __init__(self, kind: Hashable, members: Members, loop: Loop, carried: trees.Tree) -> None:
        self.kind, self.members, self.loop, self.carried = kind, members, loop, carried
        self.before = loop.params
        self.epochs = iter(loop)

    def next_epoch(self) -> Epoch:
        """Train all of them for an epoch."""
        self.before = self.loop.params
        with own_settings():
            return next(self.epochs)


class Pass:
    """The networks of a flat stack, trained side by side, epoch by epoch.

    Parameters
    ----------
    backend : Backend
    make_loop : function
        ``make_loop(members, start)`` is the loop of some networks.
    params, state
        Where the training starts, (K, ...).
    kinds : sequence
        One for each network; those of one kind may be in one block.
    carried : tree, optional
        See `Block`.
    is_whole : bool
        Whether all networks stay in one block until the end.
    bytes_of_batch : int
        The memory of the arrays that a step of one network computes of its batch.
    may_use_threads : bool
        Whether several blocks may be trained at once; not where steps call functions of the user's.
    """

    def __init__(
        self,
        backend: Backend,
        make_loop: MakeLoop,
        start: Start,
        kinds: Sequence[Hashable],
        carried: trees.Tree = None,
        is_whole: bool = False,
        bytes_of_batch: int = 0,
        may_use_threads: bool = True,
    ) -> None:
        self.backend, self.make_loop, self.is_whole = backend, make_loop, is_whole
        self.bytes_of_batch = bytes_of_batch
        self.threads = backend.threads() if may_use_threads else 1
        self.has_left = np.zeros(len(kinds), dtype=bool)
        self.pool: ThreadPoolExecutor | None = None
        self.exits = contextlib.ExitStack()
        members = np.arange(len(kinds))
        self.blocks: list[Block] = []
        for kind in [()] if is_whole else dict.fromkeys(kinds):
            those = members if is_whole else members[[each == kind for each in kinds]]
            self.blocks += self.partition(kind, those, members, start, carried)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True)
        self.exits.close()

    def partition(
        self, kind: Hashable, members: Members, given: Members, start: Start, carried: trees.Tree
    ) -> list[Block]:
        """Blocks of these networks, among the `given` ones, which `start` and `carried` are of."""
        params, (t, slots) = start.params, start.optimizer_state
        touched = bytes_of_one(params, slots) + self.bytes_of_batch
        at_once = None if self.is_whole else self.backend.networks_at_once(touched)
        count = 1 if at_once is None else -(-len(members) // at_once)
        if at_once is not None and len(members) >= 2 * FEWEST_EACH:
            count = -(-count // self.threads) * self.threads  # each thread has as many blocks
        places = {network: place for place, network in enumerate(given.tolist())}
        blocks = []
        for some in np.array_split(members, min(count, len(members))):
            tree = (list(params), slots, carried)
            owned = start.owns_state
            if len(some) < len(given):
                tree, owned = some_of(self.backend, tree, [places[k] for k in some.tolist()]), True
            begin = Start(tree[0], OptimizerState(t, tree[1]), owned, epoch=start.epoch)
            blocks.append(Block(kind, some, self.make_loop(some, begin), tree[2]))
        return blocks

    def epoch(self) -> list[tuple[Block, Epoch]]:
        """Train every network that has not left for an epoch more."""
        self.regroup()
        threads = min(self.threads, len(self.blocks))
        if threads < 2:
            self.exits.close()  # the products of one block may take all cores
            return [(block, block.next_epoch()) for block in self.blocks]
        if self.pool is None:
            self.pool = ThreadPoolExecutor(threads, thread_name_prefix="portable_nn")
            self.exits.enter_context(ONE_THREAD.within(loaded()))
        jobs = [self.pool.submit(block.next_epoch) for block in self.blocks]
        try:
            return [(block, job.result()) for block, job in zip(self.blocks, jobs, strict=True)]
        except BaseException:
            for job in jobs:
                job.cancel()
            wait(jobs)  # nobody goes on with arrays that are handed back
            raise

    def leave(self, members: Members) -> None:
        """These networks are done: what becomes of them is not looked at any more."""
        self.has_left[members] = True

    @property
    def is_over(self) -> bool:
        """Whether all networks have left."""
        return bool(self.has_left.all())

    def regroup(self) -> None:
        """Put the networks that go on into new blocks, where many of the others have left."""
        by_kind: dict[Hashable, list[Block]] = {}
        for block in self.blocks:
            by_kind.setdefault(block.kind, []).append(block)
        kept: list[Block] = []
        for blocks in by_kind.values():
            given = np.concatenate([block.members for block in blocks])
            going = np.sort(given[~self.has_left[given]])
            if len(going) > FULL * len(given) or (self.is_whole and len(going)):
                kept += blocks
            elif len(going):
                kept += self.merged(blocks, given, going)
        self.blocks = kept

    def merged(self, blocks: list[Block], given: Members, going: Members) -> list[Block]:
        """New blocks of the networks that go on."""
        each = [(b.loop.params, b.loop.state.slots, b.carried) for b in blocks]
        params, slots, carried = behind_one_another(self.backend, each)
        loop = blocks[0].loop
        start = Start(params, OptimizerState(loop.state.t, slots), True, epoch=loop.epoch)
        return self.partition(blocks[0].kind, going, given, start, carried)


def bytes_of_batch(sizes: Sequence[int], rows: int, dtype: Any) -> int:
    """About how much a step of one network computes of so many rows: Z, A and Delta of each layer."""
    return 3 * rows * sum(sizes) * np.dtype(dtype_name(dtype)).itemsize


def bytes_of_one(params: Parameters, slots: Any) -> int:
    """The bytes of the parameters and the optimizer's arrays of one network."""
    arrays = trees.leaves((params, slots))
    width = np.dtype(dtype_name(arrays[0].dtype)).itemsize
    return int(width * sum(math.prod(array.shape[1:]) for array in arrays))
