"""The index of an element in memory, as an expression of CUDA C."""

from __future__ import annotations

from portable_nn.compiler.layout import Layout, Shape, broadcast_strides


def element_index(array: Layout, shape: Shape, index: str) -> str:
    """The index, in its memory, of the element that the array broadcast to `shape` has at `index`.

    Axes that have one stride are handled as one, because divisions are slow on a GPU.
    """
    strides = broadcast_strides(array, shape)
    runs: list[list[int]] = []  # [length, stride], the last axis first
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n == 1:
            continue
        if runs and stride == runs[-1][0] * runs[-1][1]:
            runs[-1][0] *= n
        else:
            runs.append([n, stride])
    terms, inner = ([str(array.offset)] if array.offset else []), 1
    for position, (n, stride) in enumerate(runs):
        if stride:
            coordinate = index if inner == 1 else f"({index} / {inner})"
            coordinate = coordinate if position == len(runs) - 1 else f"({coordinate} % {n})"
            suffix = "LL" if abs(stride) * n >= 2**31 else ""  # an int would overflow
            terms.append(coordinate if stride == 1 else f"{coordinate} * {stride}{suffix}")
        inner *= n
    return " + ".join(terms) or "0"
