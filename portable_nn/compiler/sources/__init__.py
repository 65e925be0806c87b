"""The targets C99 and JavaScript: a function of a row becomes statements that compute it, and tables.

`statements` writes what both languages share, by the operations of the graph; `c99` and `javascript` are
how each of them writes numbers, loops and arrays.
"""

from portable_nn.compiler.sources.c99 import C99
from portable_nn.compiler.sources.javascript import JavaScript
from portable_nn.compiler.sources.language import Language, called
from portable_nn.compiler.sources.statements import Statements, statements_of

__all__ = ["C99", "JavaScript", "Language", "Statements", "called", "statements_of"]
