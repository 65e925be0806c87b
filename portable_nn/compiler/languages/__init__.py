"""What the targets share that write files of source code: two languages, and the statements in them.

`writer` writes what both languages share, by the operations of the graph; `c99` and `javascript` are how
each of them writes numbers, loops and arrays.
"""

from portable_nn.compiler.languages.c99 import C99
from portable_nn.compiler.languages.javascript import JavaScript
from portable_nn.compiler.languages.language import Language, called
from portable_nn.compiler.languages.writer import Memory, Writer, is_fusable

__all__ = ["C99", "JavaScript", "Language", "Memory", "Writer", "called", "is_fusable"]
