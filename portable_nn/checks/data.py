"""Data that a user hands in: X, Y and weights, in rows that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from portable_nn.checks.arrays import ONE_HOT
from portable_nn.equations import Array

Shape = tuple[int, ...]


class Given(NamedTuple):
    """X (n, n_0), Y (n, n_L) and weights (n,), as the user passed them; or those of each network.

    `prefix` tells one data set from another in messages: "validation ", say.
    """

    X: Array
    Y: Array | None = None
    sample_weight: Array | None = None
    prefix: str = ""

    @property
    def names(self) -> tuple[str, str, str]:
        """What messages call X, Y and the weights."""
        return self.prefix + "X", self.prefix + "Y", self.prefix + "sample_weight"

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that were given, by name."""
        x, y, w = self.names
        others = {
            name: array for name, array in ((y, self.Y), (w, self.sample_weight)) if array is not None
        }
        return {x: self.X} | others

    def check_shapes(self, sizes: Sequence[int], stack: Shape) -> None:
        """Raise ValueError unless the shapes suit a network of these sizes, and one another."""
        x, y, w = self.names
        n = check_rows(x, self.X, sizes[0], stack)
        if self.Y is not None:
            check_rows(y, self.Y, sizes[-1], stack, n)
        if self.sample_weight is not None:
            check_weights(w, self.sample_weight, n, stack)


def check_rows(name: str, array: Array, width: int, stack: Shape, n: int | None = None) -> int:
    """The number of rows of `array`: (n, width), or that for every network of the stack."""
    shape = tuple(array.shape)
    if len(shape) >= 2 and shape[:-2] in ((), stack) and shape[-1] == width and n in (None, shape[-2]):
        if shape[-2] == 0:
            raise ValueError(f"`{name}` has shape {shape}; accepted: at least one row")
        return int(shape[-2])
    count = "n_samples" if n is None else n
    stacked = ", ".join(map(str, (*stack, count, width)))
    accepted = f"({count}, {width})" + (f" or ({stacked})" if stack else "")
    hint = ""
    if len(shape) == 1 and name.endswith("X"):
        hint = "; for one example: X.reshape(1, -1)"
    elif len(shape) == 1 and width == 1:
        hint = f"; for one output: {name}[:, None]"
    elif len(shape) == 1:
        hint = ONE_HOT
    raise ValueError(f"`{name}` has shape {shape}; accepted: {accepted}{hint}")


def check_weights(name: str, array: Array, n: int, stack: Shape) -> None:
    """Raise ValueError unless `array` has one weight per row: (n,), or that for every network."""
    shape = tuple(array.shape)
    if shape not in ((n,), (*stack, n)):
        accepted = f"({n},)" + (f" or {(*stack, n)}" if stack else "")
        raise ValueError(f"`{name}` has shape {shape}; accepted: {accepted}, one weight per row")
