"""The optimizers: each an (init, update) over trees of arrays, in order of growing complexity.

Notation: theta a parameter, g its gradient, alpha the learning rate, t = 1, 2, ... the number of the
update; v and m as in the sources named. A subclass says how many arrays it keeps per parameter
(`slots`), which numbers an update takes (`coefficients`, computed on the host in double precision), and
the elementwise formula (`rule`), written once with `xp`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend
from portable_nn.checks import (
    BELOW_ONE,
    NONNEGATIVE,
    POSITIVE,
    UP_TO_ONE,
    Value,
    as_array,
    check_flag,
    check_stack,
    check_value,
    store_values,
)
from portable_nn.checks.trees import check_gradients, check_slots
from portable_nn.equations import Array, Namespace, Parameters

Rule = Callable[..., tuple[Array, ...]]
Slots = tuple[Parameters, ...]  # trees of the form of the parameters: (v,), or (m, v)


class OptimizerState(NamedTuple):
    """What an optimizer remembers: the number of updates made, and its arrays.

    `slots` holds one tree of the form of the parameters for each array kept per parameter: for `Adam`
    ``m, v = state.slots``.
    """

    t: int
    slots: Slots


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share; for a user-defined one make a subclass that is a frozen dataclass too.

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        alpha > 0.

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

    learning_rate: Value = 1e-3

    def __post_init__(self) -> None:
        store_values(self, learning_rate=POSITIVE)

    @property
    def slots(self) -> int:
        """How many arrays are kept per parameter."""
        return 0

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        """The numbers that `rule` takes last in update t = 1, 2, ... with the learning rate alpha."""
        return (alpha,)

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        """The new theta and arrays, from ``(xp, theta, g, *arrays, *coefficients)``, elementwise."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no `rule`: Optimizer is to be subclassed"
        )

    def init(self, params: Parameters) -> OptimizerState:
        """The state before the first update: arrays of zeros."""
        backend = check_gradients(params, params)
        return init_state(backend.xp, self, params)

    def update(
        self,
        params: Parameters,
        grads: Parameters,
        state: OptimizerState,
        learning_rate: Value | None = None,
    ) -> tuple[Parameters, OptimizerState]:
        """The parameters and the state after one update; none of the arrays given is changed.

        Raises TypeError or ValueError where `grads` or `state` do not belong to `params`, where
        parameters or gradients are NaN or infinite, or where `learning_rate`, which replaces that of
        the optimizer for this update, is negative.
        """
        backend = check_gradients(params, grads)
        alpha = self.learning_rate if learning_rate is None else learning_rate
        alpha = check_value("learning_rate", alpha, NONNEGATIVE)
        check_state(self, params, state, backend)
        theta = trees.leaves(params)[0]
        stack = tuple(theta.shape[:-2])
        check_stack("learning_rate", alpha, stack)
        check_values_of_stack(self, stack)
        t = state.t + 1
        numbers = [
            backend.asarray(x[..., None, None], theta.dtype) if np.ndim(x) else float(x)
            for x in with_arrays(self).coefficients(t, as_array(alpha))
        ]
        params, slots = apply(backend.xp, self.rule, params, grads, state.slots, numbers)
        return params, OptimizerState(t, slots)


def check_state(optimizer: Optimizer, params: Parameters, state: Any, backend: Backend) -> None:
    """Raise ValueError unless `state` is one of this optimizer for parameters like these."""
    if not isinstance(state, OptimizerState):
        raise ValueError(f"`state` is {type(state)}; accepted: what `init(params)` returned")
    check_slots(params, state.slots, optimizer.slots, backend)


def check_values_of_stack(optimizer: Optimizer, stack: tuple[int, ...]) -> None:
    """Raise ValueError where a parameter holds numbers for another stack."""
    for each in fields(optimizer):
        value = getattr(optimizer, each.name)
        if isinstance(value, tuple):
            check_stack(each.name, value, stack)


def with_arrays(optimizer: Optimizer) -> Optimizer:
    """The optimizer for computing coefficients: its numbers of a stack are NumPy arrays."""
    twin = copy.copy(optimizer)
    for each in fields(optimizer):
        object.__setattr__(twin, each.name, as_array(getattr(optimizer, each.name)))
    return twin


