"""What a checkpoint holds, and how a training goes on from it."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from portable_nn import trees
from portable_nn.backends import Backend, to_host
from portable_nn.checks import check_whole
from portable_nn.equations import Parameters
from portable_nn.errors import ModelFormatError
from portable_nn.layers.described import Described
from portable_nn.network.parameters import layers_as_values
from portable_nn.optimizers import OptimizerState
from portable_nn.training.arguments import differences
from portable_nn.training.callbacks import TrainingState
from portable_nn.training.description import Training
from portable_nn.training.draws import check_generator_state
from portable_nn.training.early_stopping import BestSoFar
from portable_nn.training.snapshots import Position, Snapshot, Start

KIND = "checkpoint of "


def check_path(name: str, path: Any) -> str:
    """The path as a string; TypeError for what is none."""
    try:
        return os.fsdecode(os.fspath(path))
    except TypeError:
        raise TypeError(f"`{name}` is {path!r}; accepted: the path of a file") from None


def older(path: str, k: int) -> str:
    """The path of the k-th checkpoint before the newest."""
    return f"{path}.{k}" if k else path


def by_place(named: Mapping[str, Any]) -> Parameters:
    """What `layers_as_values` has named."""
    return [tuple(layer.values()) for layer in named.values()]


def write_snapshot(path: str, snapshot: Snapshot) -> None:
    """Write a checkpoint; OSError if that fails, and the file is as it was."""
    from portable_nn.storage import write_document  # noqa: PLC0415  (few trainings need it)

    params, (t, slots), position, record, of, _, net = snapshot
    values = {
        "params": layers_as_values(params, net),
        "optimizer": {"t": int(t), "slots": [layers_as_values(slot, net) for slot in slots]},
        "position": position._asdict() | {"total": to_host(position.total)},
        "record": record,
    }
    write_document(path, KIND + of, values)


def read_snapshot(resume: Any, of: str) -> Snapshot | None:
    """The newest complete checkpoint at a path, on the host; None if a `Checkpoint` has saved none yet.

    `of` says whose it has to be, as in `Snapshot`.

    Raises TypeError for what is neither, FileNotFoundError where no file is at the path,
    ModelFormatError where none of the files there is a checkpoint that can be read.
    """
    is_path = isinstance(resume, (str, bytes, os.PathLike))
    if not is_path and not hasattr(resume, "path"):
        raise TypeError(f"`resume` is {resume!r}; accepted: the path of a checkpoint, or a Checkpoint")
    path = check_path("resume", resume if is_path else resume.path)
    paths = [path]
    while os.path.exists(older(path, len(paths))):
        paths.append(older(path, len(paths)))
    there = [each for each in paths if os.path.exists(each)]
    if not there and not is_path:
        return None
    if not there:
        raise FileNotFoundError(
            f"there is no checkpoint at {path!r}; to begin where there is none, pass the Checkpoint "
            "itself: resume=checkpoint"
        )
    errors = []
    for each in there:
        try:
            found = read(each, of)
        except ModelFormatError as error:
            errors.append(error)
            continue
        if errors:
            warnings.warn(f"{errors[0]}; the older checkpoint {each!r} is resumed", stacklevel=4)
        return found
    raise errors[0]


def read(path: str, of: str) -> Snapshot:
    """The snapshot in a file."""
    from portable_nn.storage import read_document  # noqa: PLC0415

    kind, values, _ = read_document(path)
    if kind != KIND + of:
        raise ModelFormatError(
            f"{path} holds a {kind}; accepted for `resume`: a {KIND}{of}; portable_nn.load reads models"
        )
    with believing(path):
        optimizer = values["optimizer"]
        slots = tuple(by_place(slot) for slot in optimizer["slots"])
        state, position = OptimizerState(optimizer["t"], slots), Position(**values["position"])
        for count in (state.t, position.epoch, position.batches):
            check_whole("a count", count, 0)
        for draws in (position.before, position.now):
            check_generator_state(draws.get("random", draws))
        return Snapshot(by_place(values["params"]), state, position, values["record"], of, path)


@contextlib.contextmanager
def believing(path: str) -> Iterator[None]:
    """ModelFormatError where what is taken from a checkpoint is not there, or is something else."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ModelFormatError(
            f"{path} is a checkpoint that lacks something, or was changed ({type(error).__name__}: "
            f"{error}); resume an older one, or train anew"
        ) from error


def check_same_training(snapshot: Snapshot, arguments: Mapping[str, Any], epochs: int) -> None:
    """Raise ValueError unless the checkpoint is one of this training, with these arguments and data."""
    different = differences(snapshot.record["arguments"], arguments)
    if different:
        raise ValueError(
            f"`resume` is the checkpoint of another training: {different}; accepted: the arguments and "
            "data that it was saved with (`epochs` and `callbacks` may be others)"
        )
    if snapshot.position.epoch > epochs:
        raise ValueError(
            f"`resume` is a checkpoint after {snapshot.position.epoch} epochs, and {epochs} are asked "
            "for; accepted: as many or more"
        )


