"""The layers of a network, forward and back; a dense network is the recipe itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from portable_nn.equations import Activation, Array, Namespace, Parameters, backward, delta, forward
from portable_nn.layers.base import Layer
from portable_nn.layers.columns import in_rows
from portable_nn.layers.dense import Dense

Masks: TypeAlias = "Sequence[Array | None] | None"


class Passed(NamedTuple):
    """What a batch left behind: Z and A, the last ones of the output, and what the layers kept."""

    Z: list[Array]
    A: list[Array]
    kept: Sequence[Any] = ()


@dataclass(frozen=True)
class Recipe:
    """A dense network: the source's recipe for all layers at once. `g` are its activations."""

    g: tuple[Activation, ...]
    has_statistics = False

    def weights(self, L: int) -> Sequence[tuple[int, int, bool]]:
        """See `Chain.places`."""
        return [(l, 0, False) for l in range(L)]

    def forward(
        self, xp: Namespace, params: Parameters, X: Array, masks: Masks = None, training: bool = False
    ) -> Passed:
        """See `Chain.forward`."""
        return Passed(*forward(xp, params, X, self.g, masks))

    def backward(
        self, xp: Namespace, params: Parameters, passed: Passed, Delta: Array, masks: Masks = None
    ) -> Parameters:
        """See `Chain.backward`."""
        return backward(xp, params, passed.Z, passed.A, Delta, self.g, masks)

    def moved(self, xp: Namespace, params: Parameters, passed: Passed) -> Parameters:
        """The parameters: there are no statistics."""
        return params


@dataclass(frozen=True)
class Chain:
    """Layers and activations of any kind, and the output's activation.

    `has_arrays` says of each layer whether it has arrays; `params` has an entry for each that does.
    `places` says where weights are: entry, number in it, and whether the networks of a stack share them.
    """

    layers: tuple[Layer | Activation, ...]
    output: Activation
    has_arrays: tuple[bool, ...]
    has_statistics: bool
    places: tuple[tuple[int, int, bool], ...]

    def weights(self, L: int) -> Sequence[tuple[int, int, bool]]:
        """The `places`, which `l2` penalises."""
        return self.places

    @property
    def g(self) -> tuple[Activation, ...]:
        """The activations, in order; the last one is the output's."""
        return (*(each for each in self.layers if isinstance(each, Activation)), self.output)

    def thetas(self, params: Parameters) -> Iterator[Any]:
        """The arrays of each layer."""
        given = iter(params)
        return (next(given) if has else () for has in self.has_arrays)

    def masks_of(self, masks: Masks) -> Iterator[Array | None]:
        """The dropout mask after each layer; None where nothing is dropped."""
        given = iter(masks or ())
        return (next(given, None) if is_activation(each) else None for each in self.layers)

    def forward(
        self, xp: Namespace, params: Parameters, X: Array, masks: Masks = None, training: bool = False
    ) -> Passed:
        """For the batch X (n_0, B) in columns: A[0], every layer's A, and A[L]; Z[L] is the last Z.

        `masks` as for `equations.forward`, one after each hidden activation; with `training` statistics
        are those of the batch.
        """
        A, kept = [X if isinstance(self.layers[0], Dense) else in_rows(xp, X)], []
        each = zip(self.layers, self.thetas(params), self.masks_of(masks), strict=True)
        for layer, theta, M in each:
            if isinstance(layer, Activation):
                out, inner = layer.g(xp, A[-1]), A[-1]
            elif training:
                out, inner = layer.forward_in_training(xp, theta, A[-1])
            else:
                out, inner = layer.forward(xp, theta, A[-1])
            A.append(out if M is None else out * M)
            kept.append(inner)
        return Passed([A[-1]], [*A, self.output.g(xp, A[-1])], kept)

    def backward(
        self, xp: Namespace, params: Parameters, passed: Passed, Delta: Array, masks: Masks = None
    ) -> Parameters:
        """The gradients, of the structure of `params`, with None for arrays that are not trained.

        Delta is Delta[L], times the weights of the examples if there are any.
        """
        grads, dA = [], Delta
        thetas = zip(self.thetas(params), self.has_arrays, strict=True)
        each = zip(self.layers, thetas, self.masks_of(masks), passed.kept, strict=True)
        for layer, (theta, has_arrays), M, kept in reversed(list(each)):
            if M is not None:
                dA = dA * M
            if isinstance(layer, Activation):
                dA = delta(xp, layer, kept, dA)
                continue
            dA, dtheta = layer.backward(xp, theta, kept, dA)
            if has_arrays:
                grads.append(tuple(dtheta))
        return grads[::-1]

    def moved(self, xp: Namespace, params: Parameters, passed: Passed) -> Parameters:
        """The parameters with the statistics that a batch has moved."""
        each = zip(self.layers, self.thetas(params), passed.kept, self.has_arrays, strict=True)
        return [
            tuple(layer.moved(xp, theta, kept))
            for layer, theta, kept, has_arrays in each
            if has_arrays and isinstance(layer, Layer)
        ]


def is_activation(layer: Layer | Activation) -> bool:
    """Whether dropout comes after it."""
    return isinstance(layer, Activation) or layer.is_activation


Model: TypeAlias = Recipe | Chain