@dataclass(frozen=True)
class UserRule:
    """The `rule` of an optimizer, which may read any of its parameters: equal where they are."""

    optimizer: Optimizer

    def __call__(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        return self.optimizer.rule(xp, theta, g, *rest)


def rule_of(optimizer: Optimizer) -> Rule:
    """The rule, hashable and equal by value: steps with equal rules are one compiled step."""
    is_method = getattr(optimizer.rule, "__self__", None) is optimizer
    return UserRule(optimizer) if is_method else optimizer.rule


def init_state(xp: Namespace, optimizer: Optimizer, params: Parameters) -> OptimizerState:
    """No update made, and `optimizer.slots` trees of zeros of the form of the parameters."""
    slots = tuple(trees.map(xp.zeros_like, params) for _ in range(optimizer.slots))
    return OptimizerState(0, slots)


def clipped(xp: Namespace, grads: Parameters, c: Any) -> Parameters:
    """g <- g min(1, c / ||g||), the norm taken over all parameters together (Pascanu et al., 2013)."""
    squares = [xp.sum(g * g, axis=(-2, -1), keepdims=True) for g in trees.leaves(grads)]
    total: Any = sum(squares)
    scale = c / xp.maximum(xp.sqrt(total), c)
    shortened: Parameters = trees.map(lambda g: g * scale, grads)
    return shortened


def apply(
    xp: Namespace,
    rule: Rule,
    params: Parameters,
    grads: Parameters,
    slots: Slots,
    coefficients: Sequence[Any],
) -> tuple[Parameters, Slots]:
    """`rule` for every parameter: the new parameters and slots."""
    thetas, form = trees.flatten(params)
    kept = [trees.leaves(slot) for slot in slots]
    new = [
        rule(xp, theta, g, *arrays, *coefficients)
        for theta, g, *arrays in zip(thetas, trees.leaves(grads), *kept, strict=True)
    ]
    params, *new_slots = (trees.unflatten(form, each) for each in zip(*new, strict=True))
    return params, tuple(new_slots)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, plain, with momentum (Polyak, 1964), or looking ahead (Nesterov, 1983).

    mu = 0:     theta <- theta - alpha g
    momentum:   v <- mu v - alpha g,   theta <- theta + v
    nesterov:   v <- mu v - alpha g,   theta <- theta + mu v - alpha g

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        alpha > 0.
    momentum : float, or one for each network of a stack
        mu in [0, 1].
    nesterov : bool
        Needs a momentum > 0.
    """

    learning_rate: Value = 1e-2
    momentum: Value = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        store_values(self, momentum=UP_TO_ONE)
        if check_flag("nesterov", self.nesterov) and not self.momentum:
            raise ValueError("`nesterov` is True and `momentum` 0; accepted: with it, a momentum > 0")

    @property
    def slots(self) -> int:
        return 1 if np.any(self.momentum) else 0

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        return (alpha, self.momentum) if self.slots else (alpha,)

    @property
    def rule(self) -> Rule:
        return self.look_ahead if self.nesterov else self.roll if self.slots else self.descend

    @staticmethod
    def descend(xp: Namespace, theta: Array, g: Array, alpha: Any) -> tuple[Array, ...]:
        return (theta - alpha * g,)

    @staticmethod
    def roll(xp: Namespace, theta: Array, g: Array, v: Array, alpha: Any, mu: Any) -> tuple[Array, ...]:
        v = mu * v - alpha * g
        return theta + v, v

    @staticmethod
    def look_ahead(
        xp: Namespace, theta: Array, g: Array, v: Array, alpha: Any, mu: Any
    ) -> tuple[Array, ...]:
        v = mu * v - alpha * g
        return theta + (mu * v - alpha * g), v


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    v <- rho v + (1 - rho) g^2,   theta <- theta - alpha g / (sqrt(v) + epsilon)

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        alpha > 0.
    rho : float, or one for each network of a stack
        In [0, 1).
    epsilon : float, or one for each network of a stack
        > 0.
    """

    learning_rate: Value = 1e-3
    rho: Value = 0.9
    epsilon: Value = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        store_values(self, rho=BELOW_ONE, epsilon=POSITIVE)

    @property
    def slots(self) -> int:
        return 1

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        return alpha, self.rho, 1 - self.rho, self.epsilon

    @staticmethod
    def rule(xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        v, alpha, rho, rest_of_rho, epsilon = rest
        v = rho * v + rest_of_rho * (g * g)
        return theta - alpha * (g / (xp.sqrt(v) + epsilon)), v


@dataclass(frozen=True)
class Adam(Optimizer):
    """Running means of the gradient and of its square, bias-corrected (Kingma and Ba, 2015).

    m <- beta_1 m + (1 - beta_1) g,      m^ = m / (1 - beta_1^t)
    v <- beta_2 v + (1 - beta_2) g^2,    v^ = v / (1 - beta_2^t)
    theta <- theta - alpha m^ / (sqrt(v^) + epsilon)

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack
        alpha > 0.
    beta_1, beta_2 : float, or one for each network of a stack
        In [0, 1).
    epsilon : float, or one for each network of a stack
        > 0.
    """

    learning_rate: Value = 1e-3
    beta_1: Value = 0.9
    beta_2: Value = 0.999
    epsilon: Value = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        store_values(self, beta_1=BELOW_ONE, beta_2=BELOW_ONE, epsilon=POSITIVE)

    @property
    def slots(self) -> int:
        return 2

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        alpha_t, root_t = alpha / (1 - self.beta_1**t), (1 - self.beta_2**t) ** -0.5
        return alpha_t, root_t, self.beta_1, 1 - self.beta_1, self.beta_2, 1 - self.beta_2, self.epsilon

    @staticmethod
    def rule(xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        m, v, alpha_t, root_t, beta_1, gamma_1, beta_2, gamma_2, epsilon = rest  # gamma = 1 - beta
        m = beta_1 * m + gamma_1 * g
        v = beta_2 * v + gamma_2 * (g * g)
        return theta - alpha_t * (m / (root_t * xp.sqrt(v) + epsilon)), m, v


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with a decay of every parameter apart from the gradient (Loshchilov and Hutter, 2019).

    theta <- theta - alpha weight_decay theta - alpha m^ / (sqrt(v^) + epsilon)

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float, or one for each network of a stack
        As for `Adam`.
    weight_decay : float, or one for each network of a stack
        >= 0; weights and biases decay alike.
    """

    weight_decay: Value = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        store_values(self, weight_decay=NONNEGATIVE)

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        return (*super().coefficients(t, alpha), alpha * self.weight_decay)

    @staticmethod
    def rule(xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        *rest_of_adam, decay = rest
        moved, m, v = Adam.rule(xp, theta, g, *rest_of_adam)
        return moved - decay * theta, m, v
