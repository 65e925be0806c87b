"""The arrays of a network by name: W[1], gamma[2], ..., with their shapes and kinds."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from portable_nn.equations import Activation
from portable_nn.layers.base import Layer, Parameter
from portable_nn.layers.chain import Chain, Model, Recipe, is_activation
from portable_nn.layers.codes import Levels
from portable_nn.layers.dense import Dense
from portable_nn.layers.embeddings import Embedding

Layers: TypeAlias = tuple[Layer | Activation, ...]


class LayerArrays(NamedTuple):
    """The arrays of a layer that has some: `number` counts these layers, from 1; n units are below.

    `activation` is the name of the next activation, by which "auto" chooses the first weights.
    """

    number: int
    layer: Layer
    arrays: tuple[Parameter, ...]
    n: int
    activation: str

    @property
    def names(self) -> list[str]:
        """The arrays as messages call them: W[1]."""
        return [f"{array.symbol}[{self.number}]" for array in self.arrays]

    @property
    def has_statistics(self) -> bool:
        """Whether training moves some of them beside the optimizer."""
        return any(array.kind == "statistics" for array in self.arrays)


class Described(NamedTuple):
    """What follows from the layers and the number of inputs.

    `widths` has the number of units below each layer, and of the output; `sizes` those of the inputs,
    after each hidden activation, and of the output; `arrays` name, description and layer of each array,
    in the order of the parameters' leaves; `levels` the columns of codes among the inputs, with the
    number of categories of each.
    """

    model: Model
    layers: tuple[LayerArrays, ...]
    widths: tuple[int, ...]
    sizes: tuple[int, ...]
    arrays: tuple[tuple[str, Parameter, int], ...]
    levels: Levels


@functools.lru_cache(maxsize=256)
def described(n_0: int, layers: Layers) -> Described:
    """What follows; ValueError where a layer cannot be where it is."""
    widths, found, has_arrays = [n_0], list[LayerArrays](), []
    for i, layer in enumerate(layers):
        n, arrays = widths[-1], tuple[Parameter, ...]()
        if isinstance(layer, Layer):
            arrays = layer.parameters(n)
            n = layer.width(n)
        has_arrays.append(bool(arrays))
        if arrays and isinstance(layer, Layer):
            after = next(each.name for each in layers[i:] if isinstance(each, Activation))
            found.append(LayerArrays(len(found) + 1, layer, tuple(arrays), widths[-1], after))
        widths.append(n)
    hidden = [n for layer, n in zip(layers[:-1], widths[1:], strict=False) if is_activation(layer)]
    model = model_of(layers, has_arrays, found)
    every = tuple(
        (name, array, each.number)
        for each in found
        for name, array in zip(each.names, each.arrays, strict=True)
    )
    first = layers[0]
    levels = first.levels if isinstance(first, Embedding) else ()
    sizes = (n_0, *hidden, widths[-1])
    return Described(model, tuple(found), tuple(widths), sizes, every, levels)


def dense_layers(sizes: Sequence[int], g: Sequence[Activation]) -> Layers:
    """The layers of a dense network."""
    pairs = zip(map(Dense, sizes[1:]), g, strict=True)
    return tuple(each for pair in pairs for each in pair)


def is_plain(layer: Layer | Activation) -> bool:
    """Whether it is a layer of the source: W and b."""
    return type(layer) is Dense and layer.bias


def is_dense(layers: Layers) -> bool:
    """Whether dense layers and activations take turns: the network of the source."""
    return all(
        is_plain(layer) if i % 2 == 0 else isinstance(layer, Activation)
        for i, layer in enumerate(layers)
    )


def model_of(layers: Layers, has_arrays: Sequence[bool], found: Sequence[LayerArrays]) -> Model:
    """The equations of these layers, the last of which is the output's activation."""
    if is_dense(layers):
        return Recipe(tuple(each for each in layers if isinstance(each, Activation)))
    *inner, output = layers
    has_statistics = any(each.has_statistics for each in found)
    weights = tuple(
        (l, k, array.is_shared)
        for l, each in enumerate(found)
        for k, array in enumerate(each.arrays)
        if array.kind == "weights"
    )
    return Chain(tuple(inner), output, tuple(has_arrays[:-1]), has_statistics, weights)  # type: ignore[arg-type]
