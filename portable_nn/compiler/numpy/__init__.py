"""The target NumPy: a step becomes a Python function that calls NumPy and loops compiled by numba."""

from portable_nn.compiler.numpy.prepared import PreparedStep
from portable_nn.compiler.numpy.steps import CompiledScan, CompiledStep

__all__ = ["CompiledScan", "CompiledStep", "PreparedStep"]
