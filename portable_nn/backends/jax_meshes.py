"""Meshes of JAX devices: arrays over one mesh are in one place, and each batch is spread over it."""

from __future__ import annotations

import functools
import itertools
import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portable_nn import trees
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import Namespace
from portable_nn.trees import Tree

OVER = " over "  # between the axes and the devices in the name of a mesh


def mesh_of(sharding: Any) -> Any:
    """The mesh of several devices that an array with this sharding is laid out on; else None."""
    import jax  # noqa: PLC0415

    if not isinstance(sharding, jax.sharding.NamedSharding):
        return None
    mesh = sharding.mesh  # of an array that is being traced an abstract one
    return mesh if isinstance(mesh, jax.sharding.Mesh) and mesh.size > 1 else None


@functools.lru_cache(maxsize=64)
def whole(mesh: Any) -> Any:
    """The sharding of an array that each device of the mesh has a copy of.

    It stands for the mesh where a backend has a device.
    """
    import jax  # noqa: PLC0415

    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def as_place(device: Any) -> Any:
    """A device, a mesh, or a sharding, as what a backend has for a device.

    ValueError for a sharding that splits arrays.
    """
    import jax  # noqa: PLC0415

    if isinstance(device, jax.sharding.Mesh):
        device = whole(device)
    if isinstance(device, jax.sharding.NamedSharding):
        if not device.is_fully_replicated:
            raise ValueError(
                f"`device` is a sharding that splits arrays, {device.spec}; accepted: the mesh, or "
                "NamedSharding(mesh, PartitionSpec()); split the arrays afterwards, by jax.device_put"
            )
        if device.mesh.size > 1:
            return whole(device.mesh)
    only = list(device.device_set) if isinstance(device, jax.sharding.Sharding) else []
    return only[0] if len(only) == 1 else device


def explicit_axes(mesh: Any) -> list[str]:
    """The axes about which each operation would have to say how its result is laid out."""
    kinds = getattr(mesh, "axis_types", None)
    if not isinstance(kinds, tuple):  # JAX before 0.7 may have none
        return []
    each = zip(mesh.axis_names, kinds, strict=True)
    return [name for name, kind in each if kind.name != "Auto"]


def check_axes(sharding: Any) -> None:
    """Raise TypeError where arrays are on a mesh with explicit axes."""
    mesh = mesh_of(sharding)
    if mesh is not None and explicit_axes(mesh):
        raise TypeError(
            f"arrays are on a mesh with the explicit axes {', '.join(explicit_axes(mesh))}; accepted: "
            "axes of the type Auto; make the mesh by jax.sharding.Mesh(devices, names), or by "
            "jax.make_mesh(shape, names, axis_types=(jax.sharding.AxisType.Auto,) * len(shape))"
        )


# ---- names ------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def mesh_name(mesh: Any) -> str:
    """The axes and the devices, as "data=2,model=2 over cpu:0-3"."""
    kind = dict.fromkeys(explicit_axes(mesh), " explicit")
    axes = ",".join(f"{name}={size}{kind.get(name, '')}" for name, size in mesh.shape.items())
    parts = [str(device).rpartition(":") for device in mesh.devices.flat]
    found = []
    # numbers in a row stay as far from their places as the first one is
    key = lambda item: (item[1][0], int(item[1][2]) - item[0])  # noqa: E731
    for (platform, _), run in itertools.groupby(enumerate(parts), key=key):
        numbers = [part[2] for _, part in run]
        last = f"-{numbers[-1]}" if len(numbers) > 1 else ""
        found.append(f"{platform}:{numbers[0]}{last}")
    return f"{axes}{OVER}{','.join(found)}"


def mesh_named(name: str) -> Any:
    """The mesh of that name, made of the devices that are here; ValueError where some are not."""
    import jax  # noqa: PLC0415

    axes, _, places = name.partition(OVER)
    here: dict[str, Any] = {}
    wanted: list[str] = []
    try:
        shape = {axis: int(size) for axis, _, size in (axis.partition("=") for axis in axes.split(","))}
        for place in places.split(","):
            platform, _, numbers = place.partition(":")
            first, _, last = numbers.partition("-")
            here |= {str(device): device for device in jax.devices(platform)}
            wanted += [f"{platform}:{i}" for i in range(int(first), int(last or first) + 1)]
        devices = np.array([here[each] for each in wanted]).reshape(*shape.values())
    except (ValueError, KeyError, RuntimeError):
        raise ValueError(
            f"backend 'jax' cannot make the mesh {name!r} here; accepted: axes and devices that are "
            f"here, {', '.join(map(str, jax.devices()))}; what was on another mesh can go to one device"
        ) from None
    return jax.sharding.Mesh(devices, tuple(shape))


# ---- values -----------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def copier(mesh: Any) -> Any:
    """A function that gives each device of the mesh a copy of an array."""
    import jax  # noqa: PLC0415

    return jax.jit(lambda x: x, out_shardings=whole(mesh))


def readable(x: Any) -> Any:
    """`x`, or a copy with all its values in this process; every process has to ask for it."""
    if getattr(x, "is_fully_addressable", True) or x.is_fully_replicated:
        return x
    return copier(x.sharding.mesh)(x)


def from_every_process(host: HostArray, place: Any) -> Any:
    """An array of a mesh of several processes, each of which has all of the host array.

    ValueError where the processes have different ones. JAX would compare them value by value, which
    takes a hundred times longer.
    """
    import jax  # noqa: PLC0415

    checksum = zlib.crc32(np.ascontiguousarray(host).tobytes(), zlib.crc32(f"{host.shape}".encode()))
    own = np.full(place.mesh.size, checksum, "uint32")
    split = jax.sharding.NamedSharding(place.mesh, jax.sharding.PartitionSpec(place.mesh.axis_names))
    checksums = jax.make_array_from_callback(own.shape, split, own.__getitem__)
    found = np.asarray(copier(place.mesh)(checksums))
    if (found != found[0]).any():
        raise ValueError(
            f"the processes gave different host arrays, this one of shape {host.shape}; accepted: the "
            "same in each, and the same arguments, such as `seed`; for parts of one array: "
            "jax.make_array_from_process_local_data"
        )
    return jax.make_array_from_callback(host.shape, place, host.__getitem__)


