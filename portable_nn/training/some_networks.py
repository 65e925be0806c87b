"""How some of the networks of a stack are trained: the training of the stack, seen by these alone."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from portable_nn.backends import to_host
from portable_nn.checks import PerNetwork, check_stack, is_schedule
from portable_nn.optimizers import Optimizer
from portable_nn.optimizers.groups import FrozenMapping
from portable_nn.schedules import Schedule, constant
from portable_nn.training.description import Training, check_order
from portable_nn.training.draws import Draws, Piece, Shape, StackDraws
from portable_nn.training.per_network import OneForEach

Stack = tuple[int, ...]
Rows = np.ndarray[Any, Any]


@dataclass(frozen=True)
class OfSome:
    """The values that a schedule gives some of the networks."""

    name: str
    schedule: Callable[[Any], Any]
    stack: Stack
    members: tuple[int, ...]

    def __call__(self, step: Any) -> Any:
        value = self.schedule(step)
        if not np.shape(value):
            return value
        host = np.asarray(to_host(value))
        check_stack(f"{self.name}({step})", host, self.stack)
        return host.reshape(-1)[list(self.members)]


def of_some(training: Training, members: Rows, draws: Draws) -> Training:
    """The training of these networks as a flat stack (k,); nothing is checked again."""
    twin, stack = copy.copy(training), training.stack

    def some(name: str, value: Any) -> Any:
        return numbers_of(name, value, stack, members)

    changed = {
        "stack": (len(members),),
        "draws": draws,
        "optimizer": optimizer_of(training.optimizer, stack, members),
        "l2": some("l2", training.l2),
        "clip_norm": some("clip_norm", training.clip_norm),
        "dropout": tuple(some(f"dropout[{l}]", rate) for l, rate in enumerate(training.dropout)),
        "schedule": schedule_of_some(training.schedule, stack, members),
        "epoch_order": None,  # see `draws_of`
        "callbacks": [],
        "early_stopping": None,
        "keep_states": bool(training.callbacks),
        "can_look_ahead": training.can_look_ahead and not training.has_own_draws,
    }
    vars(twin).update(changed)
    return twin


def as_stack(trainings: Sequence[Training], draws: Draws) -> Training:
    """Trainings of one network each, which differ in numbers only, as that of a flat stack.

    They have the same kind of optimizer, schedules or no schedules, and drop units of the same layers.
    """
    first, stack = trainings[0], (len(trainings),)
    twin, optimizer = copy.copy(first), copy.copy(first.optimizer)
    for each in fields(optimizer):
        values = [getattr(training.optimizer, each.name) for training in trainings]
        object.__setattr__(optimizer, each.name, value_of_stack(values))
    changed = {
        "optimizer": optimizer,
        "epochs": max(training.epochs for training in trainings),
        "stack": stack,
        "draws": draws,
        "schedule": OneForEach(tuple(training.schedule for training in trainings), stack),
        "dropout": tuple(map(value_of_stack, zip(*(t.dropout for t in trainings), strict=True))),
        "keep_states": False,
        "can_look_ahead": False,
    }
    changed |= {n: value_of_stack([getattr(t, n) for t in trainings]) for n in ("l2", "clip_norm")}
    vars(twin).update(changed)
    return twin


def value_of_stack(values: Sequence[Any]) -> Any:
    """One value where all are the same; else one for each network."""
    if all(value == values[0] for value in values):
        return values[0]
    if any(is_schedule(value) for value in values):
        each = tuple(value if is_schedule(value) else constant(value) for value in values)
        return OneForEach(each, (len(values),))
    return PerNetwork(map(float, values))


def numbers_of(name: str, value: Any, stack: Stack, members: Rows) -> Any:
    """A hyperparameter as these networks have it."""
    if isinstance(value, PerNetwork):
        return PerNetwork(np.asarray(value, np.float64).reshape(-1)[members].tolist())
    if isinstance(value, FrozenMapping):
        return FrozenMapping({key: numbers_of(name, one, stack, members) for key, one in value.items()})
    if is_schedule(value):
        return OfSome(name, value, stack, tuple(members.tolist()))
    return value


def schedule_of_some(schedule: Schedule, stack: Stack, members: Rows) -> Schedule:
    """The learning rates of these networks."""
    if isinstance(schedule, constant):
        return constant(numbers_of("schedule", schedule.learning_rate, stack, members))
    if isinstance(schedule, OneForEach):
        return OneForEach(tuple(schedule.schedules[k] for k in members), (len(members),))
    return OfSome("schedule", schedule, stack, tuple(members.tolist()))


def optimizer_of(optimizer: Optimizer, stack: Stack, members: Rows) -> Optimizer:
    """The optimizer with the numbers of these networks."""
    twin, may_be_scheduled = copy.copy(optimizer), {"learning_rate", *optimizer.scheduled}
    for each in fields(optimizer):
        value = getattr(optimizer, each.name)
        if each.name in may_be_scheduled or isinstance(value, (PerNetwork, Mapping)):
            object.__setattr__(twin, each.name, numbers_of(each.name, value, stack, members))
    return twin


class SharedOrders:
    """The orders of epochs for blocks of networks that ask for them one by one: each is drawn once."""

    def __init__(self, draw: Callable[[int, int], Rows]) -> None:
        self.draw, self.lock = draw, threading.Lock()
        self.drawn: dict[tuple[int, int], Rows] = {}

    def __call__(self, epoch: int, n: int) -> Rows:
        with self.lock:
            if (epoch, n) not in self.drawn:
                self.drawn = {key: rows for key, rows in self.drawn.items() if key[0] >= epoch - 1}
                rows = self.draw(epoch, n)
                self.drawn[epoch, n] = rows if rows.ndim == 1 else rows.reshape(-1, rows.shape[-1])
            return self.drawn[epoch, n]


class BlockDraws:
    """See `Draws`: those of some networks, their orders from `orders` if that is given."""

    def __init__(self, draws: Draws, members: Rows, orders: SharedOrders | None = None) -> None:
        self.draws, self.members, self.orders = draws, members, orders

    def order(self, epoch: int, n: int) -> Rows:
        if self.orders is None:
            return self.draws.order(epoch, n)
        rows = self.orders(epoch, n)
        return rows if rows.ndim == 1 else rows[self.members]

    def uniform(self, batches: int, shapes: Sequence[Shape], drops: Sequence[Rows]) -> Iterator[Piece]:
        return self.draws.uniform(batches, shapes, drops)

    def state(self) -> dict[str, Any]:
        return self.draws.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.draws.restore(state)


def draws_of(training: Training) -> Callable[[Rows], Draws]:
    """What gives the draws of some networks of the training."""
    draws, orders = training.draws, None
    if training.epoch_order is not None:
        order_of = training.epoch_order
        orders = SharedOrders(lambda epoch, n: check_order(order_of(epoch, n), n, training.stack))
    elif not training.has_own_draws:
        orders = SharedOrders(draws.order)

    def of(members: Rows) -> Draws:
        own = draws.of(members) if isinstance(draws, StackDraws) else draws
        return BlockDraws(own, members, orders)

    return of
