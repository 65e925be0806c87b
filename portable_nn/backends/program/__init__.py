"""A step on NumPy arrays, traced once and run as a program: no copy of any equation."""

from portable_nn.backends.program.run import Compiled, Scanned
from portable_nn.backends.program.source import Products

__all__ = ["Compiled", "Products", "Scanned"]