def placed(backend: Backend, snapshot: Snapshot, like: Parameters) -> Start:
    """What the loop starts from, on the device, instead of parameters like these."""
    params, (t, slots), position, *_ = snapshot
    state = OptimizerState(t, tuple(moved(backend, slot, like) for slot in slots))
    total = backend.asarray(position.total)
    return Start(moved(backend, params, like), state, False, position._replace(total=total))


def moved(backend: Backend, tree: trees.Tree, like: Parameters) -> Parameters:
    """The arrays of the tree on the device, nested as `like`; ValueError for other shapes and dtypes."""
    wanted, form = trees.flatten(like)
    found = [backend.asarray(array) for array in trees.leaves(tree)]
    for array, other in zip(found, wanted, strict=True):
        if (array.shape, array.dtype) != (other.shape, other.dtype):
            raise ValueError(f"{array.dtype} of shape {array.shape} in the place of {other.shape}")
    params: Parameters = trees.unflatten(form, map(backend.laid_out, found, wanted))
    return params


def states_of(callbacks: Sequence[Any]) -> list[list[Any]]:
    """What the callbacks remember, those that do: the names of their classes, and their states.

    Raises TypeError for one that could not be given its state back.
    """
    found = [each for each in callbacks if hasattr(each, "state_dict")]
    for each in found:
        if not callable(getattr(each, "load_state_dict", None)):
            raise TypeError(
                f"`callbacks` holds {each!r}, which has `state_dict` and no `load_state_dict(state)`; "
                "accepted: both, or neither"
            )
    return [[type(each).__qualname__, each.state_dict()] for each in found]


class Resumption(NamedTuple):
    """What a training goes on from, if it does, and the arguments that its checkpoints hold."""

    arguments: dict[str, Any] | None = None
    snapshot: Snapshot | None = None

    @property
    def states(self) -> Sequence[Any]:
        """What callbacks remembered."""
        return () if self.snapshot is None else self.snapshot.record["callbacks"]


def resumed(
    snapshot: Snapshot | None, training: Training, arguments: dict[str, Any] | None
) -> Resumption:
    """What a training goes on from; raises unless the snapshot, if there is one, is of this training."""
    if snapshot is not None and arguments is not None:
        check_same_training(snapshot, arguments, training.epochs)
        check_callbacks_remember(training.callbacks, snapshot.record["callbacks"])  # type: ignore[arg-type]
    return Resumption(arguments, snapshot)


def record_of(
    net: Described, state: TrainingState, best: BestSoFar | None, callbacks: Sequence[Any]
) -> dict[str, Any]:
    """What `fit` keeps of a training, on the host."""
    best_params = None if best is None else best.params
    return {
        "epoch": state.epoch,
        "stopped": state.stopped,
        "history": state.history.state(),
        "best": None if best is None or best_params is None else best.state(),
        "best_params": None if best_params is None else layers_as_values(best_params, net),
        "callbacks": states_of(callbacks),
    }


def go_on(snapshot: Snapshot, state: TrainingState, best: BestSoFar | None, backend: Backend) -> Start:
    """Put back what `record_of` kept; what the loop starts from, on the device."""
    first, record = state.params, snapshot.record
    with believing(snapshot.path):
        start = placed(backend, snapshot, first)
        state.epoch, state.stopped = record["epoch"], record["stopped"]
        state.params, state.optimizer_state = start.params, start.optimizer_state
        state.history.restore(record["history"])
        if best is not None and record["best"] is not None:
            best.restore(record["best"], moved(backend, by_place(record["best_params"]), first))
        return start


def check_callbacks_remember(callbacks: Sequence[Any], states: Sequence[Any]) -> None:
    """Raise ValueError unless these are the callbacks whose states were saved."""
    names = [type(each).__qualname__ for each in callbacks if hasattr(each, "state_dict")]
    saved = [name for name, _ in states]
    if names != saved:
        raise ValueError(
            f"`callbacks` with `state_dict` are {names}, and at the checkpoint they were {saved}; "
            "accepted: the same, in the same order"
        )


def check_states(states: Sequence[Any]) -> None:
    """Raise TypeError where a callback remembers what cannot be saved."""
    from portable_nn.storage.plain_values import Encoder  # noqa: PLC0415

    for name, state in states:
        try:
            Encoder({}).encode(state)
        except TypeError as error:
            what = str(error).partition("; anything else")[0]
            raise TypeError(f"`state_dict()` of {name} gives what cannot be saved: {what}") from error


def load_states(callbacks: Sequence[Any], states: Sequence[Any]) -> None:
    """Give the callbacks what they remembered."""
    found = [each for each in callbacks if hasattr(each, "state_dict")]
    for callback, (_, state) in zip(found, states, strict=False):  # none, where nothing is resumed
        callback.load_state_dict(state)
