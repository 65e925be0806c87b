"""What all optimizers share: an (init, update) over trees of arrays.

A subclass says how many arrays it keeps per parameter (`slots`), which numbers an update takes
(`coefficients`), and the elementwise formula (`rule`), written once with `xp`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

from portable_nn import trees
from portable_nn.backends import Backend, owner, with_own_settings
from portable_nn.checks import (
    NONNEGATIVE,
    POSITIVE,
    REAL,
    PerNetwork,
    Value,
    along_stack,
    as_array,
    check_stack,
    check_value,
    check_whole,
    store_values,
)
from portable_nn.checks.numbers import are_unchecked, differ
from portable_nn.checks.trees import check_gradients, check_no_overflow, check_slots
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.optimizers.update import Rule, Slots, apply

ELSEWHERE = {  # what other libraries call it
    "lr": "learning_rate",
    "betas": "beta_1 and beta_2",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "b1": "beta_1",
    "b2": "beta_2",
    "eps": "epsilon",
    "alpha": "rho",
    "decay": "rho, or weight_decay of AdamW",
    "l2": "`l2` of portable_nn.fit",
    "clipnorm": "`clip_norm` of portable_nn.fit",
    "weight_decay": "AdamW",
}


class OptimizerState(NamedTuple):
    """What an optimizer remembers: the number t of updates made, and its arrays.

    `slots` holds one tree of the form of the parameters for each array kept per parameter: for `Adam`
    ``m, v = state.slots``.
    """

    t: int
    slots: Slots

    def nested_like(self, params: Parameters) -> OptimizerState:
        """The state with slots of exactly the form of `params`, lists and tuples alike."""
        form = trees.flatten(params)[1]
        slots = tuple(trees.unflatten(form, trees.leaves(slot)) for slot in self.slots)
        return OptimizerState(self.t, slots)


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share; for a user-defined one make a subclass that is a frozen dataclass too.

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack, or a schedule
        alpha > 0; a schedule is a function of the number of updates made, see `portable_nn.schedules`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number in its range.

    Notes
    -----
    For a stack of networks every parameter that is a number may be an array or a list of numbers of the
    stack's shape. What `coefficients` returns reaches a compiled step as data: other values compile
    nothing anew. Whatever else `rule` reads from ``self`` is compiled into the step; a `rule` that reads
    nothing may be a static method.
    """

    learning_rate: Value | Callable[[int], Value] = 1e-3

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """An optimizer; TypeError for an argument under the name that another library gives it."""
        known = {each.name for each in fields(cls)}
        for name in named.keys() & ELSEWHERE.keys() - known:
            raise TypeError(f"{cls.__name__} has no argument `{name}`; here: {ELSEWHERE[name]}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if not is_schedule(self.learning_rate):
            store_values(self, learning_rate=POSITIVE)
        for each in fields(self):  # of a user-defined optimizer: numbers for a stack
            if are_unchecked(getattr(self, each.name)):
                store_values(self, **{each.name: REAL})

    @property
    def slots(self) -> int:
        """How many arrays are kept per parameter."""
        return 0

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        """The numbers that `rule` takes last in update t = 1, 2, ... with the learning rate alpha.

        They are computed on the host in double precision: for a stack, arrays with one for each network.
        """
        return (alpha,)

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        """The new theta and arrays, from ``(xp, theta, g, *arrays, *coefficients)``, elementwise.

        theta is a parameter, g its gradient of the same shape; `arrays` are those kept for it, `slots`
        many, which are returned anew after theta; `coefficients` are 0-d arrays.
        """
        raise NotImplementedError(
            f"{type(self).__name__} defines no `rule`: Optimizer is to be subclassed"
        )

    @with_own_settings
    def init(self, params: Parameters) -> OptimizerState:
        """The state before the first update: t = 0, and arrays of zeros of the form of `params`.

        Raises TypeError or ValueError where `params` is no list of arrays of one library and device.
        """
        backend = check_gradients(params, params)
        return init_state(backend.xp, self, params)

    @with_own_settings
    def update(
        self,
        params: Parameters,
        grads: Parameters,
        state: OptimizerState,
        learning_rate: Value | None = None,
    ) -> tuple[Parameters, OptimizerState]:
        """The parameters and the state after one update; none of the arrays given is changed.

        `params` and `grads` are trees of arrays of one form, such as [(W[1], b[1]), ...]; `state` is
        what `init` or the last update returned; `learning_rate` replaces that of the optimizer for this
        update. Raises TypeError or ValueError where `grads` or `state` do not belong to `params`, where
        parameters or gradients are NaN or infinite, where the square of a gradient overflows, or where
        the learning rate is negative.
        """
        if isinstance(grads, OptimizerState):
            raise TypeError(
                "`grads` is an OptimizerState; accepted: update(params, grads, state), in this order"
            )
        backend = check_gradients(params, grads)
        state = check_state(self, params, state, backend)
        alpha = self.learning_rate if learning_rate is None else learning_rate
        alpha = alpha(state.t) if is_schedule(alpha) else alpha
        alpha = check_value("learning_rate", alpha, NONNEGATIVE)
        theta = trees.leaves(params)[0]
        stack = tuple(theta.shape[:-2])
        check_stack("learning_rate", alpha, stack)
        check_values_of_stack(self, stack)
        t = state.t + 1
        given = [  # a number, and what JAX is tracing, goes as it is
            backend.asarray(along_stack(x), theta.dtype) if differ(x) else x
            for x in with_arrays(self).coefficients(t, as_array(alpha))
        ]
        params, slots = apply(backend.xp, rule_of(self), params, grads, state.slots, given)
        check_no_overflow(type(self).__name__, slots, backend)
        return params, OptimizerState(t, slots)


def is_schedule(learning_rate: Any) -> bool:
    """Whether it is a function of the number of updates made."""
    return callable(learning_rate) and not isinstance(learning_rate, type)


def init_state(xp: Namespace, optimizer: Optimizer, params: Parameters) -> OptimizerState:
    """No update made, and `optimizer.slots` trees of zeros of the form of the parameters."""
    slots = tuple(trees.map(xp.zeros_like, params) for _ in range(optimizer.slots))
    return OptimizerState(0, slots)


def check_state(
    optimizer: Optimizer, params: Parameters, state: Any, backend: Backend
) -> OptimizerState:
    """`state`, if it is one of this optimizer for parameters like these; TypeError or ValueError else.

    `t` becomes an int, unless JAX is tracing it.
    """
    if not isinstance(state, OptimizerState):
        raise ValueError(f"`state` is {type(state)}; accepted: what `init(params)` returned")
    t: Any = state.t
    owns = None if isinstance(t, int) else owner(t)
    if owns is None or owns.values_known(t):
        t = check_whole("state.t", t, 0)
    check_slots(params, state.slots, optimizer.slots, backend)
    return OptimizerState(t, state.slots)


def check_values_of_stack(optimizer: Optimizer, stack: tuple[int, ...]) -> None:
    """Raise ValueError where a parameter holds numbers for another stack."""
    for each in fields(optimizer):
        value = getattr(optimizer, each.name)
        if isinstance(value, PerNetwork):
            check_stack(each.name, value, stack)


def with_arrays(optimizer: Optimizer) -> Optimizer:
    """The optimizer for computing coefficients: its numbers of a stack are NumPy arrays."""
    twin = copy.copy(optimizer)
    for each in fields(optimizer):
        value = getattr(optimizer, each.name)
        object.__setattr__(twin, each.name, value if is_schedule(value) else as_array(value))
    return twin


@dataclass(frozen=True, eq=False)
class UserRule:
    """The `rule` of an optimizer, which may read any of its parameters: equal where all of them are."""

    optimizer: Optimizer
    values: tuple[Any, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserRule) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return type(self.optimizer), self.values

    def __call__(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        twin = self.optimizer
        for each, value in zip(fields(twin), self.values, strict=True):
            if isinstance(value, PerNetwork):  # read as an array that goes with theta
                twin = twin if twin is not self.optimizer else copy.copy(twin)
                where = {"dtype": theta.dtype, "device": getattr(theta, "device", None)}
                numbers_of_stack = xp.asarray(along_stack(value), **where)
                object.__setattr__(twin, each.name, numbers_of_stack)
        return twin.rule(xp, theta, g, *rest)


def rule_of(optimizer: Optimizer) -> Rule:
    """The rule, hashable and equal by value: steps with equal rules are one compiled step."""
    if getattr(optimizer.rule, "__self__", None) is not optimizer:
        return optimizer.rule
    values = tuple(getattr(optimizer, each.name) for each in fields(optimizer))
    try:
        hash(values)
    except TypeError as error:
        raise TypeError(
            f"`optimizer` is {optimizer!r}, whose `rule` may read a parameter that cannot be hashed "
            f"({error}); accepted: numbers, strings, tuples; or a static method as its `rule`"
        ) from None
    return UserRule(optimizer, values)
