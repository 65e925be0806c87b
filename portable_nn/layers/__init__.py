"""Layers beside the dense one: what they are made of, and networks of them, one after the other."""

from portable_nn.layers.base import Layer, Parameter
from portable_nn.layers.chain import Chain, Model, Recipe
from portable_nn.layers.dense import Dense, SharedDense
from portable_nn.layers.embeddings import Embedding
from portable_nn.layers.normalization import BatchNorm, LayerNorm, Scale
from portable_nn.layers.numbers import Periodic, PiecewiseLinear
from portable_nn.layers.trained_activation import ParametricActivation

__all__ = [
    "BatchNorm",
    "Chain",
    "Dense",
    "Embedding",
    "Layer",
    "LayerNorm",
    "Model",
    "Parameter",
    "ParametricActivation",
    "Periodic",
    "PiecewiseLinear",
    "Recipe",
    "Scale",
    "SharedDense",
]
