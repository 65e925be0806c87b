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
from portable_nn.errors import SignatureOfInit
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

    Parameters
    ----------
    t : int
        Updates made; 0 at first.
    slots : tuple of trees
        One tree of the form of the parameters for each array kept per parameter: for `Adam`
        ``m, v = state.slots``.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> state = pnn.Adam().init([(np.ones((1, 2)), np.ones((1, 1)))])
    >>> m, v = state.slots
    >>> state.t, m
    (0, [(array([[0., 0.]]), array([[0.]]))])
    """

    t: int
    slots: Slots

    def nested_like(self, params: Parameters) -> OptimizerState:
        """The state with slots of exactly the form of `params`, lists and tuples alike.

        Parameters
        ----------
        params : tree of arrays
            As many arrays as each slot has.

        Returns
        -------
        OptimizerState
            With the same arrays.
        """
        form = trees.flatten(params)[1]
        slots = tuple(trees.unflatten(form, trees.leaves(slot)) for slot in self.slots)
        return OptimizerState(self.t, slots)


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share; for a user-defined one make a subclass that is a frozen dataclass too.

    A subclass defines `rule`, and as it needs them `slots` and `coefficients`.

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

    Notes
    -----
    For a stack of networks every parameter that is a number may be an array or a list of numbers of the
    stack's shape. What `coefficients` returns reaches a compiled step as data: other values compile
    nothing anew. The class attribute `scheduled` names the numbers that may be schedules beside the
    learning rate, with the range of their values: `coefficients` gets those of its update. Whatever else
    `rule` reads from ``self`` is compiled into the step; a `rule` that reads nothing may be a static
    method.

    Examples
    --------
    A tenth of the learning rate for the first layer, and one of their own for biases:

    >>> import portable_nn as pnn
    >>> pnn.SGD(1e-2, groups={"biases": {"learning_rate": 1e-3}, 1: {"factor": 0.1}}).groups
    {'biases': {'learning_rate': 0.001}, 1: {'factor': 0.1}}

    A user-defined optimizer, whose steps are all alpha long:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(frozen=True)
    ... class SignDescent(pnn.Optimizer):
    ...     def rule(self, xp, theta, g, alpha):
    ...         return (theta - alpha * xp.sign(g),)
    >>> optimizer, params = SignDescent(0.1), [(np.array([[1.0, 2.0]]),)]
    >>> optimizer.update(params, [(np.array([[-7.0, 0.5]]),)], optimizer.init(params))[0]
    [(array([[1.1, 1.9]]),)]
    """

    learning_rate: Value | Callable[[int], Value] = 1e-3
    groups: Mapping[str | int, Mapping[str, Any]] = field(default=NO_GROUPS, kw_only=True)
    # what may be a schedule beside the learning rate, and the range of its values
    scheduled: ClassVar[Mapping[str, Interval]] = {}

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if "__repr__" not in vars(cls):  # else the decorator makes one, which shows groups always
            cls.__repr__ = Optimizer.__repr__  # type: ignore[method-assign]

    __signature__ = SignatureOfInit()

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
        """How many arrays are kept per parameter; 0 by default."""
        return 0

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        """The numbers that `rule` takes last; by default the learning rate alone.

        They are computed on the host in double precision.

        Parameters
        ----------
        t : int
            The number of the update, 1, 2, ...
        alpha : float, or array of the stack's shape
            Its learning rate.

        Returns
        -------
        tuple of numbers
            For a stack, numbers or arrays with one for each network.
        """
        return (alpha,)

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        """The formula of an update, elementwise: ``rule(xp, theta, g, *arrays, *coefficients)``.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta : array
            A parameter.
        g : array
            Its gradient, of the same shape.
        *rest : arrays
            Those kept for `theta`, `slots` many and of its shape; then what `coefficients` returned, as
            0-d arrays or, in a stack, arrays that broadcast.

        Returns
        -------
        tuple of arrays
            The new theta, then the new arrays kept for it: all of its shape and dtype.

        Raises
        ------
        NotImplementedError
            If the subclass defines none.
        """
        raise NotImplementedError(
            f"{type(self).__name__} defines no `rule`: Optimizer is to be subclassed"
        )

    @with_own_settings
    def init(self, params: Parameters) -> OptimizerState:
        """The state before the first update: t = 0, and arrays of zeros of the form of `params`.

        Parameters
        ----------
        params : list of (W, b)
            Or any tree of arrays of one library and device.

        Returns
        -------
        OptimizerState

        Raises
        ------
        TypeError, ValueError
            If `params` is not such a tree.
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

        Parameters
        ----------
        params : list of (W, b)
            Or any tree of arrays of one library and device.
        grads : list of (dJ/dW, dJ/db)
            Of the form of `params`. Where there is None in the place of an array, that parameter and its
            slots are left as they are.
        state : OptimizerState
            What `init` or the last update returned.
        learning_rate : float, or one for each network of a stack; optional
            >= 0; replaces that of the optimizer for this update, but for groups that have one of their
            own.
        arrays : sequence of ArrayName, optional
            ``net.arrays``: the name, kind and layer of each array, for the groups of the optimizer. By
            default as those of a dense network.

        Returns
        -------
        params : list of (W, b)
            Of the form of those given.
        state : OptimizerState

        Raises
        ------
        TypeError, ValueError
            If `grads`, `state` or `arrays` do not belong to `params`, if parameters or gradients are NaN
            or infinite, if the square of a gradient overflows, or if the learning rate is negative.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> optimizer, params = pnn.SGD(0.1), [(np.array([[1.0, 2.0]]), np.array([[3.0]]))]
        >>> grads, state = [(np.array([[10.0, 0.0]]), np.array([[-10.0]]))], optimizer.init(params)
        >>> params, state = optimizer.update(params, grads, state)
        >>> params, state.t
        ([(array([[0., 2.]]), array([[4.]]))], 1)
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
