"""What all optimizers share: an (init, update) over trees of arrays.

A subclass says how many arrays it keeps per parameter (`slots`), which numbers an update takes
(`coefficients`), and the elementwise formula (`rule`), written once with `xp`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, Self

from portable_nn import trees
from portable_nn.backends import Backend, owner, with_own_settings
from portable_nn.checks import (
    NONNEGATIVE,
    POSITIVE,
    REAL,
    Interval,
    Value,
    along_stack,
    as_array,
    check_stack,
    check_value,
    check_whole,
    is_schedule,
    store_values,
)
from portable_nn.checks.numbers import are_unchecked, differ
from portable_nn.checks.trees import check_gradients, check_no_overflow, check_slots
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.optimizers.array_names import ArrayName, check_arrays
from portable_nn.optimizers.groups import NO_GROUPS, check_groups
from portable_nn.optimizers.parts import Parts, parts_of
from portable_nn.optimizers.rules import check_values_of_stack
from portable_nn.optimizers.update import Slots, apply

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


UNNAMED = ArrayName("", "", 0)


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
    groups : mapping, optional
        Other settings for some of the parameters, ``{key: {setting: value}}``. A key is a kind of array
        ("weights", "biases", "scales", "embeddings"), the number of a layer (1 is the first), or the
        name of one array ("W[2]"). A setting is a number of this optimizer (`learning_rate` also as a
        schedule), or "factor", >= 0, which multiplies the learning rate in force. Where several keys
        suit an array their settings are merged: one by name wins over one by layer, and that over one
        by kind. A group's own `learning_rate` wins over the `schedule` of `fit`. Other values compile
        nothing anew.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number in its range, a key or a setting unknown, or a setting one that
        changes the formula. Where it is used: if a key suits none of the arrays.

    Examples
    --------
    >>> Optimizer(1e-2, groups={"biases": {"learning_rate": 1e-3}, 1: {"factor": 0.1}})
    Optimizer(learning_rate=0.01, groups={'biases': {'learning_rate': 0.001}, 1: {'factor': 0.1}})

    Notes
    -----
    For a stack of networks every parameter that is a number may be an array or a list of numbers of the
    stack's shape. What `coefficients` returns reaches a compiled step as data: other values compile
    nothing anew. The class attribute `scheduled` names the numbers that may be schedules beside the
    learning rate, with the range of their values: `coefficients` gets those of its update. Whatever else
    `rule` reads from ``self`` is compiled into the step; a `rule` that reads nothing may be a static
    method.
    """

    learning_rate: Value | Callable[[int], Value] = 1e-3
    groups: Mapping[str | int, Mapping[str, Any]] = field(default=NO_GROUPS, kw_only=True)
    # what may be a schedule beside the learning rate, and the range of its values
    scheduled: ClassVar[Mapping[str, Interval]] = {}

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if "__repr__" not in vars(cls):  # else the decorator makes one, which shows groups always
            cls.__repr__ = Optimizer.__repr__  # type: ignore[method-assign]

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
            if each.name != "groups" and are_unchecked(getattr(self, each.name)):
                store_values(self, **{each.name: REAL})
        object.__setattr__(self, "groups", check_groups(self, self.groups))

    def __repr__(self) -> str:
        shown = [each.name for each in fields(self) if each.repr and each.name != "groups"]
        shown += ["groups"] if self.groups else []
        return f"{type(self).__qualname__}({', '.join(f'{n}={getattr(self, n)!r}' for n in shown)})"

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
        arrays: Sequence[ArrayName] | None = None,
    ) -> tuple[Parameters, OptimizerState]:
        """The parameters and the state after one update; none of the arrays given is changed.

        `params` and `grads` are trees of arrays of one form, such as [(W[1], b[1]), ...]; where `grads`
        has None in the place of an array, that parameter and its slots are left as they are. `state` is
        what `init` or the last update returned; `learning_rate` replaces that of the optimizer for this
        update, but for groups that have one of their own. `arrays` describes each array for the groups
        of the optimizer, as ``net.arrays`` does; by default as those of a dense network. Raises
        TypeError or ValueError where `grads`, `state` or `arrays` do not belong to `params`, where
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
        thetas = trees.leaves(params)
        stack, dtype = tuple(thetas[0].shape[:-2]), thetas[0].dtype
        check_stack("learning_rate", alpha, stack)
        check_values_of_stack(self, stack)
        parts = self._parts(params, arrays)
        given = [  # a number, and what JAX is tracing, goes as it is
            [backend.asarray(along_stack(x), dtype) if differ(x) else x for x in numbers]
            for numbers in parts.coefficients(state.t, as_array(alpha), stack)
        ]
        params, slots = apply(backend.xp, parts.rules, params, grads, state.slots, given, parts.places)
        check_no_overflow(type(self).__name__, slots, backend)
        return params, OptimizerState(state.t + 1, slots)

    def _parts(self, params: Parameters, arrays: Sequence[ArrayName] | None) -> Parts:
        """The parts of the parameters; without groups they are one, whatever the form is."""
        if self.groups or arrays is not None:
            return parts_of(self, check_arrays(params, arrays))
        return parts_of(self, [UNNAMED] * len(trees.leaves(params)))


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
