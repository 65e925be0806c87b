"""Where an element is, as an expression of CUDA C."""

from __future__ import annotations

from portable_nn.compiler.layout import Layout, Shape, broadcast_strides


def place(array: Layout, shape: Shape, index: str) -> str:
    """Where in its memory the array, broadcast to `shape`, has element number `index`: in C.

    Axes over which the elements go on evenly are taken together, so that it divides as seldom as it can.
    """
    strides = broadcast_strides(array, shape)
    runs: list[list[int]] = []  # [how many, stride], the last axis first
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n == 1:
            continue
        if runs and stride == runs[-1][0] * runs[-1][1]:
            runs[-1][0] *= n
        else:
            runs.append([n, stride])
    terms, before = ([str(array.offset)] if array.offset else []), 1
    for at, (n, stride) in enumerate(runs):
        if stride:
            digit = index if before == 1 else f"({index} / {before})"
            digit = digit if at == len(runs) - 1 else f"({digit} % {n})"
            far = "LL" if abs(stride) * n >= 2**31 else ""  # further than an int counts
            terms.append(digit if stride == 1 else f"{digit} * {stride}{far}")
        before *= n
    return " + ".join(terms) or "0"
