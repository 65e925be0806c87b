"""Several processes that train one network: their shards, their arguments, their parts of the data."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from portable_nn.backends import Backend, owner
from portable_nn.checks import check_whole
from portable_nn.distributed import Communicator
from portable_nn.distributed.agreement import failing_together, of_each, of_root
from portable_nn.distributed.communicator import check_communicator, several
from portable_nn.network import Network
from portable_nn.training.arguments import differences
from portable_nn.training.data import Source
from portable_nn.training.shared_data import EqualParts, Shards, SharedSource
from portable_nn.version import __version__


class Placed(NamedTuple):
    """Where parameters are, and their dtype."""

    backend: Backend
    dtype: Any


SHARDED = ("X", "Y", "sample_weight")
Lengths = Sequence[int]  # the numbers of rows of the shards of all processes


def check_alone(net: Network, stack: tuple[int, ...], communicator: Communicator | None) -> None:
    """Raise ValueError for what several processes cannot train."""
    if communicator is None:
        return
    if stack:
        raise ValueError(
            f"`communicator` was given for a stack of shape {stack}; accepted: one network; networks "
            "that do not share what they learn need no communication: train some in each process"
        )
    if net.objective.model.has_statistics:
        raise ValueError(
            "`communicator` was given for a network with BatchNorm, whose statistics are those of all "
            "rows of a batch; accepted: layers that see each row alone, such as LayerNorm"
        )


def joined(communicator: Any, shard: Any, X: Any) -> tuple[Communicator | None, Lengths | None]:
    """The group, and how many rows each of its processes has: None where all of them see all rows.

    The group is None where there is nobody to wait for. Raises TypeError for what is no communicator,
    and what `shard_lengths` raises.
    """
    given = check_communicator(communicator)
    lengths = shard_lengths(given, shard, X)
    group = several(given)
    return (None, None) if group is None else (group, lengths)


def part_of(communicator: Communicator | None, lengths: Lengths | None = None) -> tuple[int, int]:
    """Which part of the rows it has this process looks at: see `Given`."""
    return (0, 1) if communicator is None or lengths else (communicator.rank, communicator.size)


def shard_lengths(communicator: Communicator | None, shard: Any, X: Any) -> Lengths | None:
    """How many rows each process has; None where all of them see all rows.

    Raises, in all processes, TypeError or ValueError unless the shards follow one another, from row 0 to
    the last, in the order of the processes.
    """
    given = (0, 0, 0)
    with failing_together(communicator):
        if shard is not None:
            given = check_shard(shard, X, communicator)
    if communicator is None:
        return None
    table = np.zeros((communicator.size, 4), dtype=np.int64)
    table[communicator.rank] = (shard is not None, *given)
    communicator.sum_(table.reshape(-1))
    has, starts, stops, totals = table.T.tolist()
    if not any(has):
        return None
    if not all(has):
        raise ValueError(
            f"`shard` was given in some processes only, and not in process {has.index(0)}; accepted: in "
            "all of them, or in none"
        )
    shards = [*zip(starts, stops, strict=True)]
    follow = [0, *stops[:-1]] == starts and set(totals) == {stops[-1]}
    if not follow:
        raise ValueError(
            f"`shard` is {shards} in the processes, of {sorted(set(totals))} rows in all; accepted: the "
            "shards of all processes, each beginning where that of the process before ends, from row 0 "
            "to the last: shard=(start, stop, n)"
        )
    return [stop - start for start, stop in shards]


def check_shard(shard: Any, X: Any, communicator: Communicator | None) -> tuple[int, int, int]:
    """(start, stop, n) of the rows in X; TypeError or ValueError for what is none."""
    if communicator is None:
        raise ValueError(
            "`shard` was given without a `communicator`; accepted: both, or neither: one process has "
            "all rows"
        )
    if not isinstance(shard, (tuple, list)) or len(shard) != 3:
        raise TypeError(f"`shard` is {shard!r}; accepted: (start, stop, n), three numbers of rows")
    names = ("start", "stop", "n")
    start, stop, n = (check_whole(f"shard {name}", x, 0) for name, x in zip(names, shard, strict=True))
    rows = X.shape[-2] if owner(X) is not None or hasattr(X, "shape") else None
    if not start < stop <= n or rows != stop - start:
        raise ValueError(
            f"`shard` is {(start, stop, n)} and `X` has {rows} rows; accepted: start < stop <= n, and "
            "in `X` the stop - start rows of this process"
        )
    return start, stop, n


def with_shards(
    communicator: Communicator, arguments: Mapping[str, Any], lengths: Lengths | None
) -> dict[str, Any]:
    """The arguments with the data of all shards in the place of this one's, and the shards' lengths.

    Raises ValueError, in all processes, unless the shards are parts of the same arrays.
    """
    if lengths is None:
        return {**arguments}
    found = {**arguments, "shard": list(lengths)}
    for name in SHARDED:
        parts = of_each(communicator, arguments[name])
        check_alike(name, parts)
        found[name] = parts
    return found


def check_alike(name: str, parts: Sequence[Any]) -> None:
    """Raise ValueError unless the fingerprints are of shards of one dtype, with rows of one shape."""
    kinds = [[(part["dtype"], part["shape"][1:]) for part in shard if part] for shard in parts]
    for rank, kind in enumerate(kinds):
        if kind != kinds[0]:
            here, there = (
                f"{part[0]['dtype']} of shape {tuple(part[0]['shape'])}" if part else "None"
                for part in (parts[rank], parts[0])
            )
            raise ValueError(
                f"`{name}` is {here} in process {rank} and {there} in process 0; accepted: shards of "
                "one array, with the same dtype and columns in all processes"
            )


def check_same(communicator: Communicator, backend: Backend, arguments: Mapping[str, Any]) -> None:
    """Raise, in all processes, where one has other arguments or other versions than the first."""
    versions = {"numpy": np.__version__, backend.package: backend.version(), "portable_nn": __version__}
    mine = {**arguments, **versions}
    first = of_root(communicator, mine)
    with failing_together(communicator):
        found = differences(first, mine, "`{}` is {} there and {} here")
        if found:
            raise ValueError(
                f"process {communicator.rank} was given other arguments than process 0, or has other "
                f"versions: {found}; accepted: the same in all processes, but for `callbacks` and "
                "`progress`"
            )


def seed_as_values(seed: Any) -> dict[str, Any]:
    """A generator that was given as the seed, as what tells its state from others."""
    if not isinstance(seed, np.random.Generator):
        return {}
    state = repr(seed.bit_generator.state).encode()
    return {"seed": {"dtype": "a generator", "shape": [], "checksum": zlib.crc32(state)}}


def shared_source(
    source: Source, communicator: Communicator, placed: Placed, lengths: Lengths | None = None
) -> Source:
    """The part of a source that this process has; `placed` says where the parameters are."""
    backend, dtype = placed.backend, placed.dtype
    if lengths is None:
        share: Any = EqualParts(source.n, communicator)
        return SharedSource(source, share, backend, dtype, source.mean_weight, communicator)
    share, mean = Shards(lengths, communicator.rank), source.mean_weight
    if mean is not None:
        sums = np.asarray([float(backend.to_numpy(mean)) * source.n])
        communicator.sum_(sums)
        mean = backend.asarray(sums[0] / share.n, mean.dtype)
    return SharedSource(source, share, backend, dtype, mean, communicator)
