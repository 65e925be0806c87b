"""What is known of a training before it begins: one frozen, self-checking description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from portable_nn.backends import to_host
from portable_nn.checks import (
    NONNEGATIVE,
    PerNetwork,
    Value,
    check_stack,
    check_value,
    check_whole,
    is_schedule,
    is_zero,
)
from portable_nn.distributed import Communicator
from portable_nn.errors import unknown_name
from portable_nn.network import Network
from portable_nn.network.parameters import check_batch, check_shared
from portable_nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from portable_nn.optimizers.rules import check_values_of_stack
from portable_nn.schedules import Schedule, check_learning_rate, constant
from portable_nn.training.callbacks import check_callbacks
from portable_nn.training.clipping import check_clip_norm
from portable_nn.training.draws import Draws, GeneratorDraws, StackDraws
from portable_nn.training.dropout import check_dropout
from portable_nn.training.early_stopping import EarlyStopping
from portable_nn.training.metrics import check_metrics
from portable_nn.training.per_network import OneForEach, check_seed, one_for_each, seeds_of_stack

OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


@dataclass(frozen=True)
class Training:
    """How a network is trained, whatever the data and the backend are.

    The arguments are those of `fit`, and: `stack`, the shape of the stack of networks that is to be
    trained; `draws`, which the orders and the dropout masks are drawn from, by default the generator of
    `seed`; `smoothing`, the share of the targets that is spread over all classes; `keep_states`, whether
    the optimizer's arrays of an epoch have to survive the next one; `communicator`, the processes that
    train together. Raises TypeError or ValueError for
    an argument that is not of its form.

    `can_look_ahead` says whether an epoch can be prepared before the one before it is over. It cannot
    where a result may decide on it, or where the user would notice: their functions would be called, or
    their generator drawn from, once too often.
    """

    net: Network
    optimizer: Optimizer
    epochs: int = 10
    batch_size: int | None = 128
    l2: Value = 0.0
    clip_norm: Value | Mapping[str | int, Value] | None = None
    dropout: Any = 0.0  # a rate or a schedule, or one for each hidden layer
    schedule: Schedule = None  # type: ignore[assignment]
    early_stopping: EarlyStopping | None = None
    callbacks: Iterable[Any] = ()
    epoch_order: Callable[[int, int], Any] | None = None
    seed: int | np.random.Generator = 0
    stack: tuple[int, ...] = ()
    draws: Draws = None  # type: ignore[assignment]
    smoothing: float = 0.0
    metrics: Any = ()
    keep_states: bool = False
    communicator: Communicator | None = None
    can_look_ahead: bool = field(init=False)

    def __post_init__(self) -> None:
        check_network(self.net)
        self._set("optimizer", check_optimizer(self.optimizer))
        self._take_early_stopping()
        check_early_stopping(self.early_stopping)
        check_epoch_order(self.epoch_order)
        check_values_of_stack(self.optimizer, self.stack)
        self._set("epochs", check_whole("epochs", self.epochs, 1))
        if self.batch_size is not None:
            self._set("batch_size", check_whole("batch_size", self.batch_size, 1))
        self._set("l2", check_value("l2", self.l2, NONNEGATIVE))
        check_stack("l2", self.l2, self.stack)
        self._set("clip_norm", check_clip_norm(self.clip_norm, self.net.arrays, self.stack))
        self._set("dropout", check_dropout(self.dropout, len(self.net.sizes) - 2, self.stack))
        if self.schedule is None:
            self._set("schedule", schedule_of(self.optimizer))
        elif isinstance(self.schedule, (list, tuple)):
            self._set("schedule", one_for_each(self.schedule, self.stack))
        if isinstance(self.schedule, constant):
            check_stack("schedule(0)", self.schedule.learning_rate, self.stack)
        numbers = {each.name: getattr(self.optimizer, each.name) for each in fields(self.optimizer)}
        numbers["l2"] = self.l2
        check_shared(self.net.described, self.stack, self.clip_norm, numbers)
        self._set("metrics", check_metrics(self.metrics, self.net))
        self._set("callbacks", check_callbacks(self.callbacks))
        self._set("keep_states", self.keep_states or bool(self.callbacks))
        watched = self.callbacks or self.early_stopping or self.epoch_order or self.draws
        seeds = seeds_of_stack(self.seed, self.stack)
        if seeds is None:
            random = check_seed(self.seed)  # a private one, unless the user passed one
            self._set("can_look_ahead", not watched and random is not self.seed)
        else:
            self._set("can_look_ahead", False)
        if self.draws is None:
            self._set("draws", GeneratorDraws(random) if seeds is None else StackDraws(seeds))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _take_early_stopping(self) -> None:
        """A rule of early stopping among the callbacks counts as `early_stopping`."""
        if self.early_stopping is None and isinstance(self.callbacks, (list, tuple)):
            rules = [callback for callback in self.callbacks if isinstance(callback, EarlyStopping)]
            if len(rules) == 1:
                self._set("early_stopping", rules[0])
                self._set("callbacks", [each for each in self.callbacks if each is not rules[0]])

    @property
    def has_own_draws(self) -> bool:
        """Whether each network of a stack has a generator of its own."""
        return isinstance(self.draws, StackDraws)

    @property
    def has_penalty(self) -> bool:
        """Whether the cost has the term with `l2`, for any network."""
        return not is_zero(self.l2)

    def rows(self, epoch: int, n: int) -> np.ndarray[Any, Any]:
        """The rows of epoch 0, 1, ... in their order, out of n; of each network where they differ."""
        if self.epoch_order is not None:
            rows = check_order(self.epoch_order(epoch, n), n, self.stack)
        else:
            rows = self.draws.order(epoch, n)
        count = rows.shape[-1]
        size = min(self.batch_size or n, count)
        check_batch(self.net.described, count % size or size)  # the last one is the smallest
        return rows

    def learning_rate(self, step: int) -> Value:
        """The learning rate of update 0, 1, ..."""
        if isinstance(self.schedule, constant):  # checked already; this is called for every update
            return self.schedule.learning_rate
        if isinstance(self.schedule, OneForEach):  # which checks them itself
            return self.schedule(step)
        rate = check_learning_rate(self.schedule, step)
        if isinstance(rate, PerNetwork):
            check_stack(f"schedule({step})", rate, self.stack)
        return rate


def check_network(net: Any) -> None:
    """Raise TypeError for what is no network."""
    if not isinstance(net, Network):
        raise TypeError(f"`net` is {net!r}; accepted: a portable_nn.Network")


def check_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer, which may be given by its name.

    Raises TypeError for what is no optimizer with a rule, or cannot be compared by value; ValueError for
    an unknown name.
    """
    if isinstance(optimizer, str):
        if optimizer.lower() not in OPTIMIZERS:
            raise ValueError(unknown_name("optimizer", optimizer, OPTIMIZERS))
        return OPTIMIZERS[optimizer.lower()]()
    if not isinstance(optimizer, Optimizer) or type(optimizer).rule is Optimizer.rule:
        hint = ", with a `rule`" if isinstance(optimizer, Optimizer) else ""
        raise TypeError(f"`optimizer` is {optimizer!r}; accepted: one such as portable_nn.Adam(){hint}")
    if "__eq__" not in vars(type(optimizer)):  # else two that differ would share one compiled step
        raise TypeError(
            f"`optimizer` is a {type(optimizer).__name__}, which is no dataclass itself; accepted: a "
            "subclass of portable_nn.Optimizer decorated with @dataclasses.dataclass(frozen=True)"
        )
    return optimizer


