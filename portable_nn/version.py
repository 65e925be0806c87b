"""The version of this package: files name the one that wrote them."""

__version__ = "0.2.0"