# ---- steps ------------------------------------------------------------------------------------------


def entry(sharding: Any, axis: int, ndim: int) -> tuple[str, ...]:
    """The axes of the mesh that an axis of an array is split along."""
    spec = tuple(sharding.spec)
    names = spec[axis % ndim] if axis % ndim < len(spec) else None
    return names if isinstance(names, tuple) else () if names is None else (names,)


def split_axes(sharding: Any) -> set[str]:
    """All axes of the mesh that an array is split along."""
    found: set[str] = set()
    return found.union(*(entry(sharding, i, len(sharding.spec)) for i in range(len(sharding.spec))))


def row_shards(x: Any) -> int:
    """Over how many devices the rows of an array, along the axis -2, are split."""
    mesh = mesh_of(getattr(x, "sharding", None))
    if mesh is None or x.ndim < 2:
        return 1
    return math.prod(mesh.shape[name] for name in entry(x.sharding, -2, x.ndim))


class Layout(NamedTuple):
    """The shardings of the arrays of a scan, of its carry and of what is fixed; see `Backend.scan`."""

    carry: tuple[Any, ...]
    fixed: tuple[Any, ...]

    @property
    def free(self) -> tuple[str, ...]:
        """The axes of the mesh that rows are spread over if none of the data is split: all free ones."""
        names = self.fixed[0].mesh.axis_names
        taken: set[str] = set().union(*map(split_axes, self.carry))
        return () if any(map(split_axes, self.fixed)) else tuple(n for n in names if n not in taken)

    def kept(self, carry: Tree) -> Tree:
        """The carry, laid out as it was at first."""
        import jax  # noqa: PLC0415

        each, form = trees.flatten(carry)
        constrain = jax.lax.with_sharding_constraint
        return trees.unflatten(form, map(constrain, each, self.carry))


def layout_of(carry: Tree, fixed: Tree) -> Layout:
    """The layout of these arrays, which are all on one mesh."""
    of_carry, of_fixed = (
        tuple(array.sharding for array in trees.leaves(tree)) for tree in (carry, fixed)
    )
    return Layout(of_carry, of_fixed)


class Spreading:
    """The namespace `xp`, but that rows taken of the `fixed` arrays are spread over the mesh.

    By itself JAX copies a batch to each device, which computes with all of it.
    """

    def __init__(self, xp: Namespace, layout: Layout, fixed: Tree) -> None:
        self.xp, self.free, self.arrays = xp, layout.free, trees.leaves(fixed)
        each = zip(self.arrays, layout.fixed, strict=True)
        self.shardings = {id(array): sharding for array, sharding in each}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.xp, name)

    def __eq__(self, other: object) -> bool:  # user-defined functions may ask which namespace it is
        return self is other or self.xp is other

    def __hash__(self) -> int:
        return hash(self.xp)

    def take(self, x: Any, indices: Any, /, *, axis: Any = None, **options: Any) -> Any:
        """The rows of these numbers; where `x` is split each device has a part of them."""
        import jax  # noqa: PLC0415

        sharding = self.shardings.get(id(x))
        if sharding is None or axis is None or options:
            return self.xp.take(x, indices, axis=axis, **options)
        names = entry(sharding, axis, x.ndim)
        if names and hasattr(jax, "shard_map"):
            found = exchanged(x, indices, axis % x.ndim, names, sharding)
        else:  # numbers are in range: by "fill", the default, they would be looked at
            found = jax.numpy.take(x, indices, axis=axis, mode="clip")
        if not (names or self.free):
            return found
        spec = [*sharding.spec, *[None] * (x.ndim - len(sharding.spec))]
        spec[axis] = names or self.free
        layout = jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec(*spec))
        return jax.lax.with_sharding_constraint(found, layout)


def exchanged(x: Any, indices: Any, axis: int, names: Sequence[str], sharding: Any) -> Any:
    """The rows of these numbers, each sent from the device that has it to the one that computes with it.

    They are summed over the devices, all but one of which have zeros; each gets a part of the sum.
    """
    import jax  # noqa: PLC0415

    xp, lax, spec = jax.numpy, jax.lax, sharding.spec
    devices = math.prod(sharding.mesh.shape[name] for name in names)
    count, local = indices.shape[0], x.shape[axis] // devices
    is_bool = x.dtype == xp.bool  # which cannot be summed

    def of_device(part: Any, indices: Any) -> Any:
        own = indices - lax.axis_index(names) * local
        has = xp.reshape((own >= 0) & (own < local), (-1, *(1,) * (x.ndim - 1 - axis)))
        found = xp.take(part, own, axis=axis, mode="clip")
        found = xp.where(has, found, xp.zeros((), dtype=found.dtype))
        found = xp.astype(found, xp.uint8) if is_bool else found
        return lax.psum_scatter(found, names, scatter_dimension=axis, tiled=True)

    indices = xp.pad(indices, (0, -count % devices), mode="edge")  # one part for each device
    specs = (spec, jax.sharding.PartitionSpec())
    exchange = jax.shard_map(of_device, mesh=sharding.mesh, in_specs=specs, out_specs=spec)
    found = lax.slice_in_dim(exchange(x, indices), 0, count, axis=axis)
    return xp.astype(found, xp.bool) if is_bool else found