def schedule_of(optimizer: Optimizer) -> Schedule:
    """The learning rate of an optimizer as a function of the step."""
    rate = optimizer.learning_rate
    return rate if is_schedule(rate) else constant(rate)


def check_early_stopping(rule: Any) -> None:
    """Raise TypeError for what is no rule of early stopping."""
    if rule is not None and not isinstance(rule, EarlyStopping):
        raise TypeError(f"`early_stopping` is {rule!r}; accepted: a portable_nn.EarlyStopping")


def check_epoch_order(epoch_order: Any) -> None:
    """Raise TypeError for what is no function."""
    if epoch_order is not None and not callable(epoch_order):
        raise TypeError(f"`epoch_order` is {epoch_order!r}; accepted: a function of (epoch, n)")


def check_order(order: Any, n: int, stack: tuple[int, ...] = ()) -> np.ndarray[Any, Any]:
    """The rows of an epoch as a host array of indices, if they are some of 0..n-1.

    For a stack it may have one row of them for each network.
    """
    rows = order if isinstance(order, np.ndarray) else to_host(order)
    is_shaped = rows.ndim == 1 or (stack != () and rows.shape[:-1] == stack)
    if not is_shaped or rows.size == 0 or rows.dtype.kind not in "iu":
        own = f", or one of shape ({', '.join(map(str, stack))}, m) for the networks" if stack else ""
        raise ValueError(
            f"`epoch_order` gave an array of shape {rows.shape} and dtype {rows.dtype}; accepted: a "
            f"non-empty 1-d array of integers{own}"
        )
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(
            f"`epoch_order` gave rows from {rows.min()} to {rows.max()}; accepted: from 0 to {n - 1}"
        )
    return rows
