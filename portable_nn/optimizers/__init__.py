"""The optimizers: each an (init, update) over trees of arrays."""

from portable_nn.optimizers.array_names import ArrayName
from portable_nn.optimizers.formulas import SGD, Adam, AdamW, RMSprop
from portable_nn.optimizers.optimizer import Optimizer, OptimizerState

__all__ = ["SGD", "Adam", "AdamW", "ArrayName", "Optimizer", "OptimizerState", "RMSprop"]
