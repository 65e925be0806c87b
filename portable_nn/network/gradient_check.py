"""Gradients against two-sided differences of the cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from portable_nn import trees
from portable_nn.backends import of, to_host
from portable_nn.equations import Parameters

AT_ONCE = 64  # networks in one pass, as a stack

Host = np.ndarray[Any, Any]
Cost = Callable[[Parameters], Any]


class Slopes(NamedTuple):
    """dJ for each entry of an array: from the left, two-sided and from the right, by steps of `h`."""

    left: Host
    both: Host
    right: Host
    h: float

    def is_kink(self, rounding: float, largest: float) -> Host:
        """Where the one-sided differences part by more than rounding, and the step, explain.

        Those of a smooth J part from each other by h^3, and together from the two-sided one by h^2.
        """
        parted = np.abs(self.left - self.right)
        together = np.abs(self.both - (self.left + self.right) / 2)
        is_sharp = (parted > together) | (parted > 1e3 * self.h**2 * largest)
        return np.asarray((parted > 100 * rounding / self.h) & is_sharp)

    def errors(self, gradient: Host, rounding: float, largest: float) -> Host:
        """How far a gradient is from the two-sided differences, relative to the `largest` of all.

        At a kink every value between the one-sided ones is right.
        """
        low, high = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        outside = np.maximum(np.maximum(low - gradient, gradient - high), 0)
        apart = np.abs(gradient - self.both)
        apart = np.where(self.is_kink(rounding, largest), np.minimum(outside, apart), apart)
        return np.asarray(apart / largest)


def relative_errors(J: Cost, params: Parameters, grads: Parameters, epsilon: float) -> list[Host | None]:
    """For each array |grads - two-sided differences of J| / max |differences|; None if not trained.

    The maximum is that over all parameters. Where J has a kink there may be more of them nearby: a
    shorter step is tried as well.
    """
    here, thetas = float(J(params)), [to_host(theta) for theta in trees.leaves(params)]
    rounding = float(np.finfo(thetas[0].dtype).eps) * abs(here)
    each = [None if g is None else to_host(g) for layer in grads for g in layer]
    for theta, g in zip(thetas, each, strict=True):
        if g is not None and not moves(theta, epsilon):
            raise ValueError(
                f"`epsilon` is {epsilon:g}, too small to move a parameter of {np.max(np.abs(theta)):g}; "
                "accepted: a larger one, or smaller parameters"
            )
    found = {k: differences(J, params, k, here, epsilon) for k, g in enumerate(each) if g is not None}
    largest = float(np.max([np.max(np.abs(slopes.both)) for slopes in found.values()])) or 1.0
    result: list[Host | None] = []
    for k, gradient in enumerate(each):
        if gradient is None:
            result.append(None)
            continue
        errors, kinks = found[k].errors(gradient, rounding, largest), found[k].is_kink(rounding, largest)
        if kinks.any() and moves(thetas[k], epsilon / 100):
            closer = differences(J, params, k, here, epsilon / 100).errors(gradient, rounding, largest)
            errors = np.where(kinks, np.minimum(errors, closer), errors)
        result.append(errors)
    return result


def moves(theta: Host, h: float) -> bool:
    """Whether every entry is another number if h is added to it."""
    return bool(np.all(theta + theta.dtype.type(h) != theta))


def differences(J: Cost, params: Parameters, place: int, here: float, h: float) -> Slopes:
    """The slopes of J for each entry of array number `place`, to the order h^2; `here` is J(params)."""
    thetas, form = trees.flatten(params)
    theta = thetas[place]
    host = to_host(theta)
    J_at = {steps: np.empty(host.shape) for steps in (-2, -1, 1, 2)}
    for start in range(0, host.size, AT_ONCE):
        entries = np.arange(start, min(start + AT_ONCE, host.size))
        shift = np.zeros((len(entries), host.size), host.dtype)
        shift[np.arange(len(entries)), entries] = h
        for steps, values in J_at.items():
            moved = host + steps * shift.reshape(-1, *host.shape)
            thetas[place] = of(theta).asarray(moved, dtype=theta.dtype)
            values.flat[entries] = J(trees.unflatten(form, thetas))
    left = (3 * here - 4 * J_at[-1] + J_at[-2]) / (2 * h)
    both = (J_at[1] - J_at[-1]) / (2 * h)
    right = (-3 * here + 4 * J_at[1] - J_at[2]) / (2 * h)
    return Slopes(left, both, right, h)
