"""The optimizers: each an (init, update) over plain lists of arrays, in order of growing complexity.

Notation: theta a parameter, g its gradient, alpha the learning rate, t = 1, 2, ... the update's number;
v and m as in the sources named. A subclass says how many arrays it keeps per parameter (`slots`), which
numbers change from update to update (`coefficients`, Python floats, computed on the host), and the
elementwise formula (`rule`), written once with `xp`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from portable_nn import checks
from portable_nn.equations import Array, Namespace, Parameters

Rule = Callable[..., tuple[Array, ...]]
Slots = list[tuple[tuple[Array, ...], tuple[Array, ...]]]  # per layer: those of W, those of b


class OptimizerState(NamedTuple):
    """What an optimizer remembers: the number of updates made, and its arrays per layer."""

    t: Any
    slots: Slots


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share; for one of your own make a subclass that is a frozen dataclass too.

    Parameters
    ----------
    learning_rate : float
        alpha > 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number in its range.
    """

    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        checks.store(self, learning_rate=(0.0, math.inf, True))

    @property
    def slots(self) -> int:
        """How many arrays are kept per parameter."""
        return 0

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        """The numbers of update t = 1, 2, ... that `rule` takes last."""
        return (alpha,)

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        """The new theta and arrays, from ``(xp, theta, g, *arrays, *coefficients)``, elementwise."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no `rule`: Optimizer is to be subclassed"
        )

    def init(self, params: Parameters) -> OptimizerState:
        """The state before the first update: arrays of zeros."""
        backend = checks.same_structure(params, params)
        return init_state(backend.xp, self, params)

    def update(
        self,
        params: Parameters,
        grads: Parameters,
        state: OptimizerState,
        learning_rate: float | None = None,
    ) -> tuple[Parameters, OptimizerState]:
        """The parameters and the state after one update; nothing that is handed in is changed.

        Raises TypeError or ValueError where `grads` or `state` do not belong to `params`, where
        parameters or gradients are NaN or infinite, or where `learning_rate`, which replaces that of
        the optimizer for this update, is negative.
        """
        backend = checks.same_structure(params, grads)
        alpha = self.learning_rate if learning_rate is None else learning_rate
        alpha = checks.number("learning_rate", alpha, 0.0)
        self.check_state(params, state, backend)
        t = state.t + 1
        params, slots = apply(
            backend.xp, self.rule, params, grads, state.slots, self.coefficients(t, alpha)
        )
        return params, OptimizerState(t, slots)

    def check_state(self, params: Parameters, state: Any, backend: Any) -> None:
        """Raise ValueError unless `state` is one of this optimizer for parameters like these."""
        if not isinstance(state, OptimizerState):
            raise ValueError(f"`state` is {type(state)}; accepted: what `init(params)` returned")
        checks.same_state(params, state.slots, self.slots, backend)


def init_state(xp: Namespace, optimizer: Optimizer, params: Parameters) -> OptimizerState:
    """No update made, and zeros of the shape of each parameter, `optimizer.slots` of them."""

    def zeros(theta: Array) -> tuple[Array, ...]:
        return tuple(xp.zeros_like(theta) for _ in range(optimizer.slots))

    return OptimizerState(0, [(zeros(W), zeros(b)) for W, b in params])


def clipped(xp: Namespace, grads: Parameters, c: float) -> Parameters:
    """g <- g min(1, c / ||g||), the norm taken over all parameters together (Pascanu et al., 2013)."""
    squares = [xp.sum(g * g, axis=(-2, -1), keepdims=True) for layer in grads for g in layer]
    scale = c / xp.maximum(xp.sqrt(sum(squares)), c)
    return [(dW * scale, db * scale) for dW, db in grads]


def apply(
    xp: Namespace,
    rule: Rule,
    params: Parameters,
    grads: Parameters,
    slots: Slots,
    coefficients: Sequence[Any],
) -> tuple[Parameters, Slots]:
    """`rule` for every parameter."""
    new_params, new_slots = [], []
    for layer, d_layer, kept in zip(params, grads, slots, strict=True):
        (W, *of_W), (b, *of_b) = (
            rule(xp, theta, g, *arrays, *coefficients)
            for theta, g, arrays in zip(layer, d_layer, kept, strict=True)
        )
        new_params.append((W, b))
        new_slots.append((tuple(of_W), tuple(of_b)))
    return new_params, new_slots


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, plain, with momentum (Polyak, 1964), or looking ahead (Nesterov, 1983).

    mu = 0:     theta <- theta - alpha g
    momentum:   v <- mu v - alpha g,   theta <- theta + v
    nesterov:   v <- mu v - alpha g,   theta <- theta + mu v - alpha g

    Parameters
    ----------
    learning_rate : float
        alpha > 0.
    momentum : float
        mu in [0, 1].
    nesterov : bool
        Needs a momentum > 0.
    """

    learning_rate: float = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        momentum = checks.number("momentum", self.momentum, 0.0, 1.0, closed_high=True)
        object.__setattr__(self, "momentum", momentum)
        if not isinstance(self.nesterov, bool):
            raise TypeError(f"`nesterov` is {self.nesterov!r}; accepted: True or False")
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` is True and `momentum` 0; accepted: with it, a momentum > 0")

    @property
    def slots(self) -> int:
        return 1 if self.momentum else 0

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        if not self.momentum:
            (alpha,) = rest
            return (theta - alpha * g,)
        v, alpha = rest
        v = self.momentum * v - alpha * g
        if self.nesterov:
            return theta + (self.momentum * v - alpha * g), v
        return theta + v, v


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    v <- rho v + (1 - rho) g^2,   theta <- theta - alpha g / (sqrt(v) + epsilon)

    Parameters
    ----------
    learning_rate : float
        alpha > 0.
    rho : float
        In [0, 1).
    epsilon : float
        > 0.
    """

    learning_rate: float = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.store(self, rho=(0.0, 1.0, False), epsilon=(0.0, math.inf, True))

    @property
    def slots(self) -> int:
        return 1

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        v, alpha = rest
        v = self.rho * v + (1 - self.rho) * (g * g)
        return theta - alpha * (g / (xp.sqrt(v) + self.epsilon)), v


@dataclass(frozen=True)
class Adam(Optimizer):
    """Running means of the gradient and of its square, bias-corrected (Kingma and Ba, 2015).

    m <- beta_1 m + (1 - beta_1) g,      m^ = m / (1 - beta_1^t)
    v <- beta_2 v + (1 - beta_2) g^2,    v^ = v / (1 - beta_2^t)
    theta <- theta - alpha m^ / (sqrt(v^) + epsilon)

    Parameters
    ----------
    learning_rate : float
        alpha > 0.
    beta_1, beta_2 : float
        In [0, 1).
    epsilon : float
        > 0.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.store(self, beta_1=(0.0, 1.0, False), beta_2=(0.0, 1.0, False))
        checks.store(self, epsilon=(0.0, math.inf, True))

    @property
    def slots(self) -> int:
        return 2

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        return alpha / (1 - self.beta_1**t), (1 - self.beta_2**t) ** -0.5

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        m, v, alpha_t, root_t = rest  # alpha / (1 - beta_1^t), 1 / sqrt(1 - beta_2^t)
        m = self.beta_1 * m + (1 - self.beta_1) * g
        v = self.beta_2 * v + (1 - self.beta_2) * (g * g)
        return theta - alpha_t * (m / (root_t * xp.sqrt(v) + self.epsilon)), m, v


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with a decay of every parameter apart from the gradient (Loshchilov and Hutter, 2019).

    theta <- theta - alpha weight_decay theta - alpha m^ / (sqrt(v^) + epsilon)

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for `Adam`.
    weight_decay : float
        >= 0; weights and biases decay alike.
    """

    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.store(self, weight_decay=(0.0, math.inf, False))

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        return (*super().coefficients(t, alpha), alpha * self.weight_decay)

    def rule(self, xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        *rest_of_adam, decay = rest
        moved, m, v = super().rule(xp, theta, g, *rest_of_adam)
        return moved - decay * theta, m, v
