"""Models for other programs: source code in C and JavaScript."""

from portable_nn.interchange.sources import to_c, to_javascript

__all__ = ["to_c", "to_javascript"]
