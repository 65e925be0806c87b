"""The target of sources in C99 and JavaScript: a function of a row becomes the statements of it."""

from portable_nn.compiler.sources.statements import Statements, statements_of

__all__ = ["Statements", "statements_of"]
