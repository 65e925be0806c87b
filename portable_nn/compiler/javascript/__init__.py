"""The target JavaScript: a step becomes a function on typed arrays, for all sizes of its arrays.

`sizes` is how lengths and strides become products of names; `writer` writes the statements; `source`
puts the text together, and proves that no size is in it.
"""

from portable_nn.compiler.javascript.source import Named, NamedStep, source_of

__all__ = ["Named", "NamedStep", "source_of"]
