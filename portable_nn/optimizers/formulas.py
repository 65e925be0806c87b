"""The formulas of the optimizers, in order of growing complexity.

Notation: theta a parameter, g its gradient, alpha the learning rate, t = 1, 2, ... the number of the
update; v and m as in the sources named. `coefficients` are computed on the host in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from portable_nn.checks import (
    BELOW_ONE,
    NONNEGATIVE,
    POSITIVE,
    UP_TO_ONE,
    Interval,
    Value,
    check_flag,
    is_schedule,
    is_zero,
    store_values,
)
from portable_nn.equations import Array, Namespace
from portable_nn.optimizers.optimizer import Optimizer
from portable_nn.optimizers.update import Rule


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, plain, with momentum (Polyak, 1964), or looking ahead (Nesterov, 1983).

    A parameter theta with the gradient g becomes::

        mu = 0:     theta <- theta - alpha g
        momentum:   v <- mu v - alpha g,   theta <- theta + v
        nesterov:   v <- mu v - alpha g,   theta <- theta + mu v - alpha g

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack, or a schedule
        alpha > 0.
    momentum : float, or one for each network of a stack
        mu in [0, 1].
    nesterov : bool
        Needs a momentum > 0.
    groups : mapping, optional
        Other settings for some of the parameters: see `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range, or `nesterov` is True without a momentum.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> pnn.SGD(0.1, momentum=0.9, nesterov=True)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=True)
    """

    learning_rate: Value | Callable[[int], Value] = 1e-2
    momentum: Value = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        store_values(self, momentum=UP_TO_ONE)
        if check_flag("nesterov", self.nesterov) and is_zero(self.momentum):
            raise ValueError("`nesterov` is True and `momentum` 0; accepted: with it, a momentum > 0")

    @property
    def slots(self) -> int:
        return 0 if is_zero(self.momentum) else 1

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        return (alpha, self.momentum) if self.slots else (alpha,)

    @property
    def rule(self) -> Rule:
        return self.look_ahead if self.nesterov else self.roll if self.slots else self.descend

    @staticmethod
    def descend(xp: Namespace, theta: Array, g: Array, alpha: Any) -> tuple[Array, ...]:
        """The rule without momentum.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta, g : array
            A parameter and its gradient.
        alpha : 0-d array
            The learning rate.

        Returns
        -------
        tuple of one array
            The new theta.
        """
        return (theta - alpha * g,)

    @staticmethod
    def roll(xp: Namespace, theta: Array, g: Array, v: Array, alpha: Any, mu: Any) -> tuple[Array, ...]:
        """The rule with momentum.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta, g, v : array
            A parameter, its gradient and its velocity.
        alpha, mu : 0-d array
            The learning rate and the momentum.

        Returns
        -------
        tuple of two arrays
            The new theta and the new v.
        """
        v = mu * v - alpha * g
        return theta + v, v

    @staticmethod
    def look_ahead(
        xp: Namespace, theta: Array, g: Array, v: Array, alpha: Any, mu: Any
    ) -> tuple[Array, ...]:
        """The rule with Nesterov momentum.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta, g, v : array
            A parameter, its gradient and its velocity.
        alpha, mu : 0-d array
            The learning rate and the momentum.

        Returns
        -------
        tuple of two arrays
            The new theta and the new v.
        """
        v = mu * v - alpha * g
        return theta + (mu * v - alpha * g), v


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    A parameter theta with the gradient g becomes::

        v <- rho v + (1 - rho) g^2,   theta <- theta - alpha g / (sqrt(v) + epsilon)

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack, or a schedule
        alpha > 0.
    rho : float, or one for each network of a stack
        In [0, 1).
    epsilon : float, or one for each network of a stack
        > 0.
    groups : mapping, optional
        Other settings for some of the parameters: see `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> pnn.RMSprop(1e-3, rho=0.99)
    RMSprop(learning_rate=0.001, rho=0.99, epsilon=1e-08)
    """

    learning_rate: Value | Callable[[int], Value] = 1e-3
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

    A parameter theta with the gradient g becomes, in update t = 1, 2, ...::

        m <- beta_1 m + (1 - beta_1) g,      m^ = m / (1 - beta_1^t)
        v <- beta_2 v + (1 - beta_2) g^2,    v^ = v / (1 - beta_2^t)
        theta <- theta - alpha m^ / (sqrt(v^) + epsilon)

    Parameters
    ----------
    learning_rate : float, or one for each network of a stack, or a schedule
        alpha > 0.
    beta_1, beta_2 : float, or one for each network of a stack
        In [0, 1).
    epsilon : float, or one for each network of a stack
        > 0.
    groups : mapping, optional
        Other settings for some of the parameters: see `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Examples
    --------
    The first step of every parameter is alpha long, whatever its gradient is:

    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> params, grads = [(np.array([[1.0, 1.0]]),)], [(np.array([[100.0, -0.01]]),)]
    >>> optimizer = pnn.Adam(learning_rate=0.1)
    >>> params, state = optimizer.update(params, grads, optimizer.init(params))
    >>> params[0][0].round(4)
    array([[0.9, 1.1]])
    """

    learning_rate: Value | Callable[[int], Value] = 1e-3
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

    A parameter theta becomes, with the means m^ and v^ of `Adam`::

        theta <- theta - alpha weight_decay theta - alpha m^ / (sqrt(v^) + epsilon)

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float, or one for each network of a stack
        As for `Adam`.
    weight_decay : float, or one for each network of a stack, or a schedule
        >= 0; a schedule gives the value of each update, which is multiplied by the learning rate then.
        Weights and biases decay alike, unless `groups` say otherwise.
    groups : mapping, optional
        Other settings for some of the parameters: see `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a number is not in its range.

    Examples
    --------
    Decay of the weights alone, falling to 0 in 1,000 updates:

    >>> import portable_nn as pnn
    >>> falling = pnn.schedules.cosine(0.02, steps=1000)
    >>> optimizer = pnn.AdamW(1e-2, weight_decay=falling, groups={"biases": {"weight_decay": 0.0}})
    >>> optimizer.groups
    {'biases': {'weight_decay': 0.0}}
    """

    weight_decay: Value | Callable[[int], Value] = 1e-2
    scheduled: ClassVar[Mapping[str, Interval]] = {"weight_decay": NONNEGATIVE}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_schedule(self.weight_decay):
            store_values(self, weight_decay=NONNEGATIVE)

    def coefficients(self, t: Any, alpha: Any) -> tuple[Any, ...]:
        return (*super().coefficients(t, alpha), alpha * self.weight_decay)

    @staticmethod
    def rule(xp: Namespace, theta: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        *rest_of_adam, decay = rest
        moved, m, v = Adam.rule(xp, theta, g, *rest_of_adam)
        return moved - decay * theta, m, v
