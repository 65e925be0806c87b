"""A step on NumPy arrays, traced once and run as a program: no copy of any equation."""

from portable_nn.compiler.numpy.run import Compiled, Scanned
from portable_nn.compiler.numpy.source import Products

__all__ = ["Compiled", "Products", "Scanned"]
