"""A step on an NVIDIA GPU as a program: few launches, its products by cuBLAS, replayed as one graph."""

from portable_nn.compiler.cuda.device import way
from portable_nn.compiler.cuda.steps import Steps

__all__ = ["Steps", "way"]
